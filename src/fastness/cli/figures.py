"""Numbers, sizes and moments as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastness.encoding.timestamps import Timestamp, to_datetime
from fastness.errors import InvalidTimestamp

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size(count: int) -> str:
    """A number of bytes: '1.4 GiB'."""
    amount = float(count)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f"{count:,} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{count:,} bytes"


def duration(seconds: float) -> str:
    """A time that something took: '1.2 ms', '3.4 s', '2 min 5 s'."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.1f} \N{MICRO SIGN}s"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def moment(timestamp: Timestamp) -> str:
    """When a timestamp was, in UTC: '2026-05-01T12:00:00.123Z'; '-' for none."""
    if not timestamp:
        return "-"
    return to_datetime(timestamp).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stamped(timestamp: Timestamp) -> dict[str, object]:
    """A timestamp for a program: as text, since many parsers of JSON round large numbers."""
    return {"timestamp": str(timestamp), "time": moment(timestamp) if timestamp else None}


def parsed_moment(text: str) -> Timestamp | datetime:
    """A timestamp by its number, a time by ISO 8601, or how long ago: '90s', '15m', '2h'.

    `InvalidTimestamp` for anything else, and for a time without a time zone.
    """
    if text.isdecimal():
        return int(text)
    ago = _parsed_ago(text)
    if ago is not None:
        return datetime.now(UTC) - ago
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidTimestamp(
            f"{text!r} is no moment: give a timestamp, a time such as 2026-05-01T12:00:00Z, or "
            "how long ago, such as 90s, 15m, 2h"
        ) from None
    if parsed.tzinfo is None:
        raise InvalidTimestamp(f"{text!r} has no time zone: append Z for UTC, or such as +02:00")
    return parsed


def parsed_duration(text: str) -> timedelta:
    """A duration such as '90s', '15m', '2h', '7d'."""
    found = _parsed_ago(text)
    if found is None:
        raise InvalidTimestamp(f"{text!r} is no duration: write such as 90s, 15m, 2h, 7d")
    return found


def _parsed_ago(text: str) -> timedelta | None:
    seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}.get(text[-1:])
    if seconds is None or not text[:-1].isdecimal():
        return None
    try:
        return timedelta(seconds=seconds * int(text[:-1]))
    except OverflowError:
        return None
