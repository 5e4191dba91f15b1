"""Looks after what nobody holds: ranges and the oracle, taken over by compare-and-set.

A range is free when its holder released it or that holder's session is gone; also when it is
held by this very session and yet not served here (an opening failed, or the answer to a claim
came too late to be believed). Nodes that hold little are quicker to claim than those that hold
much, by a delay that grows with what is held, so that ranges spread.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from fastness.errors import FastnessError, Unreachable
from fastness.node.coordination import RETRY_MS, change_of
from fastness.node.held import HeldRanges
from fastness.node.leases import Lease, Tenure, held_ns
from fastness.node.opening import open_claimed
from fastness.node.oracle_seat import OracleSeat
from fastness.node.session import SessionKeeper
from fastness.node.site import Site
from fastness.node.waiting import pause
from fastness.placement.cluster_view import Placed, range_key
from fastness.placement.coordinator import ORACLE
from fastness.placement.flips import claim_of
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.runtime.process import Timer

_BACKOFFS = 6
"""Doublings of the pause between two tries to open a range."""


class Claims:
    """See the module's page."""

    __slots__ = ("_given_up", "_held", "_keeper", "_oracle", "_site", "_started", "_timers")

    def __init__(
        self, site: Site, keeper: SessionKeeper, held: HeldRanges, oracle: OracleSeat
    ) -> None:
        self._site = site
        self._keeper = keeper
        self._held = held
        self._oracle = oracle
        self._timers: dict[str, Timer] = {}
        """Claims that are still to be tried, by the coordinator's key."""
        self._started: dict[str, None] = {}
        """Claims being carried out."""
        self._given_up: dict[int, int] = {}
        """Ranges this node released for others, and until when it stands back from them."""

    @property
    def under_way(self) -> int:
        """How many claims are being carried out."""
        return len(self._started)

    async def run(self) -> None:
        """Look, whenever something changed and every so often."""
        site = self._site
        watch = site.coordination.watch(site.changed.give)
        try:
            while True:
                await self._look()
                # Not more often than this, however many changes are announced.
                await pause(site.process, RETRY_MS)
                await site.changed.wait(site.limits.poll_ms)
        finally:
            watch.cancel()

    async def _look(self) -> None:
        site = self._site
        try:
            before_ns = await site.coordination.refresh()
        except FastnessError as error:
            site.process.note(f"the coordinator was not read: {error}")
            return
        tenure = site.tenure
        if tenure is None or not self._keeper.verify(tenure, before_ns) or site.draining:
            return
        if self._oracle.is_free(tenure):
            self._plan(ORACLE, 0, self._claim_oracle)
        for placed in site.view.ranges.values():
            if self._is_free(tenure, placed):
                range_id = placed.descriptor.range_id
                key = range_key(range_id)
                self._plan(key, self._reluctance_ms(range_id), self._claim_range, range_id)

    def _is_free(self, tenure: Tenure, placed: Placed) -> bool:
        found = placed.descriptor
        if found.store not in self._site.stores or found.range_id in self._held:
            return False
        if found.range_id in self._held.busy:
            return False
        return self._site.view.is_free(found, tenure.session)

    def given_up(self, range_id: int) -> None:
        """This node has just released a range for another: others go first for a while."""
        now_ns = self._site.boot_ns()
        self._given_up[range_id] = now_ns + held_ns(self._site.limits.lease_ms)
        for other, until_ns in list(self._given_up.items()):
            if until_ns <= now_ns:
                del self._given_up[other]

    def _reluctance_ms(self, range_id: int) -> float:
        left_ns = self._given_up.get(range_id, 0) - self._site.boot_ns()
        return max(0.0, left_ns / NANOSECONDS_PER_MILLISECOND)

    def take(self, range_id: int) -> None:
        """Another node has released this range for us: claim it without delay."""
        key = range_key(range_id)
        if not self._site.draining and key not in self._started:
            self._given_up.pop(range_id, None)
            self._start(key, self._claim_hinted, range_id)

    def _plan(
        self,
        key: str,
        extra_ms: float,
        claim: Callable[..., Coroutine[Any, Any, None]],
        *args: int,
    ) -> None:
        if key in self._timers or key in self._started:
            return
        site = self._site
        holding = len(self._held) + len(self._started)
        delay_ms = site.limits.claim_ms * (holding + site.process.random.random()) + extra_ms
        self._timers[key] = site.process.call_later(delay_ms, self._due, key, holding, claim, *args)

    def _due(
        self,
        key: str,
        holding: int,
        claim: Callable[..., Coroutine[Any, Any, None]],
        *args: int,
    ) -> None:
        del self._timers[key]
        if self._site.draining or key in self._started:
            return
        if len(self._held) + len(self._started) > holding:
            # It has got others meanwhile: let those go first who have not.
            self._plan(key, 0, claim, *args)
        else:
            self._start(key, claim, *args)

    def _start(self, key: str, claim: Callable[..., Coroutine[Any, Any, None]], *args: int) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._started[key] = None
        self._site.spawn(self._carry_out(key, claim, *args), name=f"claim {key}")

    async def _carry_out(
        self, key: str, claim: Callable[..., Coroutine[Any, Any, None]], *args: int
    ) -> None:
        try:
            await claim(*args)
        finally:
            del self._started[key]
            self._site.changed.give()

    async def _claim_oracle(self) -> None:
        tenure = self._site.tenure
        if tenure is not None and self._oracle.is_free(tenure):
            await self._oracle.claim(tenure)

    async def _claim_hinted(self, range_id: int) -> None:
        try:
            await self._site.coordination.refresh()
        except FastnessError:
            return  # The next look finds it, if nobody else does.
        await self._claim_range(range_id)

    async def _claim_range(self, range_id: int) -> None:
        site = self._site
        tenure = site.tenure
        rested = False
        for tries in count():
            placed = site.view.ranges.get(range_id)
            if tenure is None or not tenure.alive or site.draining or placed is None:
                return
            if not self._is_free(tenure, placed):
                return
            # What nobody served since its release stays rested while it stays ours.
            ours = placed.descriptor.session == tenure.session
            rested = placed.descriptor.released or (rested and ours)
            if await self._tried(tenure, placed, rested=rested):
                return
            await pause(site.process, RETRY_MS * (1 << min(tries, _BACKOFFS)))
            try:
                await site.coordination.refresh()
            except Unreachable:
                return

    async def _tried(self, tenure: Tenure, placed: Placed, *, rested: bool) -> bool:
        """Claim and open; `False`: it is ours but could not be opened, another epoch may."""
        site = self._site
        flip = claim_of(
            placed,
            holder=site.address,
            session=tenure.session,
            session_revision=tenure.revision,
        )
        before_ns = site.boot_ns()
        revision = await site.coordination.write_surely(change_of(flip))
        if revision is None:
            site.counts.claims_lost += 1
            return True
        site.counts.claims_won += 1
        site.counts.takeovers += not rested
        site.view.changed(revision, [flip.kept])
        lease = Lease(
            flip.witness, flip.kept.epoch, revision, before_ns + held_ns(site.limits.lease_ms)
        )
        try:
            await open_claimed(
                site, self._held, tenure, Placed(flip.kept, revision), lease, rested=rested
            )
        except FastnessError as error:
            site.counts.opens_failed += 1
            site.process.note(f"{flip.witness} not opened at epoch {flip.kept.epoch}: {error}")
            return False
        return True
