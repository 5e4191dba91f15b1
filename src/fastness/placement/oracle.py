"""The timestamp oracle: strictly increasing timestamps under a durable ceiling.

A synchronous state machine. Its shell hands in the clocks and makes the ceiling durable::

    shell                              oracle
      |-- observe(wall_ms, boot_ns) ---->|   what the clocks say now
      |-- issue(count) ----------------->|   a block of `count` timestamps, or None:
      |<------------- ceiling_wanted() --|   the ceiling must rise first
      |   (makes it durable)             |
      |-- raise_ceiling(ceiling) ------->|

Nothing at or above the ceiling is ever issued, and a successor starts at the ceiling, so no
timestamp is issued twice, whatever clocks and crashes do (CONSISTENCY, section 6).

A wall clock that jumps forward further than the monotonic clock explains is not followed:
one mistyped date must not push timestamps years ahead for good. The jump is counted in
`clock_jumps`, and the oracle goes on without it, until the clock is put right.
"""

from __future__ import annotations

from fastness.encoding.timestamps import Timestamp, from_milliseconds, to_milliseconds
from fastness.invariants import check

JUMP_MS_MAX = 1_000
"""A forward step of the wall clock beyond elapsed monotonic time that is still followed."""


ROOM_MS = 100
"""Room under a new ceiling while timestamps run ahead of the clock: 26 million of them.

At half the clock's pace, and raised at half its room, that is a write every tenth of a second.
"""


class TimestampOracle:
    """Issues timestamps; see the module's page. Not thread-safe: its shell holds a lock."""

    __slots__ = (
        "_boot_ns",
        "_ceiling_ms_ahead",
        "_pace_from",
        "_pace_ms",
        "_skew_ms",
        "_wall_ms",
        "ceiling",
        "clock_jumps",
        "issued",
    )

    def __init__(
        self,
        *,
        start: Timestamp,
        ceiling: Timestamp,
        wall_ms: int,
        boot_ns: int,
        ceiling_ms_ahead: int,
    ) -> None:
        """Start above `start`, the highest timestamp any predecessor may have issued."""
        self.issued = start
        self.ceiling = ceiling
        self.clock_jumps = 0
        self._wall_ms = wall_ms
        self._boot_ns = boot_ns
        self._skew_ms = 0
        """How far the wall clock has jumped ahead without being followed."""
        self._pace_ms = 0
        """The millisecond reached at half pace while timestamps are ahead of the clock."""
        self._pace_from: tuple[int, int] | None = None
        self._ceiling_ms_ahead = ceiling_ms_ahead

    def observe(self, wall_ms: int, boot_ns: int) -> None:
        """Take in what the clocks say; refuse to follow a forward jump."""
        expected = self._wall_ms + (boot_ns - self._boot_ns) // 1_000_000
        steady = wall_ms - self._skew_ms
        if steady > expected + JUMP_MS_MAX:
            # From here on the wall clock is followed at its pace, less what it jumped.
            self.clock_jumps += 1
            self._skew_ms = wall_ms - expected
            steady = expected
        elif self._skew_ms and steady < expected - JUMP_MS_MAX:
            # Somebody has put it right again, wholly or in part.
            self._skew_ms = max(0, wall_ms - expected)
            steady = wall_ms - self._skew_ms
        if steady > self._wall_ms:
            self._wall_ms = steady
            self._boot_ns = boot_ns
        self._keep_pace(steady, boot_ns)

    def _keep_pace(self, wall_ms: int, boot_ns: int) -> None:
        """Let timestamps that are ahead of the clock go on at half its pace until it catches up.

        They are after a crash, a change of oracle, or a clock set back. Were they to stand still,
        deadlines would not pass, values not expire and the prune horizon not move; at the full
        pace they would stay ahead for good, and further with every crash.
        """
        reached = to_milliseconds(self.issued)
        if reached <= wall_ms:
            self._pace_from = None
            self._pace_ms = 0
            return
        if self._pace_from is None:
            self._pace_from = (reached, boot_ns)
        begun_ms, begun_ns = self._pace_from
        self._pace_ms = begun_ms + (boot_ns - begun_ns) // 2_000_000

    def now(self) -> Timestamp:
        """The lowest timestamp of the millisecond last observed, or what was issued if higher."""
        return max(self.issued, from_milliseconds(max(self._wall_ms, self._pace_ms)))

    def issue(self, count: int) -> Timestamp | None:
        """The first of `count` consecutive new timestamps; `None` while the ceiling is too low."""
        check(count > 0, f"a block of {count} timestamps was asked for")
        first = max(self.issued + 1, from_milliseconds(max(self._wall_ms, self._pace_ms)))
        if first + count > self.ceiling:
            return None
        self.issued = first + count - 1
        return first

    def ceiling_wanted(self, count: int = 1) -> Timestamp:
        """The ceiling to make durable so that `count` more timestamps can be issued."""
        ahead = from_milliseconds(self._wall_ms + self._ceiling_ms_ahead)
        # After a crash timestamps run ahead of the clock by up to `ceiling_ms_ahead`. Little
        # room is added then, or one crash after another would drive them ever further ahead.
        reached = max(self.issued, from_milliseconds(self._pace_ms))
        return max(ahead, reached + count + from_milliseconds(ROOM_MS))

    def raise_ceiling(self, ceiling: Timestamp) -> None:
        """Take note of a ceiling that is now durable. It never sinks."""
        self.ceiling = max(self.ceiling, ceiling)
