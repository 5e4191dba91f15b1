"""Packed tuples: round trips, the order of keys, and decoders that only ever refuse."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastness.encoding.tuples import (
    DEPTH_MAX,
    TupleElement,
    pack,
    pack_element,
    range_of,
    unpack,
    unpack_element,
)
from fastness.errors import InvalidEncoding
from tests.encoding.tuple_elements import (
    THOROUGH,
    Elements,
    close_pairs,
    elements,
    has_incomplete,
    place,
    places,
    tuples,
)


def refused_or_canonical(key: bytes) -> None:
    """Unpacking either refuses the bytes, or packing the result gives them back."""
    try:
        found = unpack(key)
    except InvalidEncoding:
        return
    if not has_incomplete(found):
        assert pack(found) == key


@given(tuples)
@THOROUGH
def test_what_is_packed_unpacks_to_itself(packed: Elements) -> None:
    """Round trip, types and bits of floats included."""
    assert places(unpack(pack(packed))) == places(packed)


@given(close_pairs())
@THOROUGH
@example((("a", None), ("a\x00",)))
@example((((),), ((None,),)))
@example((((b"",), 1), ((b"", None),)))
@example(((b"\x00",), (b"", None)))
def test_keys_sort_as_tuples_do(pair: tuple[Elements, Elements]) -> None:
    """Bytes compare as the specification compares the tuples, equality included."""
    left, right = pair
    assert (pack(left) < pack(right)) == (places(left) < places(right))
    assert (pack(left) == pack(right)) == (places(left) == places(right))


def test_neighbours_of_every_type_sort_as_specified() -> None:
    """Sorting many generated elements by key and by the specification gives one order."""
    random = Random(20)
    sizes = [random.randint(0, 2040) for _ in range(500)]
    integers = [random.choice((-1, 1)) * random.getrandbits(size) for size in sizes]
    texts = ["".join(random.choices("\x00\x01\x7f\xff\U0010ffff", k=4)) for _ in range(200)]
    mixed: list[TupleElement] = [*integers, *texts, *(text.encode() for text in texts)]
    mixed += [float(random.randint(-5, 5)) / 3 for _ in range(100)] + [None, True, False]
    mixed += [(left, right) for left, right in itertools.pairwise(mixed)]
    by_key = sorted(mixed, key=lambda element: pack((element,)))
    assert list(map(place, by_key)) == sorted(map(place, mixed))


@given(tuples)
def test_a_tuple_packs_as_its_elements_one_by_one(packed: Elements) -> None:
    """Elements are concatenated, and can be read one by one from their offsets."""
    key = b"".join(map(pack_element, packed))
    assert key == pack(packed)
    offset, read = 0, []
    while offset < len(key):
        element, offset = unpack_element(key, offset)
        read.append(place(element))
    assert read == places(packed)


@given(tuples, tuples, st.lists(elements, min_size=1, max_size=3).map(tuple))
def test_the_range_of_a_tuple_holds_its_extensions(
    prefix: Elements, other: Elements, extension: Elements
) -> None:
    """Extensions lie in the range; the tuple itself and all other tuples do not."""
    interval = range_of(prefix)
    assert interval.contains(pack(prefix + extension))
    assert not interval.contains(pack(prefix))
    extends = len(other) > len(prefix) and places(other)[: len(prefix)] == places(prefix)
    assert interval.contains(pack(other)) == extends


def test_every_short_key_is_refused_or_canonical() -> None:
    """All strings of up to two bytes, and of three with an odd one in the middle."""
    bytes_of = [bytes((value,)) for value in range(256)]
    for first in bytes_of:
        refused_or_canonical(first)
        for second in bytes_of:
            refused_or_canonical(first + second)
        for middle, last in itertools.product((b"\x00", b"\xff", b"\x80"), bytes_of):
            refused_or_canonical(first + middle + last)


CODES = bytes((*range(8), *range(0x0A, 0x1F), *range(0x20, 0x28), *range(0x30, 0x34), 0xFE, 0xFF))


@given(st.one_of(st.binary(max_size=40), st.lists(st.sampled_from(CODES), max_size=20).map(bytes)))
@THOROUGH
def test_any_bytes_are_refused_or_canonical(key: bytes) -> None:
    """Arbitrary bytes, and strings of type codes, raise nothing but InvalidEncoding."""
    refused_or_canonical(key)


@given(tuples, st.randoms(use_true_random=False))
@THOROUGH
def test_damaged_keys_are_refused_or_canonical(packed: Elements, random: Random) -> None:
    """A valid key with a byte changed, dropped, doubled, or its end cut off."""
    key = pack(packed)
    if not key:
        return
    at = random.randrange(len(key))
    for damaged in (
        key[:at] + bytes((random.randrange(256),)) + key[at + 1 :],
        key[:at] + key[at + 1 :],
        key[: at + 1] + key[at:],
        key[:at],
    ):
        refused_or_canonical(damaged)


@pytest.mark.parametrize(
    ("key", "offset", "why"),
    [
        (b"\x14\x99", 1, "type code 0x99"),
        (b"\x14\x01abc", 1, "without its terminating zero"),
        (b"\x14\x02abc\x00\xff", 1, "without its terminating zero"),
        (b"\x02\xc3\x00", 0, "not UTF-8"),
        (b"\x14\x02\xed\xa0\x80\x00", 1, "not UTF-8"),
        (b"\x02a\x00\x00\xff", 4, "type code 0xff"),
        (b"\x16\x01", 0, "cut off after 1"),
        (b"\x16\x00\x01", 0, "fits fewer bytes"),
        (b"\x12\xff\x01", 0, "fits fewer bytes"),
        (b"\x1d", 0, "cut off after 0"),
        (b"\x1d\x08" + b"\x01" * 8, 0, "fits fewer bytes"),
        (b"\x1d\x09" + b"\x00" * 9, 0, "fits fewer bytes"),
        (b"\x0b\xf6" + b"\xff" * 9, 0, "fits fewer bytes"),
        (b"\x05\x14", 0, "nested tuple without its terminating zero"),
        (b"\x05\x05\x00", 0, "nested tuple without its terminating zero"),
        (b"\x21\x00", 0, "cut off after 1"),
        (b"\x03\x04", 0, "type code 0x03"),
        (b"\x05" * (DEPTH_MAX + 1), DEPTH_MAX, "nested deeper"),
        (b"\x05" * 100_000 + b"\x00", DEPTH_MAX, "nested deeper"),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_a_refusal_names_the_offset(key: bytes, offset: int, why: str) -> None:
    """The message says at which byte what is wrong, in a line of readable length."""
    with pytest.raises(InvalidEncoding, match=why) as refusal:
        unpack(key)
    assert str(refusal.value).startswith(f"byte {offset} of ")
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize(
    "key",
    [None, "a", bytearray(b"\x14"), memoryview(b"\x14"), 5, (1,)],
    ids=lambda key: type(key).__name__,
)
def test_only_bytes_are_unpacked(key: object) -> None:
    """Anything but bytes is refused as the encoding it is not."""
    with pytest.raises(InvalidEncoding, match="is not bytes"):
        unpack(key)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(InvalidEncoding, match="is not bytes"):
        unpack_element(key)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("offset", [-1, 1, 7])
def test_an_element_is_read_inside_the_key(offset: int) -> None:
    """An offset outside the key is refused."""
    with pytest.raises(InvalidEncoding, match="where an element should begin"):
        unpack_element(b"\x14", offset)
