"""Elements to bytes: the encoders of the tuple layer, chosen by the exact type of a value.

An encoder takes one value and returns its whole packed form, type code included. Only
`pack_nested` knows about nesting and `pack_element` about subclasses; everything else is a
flat function, because packing keys is on the path of every read.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any
from uuid import UUID

from fastness.encoding._messages import shown
from fastness.encoding.elements import (
    SingleFloat,
    TupleElement,
    Versionstamp,
    ordered_bits,
)
from fastness.errors import InvalidKey

Encoder = Callable[[Any], bytes]

DEPTH_MAX = 100
"""How deep tuples may nest. Ours, not the specification's: it bounds the recursion."""

INTEGER_BYTES_MAX = 255
"""The widest integer the specification's length byte can announce."""

NULL = b"\x00"
NESTED_NULL = b"\x00\xff"
NESTED = b"\x05"
END = b"\x00"

_INTEGER_CODES = tuple(bytes((code,)) for code in range(0x1D))
_ZERO_CODE = 0x14
_eight_bytes = Struct(">BQ").pack
_double = Struct(">Bd").pack
_double_bits = Struct(">d").pack


def pack_null(_value: None) -> bytes:
    """`None` outside a nested tuple."""
    return NULL


def pack_bytes(value: bytes) -> bytes:
    """A byte string, its zero bytes escaped."""
    if 0 in value:
        value = value.replace(b"\x00", b"\x00\xff")
    return b"\x01" + value + b"\x00"


def pack_text(value: str) -> bytes:
    """A string in UTF-8, its zero bytes escaped."""
    try:
        if "\x00" in value:
            return b"\x02%b\x00" % value.encode().replace(b"\x00", b"\x00\xff")
        return f"\x02{value}\x00".encode()
    except UnicodeEncodeError as cause:
        lone = cause.object[cause.start]
        raise InvalidKey(
            f"string {shown(value)} holds the lone surrogate {lone!r}, which UTF-8 cannot carry; "
            "for a file name that is not UTF-8 pack os.fsencode(name)"
        ) from None


def _wide_integer(value: int) -> bytes:
    """Any integer; the short ones are looked up in a table instead."""
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) >> 3
    if size > INTEGER_BYTES_MAX:
        raise InvalidKey(
            f"an integer of {magnitude.bit_length()} bits is too large for a tuple key; the "
            f"widest has {INTEGER_BYTES_MAX} bytes"
        )
    if value >= 0:
        body = value.to_bytes(size, "big")
        return (_INTEGER_CODES[_ZERO_CODE + size] if size <= 8 else bytes((0x1D, size))) + body
    # One's complement of the magnitude, so that the more negative sorts first.
    body = ((1 << (8 * size)) - 1 + value).to_bytes(size, "big")
    return (_INTEGER_CODES[_ZERO_CODE - size] if size <= 8 else bytes((0x0B, size ^ 0xFF))) + body


_SMALL_MIN, _SMALL_END = -128, 1024
_SMALL_INTEGERS = tuple(map(_wide_integer, (*range(_SMALL_END), *range(_SMALL_MIN, 0))))
"""Indexed by value: Python counts negative indices from the end, where those values stand."""
_EIGHT_BYTES_MIN, _EIGHT_BYTES_END = 1 << 56, 1 << 64


def pack_integer(value: int) -> bytes:
    """An integer of up to 255 bytes. Small ones and timestamps take a short cut."""
    if _SMALL_MIN <= value < _SMALL_END:
        return _SMALL_INTEGERS[value]
    if 0 < value < _EIGHT_BYTES_END:
        if value >= _EIGHT_BYTES_MIN:
            return _eight_bytes(0x1C, value)
        size = (value.bit_length() + 7) >> 3
        return _INTEGER_CODES[_ZERO_CODE + size] + value.to_bytes(size, "big")
    return _wide_integer(value)


def pack_double(value: float) -> bytes:
    """A double, its bits turned so that bytes sort in IEEE's total order."""
    if value > 0.0:
        # Negating a number turns exactly its sign bit, which is all a positive one needs.
        return _double(0x21, -value)
    return b"\x21" + ordered_bits(_double_bits(value))


def pack_single(value: SingleFloat) -> bytes:
    """A single precision float, likewise."""
    return b"\x20" + ordered_bits(value.representation)


def pack_boolean(value: bool) -> bytes:
    """`False` or `True`."""
    return b"\x27" if value else b"\x26"


def pack_uuid(value: UUID) -> bytes:
    """A UUID in network byte order."""
    return b"\x30" + value.bytes


def pack_versionstamp(value: Versionstamp) -> bytes:
    """A complete versionstamp; an incomplete one has no place of its own yet."""
    if value.transaction is None:
        raise InvalidKey(
            f"{value!r} is incomplete; use pack_with_versionstamp and set_versionstamped_key, "
            "which fill it in at the commit"
        )
    return b"\x33" + value.to_bytes()


def require_depth(depth: int) -> None:
    """Refuse a tuple nested deeper than `DEPTH_MAX`."""
    if depth > DEPTH_MAX:
        raise InvalidKey(f"tuples nest deeper than {DEPTH_MAX}; flatten the key")


def pack_nested(value: tuple[TupleElement, ...]) -> bytes:
    """A tuple inside the outermost tuple."""
    return _pack_nested_at(value, 1)


def _pack_nested_at(value: tuple[TupleElement, ...], depth: int) -> bytes:
    require_depth(depth)
    pieces = [NESTED]
    for element in value:
        if element is None:
            pieces.append(NESTED_NULL)
        elif isinstance(element, tuple):
            pieces.append(_pack_nested_at(element, depth + 1))
        else:
            pieces.append(pack_element(element))
    pieces.append(END)
    return b"".join(pieces)


ENCODERS: dict[type, Encoder] = {
    type(None): pack_null,
    bytes: pack_bytes,
    str: pack_text,
    int: pack_integer,
    float: pack_double,
    bool: pack_boolean,
    UUID: pack_uuid,
    SingleFloat: pack_single,
    Versionstamp: pack_versionstamp,
    tuple: pack_nested,
}
"""By exact type. `pack_element` finds the base of a subclass."""

_BASES: tuple[tuple[type, Encoder], ...] = (
    (str, lambda value: pack_text(str.__str__(value))),
    (int, lambda value: pack_integer(int.__index__(value))),
    (bytes, lambda value: pack_bytes(b"".join((value,)))),
    (float, lambda value: pack_double(float.__float__(value))),
    (tuple, pack_nested),
    (UUID, pack_uuid),
    (SingleFloat, pack_single),
    (Versionstamp, pack_versionstamp),
)
"""Subclasses reduced to their base first, so that no override changes what is stored."""

_ADVICE: dict[type, str] = {
    list: "use a tuple",
    bytearray: "use bytes(...)",
    memoryview: "use bytes(...)",
    set: "use a sorted tuple",
}


def pack_element(value: object) -> bytes:
    """One element outside a nested tuple; `InvalidKey` for a type no key can hold."""
    encoder = ENCODERS.get(type(value))
    if encoder is not None:
        return encoder(value)
    for base, convert in _BASES:
        if isinstance(value, base):
            return convert(value)
    advice = _ADVICE.get(
        type(value),
        "use None, bytes, str, int, float, bool, UUID, SingleFloat, Versionstamp or a tuple",
    )
    raise InvalidKey(
        f"{shown(value)} of type {type(value).__name__} cannot be part of a tuple key; {advice}"
    )
