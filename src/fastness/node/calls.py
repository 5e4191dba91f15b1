"""Calls of a node to other nodes: numbered, answered once or given up after a while.

Nothing is resent here. Whoever calls asks again, of whomever it then believes in, so a call that
was lost and one whose range moved look alike. All calls have the same time to be answered: the
oldest is always the first in the table, and one tick looks after all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastness.limits import Limits
from fastness.node.counts import Counts
from fastness.node.post import Post
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.runtime.process import Address
from fastness.wire.messages import Body

Answered = Callable[[Body | None], None]
"""Given the answer, or `None` when none came."""


class _Waiting(NamedTuple):
    to: Address
    due_ns: int
    answered: Answered


class Calls:
    """See the module's page."""

    __slots__ = ("_counts", "_number", "_pending", "_pending_max", "_post", "_time_ns")

    def __init__(self, post: Post, counts: Counts, limits: Limits) -> None:
        self._post = post
        self._counts = counts
        self._number = 0
        self._pending: dict[int, _Waiting] = {}
        self._pending_max = limits.calls_in_flight
        self._time_ns = limits.call_ms * NANOSECONDS_PER_MILLISECOND

    def __len__(self) -> int:
        return len(self._pending)

    def call(self, to: Address, body: Body, now_ns: int, answered: Answered) -> bool:
        """Send a request; `False`, and nothing is sent, while too many are out."""
        if len(self._pending) >= self._pending_max:
            self._counts.calls_dropped += 1
            return False
        self._number += 1
        self._pending[self._number] = _Waiting(to, now_ns + self._time_ns, answered)
        self._post.call(to, self._number, body)
        return True

    def answered(self, sender: Address, number: int, body: Body) -> None:
        """An answer arrived. One that comes late, twice or from somebody else is dropped."""
        waiting = self._pending.get(number)
        if waiting is None or waiting.to != sender:
            self._counts.stale_answers += 1
            return
        del self._pending[number]
        waiting.answered(body)

    def tick(self, now_ns: int) -> None:
        """Give up the calls that have been out for too long."""
        late = []
        for number, waiting in self._pending.items():
            if waiting.due_ns > now_ns:
                break
            late.append(number)
        for number in late:
            waiting = self._pending.pop(number)
            self._counts.calls_unanswered += 1
            waiting.answered(None)
