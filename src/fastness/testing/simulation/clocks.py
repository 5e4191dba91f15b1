"""The clocks of a simulated process: neither agrees with anybody else's.

::

    boot clock   offset + virtual time x (1 + rate),  |rate| <= 1 %; never jumps, never stops
    wall clock   its own offset, the same rate, and jumps of either direction

Reading a clock is a place where the fault injector may strike: a process may always be stopped
between looking at a clock and acting on what it saw.
"""

from __future__ import annotations

from random import Random
from typing import Final

from fastness.testing.simulation.events import NANOSECONDS_PER_MILLISECOND, Actor

DRIFT_PPM_MAX: Final = 10_000
"""One per cent, the most that leases allow for."""
WALL_EPOCH_MS: Final = 1_700_000_000_000
MILLION: Final = 1_000_000


class SimulatedClock:
    """A `runtime.Clock` that runs by virtual time at a rate of its own."""

    __slots__ = ("_actor", "_boot_offset_ns", "_rate_ppm", "_wall_offset_ns")

    def __init__(
        self, actor: Actor, *, rate_ppm: int = 0, boot_offset_ns: int = 0, wall_offset_ms: int = 0
    ) -> None:
        """`rate_ppm`: how much too fast (negative: too slow) it runs, in parts per million."""
        self._actor = actor
        self._rate_ppm = rate_ppm
        self._boot_offset_ns = boot_offset_ns
        self._wall_offset_ns = (WALL_EPOCH_MS + wall_offset_ms) * NANOSECONDS_PER_MILLISECOND

    @classmethod
    def drawn(cls, actor: Actor, random: Random, *, drift_ppm: int, wall_ms: int) -> SimulatedClock:
        """A clock at random: up to so much drift, and up to so much off the true wall time."""
        return cls(
            actor,
            rate_ppm=random.randint(-drift_ppm, drift_ppm),
            boot_offset_ns=random.randrange(1 << 40),
            wall_offset_ms=random.randint(-wall_ms, wall_ms),
        )

    @property
    def rate_ppm(self) -> int:
        """How much too fast it runs, in parts per million."""
        return self._rate_ppm

    def boot_ns(self) -> int:
        """Nanoseconds since an arbitrary moment, pauses included. Never sinks."""
        actor = self._actor
        actor.budget -= 1
        if actor.budget < 0:
            actor.interrupted()
        now = actor.agenda.now
        if now < actor.busy_until:  # noqa: PLR1730 - a call of `max` costs three times as much
            now = actor.busy_until
        return self._boot_offset_ns + now + now * self._rate_ppm // MILLION

    def wall_ms(self) -> int:
        """Milliseconds since 1970, as this process's machine believes. May jump."""
        elapsed = self.boot_ns() - self._boot_offset_ns
        return (self._wall_offset_ns + elapsed) // NANOSECONDS_PER_MILLISECOND

    def jump_wall(self, milliseconds: float) -> None:
        """Set the wall clock forward or (negative) back; the boot clock does not notice."""
        self._wall_offset_ns += int(milliseconds * NANOSECONDS_PER_MILLISECOND)

    def virtual_time(self, boot_seconds: float) -> int:
        """The virtual time (nanoseconds) at which the boot clock will have reached this."""
        boot = int(boot_seconds * 1e9) + 1 - self._boot_offset_ns
        return -(-boot * MILLION // (MILLION + self._rate_ppm))

    def virtual_per_ms(self) -> float:
        """How many virtual nanoseconds pass while this clock counts a millisecond."""
        return NANOSECONDS_PER_MILLISECOND * MILLION / (MILLION + self._rate_ppm)
