"""Clocks: what both keep to, and that the driven one moves only when told."""

from __future__ import annotations

import time

import pytest

from fastness.errors import InvalidOption
from fastness.runtime import Clock, ManualClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock()], ids=["system", "manual"])
def test_a_boot_clock_never_sinks(clock: Clock) -> None:
    """Readings are whole numbers, and boot time does not go back."""
    readings = [clock.boot_ns() for _ in range(1000)]
    assert readings == sorted(readings)
    assert all(type(reading) is int for reading in (*readings, clock.wall_ms()))


def test_the_system_clock_reads_the_machine() -> None:
    """Wall time is that of the machine, in milliseconds."""
    before = time.time_ns()
    reading = SystemClock().wall_ms()
    after = time.time_ns()
    assert before // 1_000_000 <= reading <= after // 1_000_000


def test_boot_time_counts_suspension_where_it_can() -> None:
    """The clock read is the one that goes on while the machine sleeps, if there is one."""
    identifier = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    before = time.clock_gettime_ns(identifier)
    reading = SystemClock().boot_ns()
    assert before <= reading <= time.clock_gettime_ns(identifier)


def test_a_manual_clock_stands_still() -> None:
    """Only `advance` moves it, both readings by the same, parts of a millisecond kept."""
    clock = ManualClock(wall_ms=1_000, boot_ns=5)
    assert (clock.wall_ms(), clock.boot_ns()) == (1_000, 5)
    clock.advance(milliseconds=2)
    assert (clock.wall_ms(), clock.boot_ns()) == (1_002, 2_000_005)
    for _ in range(2):
        clock.advance(nanoseconds=500_000)
    assert (clock.wall_ms(), clock.boot_ns()) == (1_003, 3_000_005)


def test_a_wall_clock_can_be_set_back() -> None:
    """A jump moves the wall clock alone."""
    clock = ManualClock(wall_ms=1_000, boot_ns=0)
    clock.jump_wall(milliseconds=-400)
    assert (clock.wall_ms(), clock.boot_ns()) == (600, 0)


def test_time_does_not_run_backwards() -> None:
    """Less than no time cannot pass; the message names the call for a clock set back."""
    clock = ManualClock(wall_ms=1_000, boot_ns=0)
    with pytest.raises(InvalidOption, match="jump_wall"):
        clock.advance(milliseconds=-1)
    assert (clock.wall_ms(), clock.boot_ns()) == (1_000, 0)
