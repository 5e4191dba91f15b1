"""Timestamps and the datetimes they stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.timestamps import (
    TIMESTAMP_MAX,
    from_datetime,
    from_milliseconds,
    to_datetime,
    to_milliseconds,
)
from fastness.errors import InvalidTimestamp

moments = st.integers(0, (1 << 54)).map(
    lambda microseconds: datetime(1970, 1, 2, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
zones = st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours)))


@given(moments, zones)
def test_a_moment_covers_its_whole_millisecond(moment: datetime, zone: timezone) -> None:
    """A datetime of any zone becomes the highest timestamp of its millisecond."""
    timestamp = from_datetime(moment.astimezone(zone))
    assert to_datetime(timestamp) <= moment < to_datetime(timestamp) + timedelta(milliseconds=1)
    assert to_milliseconds(timestamp + 1) == to_milliseconds(timestamp) + 1


@given(st.integers(0, to_milliseconds(TIMESTAMP_MAX)), st.integers(0, (1 << 18) - 1))
def test_the_logical_counter_is_dropped(milliseconds: int, logical: int) -> None:
    """Every timestamp of a millisecond gives that millisecond."""
    timestamp = from_milliseconds(milliseconds) + logical
    assert 0 <= timestamp <= TIMESTAMP_MAX
    assert to_milliseconds(timestamp) == milliseconds


class Unknown(tzinfo):
    """A time zone that does not say how far it is from UTC."""

    def utcoffset(self, _moment: datetime | None) -> timedelta | None:
        """Not known."""
        return None

    def dst(self, _moment: datetime | None) -> timedelta | None:
        """Not known either."""
        return None

    def tzname(self, _moment: datetime | None) -> str | None:
        """Nameless."""
        return None


@pytest.mark.parametrize("zone", [None, Unknown()])
def test_a_moment_without_a_zone_is_refused(zone: tzinfo | None) -> None:
    """A naive datetime is not guessed at; the message says what to write."""
    with pytest.raises(InvalidTimestamp, match=r"datetime\.now\(UTC\)"):
        from_datetime(datetime(2024, 5, 1, tzinfo=zone))


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(1970, 1, 1, tzinfo=timezone(timedelta(hours=1))),
        datetime(3085, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
    ],
    ids=str,
)
def test_moments_outside_are_refused(moment: datetime) -> None:
    """A moment that no timestamp can hold is refused."""
    with pytest.raises(InvalidTimestamp, match="1970 to 3084"):
        from_datetime(moment)
