"""Cutting a transaction at the borders of ranges loses nothing and adds nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import InvalidKey
from fastness.invariants import present
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.ranges.requests import Content, Stamped, Write, intervals_of, keys_of
from fastness.transactions.content import (
    anchor_key,
    cut,
    is_within,
    written_intervals,
    written_keys,
)

LETTERS = [bytes([letter]) for letter in b"abcdefgh"]
keys = st.sampled_from(LETTERS)
intervals = st.tuples(keys, keys).filter(lambda pair: pair[0] < pair[1])
contents = st.builds(
    Content,
    read_timestamp=st.just(5),
    read_keys=st.lists(keys, unique=True).map(sorted),
    read_intervals=st.lists(intervals, max_size=3),
    writes=st.lists(st.builds(Write, keys, st.none() | st.just(b"v")), min_size=1, max_size=4),
    erased=st.lists(intervals, max_size=3),
    atomics=st.dictionaries(keys, st.just([(1, b"12345678")]), max_size=2),
    stamped_values=st.dictionaries(keys, st.just((b"<", b">")), max_size=2),
    write_keys=st.lists(keys, unique=True, max_size=2).map(sorted),
    write_intervals=st.lists(intervals, max_size=2),
)


def ranges(*borders: bytes) -> RangeMap:
    """Ranges with these borders between them."""
    edges = [b"", *borders, SYSTEM_END]
    return RangeMap(
        Descriptor(number, begin, end, 1, "s", 1, "node")
        for number, (begin, end) in enumerate(pairwise(edges), start=1)
    )


@given(contents, st.lists(keys, unique=True).map(sorted))
def test_parts_make_the_whole(content: Content, borders: list[bytes]) -> None:
    """Every key is in exactly the part of its range, every interval covered without overlap."""
    parts = cut(content, ranges(*borders))
    assert parts is not None
    for descriptor, part in parts:
        assert keys_of(part) or intervals_of(part)
        assert all(descriptor.begin <= key < descriptor.end for key in keys_of(part))
        for begin, end in intervals_of(part):
            assert descriptor.begin <= begin < end <= descriptor.end
        assert is_within(part, content, descriptor.interval)
        assert part.alive_until == content.alive_until
    for name in ("read_keys", "write_keys", "writes"):
        assert [one for _, part in parts for one in getattr(part, name)] == sorted(
            getattr(content, name), key=lambda one: getattr(one, "key", one)
        ) or name == "writes"
    assert sum(len(part.writes) for _, part in parts) == len(content.writes)
    for name in ("atomics", "stamped_values"):
        together = {key: one for _, part in parts for key, one in getattr(part, name).items()}
        assert together == getattr(content, name)
    for name in ("read_intervals", "erased", "write_intervals"):
        for letter in LETTERS:
            before = sum(begin <= letter < end for begin, end in getattr(content, name))
            after = sum(
                begin <= letter < end for _, part in parts for begin, end in getattr(part, name)
            )
            assert before == after, (name, letter)


@given(contents, st.lists(keys, unique=True).map(sorted))
def test_the_anchor_is_in_a_part_that_writes(content: Content, borders: list[bytes]) -> None:
    """The range of the anchor is always one that promises, whatever else is only read."""
    parts = cut(content, ranges(*borders))
    assert parts is not None
    anchor = anchor_key(content)
    (holder,) = [part for descriptor, part in parts if descriptor.interval.contains(anchor)]
    assert anchor in [*written_keys(holder), *(begin for begin, _ in written_intervals(holder))]


def test_an_unknown_range_cuts_nothing() -> None:
    """A gap in the map, under a key or inside an interval, asks for a better map."""
    known = RangeMap([Descriptor(1, b"", b"c", 1, "s"), Descriptor(2, b"e", SYSTEM_END, 1, "s")])
    assert cut(Content(read_keys=[b"d"]), known) is None
    assert cut(Content(read_keys=[b"a", b"d"]), known) is None
    assert cut(Content(read_intervals=[(b"a", b"f")]), known) is None
    assert cut(Content(read_intervals=[(b"f", b"g")], read_keys=[b"a"]), known) is not None


def test_a_stamp_lies_in_one_range() -> None:
    """In that at the end of its interval; above the border, where one cuts it."""
    stamped = [Stamped(b"q", b"/x", b"v"), Stamped(b"a", b"", b"v")]
    content = Content(stamped_keys=stamped)
    for border in (b"q", b"q\x80", b"r"):
        parts = cut(content, ranges(b"c", border))
        assert parts is not None
        assert [part.stamped_keys for _, part in parts if part.stamped_keys] == [
            [stamped[1]],
            [stamped[0]],
        ]
    for border, above in ((b"q\x06", 6 << 56), (b"q" + bytes(11), 1), (b"q\0\0\0\0\0\0\0\7/", 7)):
        parts = cut(Content(stamped_keys=stamped[:1]), ranges(b"c", border))
        assert parts is not None
        ((descriptor, part),) = parts
        (one,) = part.stamped_keys
        assert (descriptor.begin, one.above) == (border, above)
        assert border <= one.interval.begin < one.last < one.interval.end == b"q\x80"
    with pytest.raises(InvalidKey, match="range border"):
        cut(content, ranges(b"c", b"q\x7f" + b"\xff" * 8))


@given(st.lists(st.binary(max_size=11), min_size=2, max_size=3, unique=True))
def test_cutting_twice_is_cutting_once(rests: list[bytes]) -> None:
    """A part cut again when its range was split is what it would have been."""
    borders = sorted(b"q" + rest for rest in rests if rest < b"\x7f")
    content = Content(stamped_keys=[Stamped(b"q", b"", b"v"), Stamped(b"x", b"", b"v")])
    parts = cut(content, ranges(*borders))
    assert parts is not None
    for count in range(len(borders)):
        again = [
            piece
            for part in present(cut(content, ranges(*borders[:count])), "known")
            for piece in present(cut(part.content, ranges(*borders)), "known")
        ]
        assert [one.content for one in again] == [one.content for one in parts]


def test_what_was_erased_before_a_stamp_is_counted_anew() -> None:
    """The count follows the intervals that are left in the part."""
    content = Content(
        erased=[(b"a", b"b"), (b"x", b"y"), (b"x", b"z")],
        stamped_keys=[Stamped(b"x", b"", b"v", erased_before=2)],
    )
    parts = cut(content, ranges(b"m"))
    assert parts is not None
    (_left, right) = parts
    assert right.content.stamped_keys == [Stamped(b"x", b"", b"v", erased_before=1)]
    assert right.content.erased == [(b"x", b"y"), (b"x", b"z")]
