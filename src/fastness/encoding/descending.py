r"""Descending elements: packed so that a larger element sorts first.

A descending element is the bitwise complement of the packed one, with two corrections::

    ascending   code             body             [00]   terminated: bytes, str, tuple
    descending  0xfe - code      255 - each byte  [ff]

Why not the bare complement. Reversing every byte reverses the order of two strings only
where neither is a prefix of the other. Numbers, booleans, UUIDs and stamps satisfy that:
their first byte (for large integers the first two) tells their length. Terminated
elements do not: "a" is packed as ``02 61 00`` and "a\0" as ``02 61 00 ff 00``; what tells
them apart is that no type code is 0xff. So one more byte is complemented, the 00 that makes
the terminator ``00 00``: inside an element 00 is always followed by ff (and a nested tuple
ends in 00 where a null would go on with ff), so with it no element is a prefix of another,
whatever follows in the key.

Why 0xfe - code. The complement of the null is 0xff, and ascending text before it would read
its terminator as an escaped zero. Codes of descending elements lie in 0xcb..0xfe, those of
ascending ones in 0x00..0x33: the first byte of an element tells its direction, both kinds
can be mixed in one key, and `range_of` still covers all of them.

These are ours, not part of FoundationDB's tuple layer: `tuples.unpack` refuses them.
"""

from __future__ import annotations

from fastness.encoding._messages import shown
from fastness.encoding._unpacking import DECODERS, refuse, require_bytes, unpack_all
from fastness.encoding.elements import TupleElement, complement
from fastness.errors import InvalidEncoding

_CODE_SUM = 0xFE
_CODE_MIN = 0xFE - 0x33
_TURNED_CODES = tuple(bytes((_CODE_SUM - code,)) for code in range(0x34))
_TERMINATED_CODES = frozenset((0x01, 0x02, 0x05))


def descending(packed_element: bytes) -> bytes:
    """The descending form of one element as `tuples.pack((element,))` gives it.

    For elements a < b, ``descending(pack((a,))) > descending(pack((b,)))``, whatever bytes
    are appended to either.
    """
    code = packed_element[0]
    turned = _TURNED_CODES[code] + complement(packed_element[1:])
    return turned + b"\xff" if code in _TERMINATED_CODES else turned


def ascending(descended: bytes) -> bytes:
    """The packed element that `descending` made `descended` of; `InvalidEncoding` if none."""
    _element, behind = unpack_descending(descended)
    if behind != len(descended):
        refuse(descended, behind, "more bytes behind a descending element")
    code = _CODE_SUM - descended[0]
    body = complement(descended[1:])
    return bytes((code,)) + (body[:-1] if code in _TERMINATED_CODES else body)


def unpack_descending(key: bytes, offset: int = 0) -> tuple[TupleElement, int]:
    """The descending element that begins at `offset`, and the offset behind it."""
    require_bytes(key)
    if not 0 <= offset < len(key):
        refuse(key, offset, "the key ends where a descending element should begin")
    if not _CODE_MIN <= key[offset] <= _CODE_SUM:
        refuse(key, offset, f"type code 0x{key[offset]:02x} is not one of a descending element")
    return _decode(key, offset)


def unpack_mixed(key: bytes, offset: int = 0) -> tuple[TupleElement, ...]:
    """The elements of a key from `offset` on, ascending and descending ones mixed."""
    require_bytes(key)
    return unpack_all(key, offset, _MIXED_DECODERS)


def _decode(key: bytes, offset: int) -> tuple[TupleElement, int]:
    """Decode behind a code in 0xcb..0xfe; counters and moments, the common ones, in place."""
    code = key[offset]
    if 0xE2 <= code <= 0xE9:
        size = 0xEA - code
        body = key[offset + 1 : offset + 1 + size]
        if len(body) == size and body[0] != 0xFF:
            return (1 << 8 * size) - 1 - int.from_bytes(body, "big"), offset + 1 + size
    return _decode_complement(key, offset)


def _decode_complement(key: bytes, offset: int) -> tuple[TupleElement, int]:
    """Decode by turning the rest of the key around."""
    code = _CODE_SUM - key[offset]
    turned = bytes((code,)) + complement(key[offset + 1 :])
    try:
        element, size = DECODERS[code](turned, 0)
    except InvalidEncoding as cause:
        raise InvalidEncoding(
            f"descending element at byte {offset} of {shown(key)}, complemented: {cause}"
        ) from None
    if code not in _TERMINATED_CODES:
        return element, offset + size
    if turned[size : size + 1] != b"\x00":
        refuse(key, offset, "a descending element without its terminator")
    return element, offset + size + 1


_MIXED_DECODERS = tuple(
    _decode if _CODE_MIN <= code <= _CODE_SUM else decoder for code, decoder in enumerate(DECODERS)
)
