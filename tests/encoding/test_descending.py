"""Descending elements: the order reversed, also beside other elements, and self-delimiting."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastness.encoding.descending import (
    ascending,
    descending,
    unpack_descending,
    unpack_mixed,
)
from fastness.encoding.tuples import TupleElement, pack, pack_element, range_of, unpack
from fastness.errors import InvalidEncoding
from tests.encoding.tuple_elements import THOROUGH, Elements, elements, place, places, tuples


def turned(element: TupleElement) -> bytes:
    """The descending form of an element."""
    return descending(pack_element(element))


@st.composite
def close_elements(draw: st.DrawFn) -> tuple[TupleElement, TupleElement]:
    """Two elements, often of one type and with a common beginning."""
    left = draw(elements)
    if isinstance(left, str) and draw(st.booleans()):
        return left, left + draw(st.text(alphabet="\x00a\xff", max_size=2))
    if isinstance(left, bytes) and draw(st.booleans()):
        return left, left + draw(st.sampled_from((b"\x00", b"\xff", b"\x00\xff", b"\x00\x00")))
    if isinstance(left, tuple) and draw(st.booleans()):
        return left, (*left, draw(elements))
    return left, draw(elements)


@given(close_elements(), st.binary(max_size=3), st.binary(max_size=3))
@THOROUGH
@example(("a", "a\x00"), b"", b"")
@example(("a", "a\x00"), b"\x00", b"")
@example((b"", b"\x00"), b"\x00\xff", b"\xff")
@example(((), (None,)), b"\x00", b"\xff")
@example((None, b"\xff"), b"", b"\xff")
@example((1 << 64, -(1 << 64)), b"", b"")
def test_larger_elements_sort_first(
    pair: tuple[TupleElement, TupleElement], after_left: bytes, after_right: bytes
) -> None:
    """Order is reversed whatever bytes follow either element; equal ones stay equal."""
    left, right = pair
    if place(left) == place(right):
        assert turned(left) == turned(right)
        return
    left_sorts_first = turned(left) + after_left < turned(right) + after_right
    assert left_sorts_first == (place(left) > place(right))


@given(close_elements())
@THOROUGH
def test_no_element_begins_with_another(pair: tuple[TupleElement, TupleElement]) -> None:
    """The code is prefix-free: this is what lets complementing reverse the order."""
    left, right = pair
    if place(left) != place(right):
        assert not turned(right).startswith(turned(left))


@given(elements, st.binary(max_size=4), st.binary(max_size=3))
@THOROUGH
def test_an_element_is_read_from_its_offset(
    element: TupleElement, after: bytes, before: bytes
) -> None:
    """Decoding stops where the element ends, whatever bytes follow it."""
    found, behind = unpack_descending(before + turned(element) + after, len(before))
    assert place(found) == place(element)
    assert behind == len(before) + len(turned(element))


@given(elements)
def test_descending_is_undone(element: TupleElement) -> None:
    """The packed element comes back from its descending form, and from nothing less."""
    packed = pack_element(element)
    assert ascending(descending(packed)) == packed
    for cut in range(len(descending(packed))):
        with pytest.raises(InvalidEncoding):
            ascending(descending(packed)[:cut])
    with pytest.raises(InvalidEncoding, match="more bytes"):
        ascending(descending(packed) + b"\x01")


directions = st.lists(st.booleans(), min_size=5, max_size=5)


def mixed(row: Elements, descends: list[bool]) -> bytes:
    """The key of a row whose columns have these directions."""
    pairs = zip(row, descends, strict=False)
    return b"".join(turned(value) if down else pack_element(value) for value, down in pairs)


@given(tuples, directions)
@THOROUGH
@example(("a", None, b"b", None), [False, True, False, True, False])
@example(("a", "b", None, "c", None), [True, True, False, False, False])
def test_directions_mix_in_one_key(row: Elements, descends: list[bool]) -> None:
    """The first byte of an element tells its direction, so no schema is needed to read it."""
    assert places(unpack_mixed(mixed(row, descends))) == places(row)


@st.composite
def rows(draw: st.DrawFn) -> tuple[Elements, Elements, list[bool]]:
    """Two rows of equally many columns, often equal in the first ones, and directions."""
    pairs = draw(st.lists(st.one_of(close_elements(), elements.map(lambda e: (e, e))), max_size=5))
    left, right = tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)
    return left, right, draw(directions)


@given(rows())
@THOROUGH
@example((("a", None), ("a\x00", b""), [False, True]))
@example((("a", None), ("a\x00", b""), [True, False]))
def test_mixed_keys_sort_column_by_column(case: tuple[Elements, Elements, list[bool]]) -> None:
    """The first column that differs decides, by its own direction."""
    left, right, descends = case
    expected = 0
    for one, two, down in zip(places(left), places(right), descends, strict=False):
        if one != two:
            expected = -1 if (one < two) != down else 1
            break
    left_key, right_key = mixed(left, descends), mixed(right, descends)
    assert (left_key > right_key) - (left_key < right_key) == expected


@given(tuples, tuples.filter(bool), directions)
def test_the_range_of_a_prefix_holds_descending_extensions(
    prefix: Elements, row: Elements, descends: list[bool]
) -> None:
    """`range_of` covers keys that go on with descending elements, nulls included."""
    assert range_of(prefix).contains(pack(prefix) + mixed(row, descends))
    assert range_of(prefix).contains(pack(prefix) + turned(None))


def test_the_tuple_layer_refuses_descending_elements() -> None:
    """Descending elements are ours: reading them as plain tuples is an error, not a guess."""
    for element in (None, b"", "a", (), 0, 5, -5, 1 << 70, 1.5, True):
        with pytest.raises(InvalidEncoding, match="type code"):
            unpack(turned(element))
        with pytest.raises(InvalidEncoding, match="not one of a descending element"):
            unpack_descending(pack_element(element))


@given(
    st.one_of(
        st.binary(max_size=30),
        st.lists(st.integers(0xC8, 0xFF), max_size=12).map(bytes),
        tuples.map(lambda row: mixed(row, [True, False] * 3)),
    ),
    st.randoms(use_true_random=False),
)
@THOROUGH
def test_any_bytes_are_refused_or_read(key: bytes, random: Random) -> None:
    """Arbitrary, built and damaged bytes raise nothing but InvalidEncoding."""
    at = random.randrange(len(key) + 1)
    for damaged in (key, key[:at], key[:at] + bytes((random.randrange(256),)) + key[at + 1 :]):
        for decode in (unpack_mixed, unpack_descending):
            try:
                decode(damaged)
            except InvalidEncoding:
                continue
        try:
            packed = ascending(damaged)
        except InvalidEncoding:
            continue
        assert descending(packed) == damaged


@pytest.mark.parametrize("key", [None, "a", bytearray(b"\xea")], ids=repr)
def test_only_bytes_are_read(key: object) -> None:
    """Anything but bytes is refused."""
    decoders: tuple[Callable[[Any], object], ...] = (unpack_mixed, unpack_descending, ascending)
    for decode in decoders:
        with pytest.raises(InvalidEncoding, match="is not bytes"):
            decode(key)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"\x14\xe9", "cut off"),
        (b"\x14\xe8\xff\xfe", "fewer bytes"),
        (b"\x14\xfc\x9e\xff", "without its terminator"),
        (b"\x14\xfc\x9e\xff\x14", "without its terminator"),
        (b"\x14\xff", "type code 0xff"),
    ],
)
def test_a_refusal_names_the_offset(key: bytes, why: str) -> None:
    """The message says where in the key the descending element begins."""
    with pytest.raises(InvalidEncoding, match=why) as refusal:
        unpack_mixed(key)
    assert "byte 1 of " in str(refusal.value)


def test_written_by_hand() -> None:
    """The descending form of each kind of element, byte for byte."""
    assert turned(None) == b"\xfe"
    assert turned("a") == b"\xfc\x9e\xff\xff"
    assert turned(b"\x00") == b"\xfd\xff\x00\xff\xff"
    assert turned((None,)) == b"\xf9\xff\x00\xff\xff"
    assert turned(0) == b"\xea"
    assert turned(1) == b"\xe9\xfe"
    assert turned(-1) == b"\xeb\x01"
    assert descending(b"\x27") == b"\xd7"
