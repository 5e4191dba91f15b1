"""Looks after what nobody holds: decides when this node claims ranges and the oracle.

A range is free when its holder released it or that holder's session is gone; also when it is
held by this very session and yet not served here (an opening failed, or the answer to a claim
came too late to be believed). Nodes divide what is free by the same rule (`placement/shares.py`):
the one whose share a range is goes at once, the others in their turn, should it not come. What
was released is perhaps being handed to somebody: everybody else waits a little longer.
`takeovers.py` carries out what is decided here.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.errors import FastnessError
from fastness.node.coordination import RETRY_MS
from fastness.node.held import HeldRanges
from fastness.node.leases import Tenure, held_ns
from fastness.node.oracle_seat import OracleSeat
from fastness.node.session import SessionKeeper
from fastness.node.site import Site
from fastness.node.takeovers import Takeovers
from fastness.node.waiting import pause
from fastness.placement.cluster_view import Placed
from fastness.placement.shares import shared_out, turn_of
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.runtime.process import Address

STEPS_PER_TURN = 6
"""Time for a claim to be planned, written and seen, in steps of `limits.claim_ms`: nodes that start
together do not look at the same moment."""


class Claims:
    """See the module's page."""

    __slots__ = (
        "_given_up",
        "_held",
        "_keeper",
        "_oracle",
        "_oracle_planned",
        "_planned",
        "_site",
        "_takeovers",
    )

    def __init__(
        self, site: Site, keeper: SessionKeeper, held: HeldRanges, oracle: OracleSeat
    ) -> None:
        self._site = site
        self._keeper = keeper
        self._held = held
        self._oracle = oracle
        self._takeovers = Takeovers(site, held, oracle)
        self._planned: dict[int, int] = {}
        """Ranges that are still to be claimed, and in which turn."""
        self._oracle_planned = False
        self._given_up: dict[int, int] = {}
        """Ranges this node released for others, and until when it stands back from them."""

    @property
    def under_way(self) -> int:
        """How many claims are being carried out."""
        return self._takeovers.under_way

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
        self._plan_oracle(tenure)
        self._plan_ranges(tenure)

    # -------------------------------------------------------------- the oracle

    def _plan_oracle(self, tenure: Tenure) -> None:
        """Claim it, after nodes that hold less."""
        if self._oracle_planned or not self._oracle.is_free(tenure):
            return
        self._oracle_planned = True
        holding = self._holding()
        before = sorted(holding, key=lambda address: (holding[address], address))
        self._later(before.index(self._site.address), 0, self._oracle_due)

    def _oracle_due(self) -> None:
        self._oracle_planned = False
        if not self._site.draining:
            self._takeovers.take_oracle()

    # ------------------------------------------------------------------ ranges

    def _plan_ranges(self, tenure: Tenure) -> None:
        """Claim each free range in this node's turn."""
        site = self._site
        free = self._free(tenure)
        if free.keys() <= self._planned.keys():
            return
        holding = self._holding()
        nodes = sorted(holding)
        plans: dict[tuple[int, float], list[int]] = {}
        for range_id, first in shared_out(free, holding).items():
            if range_id not in self._planned:
                turn = turn_of(site.address, first, nodes)
                extra_ms = self._reluctance_ms(range_id)
                extra_ms += free[range_id].descriptor.released * site.limits.claim_ms
                plans.setdefault((turn, extra_ms), []).append(range_id)
                self._planned[range_id] = turn
        for (turn, extra_ms), range_ids in plans.items():
            self._later(STEPS_PER_TURN * turn, extra_ms, self._ranges_due, range_ids)

    def _free(self, tenure: Tenure) -> dict[int, Placed]:
        """What is free and not being taken, by range id."""
        return {
            range_id: placed
            for range_id, placed in self._site.view.ranges.items()
            if self._takeovers.is_free(tenure, placed)
        }

    def _later(
        self, steps: int, extra_ms: float, due: Callable[..., None], *args: list[int]
    ) -> None:
        delay_ms = self._site.limits.claim_ms * (steps + self._site.process.random.random())
        self._site.process.call_later(delay_ms + extra_ms, due, *args)

    def _ranges_due(self, range_ids: list[int]) -> None:
        """Claim what is still free, and has not become another node's share meanwhile."""
        site, tenure = self._site, self._site.tenure
        turns = {one: self._planned.pop(one) for one in range_ids if one in self._planned}
        if site.draining or tenure is None or not tenure.alive:
            return
        first = shared_out(self._free(tenure), self._holding())
        due = [one for one in turns if one in first]
        ours = [one for one in due if turns[one] or first[one] == site.address]
        if len(ours) < len(due):
            site.changed.give()
        self._takeovers.take(ours)

    def _holding(self) -> dict[Address, int]:
        """How many ranges each node that lives holds, this one with what it is about to hold."""
        holding = self._site.view.holding()
        holding[self._site.address] = len(self._held) + self._takeovers.under_way
        return holding

    # ------------------------------------------------------------ handing over

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
        if not self._site.draining:
            self._given_up.pop(range_id, None)
            self._planned.pop(range_id, None)
            self._takeovers.take_hinted(range_id)
