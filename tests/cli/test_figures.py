"""Sizes, durations and moments as they are read and written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fastness.cli import figures
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import InvalidTimestamp


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1_023, "1,023 bytes"),
        (1_024, "1.0 KiB"),
        (1_500_000, "1.4 MiB"),
        (5 << 40, "5.0 TiB"),
        (5_000 << 40, "5000.0 TiB"),
    ],
)
def test_size(count: int, text: str) -> None:
    """Sizes have the unit that leaves few digits."""
    assert figures.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3.1e-6, "3.1 µs"), (0.0042, "4.2 ms"), (9.87, "9.9 s"), (125, "2 min 5 s")],
)
def test_duration(seconds: float, text: str) -> None:
    """So have durations."""
    assert figures.duration(seconds) == text


def test_moment() -> None:
    """A timestamp is shown in UTC, to the millisecond; none as a dash."""
    assert figures.moment(from_milliseconds(1_700_000_000_123)) == "2023-11-14T22:13:20.123Z"
    assert figures.moment(0) == "-"


def test_parsed_moment() -> None:
    """A timestamp, a time with a zone and a time ago are moments."""
    assert figures.parsed_moment("470668075007213571") == 470668075007213571
    assert figures.parsed_moment("2026-05-01T12:00:00Z") == datetime(2026, 5, 1, 12, tzinfo=UTC)
    eastern = figures.parsed_moment("2026-05-01 12:00+02:00")
    assert eastern == datetime(2026, 5, 1, 10, tzinfo=UTC)
    ago = figures.parsed_moment("2h")
    assert isinstance(ago, datetime)
    assert ago < datetime.now(UTC) - timedelta(hours=1, minutes=59)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-05-01", "2026-05-01T12:00", "-5m", "5x", "m", "99999999999999999d"]
)
def test_bad_moments(text: str) -> None:
    """Anything else is refused with the value and what may be written."""
    with pytest.raises(InvalidTimestamp):
        figures.parsed_moment(text)


def test_parsed_duration() -> None:
    """Durations are a number and a unit."""
    assert figures.parsed_duration("90s") == timedelta(seconds=90)
    assert figures.parsed_duration("7d") == timedelta(days=7)
    with pytest.raises(InvalidTimestamp, match="write such as 90s"):
        figures.parsed_duration("soon")
