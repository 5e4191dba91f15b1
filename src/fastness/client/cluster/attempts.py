"""The attempts of one transaction function in a cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.reads import paused
from fastness.client.cluster.transaction import ClusterTransaction
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, FastnessError, Overloaded
from fastness.model.layout import SCHEMA_VERSION_KEY
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import Content, Interval, Reserve
from fastness.transactions import TURN_MS, Retries, TransactionCore
from fastness.transactions.content import cut
from fastness.transactions.retry import TURN_AFTER

TURN_PAUSE_MS_MAX = 32.0
"""Between two attempts of somebody who has a turn."""


class Turn:
    """A reservation over all the ranges a starving transaction read."""

    def __init__(self, core: ClusterCore, priority: Timestamp) -> None:
        self._core = core
        self._priority = priority
        # Turns and commits of one priority are ordered by this and by the id, which begins with a
        # 63-bit timestamp: with the top bit set, nobody's own turn stands before its own commit.
        self._nonce = 1 << 63 | core.random.getrandbits(63)
        self._kept: list[Descriptor] = []

    async def take(self, keys: list[bytes], intervals: list[Interval]) -> None:
        """Reserve what was read, as far as its ranges answer in time: best effort."""
        outside = self._core.outside
        content = Content(
            read_keys=sorted(map(outside, keys)),
            read_intervals=[(outside(begin), outside(end)) for begin, end in intervals],
        )
        parts = cut(content, self._core.routes.map) if keys or intervals else None
        waiting = []
        for descriptor, part in parts or ():
            if descriptor.holder:
                body = Reserve(
                    descriptor.range_id,
                    descriptor.generation,
                    self._priority,
                    self._nonce,
                    part.read_keys,
                    part.read_intervals,
                    TURN_MS,
                )
                try:
                    waiting.append(self._core.calls.ask(descriptor.holder, body))
                except Overloaded:
                    break
                self._kept.append(descriptor)
        for reply in waiting:
            await reply

    def end(self) -> None:
        """Let the others go on; where this gets lost, time does."""
        kept, self._kept = self._kept, []
        for one in kept:
            body = Reserve(one.range_id, one.generation, self._priority, self._nonce, [], [], 0)
            self._send(one.holder, body)

    def _send(self, to: str, body: Reserve) -> None:
        try:
            self._core.calls.call(to, body, _ignore)
        except FastnessError:
            return


class Place(Protocol):
    """Where the transactions of a client begin."""

    core: ClusterCore

    async def refresh_schema(self) -> None:
        """Take up the stored schema."""
        ...


class Course:
    """How often a function was run, after what pauses, and whose turn it is."""

    def __init__(
        self,
        place: Place,
        timeout: float | None,
        priority: tuple[Timestamp, bytes] | None = None,
        *,
        refreshes: bool = True,
    ) -> None:
        """`timeout` in seconds counts from now; `refreshes` the schema where it was overtaken."""
        self._place = place
        self._core = core = place.core
        self._calls: Calls = core.calls
        self._retries = Retries(core.limits, core.random, timeout=timeout, boot_ns=self._boot_ns())
        self._turn: Turn | None = None
        self._refreshes = refreshes
        self.priority = priority

    def _boot_ns(self) -> int:
        return self._calls.process.clock.boot_ns()

    async def failed(self, tx: TransactionCore, error: FastnessError) -> None:
        """Pause until the next attempt; raises when there is to be none."""
        if tx.commit_timestamp is not None or not error.retryable:
            # Committed all the same: a hook raised. Running it again would do it twice.
            raise error
        pause_ms = await self._pause_ms(tx, error)
        if self._refreshes and isinstance(error, Conflict) and error.key == SCHEMA_VERSION_KEY:
            await self._place.refresh_schema()
        if pause_ms:
            await paused(self._calls, pause_ms)

    async def _pause_ms(self, tx: TransactionCore, error: FastnessError) -> float:
        pause_ms = self._retries.pause_s(error, self._boot_ns()) * 1_000
        self.priority = tx.priority
        if self._retries.wants_turn:
            self.end()
            self._turn = Turn(self._core, tx.priority[0])
            keys, intervals = tx.reads
            await self._turn.take(list(keys), [_pair(one) for one in intervals])
            return max(pause_ms, self._turn_pause_ms())
        return pause_ms

    def _turn_pause_ms(self) -> float:
        """None after the first turn was taken, then growing: an elder's turn may stand before it.

        A range that promises cannot let a younger transaction wait as a single commit may, so
        without pauses those who must wait would only ask again and again.
        """
        lost = self._retries.conflicts - TURN_AFTER
        if lost <= 0:
            return 0.0
        return self._core.random.uniform(0, min(TURN_PAUSE_MS_MAX, 2.0**lost))

    @property
    def has_turn(self) -> bool:
        """Whether a turn is held."""
        return self._turn is not None

    def end(self) -> None:
        """Give up the turn, if there is one."""
        if self._turn is not None:
            self._turn.end()
            self._turn = None


class ClusterAttempts:
    """For a task; see `running.AsyncAttempts`."""

    def __init__(
        self,
        place: Place,
        begin: Callable[[tuple[Timestamp, bytes] | None], ClusterTransaction],
        timeout: float | None,
        priority: tuple[Timestamp, bytes] | None = None,
        *,
        refreshes: bool = True,
    ) -> None:
        """`begin(priority)` begins a transaction."""
        self._begin = begin
        self._course = Course(place, timeout, priority, refreshes=refreshes)

    def begin(self) -> ClusterTransaction:
        """The next attempt."""
        return self._begin(self._course.priority)

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        await self._course.failed(tx, error)

    def end(self) -> None:
        """Give up the turn, if there is one."""
        self._course.end()


def _pair(interval: KeyInterval) -> Interval:
    return (interval.begin, interval.end)


def _ignore(_reply: Reply) -> None:
    """Nothing follows from it."""
