"""Packers for tuples whose element types are known in advance: the columns of an index.

`packer_for((int, str))` gives a function that packs such tuples to the bytes that
`tuples.pack` gives (a third faster for up to three columns) and refuses everything else: an
element of another type raises `InvalidKey`, also a subclass, and an int where a float is
expected, so that a column never mixes types. `Column` says more than a type: that `None` is
allowed, that the order is descending (`fastness.encoding.descending`);
`descending.unpack_mixed` reads such keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from fastness.encoding._messages import shown
from fastness.encoding._packing import ENCODERS, NULL, Encoder
from fastness.encoding.descending import descending
from fastness.encoding.elements import SingleFloat, Versionstamp
from fastness.errors import InvalidKey

Packer = Callable[[tuple[Any, ...]], bytes]

COLUMN_TYPES: tuple[type, ...] = (
    bool, bytes, float, int, str, tuple, SingleFloat, UUID, Versionstamp,
)  # fmt: skip


class Column(NamedTuple):
    """One element position of a key."""

    type: type
    nullable: bool = False
    """Whether `None` may stand there: before all others, in descending order behind them."""
    descending: bool = False


class _Prepared(NamedTuple):
    """A column, worked out."""

    type: type
    encode: Encoder
    """For values of exactly that type, which the caller has made sure of."""
    checked: Encoder
    """For any value: packs, or refuses with `InvalidKey`."""


def packer_for(columns: Sequence[type | Column], prefix: bytes = b"") -> Packer:
    """A function that packs tuples with exactly these columns, `prefix` in front.

    It raises `InvalidKey` for a tuple of another length or an element of another type.
    """
    return _packer([_prepare(column) for column in columns], prefix)


def element_packer(column: type | Column) -> Encoder:
    """A function that packs one value of a column; it raises as those of `packer_for`."""
    return _prepare(column).checked


def _prepare(column: type | Column) -> _Prepared:
    if not isinstance(column, Column):
        column = Column(column)
    expected = column.type
    if expected not in COLUMN_TYPES:
        raise InvalidKey(
            f"{shown(expected)} is not a type of key elements; use one of "
            + ", ".join(kind.__name__ for kind in COLUMN_TYPES)
        )
    encode = ENCODERS[expected]
    if column.descending:
        encode = _descending(encode)
    null = (descending(NULL) if column.descending else NULL) if column.nullable else None

    def checked(value: object) -> bytes:
        if type(value) is expected:
            return encode(value)
        if value is None and null is not None:
            return null
        raise InvalidKey(
            f"{shown(value)} of type {type(value).__name__} does not fit a key column of type "
            f"{expected.__name__}{'' if null is None else ' or None'}"
        )

    return _Prepared(expected, encode, checked)


def _descending(encode: Encoder) -> Encoder:
    def encode_descending(value: object) -> bytes:
        return descending(encode(value))

    return encode_descending


def _wrong_shape(values: object, expected: int) -> InvalidKey:
    return InvalidKey(f"{shown(values)} is not a tuple of {expected} key columns")


def _packer(columns: Sequence[_Prepared], prefix: bytes) -> Packer:
    """The packer for that many columns."""
    if not columns:
        return _pack_none(prefix)
    if len(columns) == 1:
        return _pack_one(columns[0], prefix)
    if len(columns) == 2:
        return _pack_two(columns[0], columns[1], prefix)
    if len(columns) == 3:
        return _pack_three(columns[0], columns[1], columns[2], prefix)
    return _pack_many(columns, prefix)


# These repeat one thought so that a key costs no loop and each element one call (a loop over
# two sequences costs as much as the packing): the type is compared in place, and only an
# oddity goes to `checked`.


def _pack_none(prefix: bytes) -> Packer:
    def pack_none(values: tuple[Any, ...]) -> bytes:
        if type(values) is not tuple or values:
            raise _wrong_shape(values, 0)
        return prefix

    return pack_none


def _pack_one(column: _Prepared, prefix: bytes) -> Packer:
    expected, encode, checked = column

    def pack_one(values: tuple[Any, ...]) -> bytes:
        if type(values) is not tuple or len(values) != 1:
            raise _wrong_shape(values, 1)
        value = values[0]
        return prefix + (encode(value) if type(value) is expected else checked(value))

    return pack_one


def _pack_two(first: _Prepared, second: _Prepared, prefix: bytes) -> Packer:
    first_type, encode_first, check_first = first
    second_type, encode_second, check_second = second

    def pack_two(values: tuple[Any, ...]) -> bytes:
        if type(values) is not tuple or len(values) != 2:
            raise _wrong_shape(values, 2)
        one, two = values
        return (
            prefix
            + (encode_first(one) if type(one) is first_type else check_first(one))
            + (encode_second(two) if type(two) is second_type else check_second(two))
        )

    return pack_two


def _pack_three(first: _Prepared, second: _Prepared, third: _Prepared, prefix: bytes) -> Packer:
    first_type, encode_first, check_first = first
    second_type, encode_second, check_second = second
    third_type, encode_third, check_third = third

    def pack_three(values: tuple[Any, ...]) -> bytes:
        if type(values) is not tuple or len(values) != 3:
            raise _wrong_shape(values, 3)
        one, two, three = values
        return (
            prefix
            + (encode_first(one) if type(one) is first_type else check_first(one))
            + (encode_second(two) if type(two) is second_type else check_second(two))
            + (encode_third(three) if type(three) is third_type else check_third(three))
        )

    return pack_three


def _pack_many(columns: Sequence[_Prepared], prefix: bytes) -> Packer:
    count = len(columns)
    head = _pack_three(columns[0], columns[1], columns[2], prefix)
    tail = _packer(columns[3:], b"")

    def pack_many(values: tuple[Any, ...]) -> bytes:
        if type(values) is not tuple or len(values) != count:
            raise _wrong_shape(values, count)
        return head(values[:3]) + tail(values[3:])

    return pack_many
