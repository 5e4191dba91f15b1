"""Timestamps in JSON: text, since they exceed the 53 bits that many decoders keep of a number."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp, from_datetime
from fastness.errors import InvalidTimestamp

TimestampText: TypeAlias = Annotated[
    str,
    Meta(
        pattern="^[0-9]{1,19}$",
        description="a timestamp as decimal digits: as text, since it exceeds 53 bits",
        examples=["467532890931200001"],
    ),
]
MomentText: TypeAlias = Annotated[
    str,
    Meta(
        description="a timestamp that was answered before, or a time with its zone (RFC 3339)",
        examples=["467532890931200001", "2026-05-01T12:00:00Z"],
    ),
]


def timestamp_of(text: str) -> Timestamp:
    """The timestamp that digits stand for."""
    if not (text.isascii() and text.isdecimal()) or int(text) > TIMESTAMP_MAX:
        raise InvalidTimestamp(f"{text!r:.80} is no timestamp: give one as it was answered")
    return int(text)


def moment_of(text: str) -> Timestamp | datetime:
    """A timestamp, or a time with its zone."""
    if text.isascii() and text.isdecimal():
        return timestamp_of(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as cause:
        raise InvalidTimestamp(
            f"{text!r:.80} is neither a timestamp as it was answered nor a time such as "
            "2026-05-01T12:00:00Z"
        ) from cause
    if moment.utcoffset() is None:
        raise InvalidTimestamp(f"{text!r:.80} has no time zone: write Z behind it for UTC")
    return moment


def expiry_of(text: str) -> Timestamp:
    """The timestamp from which a value is gone."""
    moment = moment_of(text)
    return from_datetime(moment) if isinstance(moment, datetime) else moment
