"""Timestamps: 63-bit integers, milliseconds since the epoch << 18 | logical counter.

They are plain `int` at run time (hot paths compare millions of them); the alias names the
unit in signatures. The oracle (`fastness.placement`) issues them in strictly increasing
order.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastness.errors import InvalidTimestamp

Timestamp = int

LOGICAL_BITS = 18
TIMESTAMP_MAX = (1 << 63) - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def from_milliseconds(milliseconds: int) -> Timestamp:
    """The lowest timestamp of that millisecond since the epoch."""
    return milliseconds << LOGICAL_BITS


def to_milliseconds(timestamp: Timestamp) -> int:
    """Milliseconds since the epoch, the logical counter dropped."""
    return timestamp >> LOGICAL_BITS


def from_datetime(moment: datetime) -> Timestamp:
    """The highest timestamp at or below `moment`, which must carry a time zone."""
    if moment.utcoffset() is None:
        raise InvalidTimestamp(
            f"{moment!r} has no time zone: use datetime.now(UTC) or .replace(tzinfo=...)"
        )
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    if milliseconds < 0 or from_milliseconds(milliseconds + 1) - 1 > TIMESTAMP_MAX:
        raise InvalidTimestamp(f"{moment!r} lies outside what a timestamp can hold (1970 to 3084)")
    return from_milliseconds(milliseconds + 1) - 1


def to_datetime(timestamp: Timestamp) -> datetime:
    """The moment of a timestamp, to the millisecond, in UTC."""
    return _EPOCH + timedelta(milliseconds=to_milliseconds(timestamp))
