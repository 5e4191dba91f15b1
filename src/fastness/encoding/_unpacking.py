"""Bytes to elements: the decoders of the tuple layer, chosen by type code.

A decoder takes the whole key and the offset of a type code, and returns the element and
the offset behind it. Every one is strict: what it accepts is exactly what packing that
element would have written, so two different keys never unpack to the same tuple. All
refusals are `InvalidEncoding` and name the offset.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, NoReturn
from uuid import UUID

from fastness.encoding._messages import shown
from fastness.encoding._packing import DEPTH_MAX
from fastness.encoding.elements import (
    SingleFloat,
    TupleElement,
    Versionstamp,
    unordered_bits,
)
from fastness.errors import InvalidEncoding

Decoder = Callable[[bytes, int], tuple[Any, int]]

_double_from = Struct(">d").unpack
_ZERO_CODE = 0x14
_LARGE_FROM = 9
"""Integers of fewer bytes have a type code of their own."""


def refuse(data: bytes, offset: int, why: str) -> NoReturn:
    """Raise `InvalidEncoding` naming the offset and showing the key."""
    raise InvalidEncoding(
        f"byte {offset} of {shown(data)}: {why}; this is not a packed tuple, or it is damaged"
    )


def require_bytes(key: object) -> None:
    """Refuse anything but `bytes`, also what resembles them: keys are compared and kept."""
    if type(key) is not bytes:
        raise InvalidEncoding(f"{shown(key)} of type {type(key).__name__} is not bytes")


def _terminated(data: bytes, offset: int) -> tuple[bytes, int]:
    """The unescaped bytes between a type code and its terminator, and the offset behind."""
    begin = offset + 1
    end = data.find(0, begin)
    escaped = False
    while end >= 0 and data[end + 1 : end + 2] == b"\xff":
        escaped = True
        end = data.find(0, end + 2)
    if end < 0:
        refuse(data, offset, "a string without its terminating zero byte")
    content = data[begin:end]
    return content.replace(b"\x00\xff", b"\x00") if escaped else content, end + 1


def _fixed(data: bytes, offset: int, size: int) -> bytes:
    """The `size` bytes behind a type code."""
    piece = data[offset + 1 : offset + 1 + size]
    if len(piece) != size:
        refuse(data, offset, f"an element of {size} bytes cut off after {len(piece)}")
    return piece


def _unknown(data: bytes, offset: int) -> tuple[TupleElement, int]:
    refuse(data, offset, f"type code 0x{data[offset]:02x} is not one of a tuple key")


def _null(_data: bytes, offset: int) -> tuple[None, int]:
    return None, offset + 1


def _bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    return _terminated(data, offset)


def _text(data: bytes, offset: int) -> tuple[str, int]:
    raw, behind = _terminated(data, offset)
    try:
        return raw.decode(), behind
    except UnicodeDecodeError as cause:
        _refuse_text(data, offset, cause)


def _refuse_text(data: bytes, offset: int, cause: UnicodeDecodeError) -> NoReturn:
    refuse(data, offset, f"a string that is not UTF-8 ({cause.reason})")


def _zero(_data: bytes, offset: int) -> tuple[int, int]:
    return 0, offset + 1


def _positive(data: bytes, offset: int) -> tuple[int, int]:
    size = data[offset] - _ZERO_CODE
    piece = _fixed(data, offset, size)
    if piece[0] == 0:
        refuse(data, offset, "an integer that fits fewer bytes")
    return int.from_bytes(piece, "big"), offset + 1 + size


def _negative(data: bytes, offset: int) -> tuple[int, int]:
    size = _ZERO_CODE - data[offset]
    piece = _fixed(data, offset, size)
    if piece[0] == 0xFF:
        refuse(data, offset, "an integer that fits fewer bytes")
    return int.from_bytes(piece, "big") - (1 << (8 * size)) + 1, offset + 1 + size


def _large(data: bytes, offset: int) -> tuple[int, int]:
    """Integers of 9 to 255 bytes: a length byte, complemented for negative ones."""
    negative = data[offset] == 0x0B
    flip = 0xFF if negative else 0
    size = _fixed(data, offset, 1)[0] ^ flip
    piece = _fixed(data, offset + 1, size)
    if size < _LARGE_FROM or piece[0] == flip:
        refuse(data, offset, "an integer that fits fewer bytes")
    value = int.from_bytes(piece, "big")
    return value - ((1 << (8 * size)) - 1 if negative else 0), offset + 2 + size


def _single(data: bytes, offset: int) -> tuple[SingleFloat, int]:
    return SingleFloat.from_bytes(unordered_bits(_fixed(data, offset, 4))), offset + 5


def _double(data: bytes, offset: int) -> tuple[float, int]:
    value: float = _double_from(unordered_bits(_fixed(data, offset, 8)))[0]
    return value, offset + 9


def _false(_data: bytes, offset: int) -> tuple[bool, int]:
    return False, offset + 1


def _true(_data: bytes, offset: int) -> tuple[bool, int]:
    return True, offset + 1


def _uuid(data: bytes, offset: int) -> tuple[UUID, int]:
    return UUID(bytes=_fixed(data, offset, 16)), offset + 17


def _versionstamp(data: bytes, offset: int) -> tuple[Versionstamp, int]:
    stamp = Versionstamp.from_bytes(_fixed(data, offset, Versionstamp.BYTES))
    return stamp, offset + 1 + Versionstamp.BYTES


def _nested(data: bytes, offset: int) -> tuple[tuple[TupleElement, ...], int]:
    return _nested_at(data, offset, 1)


def _nested_at(data: bytes, offset: int, depth: int) -> tuple[tuple[TupleElement, ...], int]:
    if depth > DEPTH_MAX:
        refuse(data, offset, f"tuples nested deeper than {DEPTH_MAX}")
    elements: list[TupleElement] = []
    position, end = offset + 1, len(data)
    while position < end:
        code = data[position]
        if code == 0x05:
            element, position = _nested_at(data, position, depth + 1)
            elements.append(element)
        elif code != 0:
            element, position = DECODERS[code](data, position)
            elements.append(element)
        elif data[position + 1 : position + 2] == b"\xff":
            elements.append(None)
            position += 2
        else:
            return tuple(elements), position + 1
    refuse(data, offset, "a nested tuple without its terminating zero byte")


def unpack_all(data: bytes, offset: int, decoders: Sequence[Decoder]) -> tuple[Any, ...]:
    """Every element from `offset` to the end of the key.

    Text and positive integers are decoded in place: nearly every key is made of them, and
    calling a decoder costs as much as its work. What is odd about one goes to its decoder.
    """
    elements: list[TupleElement] = []
    end = len(data)
    try:
        while offset < end:
            code = data[offset]
            if code == 0x02:
                stop = data.find(0, offset)
                if stop >= 0 and data[stop + 1 : stop + 2] != b"\xff":
                    elements.append(data[offset + 1 : stop].decode())
                    offset = stop + 1
                    continue
            elif 0x15 <= code <= 0x1C:
                behind = offset + code - 0x13
                if behind <= end and data[offset + 1]:
                    elements.append(int.from_bytes(data[offset + 1 : behind], "big"))
                    offset = behind
                    continue
            element, offset = decoders[code](data, offset)
            elements.append(element)
    except UnicodeDecodeError as cause:
        _refuse_text(data, offset, cause)
    return tuple(elements)


def _decoder_of(code: int) -> Decoder:
    if 0x15 <= code <= 0x1C:
        return _positive
    if 0x0C <= code <= 0x13:
        return _negative
    return _SINGLE_CODES.get(code, _unknown)


_SINGLE_CODES: dict[int, Decoder] = {
    0x00: _null,
    0x01: _bytes,
    0x02: _text,
    0x05: _nested,
    0x0B: _large,
    0x14: _zero,
    0x1D: _large,
    0x20: _single,
    0x21: _double,
    0x26: _false,
    0x27: _true,
    0x30: _uuid,
    0x33: _versionstamp,
}

DECODERS: tuple[Decoder, ...] = tuple(_decoder_of(code) for code in range(256))
"""By type code; an unassigned code has a decoder that refuses."""
