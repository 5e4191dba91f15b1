"""Driving commits: the messages, pauses and times around `transactions.two_phase`.

A commit goes on to its end here whether or not anybody still waits for it: a task that is
cancelled leaves it under way, and its id tells later how it ended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from fastness.cache import Hold
from fastness.client.cluster.caching import CachedReads
from fastness.client.cluster.calls import Calls, Reply
from fastness.client.cluster.reads import paused
from fastness.client.cluster.routing import Pace, Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    Conflict,
    FastnessError,
    InvalidOption,
    MaybeCommitted,
    Overloaded,
    Unreachable,
)
from fastness.limits import Limits
from fastness.ranges.identity import TransactionId, anchor_of, check_id, shown, transaction_id
from fastness.ranges.requests import Content, Decide, Decision, Prepared
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.runtime.process import Timer
from fastness.transactions.content import anchor_key, cut, written_intervals, written_keys
from fastness.transactions.two_phase import CommitMachine, Draw, Effect, Pause, Send, Settled
from fastness.wire.messages import Refusal
from fastness.wire.refusals import error_of

BIRTHS_PER_WINDOW = 8
"""The share of a window that an id may have used up when it is born."""


class Ended(NamedTuple):
    """How a commit ended: committed at `timestamp`, or (0) why not."""

    timestamp: Timestamp
    error: Exception | None


@dataclass(slots=True)
class CommitCounts:
    """Figures of a client's commits."""

    one_range: int = 0
    across_ranges: int = 0
    refused: int = 0
    unknown: int = 0


class _Running:
    """A commit under way."""

    __slots__ = ("began_ns", "due_ns", "hold", "machine", "pace", "trace", "waiters")

    def __init__(
        self,
        machine: CommitMachine,
        began_ns: int,
        due_ns: int,
        hold: Hold | None,
        trace: bytes | None,
    ) -> None:
        self.machine = machine
        self.began_ns = began_ns
        """When it was sent first, by the boot clock."""
        self.due_ns = due_ns
        """When it is given up, by the boot clock."""
        self.pace: Pace | None = None
        self.hold = hold
        self.trace = trace
        """What it belongs to: most of its messages are sent once others arrived."""
        self.waiters: list[asyncio.Future[Ended]] = []


