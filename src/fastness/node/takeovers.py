"""Takes ranges and the oracle over: the claim by compare-and-set, then the opening.

Ranges are claimed many at a time, in one write that compares the keys of all: a node that starts
with a thousand writes a dozen times. Where one comparison fails, none is claimed, and the next
look plans anew what is still free. What was claimed is opened side by side, a bounded number at
a time; a range whose opening fails is tried again by itself, at its next epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from fastness.errors import FastnessError, Unreachable
from fastness.node.coordination import RETRY_MS, Change
from fastness.node.held import HeldRanges
from fastness.node.leases import Lease, Tenure, held_ns
from fastness.node.opening import open_claimed
from fastness.node.oracle_seat import OracleSeat
from fastness.node.site import Site
from fastness.node.waiting import Turns, pause
from fastness.placement.bounds import OPERATIONS_MAX, WRITE_BYTES_MAX
from fastness.placement.cluster_view import Placed, range_key
from fastness.placement.coordinator import ORACLE
from fastness.placement.flips import claim_of

_DESCRIPTOR_BYTES = 1024
"""More than everything in a descriptor but its two keys."""

OPENINGS_MAX = 64
"""Ranges being opened in stores at a time."""

_BACKOFFS = 6
"""Doublings of the pause between two tries to open a range."""


class _Claimed(NamedTuple):
    """A range that was claimed and is to be opened."""

    placed: Placed
    lease: Lease
    rested: bool
    """Nobody has read of it since its release."""


def _fitting(ranges: Sequence[Placed]) -> int:
    """How many of these, from the first on, may be claimed in one write; at least one."""
    sessions: set[int] = set()
    size = 0
    for number, placed in enumerate(ranges):
        found = placed.descriptor
        sessions.add(found.session)
        size += len(found.begin) + len(found.end) + _DESCRIPTOR_BYTES
        # Compared are the keys of the ranges, the sessions of their last holders, and ours.
        if number and (number + 2 + len(sessions) > OPERATIONS_MAX or size > WRITE_BYTES_MAX):
            return number
    return len(ranges)


class Takeovers:
    """See the module's page."""

    __slots__ = (
        "_claiming",
        "_held",
        "_hinted",
        "_looking",
        "_opening",
        "_oracle",
        "_site",
        "_started",
        "_waiting",
    )

    def __init__(self, site: Site, held: HeldRanges, oracle: OracleSeat) -> None:
        self._site = site
        self._held = held
        self._oracle = oracle
        self._started: dict[str, None] = {}
        """Takeovers being carried out, or about to be, by the coordinator's key."""
        self._waiting: dict[int, None] = {}
        """Of them, ranges to be claimed in the next write."""
        self._claiming = False
        self._hinted: dict[int, None] = {}
        """Of them, ranges that others say to have released for this node."""
        self._looking = False
        self._opening = Turns(site.process, OPENINGS_MAX)

    @property
    def under_way(self) -> int:
        """How many are being carried out."""
        return len(self._started)

    def is_free(self, tenure: Tenure, placed: Placed) -> bool:
        """Whether a range may be taken, as far as is known, and is not being taken already."""
        found = placed.descriptor
        return range_key(found.range_id) not in self._started and self._is_ours_to_take(
            tenure, placed
        )

    def _is_ours_to_take(self, tenure: Tenure, placed: Placed) -> bool:
        found = placed.descriptor
        if found.store not in self._site.stores or found.range_id in self._held:
            return False
        if found.range_id in self._held.busy:
            return False
        return self._site.view.is_free(found, tenure.session)

    # ---------------------------------------------------------------- starting

    def take(self, range_ids: Sequence[int]) -> None:
        """Claim these ranges together."""
        for range_id in range_ids:
            self._started[range_key(range_id)] = None
            self._waiting[range_id] = None
        if self._waiting and not self._claiming:
            self._claiming = True
            self._site.spawn(self._claim_waiting(), name="claims of ranges")

    def take_hinted(self, range_id: int) -> None:
        """Claim a range that was released just now, once it is seen."""
        key = range_key(range_id)
        if key not in self._started:
            self._started[key] = None
            self._hinted[range_id] = None
            if not self._looking:
                self._looking = True
                self._site.spawn(self._look_at_hinted(), name="look at what was released")

    def take_oracle(self) -> None:
        """Claim the oracle, if it is still free."""
        if ORACLE not in self._started:
            self._started[ORACLE] = None
            self._site.spawn(self._claim_oracle(), name="claim of the oracle")

    def _done(self, key: str) -> None:
        del self._started[key]
        self._site.changed.give()

    async def _claim_oracle(self) -> None:
        tenure = self._site.tenure
        try:
            if tenure is not None and self._oracle.is_free(tenure):
                await self._oracle.claim(tenure)
        finally:
            self._done(ORACLE)

    async def _look_at_hinted(self) -> None:
        """See what was released, by one reading for all hints that came meanwhile."""
        try:
            while self._hinted:
                hinted = list(self._hinted)
                self._hinted.clear()
                try:
                    await self._site.coordination.refresh()
                except FastnessError:
                    for range_id in hinted:
                        self._done(range_key(range_id))  # The next look finds it.
                else:
                    self.take(hinted)
        finally:
            self._looking = False

    # ---------------------------------------------------------------- together

    async def _claim_waiting(self) -> None:
        """Claim what waits, a write at a time, until nothing does."""
        try:
            while self._waiting:
                await self._claim_some(list(self._waiting))
        finally:
            self._claiming = False

    async def _claim_some(self, waiting: list[int]) -> None:
        """Claim as many as fit into one write; what is not free any more is done with."""
        site, tenure = self._site, self._site.tenure
        free = [] if tenure is None else self._still_free(tenure, waiting)
        fitting = free[: _fitting(free)]
        left = {one.descriptor.range_id for one in free[len(fitting) :]}
        going = [range_id for range_id in waiting if range_id not in left]
        for range_id in going:
            del self._waiting[range_id]
        claimed: dict[int, _Claimed] = {}
        try:
            if tenure is not None:
                claimed = {
                    one.placed.descriptor.range_id: one
                    for one in await self._claimed(tenure, fitting)
                }
        finally:
            for range_id in going:
                if range_id not in claimed:
                    self._done(range_key(range_id))
        for one in claimed.values():
            site.spawn(self._open_first(tenure, one), name=f"open {one.lease.key}")

    def _still_free(self, tenure: Tenure, range_ids: list[int]) -> list[Placed]:
        site = self._site
        if not tenure.alive or site.draining:
            return []
        found = (site.view.ranges.get(range_id) for range_id in range_ids)
        return [one for one in found if one is not None and self._is_ours_to_take(tenure, one)]

    async def _claimed(self, tenure: Tenure, ranges: list[Placed]) -> list[_Claimed]:
        """Claim ranges in one write: all of them, or none."""
        if not ranges:
            return []
        site = self._site
        flips = [
            claim_of(
                placed,
                holder=site.address,
                session=tenure.session,
                session_revision=tenure.revision,
            )
            for placed in ranges
        ]
        compare = {key: revision for flip in flips for key, revision in flip.compare.items()}
        puts = [put for flip in flips for put in flip.writes()]
        before_ns = site.boot_ns()
        # Any of the puts tells whether the write happened: they happen together, and each holds
        # an epoch of this session that no other write gave it.
        change = Change(compare, puts, flips[0].witness)
        revision = await site.coordination.write_surely(change)
        if revision is None:
            site.counts.claims_lost += 1
            return []
        site.counts.claims_won += len(flips)
        site.view.changed(revision, [flip.kept for flip in flips])
        until_ns = before_ns + held_ns(site.limits.lease_ms)
        return [
            _Claimed(
                Placed(flip.kept, revision),
                Lease(flip.witness, flip.kept.epoch, revision, until_ns),
                placed.descriptor.released,
            )
            for flip, placed in zip(flips, ranges, strict=True)
        ]

    async def _open_first(self, tenure: Tenure | None, claimed: _Claimed) -> None:
        """Open what was claimed with others; from its second try on it goes by itself."""
        try:
            if tenure is not None and not await self._opened(tenure, claimed):
                await pause(self._site.process, RETRY_MS)
                await self._claim_again(claimed.placed.descriptor.range_id, rested=claimed.rested)
        finally:
            self._done(claimed.lease.key)

    # ---------------------------------------------------------------- one by one

    async def _claim_again(self, range_id: int, *, rested: bool) -> None:
        try:
            await self._site.coordination.refresh()
        except FastnessError:
            return  # The next look finds it, if nobody else does.
        await self._claim_range(range_id, rested=rested)

    async def _claim_range(self, range_id: int, *, rested: bool) -> None:
        """Claim and open a range, at one epoch after another, until it is served or lost.

        `rested`: nobody has read of it since its release, though this session may hold it.
        """
        site, tenure = self._site, self._site.tenure
        for tries in count():
            placed = site.view.ranges.get(range_id)
            if tenure is None or not tenure.alive or site.draining or placed is None:
                return
            if not self._is_ours_to_take(tenure, placed):
                return
            # What nobody served since its release stays rested while it stays ours.
            ours = placed.descriptor.session == tenure.session
            rested = placed.descriptor.released or (rested and ours)
            claimed = await self._claimed(tenure, [placed])
            if not claimed or await self._opened(tenure, claimed[0]._replace(rested=rested)):
                return
            await pause(site.process, RETRY_MS * (1 << min(tries, _BACKOFFS)))
            try:
                await site.coordination.refresh()
            except Unreachable:
                return

    async def _opened(self, tenure: Tenure, claimed: _Claimed) -> bool:
        """Open a range that was claimed; `False`: at this epoch it could not be."""
        site, lease = self._site, claimed.lease
        site.counts.takeovers += not claimed.rested
        try:
            async with self._opening:
                await open_claimed(
                    site, self._held, tenure, claimed.placed, lease, rested=claimed.rested
                )
        except FastnessError as error:
            site.counts.opens_failed += 1
            site.process.note(f"{lease.key} not opened at epoch {lease.epoch}: {error}")
            return False
        return True
