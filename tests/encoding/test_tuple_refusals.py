"""What a tuple key cannot hold, and what subclasses of element types become."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import pytest

from fastness.encoding.tuples import DEPTH_MAX, TupleElement, pack, pack_element, unpack
from fastness.errors import InvalidKey

NOW = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [[1], {1}, {}, bytearray(b"a"), memoryview(b"a"), Decimal(1), NOW, 1j, object, object()],
)
def test_other_types_are_refused(value: object) -> None:
    """A value no key can hold is shown, with what to use instead; nested ones too."""
    elements: tuple[object, ...]
    for elements in ((value,), ("a", value), (("a", (value,)),)):
        with pytest.raises(InvalidKey, match="cannot be part of a tuple key; use"):
            pack(elements)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(InvalidKey, match=type(value).__name__):
        pack_element(value)


@pytest.mark.parametrize("elements", ["abc", b"abc", [1, 2], 5, None, {"a": 1}], ids=repr)
def test_a_key_is_packed_from_a_tuple(elements: object) -> None:
    """A lone element, or a list, is not taken apart by mistake."""
    with pytest.raises(InvalidKey, match="is not a tuple"):
        pack(elements)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("text", ["\ud800", "a\udcffb", "\x00\udfff", "\U0001f600\ud83d"])
def test_lone_surrogates_are_refused(text: str) -> None:
    """A string that UTF-8 cannot carry is refused, showing the surrogate."""
    surrogate = next(character for character in text if "\ud800" <= character <= "\udfff")
    with pytest.raises(InvalidKey, match="fsencode") as refusal:
        pack((text,))
    assert repr(surrogate) in str(refusal.value)


@pytest.mark.parametrize("sign", [-1, 1])
def test_integers_end_at_255_bytes(sign: int) -> None:
    """The widest integer packs; the next is refused, also where Python cannot print it."""
    widest = sign * ((1 << 2040) - 1)
    assert unpack(pack((widest,))) == (widest,)
    for value in (widest + sign, sign << 100_000):
        with pytest.raises(InvalidKey, match="bits is too large"):
            pack((value,))
    with pytest.raises(InvalidKey, match="too large to print"):
        pack(([1 << 100_000],))  # type: ignore[arg-type]  # the mistake under test


def test_nesting_ends_where_it_is_said_to() -> None:
    """Tuples nest to the limit and back, and are refused beyond it."""
    nested: TupleElement = 7
    for _ in range(DEPTH_MAX):
        nested = (nested,)
    assert unpack(pack((nested,))) == (nested,)
    with pytest.raises(InvalidKey, match="nest deeper"):
        pack(((nested,),))


class Colour(enum.IntEnum):
    """An enum whose members are ints."""

    RED = 3


class Word(str):
    """A string that prints and formats as something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "shown"

    def __format__(self, _specification: str) -> str:
        return "formatted"


class Shape(enum.StrEnum):
    """An enum whose members are strings."""

    ROUND = "round"


class Blob(bytes):
    """A subclass of bytes that converts to something else."""

    def __bytes__(self) -> bytes:
        return b"other"


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: int


class Real(float):
    """A subclass of float."""


class Token(UUID):
    """A subclass of UUID."""


@pytest.mark.parametrize(
    ("value", "base"),
    [
        (Colour.RED, 3),
        (Shape.ROUND, "round"),
        (Word("word"), "word"),
        (Blob(b"blob"), b"blob"),
        (Point(1, 2), (1, 2)),
        (Real(-1.5), -1.5),
        (Token(int=5), UUID(int=5)),
    ],
)
def test_subclasses_pack_as_their_base(value: TupleElement, base: TupleElement) -> None:
    """What is stored is the value of the base type, whatever a subclass overrides."""
    assert pack((value,)) == pack((base,))
    assert pack(((value, None),)) == pack(((base, None),))


def test_a_named_tuple_is_a_tuple() -> None:
    """The outermost tuple may be a subclass too."""
    assert pack(Point(1, 2)) == pack((1, 2))
