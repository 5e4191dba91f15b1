"""How much per second: a bucket that fills as time passes and may be overdrawn once.

The token bucket of network shaping, with debt: a request is let through while anything is left,
whatever it costs, and the next one waits until the debt is paid. So a single answer larger than
a second's worth is possible, the rate over time is kept, and no size has to be known before.
"""

from __future__ import annotations

NANOSECONDS_PER_SECOND = 1_000_000_000


class Bucket:
    """One rate. Holds a second's worth at most."""

    __slots__ = ("_filled_ns", "_level", "_per_second")

    def __init__(self, per_second: int, now_ns: int) -> None:
        """Full at `now_ns` of the boot clock."""
        self._per_second = per_second
        self._level = float(per_second)
        self._filled_ns = now_ns

    def spend(self, amount: int) -> None:
        """Take this much out, whatever is left."""
        self._level -= amount

    def wait_ms(self, now_ns: int) -> int:
        """0 while something is left, else the milliseconds until something will be."""
        passed_ns = now_ns - self._filled_ns
        if passed_ns > 0:
            filled = self._level + passed_ns * self._per_second / NANOSECONDS_PER_SECOND
            self._level = min(float(self._per_second), filled)
            self._filled_ns = now_ns
        if self._level > 0:
            return 0
        return 1 + int(-self._level * 1_000 / self._per_second)
