"""When to run a transaction again, and after what pause. Synchronous; sleeping is the shell's.

The first conflict is answered at once: the winner is durable by then, so the next attempt sees
it. From then on pauses grow, with full jitter ("Exponential Backoff And Jitter", AWS
Architecture Blog, 2015), up to `limits.backoff_ms`. After `TURN_AFTER` conflicts the library
reserves what the last attempt read and tries again at once: others wait for it meanwhile.
Whoever is told when to come back (`Overloaded.retry_after_ms`) does not come earlier.
"""

from __future__ import annotations

from random import Random

from fastness.errors import (
    Conflict,
    DeadlineExceeded,
    FastnessError,
    InvalidOption,
    Overloaded,
)
from fastness.limits import Limits

TURN_AFTER = 3
"""Conflicts after which an attempt gets a reservation."""

TURN_MS = 1_000
"""How long a reservation stands at most."""

_BASE_MS = 0.5


TIMEOUT_S_MAX = 1e9
"""Thirty years: what a longer time is taken for."""


def _require_timeout(timeout: object) -> None:
    if timeout is None:
        return
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout > 0:
        raise InvalidOption(f"timeout={timeout!r} is not a positive number of seconds")


class Retries:
    """The attempts of one transaction function."""

    __slots__ = ("_ends_ns", "_limits", "_random", "attempts", "conflicts")

    def __init__(
        self, limits: Limits, random: Random, *, timeout: float | None, boot_ns: int
    ) -> None:
        """Count from now; `timeout` in seconds, `limits.retry_ms` without."""
        _require_timeout(timeout)
        seconds = limits.retry_ms / 1_000 if timeout is None else min(timeout, TIMEOUT_S_MAX)
        self._ends_ns = boot_ns + int(seconds * 1e9)
        self._limits = limits
        self._random = random
        self.attempts = 0
        self.conflicts = 0

    @property
    def wants_turn(self) -> bool:
        """Whether the next attempt should be given a reservation."""
        return self.conflicts >= TURN_AFTER

    def pause_s(self, error: FastnessError, boot_ns: int) -> float:
        """Seconds to wait before the next attempt; raises when there is to be none."""
        self.attempts += 1
        if not error.retryable:
            raise error
        if isinstance(error, Conflict):
            self.conflicts += 1
        if boot_ns >= self._ends_ns or self.attempts >= self._limits.retries:
            raise DeadlineExceeded(
                f"gave up after {self.attempts} attempts; nothing was committed. The last one "
                f"ended with: {error}"
            ) from error
        # Whoever gave way to an elder meets it again at once; other winners are durable by now.
        crowded = isinstance(error, Overloaded) or (
            isinstance(error, Conflict) and error.winner == 0
        )
        if (self.attempts == 1 or self.wants_turn) and not crowded:
            return 0.0
        ceiling_ms = min(self._limits.backoff_ms, _BASE_MS * 2 ** min(self.attempts, 20))
        left_s = (self._ends_ns - boot_ns) / 1e9
        pause_ms = self._random.uniform(0, ceiling_ms)
        if isinstance(error, Overloaded):
            pause_ms += error.retry_after_ms
        return min(left_s, pause_ms / 1_000)
