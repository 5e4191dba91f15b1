"""Clocks: the machine's, and one that tests and simulation drive.

The core never reads the time itself; it is handed a `Clock`. Two readings differ in kind:
the wall clock says what time it is and may jump; the boot clock says how long something
took, never jumps, and counts the time a machine spent suspended, so that a lease never
outlives a laptop's sleep.
"""

from __future__ import annotations

import time
from typing import Protocol

from fastness.errors import InvalidOption

NANOSECONDS_PER_MILLISECOND = 1_000_000

DRIFT = 0.01
"""Clock rates are assumed to differ by less: whoever holds a lease ends so much early."""


class Clock(Protocol):
    """Two readings of time; both calls are safe from any thread and take no lock."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00Z. May jump forwards and backwards."""
        ...

    def boot_ns(self) -> int:
        """Nanoseconds since an arbitrary moment, suspension included. Never sinks."""
        ...


_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux alone tells the two apart by these names; elsewhere the monotonic clock serves."""


class SystemClock:
    """The clocks of this machine."""

    __slots__ = ()

    def wall_ms(self) -> int:
        """The system's wall clock."""
        return time.time_ns() // NANOSECONDS_PER_MILLISECOND

    def boot_ns(self) -> int:
        """`CLOCK_BOOTTIME` where there is one, else `CLOCK_MONOTONIC`."""
        return time.clock_gettime_ns(_BOOT_CLOCK)


class ManualClock:
    """A clock that stands still until it is told to move."""

    __slots__ = ("_boot_ns", "_wall_ns")

    def __init__(self, *, wall_ms: int = 1_700_000_000_000, boot_ns: int = 0) -> None:
        """Start at these readings (the default wall time lies in November 2023)."""
        self._wall_ns = wall_ms * NANOSECONDS_PER_MILLISECOND
        self._boot_ns = boot_ns

    def wall_ms(self) -> int:
        """The wall time it was last moved to."""
        return self._wall_ns // NANOSECONDS_PER_MILLISECOND

    def boot_ns(self) -> int:
        """The boot time it was last moved to."""
        return self._boot_ns

    def advance(self, *, milliseconds: int = 0, nanoseconds: int = 0) -> None:
        """Let time pass on both clocks; `InvalidOption` for less than none."""
        passed = milliseconds * NANOSECONDS_PER_MILLISECOND + nanoseconds
        if passed < 0:
            raise InvalidOption(
                f"advance by {passed} ns: time does not run backwards; use jump_wall for a "
                "wall clock that is set back"
            )
        self._wall_ns += passed
        self._boot_ns += passed

    def jump_wall(self, *, milliseconds: int) -> None:
        """Set the wall clock forward or (negative) back; the boot clock does not notice."""
        self._wall_ns += milliseconds * NANOSECONDS_PER_MILLISECOND
