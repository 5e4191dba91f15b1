"""The shell of one leaseholder: what `ranges.ports.Ports` asks for, done over a node's means.

A shell lives as long as one epoch on this node. Once dropped it serves nothing, hears no answer
of the store or of anybody, and has told everybody who waited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import CommitsMissing, FastnessError, Fenced, RangeMoved, Unreachable
from fastness.hosting.portions import Room
from fastness.node.draws import Wanted
from fastness.node.gate import Work
from fastness.node.leases import Lease
from fastness.node.load import RangeLoad
from fastness.node.refusals import refusal_of
from fastness.node.site import Site
from fastness.node.store_port import StorePort
from fastness.node.waiting import fail, settle
from fastness.placement.cluster_view import ClusterView
from fastness.placement.descriptors import Descriptor
from fastness.ranges.entries import Entry
from fastness.ranges.identity import TransactionId, anchor_of
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.ports import Caller, FoundAtOnce
from fastness.ranges.requests import (
    Ask,
    Decision,
    Interval,
    Invalidate,
    InvalidateAck,
    RangeAnswer,
    RangeRequest,
    Resolve,
    Resolved,
    Scan,
)
from fastness.ranges.shape import MOVED, MOVING, Shape
from fastness.storage.contract import Batch, RangeState
from fastness.wire.messages import Body, Refusal


class RangeShell:
    """See the module's page. `ended` is told when the shell was dropped."""

    def __init__(
        self,
        site: Site,
        descriptor: Descriptor,
        lease: Lease,
        state: RangeState,
        shape: Shape,
        *,
        commits_from_ns: int,
        busy: Mapping[int, str],
        ended: Callable[[RangeShell], None],
    ) -> None:
        self.range_id = descriptor.range_id
        self.store_name = descriptor.store
        self.lease = lease
        self.load = RangeLoad(site.boot_ns())
        """How much is asked of it."""
        self.allowed = False
        """Whether it may commit: no predecessor can be reading any more."""
        self._dropped: FastnessError | None = None
        """Why it serves nothing any more."""
        self.callers: dict[Caller, Work] = {}
        """Whose requests are being worked on, and whom to tell when they end."""
        self._site = site
        self._served: KeyInterval = descriptor.interval
        """Everything this shell ever served: where clients with an old map may come from."""
        self._commits_from_ns = commits_from_ns
        self._busy = busy
        self._ended = ended
        self._wanted: Wanted | None = None
        self._steps: dict[asyncio.Future[Any], bool] = {}
        """Whoever waits for the leaseholder, and whether it is for a batch that reshapes it."""
        self._store = StorePort(
            site.process,
            site.stores[descriptor.store],
            state,
            site.counts,
            fenced=self._fenced,
            lost=self._lost,
            lease_left_ms=self.lease_left_ms,
            room=Room(site.limits.answer_bytes, site.limits.scan_entries),
        )
        self.leaseholder = Leaseholder(state, shape, limits=site.limits, ports=self)
        self._store.attach(self.leaseholder)

    @property
    def closed(self) -> bool:
        """Whether it was dropped."""
        return self._dropped is not None

    @property
    def shape(self) -> Shape:
        """The interval and generation the leaseholder serves."""
        return self.leaseholder.shape

    # What the node does with it.

    def handle(self, caller: Caller, request: RangeRequest) -> None:
        """Give a request to the leaseholder."""
        self.load.note(request)
        self.callers[caller] = self._site.gate.began(caller.address, request)
        self._site.in_flight += 1
        try:
            self.leaseholder.handle(caller, request)
        except FastnessError as error:
            self.refuse(caller, error)

    def acknowledge(self, address: str, acknowledgement: InvalidateAck) -> None:
        """A client has dropped what it was told to."""
        self.leaseholder.acknowledge(address, acknowledgement)

    @property
    def has_leftovers(self) -> bool:
        """Whether a move has left something behind that is still to be removed."""
        records = self.leaseholder.records
        return MOVING in records or MOVED in records

    @property
    def is_quiet(self) -> bool:
        """Whether nothing here can become overdue."""
        return self.closed or (self.allowed and self.leaseholder.is_quiet)

    def tick(self, now_ns: int) -> None:
        """Time has passed."""
        if not self.allowed:
            self.allow_when_due(now_ns)
        self.leaseholder.tick()

    def allow_when_due(self, now_ns: int) -> None:
        """Let it commit, once no predecessor can be reading any more."""
        if now_ns >= self._commits_from_ns:
            self.allowed = True
            self.leaseholder.allow_commits()

    async def paused(self) -> None:
        """Let the leaseholder come to rest; raises if the range is dropped before."""
        await self._step(self.leaseholder.pause, reshapes=False)

    async def split(self, key: bytes, child_id: int) -> tuple[RangeState, Shape]:
        """What the child starts with, once both are durable; `Unreachable`: nothing was done."""
        state, shape = await self._step(
            partial(self.leaseholder.split, key, child_id), reshapes=True
        )
        return state, shape

    async def absorb(self, other: RangeShell) -> None:
        """Take the neighbour in, durably; `Unreachable`: nothing was done."""
        other.require_open()
        await self._step(partial(self.leaseholder.absorb, other.leaseholder), reshapes=True)

    async def recorded(self, records: dict[bytes, bytes | None]) -> None:
        """Write records of the range, durably (`None` removes one)."""
        self.require_open()
        future: asyncio.Future[None] = self._site.process.future()
        self._steps[future] = False
        holder = self.leaseholder
        try:
            holder.enter(
                Entry(
                    records=records,
                    done=lambda: settle(future, None),
                    lost=lambda error: fail(future, error),
                )
            )
            holder.pump()
            await future
        finally:
            del self._steps[future]

    @property
    def acknowledged(self) -> int:
        """The number of the last batch known to be decided."""
        return self._store.acknowledged

    async def _step(
        self, start: Callable[[Callable[..., None]], None], *, reshapes: bool
    ) -> tuple[Any, ...]:
        self.require_open()
        future: asyncio.Future[tuple[Any, ...]] = self._site.process.future()
        self._steps[future] = reshapes
        try:
            start(lambda *results: settle(future, results))
            return await future
        finally:
            del self._steps[future]

    def require_open(self) -> None:
        """Raise why the range was dropped, if it was: while another came to rest, perhaps."""
        if self._dropped is not None:
            raise self._dropped

    def widened(self, shape: Shape) -> None:
        """It now serves this too: clients of what it absorbed are told where to go."""
        begin, end = min(self._served.begin, shape.begin), max(self._served.end, shape.end)
        self._served = KeyInterval(begin, end)

    def standing(self, view: ClusterView, session: int) -> int:
        """The revision of the descriptor while it names this epoch, 0 once it does not."""
        placed = view.ranges.get(self.range_id)
        if placed is None:
            return 0
        found = placed.descriptor
        ours = found.session == session and found.epoch == self.lease.epoch and not found.released
        # A split or merge of ours may have been written without our knowing yet.
        same = found.generation == self.shape.generation or self.range_id in self._busy
        return placed.revision if ours and same else 0

    def drop(self, error: FastnessError) -> None:
        """Serve nothing from now on; see the module's page."""
        if self.closed:
            return
        self._dropped = error
        self._store.close()
        if self._wanted is not None:
            self._wanted.cancelled = True
        self.leaseholder.retire(error)
        for caller in list(self.callers):
            self.refuse(caller, error)
        for future in list(self._steps):
            fail(future, error)
        self._ended(self)

    def _lost(self, number: int) -> None:
        # A paused leaseholder writes nothing but the batch that changes its shape.
        error = Unreachable(f"the store lost batch {number} of range {self.range_id}: try again")
        for future, reshapes in list(self._steps.items()):
            if reshapes:
                fail(future, error)

    def _fenced(self, error: CommitsMissing | Fenced) -> None:
        self._site.counts.fenced += 1
        self.note(f"fenced at epoch {self.lease.epoch}")
        if isinstance(error, CommitsMissing):
            self.alarm(str(error))
            # Opened again the range is what its store has, and memory of more is dropped.
            error = Fenced(f"range {self.range_id} is opened again: {error}")
        self.drop(error)

    # What the leaseholder asks for (`ranges.ports.Ports`).

    def answer(self, caller: Caller, body: RangeAnswer) -> None:
        """Answer a request, once."""
        if self._forget(caller, None):
            self._site.post.answer(caller.address, caller.number, body)

    def refuse(self, caller: Caller, error: FastnessError) -> None:
        """Answer a request with an error, once."""
        if not self._forget(caller, error):
            return
        view = self._site.view
        stale = isinstance(error, RangeMoved)
        descriptors = view.routes.overlapping(self._served) if stale else []
        refusal = refusal_of(error, self._site.shown(caller.address, descriptors))
        self._site.post.answer(caller.address, caller.number, refusal)

    def _forget(self, caller: Caller, error: FastnessError | None) -> bool:
        work = self.callers.pop(caller, None)
        if work is None:
            return False
        self._site.in_flight -= 1
        work.ended(error)
        return True

    def draw(self, count: int) -> None:
        """Ask the oracle for a block."""
        if not self.closed:
            self._wanted = self._site.draws.draw(count, self.leaseholder.drawn)

    def observe(self) -> None:
        """Let `issued` follow the oracle's time."""
        self._site.draws.observe()

    def apply(self, batch: Batch) -> None:
        """Write a batch."""
        self._store.apply(batch)

    def read_at_once(
        self, keys: list[bytes], scan: Scan | None, at: Timestamp
    ) -> FoundAtOnce | FastnessError | None:
        """Read the store, if it can be read without waiting."""
        return self._store.read_at_once(keys, scan, at)

    def read(self, token: int, keys: list[bytes], scan: Scan | None, at: Timestamp) -> None:
        """Read the store."""
        self._store.read(token, keys, scan, at)

    def write_refusal(self) -> FastnessError | None:
        """Why the store takes no writes for now."""
        return self._store.refusal

    def may_cache(self) -> bool:
        """Whether a cache lease may be granted."""
        return self._site.may_cache()

    def ask(self, identity: TransactionId, deadline: Timestamp) -> None:
        """Ask the anchor of a transaction what became of it."""
        anchor = self._site.view.routes.holder_of(anchor_of(identity))
        if anchor is None:
            self._site.changed.give()
            return
        request = Ask(anchor.range_id, anchor.generation, identity, deadline)
        self._call(anchor, request, partial(self._told, identity))

    def _told(self, identity: TransactionId, body: Body | None) -> None:
        if isinstance(body, Decision) and not self.closed:
            self.leaseholder.told(identity, body.timestamp)
        self._correct(body)

    def resolve(self, identity: TransactionId, timestamp: Timestamp, span: Interval) -> None:
        """Tell every range within the span what was decided."""
        found = self._site.view.routes.overlapping(KeyInterval(*span))
        if not found:
            self._site.changed.give()
        for descriptor in found:
            request = Resolve(descriptor.range_id, descriptor.generation, identity, timestamp)
            self._call(descriptor, request, partial(self._resolved, identity))

    def _resolved(self, identity: TransactionId, body: Body | None) -> None:
        if isinstance(body, Resolved) and not self.closed:
            self.leaseholder.resolved(identity, body.span)
        self._correct(body)

    def _call(
        self, to: Descriptor, request: Ask | Resolve, answered: Callable[[Body | None], None]
    ) -> None:
        if to.holder and not self.closed:
            self._site.calls.call(to.holder, request, self.boot_ns(), answered)

    def _correct(self, body: Body | None) -> None:
        """Learn from a refusal; the leaseholder asks again on a later tick."""
        if isinstance(body, Refusal) and body.code == RangeMoved.code:
            for descriptor in body.descriptors:
                self._site.view.routes.learn(descriptor)
            self._site.changed.give()

    def invalidate(self, client: str, notice: Invalidate) -> None:
        """Send a client an invalidation."""
        self._site.post.notify(client, notice)

    def lease_left_ms(self) -> float:
        """How long reads may still be served."""
        return 0.0 if self.closed else self.lease.left_ms(self.boot_ns())

    def boot_ns(self) -> int:
        """The boot clock."""
        return self._site.boot_ns()

    def issued(self) -> Timestamp:
        """The highest timestamp known to have been issued."""
        return self._site.post.issued

    def alarm(self, what: str) -> None:
        """Count what must never happen, and say it."""
        self._site.counts.alarms += 1
        self.note(f"ALARM: {what}")

    def note(self, event: str) -> None:
        """A line of the node's story."""
        self._site.process.note(f"range {self.range_id}: {event}")
