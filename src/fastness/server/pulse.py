"""The pulse of a server's loop: how late it turns, and what is done every second.

One timer measures how late timers run, which is what every request waits on top of its own work,
and says to systemd that the loop is alive: a loop that stands still is restarted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fastness.server.exposition import Histogram

BEAT_SECONDS = 0.25
BEATS_PER_ROUND = 4


class Pulse:
    """Beats from `start` to `stop`."""

    def __init__(self, each_second: Callable[[], None]) -> None:
        self.lag = Histogram()
        self._each_second = each_second
        self._loop = asyncio.get_running_loop()
        self._beats = 0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin."""
        self._due = self._loop.time() + BEAT_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """End. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self) -> None:
        now = self._loop.time()
        self.lag.record(max(0, int((now - self._due) * 1e9)))
        self._due = now + BEAT_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)
        self._beats += 1
        if self._beats % BEATS_PER_ROUND == 0:
            self._each_second()
