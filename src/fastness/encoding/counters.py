"""Counters: the 8-byte little-endian signed integers that add, min and max work on."""

from __future__ import annotations

from struct import Struct

from fastness.encoding._messages import shown
from fastness.errors import InvalidEncoding, InvalidValue, LimitExceeded

COUNTER_BYTES = 8
COUNTER_MIN = -(1 << 63)
COUNTER_MAX = (1 << 63) - 1

_counter = Struct("<q")
_pack = _counter.pack
_unpack = _counter.unpack


def encode(value: int) -> bytes:
    """The stored form of a counter.

    `InvalidValue` for anything but an int, `LimitExceeded` beyond 64 bits (the sum of an
    addition too: counters do not wrap around).
    """
    if type(value) is not int:
        raise InvalidValue(f"counter {shown(value)} of type {type(value).__name__} is not an int")
    if not COUNTER_MIN <= value <= COUNTER_MAX:
        raise LimitExceeded(
            f"counter {shown(value)} does not fit {COUNTER_BYTES} bytes; keep it within "
            f"{COUNTER_MIN} to {COUNTER_MAX}"
        )
    return _pack(value)


def decode(stored: bytes) -> int:
    """The value of a stored counter; `InvalidEncoding` unless it is 8 bytes."""
    if type(stored) is not bytes or len(stored) != COUNTER_BYTES:
        raise InvalidEncoding(
            f"{shown(stored)} is not a counter of {COUNTER_BYTES} bytes; add, min and max "
            "work on keys that only they, or counters.encode, have written"
        )
    value: int = _unpack(stored)[0]
    return value