class Commits:
    """The commits of one client that have not ended."""

    def __init__(
        self,
        calls: Calls,
        routes: Routes,
        timestamps: Timestamps,
        cached: CachedReads,
        limits: Limits,
    ) -> None:
        self.counts = CommitCounts()
        self._calls = calls
        self._routes = routes
        self._timestamps = timestamps
        self._cached = cached
        self._limits = limits
        self._running: dict[TransactionId, _Running] = {}
        """In the order in which they are given up: all have the same time."""
        self._lasts_ns = limits.commit_ms * NANOSECONDS_PER_MILLISECOND
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._running)

    @property
    def under_way(self) -> list[TransactionId]:
        """The ids of the commits that have not ended, the oldest first."""
        return list(self._running)

    async def birth(self, content: Content) -> None:
        """Make sure that the newest timestamp held is new enough for an id to be born from it.

        An id lives as long as outcomes are kept, and a promise of several ranges as long as its
        deadline, both counted from there. Whoever has just read or written needs nothing more.
        """
        fresh_within, limits = self._timestamps.fresh_within, self._limits
        if fresh_within(limits.prepare_ms / BIRTHS_PER_WINDOW):
            return
        if fresh_within(limits.outcome_ms / BIRTHS_PER_WINDOW):
            parts = cut(content, self._routes.map)
            if parts is not None and len(parts) == 1:
                return
        await self._timestamps.read()

    def begin(
        self, content: Content, priority: Timestamp
    ) -> tuple[TransactionId, asyncio.Future[Ended]]:
        """Send a commit; its id, and what it comes to."""
        calls = self._calls
        calls.require_open()
        if len(self._running) >= self._limits.calls_in_flight:
            raise Overloaded(
                f"{len(self._running)} commits are under way (calls_in_flight): back off"
            )
        identity = transaction_id(
            birth=calls.issued,
            nonce=calls.process.random.getrandbits(64),
            anchor=anchor_key(content),
        )
        near = self._cached.near
        hold = None
        if near.has_leases:
            hold = near.hold(written_keys(content), written_intervals(content))
        machine = CommitMachine(
            identity,
            content,
            priority=priority,
            ranges=self._routes.map,
            issued=self._issued,
            prepare_ms=self._limits.prepare_ms,
            # Without a hold the leaseholder must tell this client like any other.
            lease_of=_no_lease if hold is None else self._lease_of,
        )
        now_ns = calls.process.clock.boot_ns()
        running = _Running(machine, now_ns, now_ns + self._lasts_ns, hold, calls.trace_here())
        self._running[identity] = running
        if self._timer is None:
            # One for all: nearly every commit ends long before.
            self._timer = calls.process.call_later(self._limits.commit_ms, self._give_up_late)
        waiter = self._wait(running)
        self._perform(running, machine.start())
        return identity, waiter

    def _wait(self, running: _Running) -> asyncio.Future[Ended]:
        waiter: asyncio.Future[Ended] = self._calls.process.future()
        running.waiters.append(waiter)
        return waiter

    def _issued(self) -> Timestamp:
        return self._calls.issued

    def _lease_of(self, range_id: int) -> int:
        return self._cached.near.lease_of(range_id, self._calls.process.clock.boot_ns())

    # ----------------------------------------------------------------- effects

    def _perform(self, running: _Running, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Send:
                self._send(running, effect)
            elif type(effect) is Settled:
                self._settle(running, effect)
            elif type(effect) is Draw:
                self._draw(running)
            elif type(effect) is Pause:
                self._routes.refresh()
                if running.pace is None:
                    running.pace = Pace(self._calls, self._limits)
                pause_ms = running.pace.pause_ms()
                self._calls.process.call_later(pause_ms, self._resume, running)

    def _send(self, running: _Running, send: Send) -> None:
        unsent = partial(self._unsent, running, send.number)
        try:
            self._calls.call(
                send.to,
                send.body,
                partial(self._answered, running, send.number),
                unsent=unsent,
                trace=running.trace,
            )
        except FastnessError as error:
            # As if nobody had been there to take it.
            self._calls.process.call_later(self._limits.reroute_ms, unsent, Unreachable(str(error)))

    def _unsent(self, running: _Running, number: int, error: FastnessError) -> None:
        self._routes.refresh()
        self._perform(running, running.machine.unsent(number, error))

    def _answered(self, running: _Running, number: int, reply: Reply) -> None:
        machine = running.machine
        if type(reply) is Decision or type(reply) is Prepared:
            effects = machine.answered(number, reply)
        elif type(reply) is Refusal:
            self._routes.correct(reply)
            effects = machine.refused(number, error_of(reply))
        else:
            self._routes.refresh()
            effects = machine.unanswered(number)
        self._perform(running, effects)

    def _draw(self, running: _Running) -> None:
        try:
            drawn = self._timestamps.commit()
        except Overloaded:
            self._perform(running, running.machine.give_up())
        else:
            drawn.add_done_callback(partial(self._drawn, running))

    def _drawn(self, running: _Running, drawn: asyncio.Future[Timestamp]) -> None:
        if drawn.exception() is not None:
            self._perform(running, running.machine.give_up())
        else:
            self._perform(running, running.machine.drawn(drawn.result()))

    def _resume(self, running: _Running) -> None:
        self._perform(running, running.machine.resumed())

    def _give_up_late(self) -> None:
        """Give up those whose time is over: the outcome first, then all hope of learning it."""
        self._timer = None
        process = self._calls.process
        now_ns = process.clock.boot_ns()
        late: list[_Running] = []
        for running in self._running.values():
            if running.due_ns > now_ns:
                break
            late.append(running)
        for running in late:
            identity = running.machine.id
            if self._running.pop(identity, None) is not None:
                # As long again, behind all others.
                running.due_ns = now_ns + self._lasts_ns
                self._running[identity] = running
                self._perform(running, running.machine.give_up())
        first = next(iter(self._running.values()), None)
        if first is not None and self._timer is None:
            left_ms = max(0.0, (first.due_ns - now_ns) / NANOSECONDS_PER_MILLISECOND)
            self._timer = process.call_later(left_ms, self._give_up_late)

    def _settle(self, running: _Running, settled: Settled) -> None:
        self._running.pop(running.machine.id, None)
        self._count(running, settled)
        if 0 < settled.timestamp <= self._calls.issued:
            # Issued since it was sent: whoever only writes needs no other timestamp.
            self._timestamps.heard(running.began_ns)
        if settled.error is not None and not isinstance(settled.error, Conflict):
            self._calls.process.note(f"commit {shown(running.machine.id)} ended: {settled.error}")
        if running.hold is not None:
            self._cached.near.release(running.hold)
            if isinstance(settled.error, MaybeCommitted):
                self._cached.near.distrust_all(self._calls.process.clock.boot_ns())
        ended = Ended(settled.timestamp, settled.error)
        for waiter in running.waiters:
            if not waiter.done():
                waiter.set_result(ended)

    def _count(self, running: _Running, settled: Settled) -> None:
        if settled.timestamp and running.machine.is_across_ranges:
            self.counts.across_ranges += 1
        elif settled.timestamp:
            self.counts.one_range += 1
        elif isinstance(settled.error, MaybeCommitted):
            self.counts.unknown += 1
        else:
            self.counts.refused += 1

    # ---------------------------------------------------------------- outcomes

    async def outcome(self, identity: TransactionId) -> Timestamp | None:
        """When a transaction committed, `None` if it did not and never will.

        One that is under way in this client is waited for; any other is decided at its anchor
        if it was not. Raises `MaybeCommitted` where it is too old for anybody to know.
        """
        if type(identity) is not bytes:
            raise InvalidOption(f"transaction id {identity!r} is not bytes: pass the id of one")
        running = self._running.get(identity)
        if running is not None:
            ended = await self._wait(running)
            if isinstance(ended.error, MaybeCommitted):
                raise ended.error
            return ended.timestamp or None
        return await self._resolve(check_id(identity))

    async def _resolve(self, identity: TransactionId) -> Timestamp | None:
        pace = Pace(self._calls, self._limits)
        while not pace.is_over:
            descriptor = self._routes.serving(anchor_of(identity))
            if descriptor is not None:
                reply = await self._calls.ask(
                    descriptor.holder,
                    Decide(descriptor.range_id, descriptor.generation, identity, 0),
                )
                if type(reply) is Decision:
                    return reply.timestamp or None
                if type(reply) is Refusal:
                    self._routes.correct(reply)
                    error = error_of(reply)
                    if isinstance(error, MaybeCommitted):
                        break
                    if not error.retryable:
                        raise error
            await self._routes.refreshed()
            await paused(self._calls, pace.pause_ms())
        raise MaybeCommitted(
            f"nobody can tell what became of {shown(identity)}: it is older than outcomes are "
            "kept (outcome_ms), or its range cannot be reached",
            transaction_id=identity,
        )

    def close(self) -> None:
        """End every commit under way: its outcome is to be asked for by its id."""
        for running in list(self._running.values()):
            self._perform(running, running.machine.give_up())
            self._perform(running, running.machine.give_up())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _no_lease(_range_id: int) -> int:
    return 0
