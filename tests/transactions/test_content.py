"""Cutting a transaction at the borders of ranges loses nothing and adds nothing."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from fastness.encoding.intervals import SYSTEM_END
from fastness.invariants import present
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.ranges.commit import Stamped
from fastness.ranges.requests import Content, Write, intervals_of, keys_of
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


rests = st.binary(max_size=11).filter(lambda rest: rest < b"\x80")


@given(st.lists(rests, unique=True, max_size=4), st.integers(0, 1 << 62), st.integers(1, 1 << 62))
@example([b"meta"], 5, 1)
@example([bytes(7) + b"\7", bytes(7) + b"\7\0\0/x"], 6, 1)
def test_a_stamp_lies_in_the_range_it_was_sent_to(
    behind: list[bytes], above: int, later: int
) -> None:
    """Whatever keys under its prefix are borders: between its two bounds the key lies inside."""
    stamped = Stamped(b"q", b"/x", b"v", above=above)
    borders = sorted(b"q" + rest for rest in behind)
    parts = cut(Content(stamped_keys=[stamped]), ranges(*borders))
    assert parts is not None
    ((descriptor, part),) = parts
    assert part.stamped_keys == [stamped]
    limit = stamped.limit_at(descriptor.end)
    for timestamp in {above + 1, above + later, limit - 1, limit} - {0, -1}:
        key = b"q" + timestamp.to_bytes(8, "big") + bytes(2) + b"/x"
        if timestamp > above and (not limit or timestamp < limit):
            assert descriptor.begin <= key < descriptor.end
        elif timestamp == limit and len(descriptor.end) < 9:
            assert key >= descriptor.end


@given(st.lists(rests, min_size=2, max_size=3, unique=True), st.integers(0, 1 << 62))
def test_cutting_twice_is_cutting_once(behind: list[bytes], above: int) -> None:
    """A part cut again when its range was split is what it would have been."""
    borders = sorted(b"q" + rest for rest in behind)
    stamped = [Stamped(b"q", b"", b"v", above=above), Stamped(b"x", b"", b"v", above=above)]
    content = Content(stamped_keys=stamped)
    parts = cut(content, ranges(*borders))
    assert parts is not None
    for count in range(len(borders)):
        again = [
            piece
            for part in present(cut(content, ranges(*borders[:count])), "known")
            for piece in present(cut(part.content, ranges(*borders)), "known")
        ]
        assert [one.content for one in again] == [one.content for one in parts]
        for wide in present(cut(content, ranges(*borders[:count])), "known"):
            assert is_within(wide.content, content, wide.descriptor.interval)


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
