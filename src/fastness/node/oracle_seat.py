"""The timestamp oracle as a node serves it: the role, its lease, its durable ceiling.

The ceiling lies at the coordinator. Each write of it compares the role's key, so nobody but the
holder raises it, and the ceiling's own, so a late copy of an earlier write never lowers it. A
successor reads it after its claim: from then on no write of its predecessor can land.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, InvalidOption, Overloaded
from fastness.node.coordination import Change
from fastness.node.leases import Lease, Tenure, held_ns, waited_ns
from fastness.node.refusals import moved, refusal_of
from fastness.node.site import Site
from fastness.placement.cluster_view import (
    ClusterView,
    decode_counter,
    encode_counter,
    encode_descriptor,
    revision_of,
    session_key,
)
from fastness.placement.coordinator import CEILING, ORACLE, Entry, Put
from fastness.placement.descriptors import OracleDescriptor
from fastness.placement.oracle_role import Block, OracleRole
from fastness.ranges.ports import Caller
from fastness.wire.messages import Drawn

DRAW_MAX = 1 << 16
"""Timestamps in one block."""

TERMS = 1 << 12
"""Ceilings of so many terms in a row all differ."""


def ceiling_of_term(wanted: Timestamp, epoch: int) -> Timestamp:
    """The lowest ceiling from `wanted` on that no term near this one could write.

    Read back after a write in doubt it tells whose write it was: a deposed holder that found the
    very value it had wanted, written by its successor, would issue what the successor may.
    """
    return wanted + (epoch - wanted) % TERMS


class OracleTerm:
    """One epoch of the role on this node."""

    __slots__ = (
        "_ceiling_revision",
        "_closed",
        "_ended",
        "_from_ns",
        "_raising",
        "_role",
        "_site",
        "lease",
    )

    def __init__(
        self,
        site: Site,
        lease: Lease,
        ceiling: Entry | None,
        *,
        from_ns: int,
        ended: Callable[[OracleTerm], None],
    ) -> None:
        self.lease = lease
        self._site = site
        self._ceiling_revision = revision_of(ceiling)
        self._from_ns = from_ns
        self._ended = ended
        self._closed = False
        self._raising = False
        clock = site.process.clock
        self._role = OracleRole(
            start=max(decode_counter(ceiling), site.post.issued),
            wall_ms=clock.wall_ms(),
            boot_ns=clock.boot_ns(),
            ceiling_ms=site.limits.ceiling_ms,
            queued_max=site.limits.draws_queued,
        )

    @property
    def rested(self) -> bool:
        """Whether the predecessor's lease is over for certain, so that this one issues."""
        return self._site.boot_ns() >= self._from_ns

    @property
    def clock_jumps(self) -> int:
        """Jumps of the wall clock that were not followed."""
        return self._role.clock_jumps

    def draw(self, caller: Caller, count: int, *, reading: bool) -> None:
        """Answer with a block, now or when the ceiling is high enough."""
        if not 0 < count <= DRAW_MAX:
            raise InvalidOption(f"a block of {count} timestamps: ask for 1 to {DRAW_MAX}")
        # This is the instant that counts: after the request arrived, at the time of issuing.
        if not self._runs():
            raise moved("the oracle's lease of this node has run out")
        if not self.rested:
            raise Overloaded("the oracle waits for its predecessor's lease to end: try again soon")
        self._observe()
        block = self._role.draw(caller, count, reading=reading)
        if block is not None:
            self._answer(block)
        self.raise_ceiling()

    def issue(self, count: int) -> Timestamp | None:
        """The first of a block for this node itself, `None` where it has to ask like others."""
        if not (self.rested and self._runs()):
            return None
        self._observe()
        first = self._role.issue(count)
        if first is not None:
            self._issued(first, count)
            self.raise_ceiling()
        return first

    def _runs(self) -> bool:
        return not self._closed and self.lease.left_ms(self._site.boot_ns()) > 0

    def _observe(self) -> None:
        clock = self._site.process.clock
        self._role.observe(clock.wall_ms(), clock.boot_ns())

    def _issued(self, first: Timestamp, count: int) -> None:
        self._site.counts.draws += 1
        self._site.post.learn(first + count - 1)

    def _answer(self, block: Block) -> None:
        self._issued(block.first, block.count)
        self._site.post.answer(
            block.caller.address, block.caller.number, Drawn(block.first, block.count)
        )

    def raise_ceiling(self) -> None:
        """Raise it if it is low, behind the answers that need no more."""
        if not self._raising and self._role.ceiling_wanted():
            self._raising = True
            self._site.spawn(self._raise(), name="oracle ceiling")

    async def _raise(self) -> None:
        try:
            while not self._closed:
                self._observe()
                ceiling = self._role.ceiling_wanted()
                if not ceiling:
                    return
                await self._write_ceiling(ceiling_of_term(ceiling, self.lease.epoch))
        finally:
            self._raising = False

    async def _write_ceiling(self, ceiling: Timestamp) -> None:
        compare = {ORACLE: self.lease.revision, CEILING: self._ceiling_revision}
        change = Change(compare, [Put(CEILING, encode_counter(ceiling))], CEILING)
        revision = await self._site.coordination.write_surely(change)
        if self._closed:
            return
        if revision is None:
            self.drop(moved("the oracle has another holder"))
            return
        self._site.counts.ceiling_writes += 1
        self._ceiling_revision = revision
        self._role.ceiling_raised(ceiling)
        self._observe()
        while self._runs():
            block = self._role.next_draw()
            if block is None:
                return
            self._answer(block)
        self._refuse_waiting(moved("the oracle's lease of this node has run out"))

    def _refuse_waiting(self, error: FastnessError) -> None:
        for caller in self._role.give_up():
            refusal = refusal_of(error, oracle=self._site.view.oracle_address())
            self._site.post.answer(caller.address, caller.number, refusal)

    def standing(self, view: ClusterView, session: int) -> int:
        """The revision of the role's key while it names this term."""
        found = view.oracle
        ours = found.session == session and found.epoch == self.lease.epoch
        return view.oracle_revision if ours and not found.released else 0

    def drop(self, error: FastnessError) -> None:
        """Issue nothing from now on."""
        if self._closed:
            return
        self._closed = True
        self._refuse_waiting(error)
        self._ended(self)


class OracleSeat:
    """Where the role is, if it is here."""

    __slots__ = ("_releasing", "_site", "_term")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._term: OracleTerm | None = None
        self._releasing = False

    @property
    def held(self) -> bool:
        """Whether this node holds the role."""
        return self._term is not None

    @property
    def clock_jumps(self) -> int:
        """Jumps of the wall clock that were not followed, since the role was claimed."""
        return 0 if self._term is None else self._term.clock_jumps

    def draw(self, caller: Caller, count: int, *, reading: bool) -> None:
        """Answer a request for timestamps; raises what it is to be refused with."""
        if self._term is None:
            raise moved("this node is not the oracle")
        self._term.draw(caller, count, reading=reading)

    def issue(self, count: int) -> Timestamp | None:
        """The first of a block for this node itself, `None` where it has to ask."""
        return None if self._term is None else self._term.issue(count)

    def is_free(self, tenure: Tenure) -> bool:
        """Whether the role may be claimed, as far as is known."""
        if self._term is not None or self._releasing:
            return False
        return self._site.view.is_free(self._site.view.oracle, tenure.session)

    async def claim(self, tenure: Tenure) -> None:
        """Take the role over, if nobody else does."""
        site = self._site
        found = site.view.oracle
        claimed = OracleDescriptor(found.epoch + 1, site.address, tenure.session)
        compare = {ORACLE: site.view.oracle_revision, session_key(tenure.session): tenure.revision}
        if not found.released and found.session not in {0, tenure.session}:
            compare[session_key(found.session)] = 0
        before_ns = site.boot_ns()
        change = Change(compare, [Put(ORACLE, encode_descriptor(claimed))], ORACLE)
        revision = await site.coordination.write_surely(change)
        if revision is None:
            site.counts.claims_lost += 1
            return
        site.counts.claims_won += 1
        site.view.oracle_changed(revision, claimed)
        claimed_ns = site.boot_ns()
        ceiling = await site.coordination.read_surely(CEILING)
        if not tenure.alive:
            return
        lease = Lease(ORACLE, claimed.epoch, revision, before_ns + held_ns(site.limits.lease_ms))
        wait_ns = 0 if found.released else waited_ns(site.limits.lease_ms)
        term = OracleTerm(site, lease, ceiling, from_ns=claimed_ns + wait_ns, ended=self._ended)
        self._term = term
        tenure.holdings[ORACLE] = term
        site.process.note(f"oracle at epoch {lease.epoch}, above {decode_counter(ceiling)}")
        term.raise_ceiling()

    def _ended(self, term: OracleTerm) -> None:
        if self._term is term:
            self._term = None
        tenure = self._site.tenure
        if tenure is not None and tenure.holdings.get(ORACLE) is term:
            del tenure.holdings[ORACLE]
        self._site.changed.give()

    async def release(self) -> bool:
        """Give the role up after the last block; `False` while that would be too early.

        A holder that still waits for its predecessor must not tell a successor not to.
        """
        term, site = self._term, self._site
        if term is None:
            return True
        if not term.rested:
            return False
        self._releasing = True
        try:
            term.drop(moved("the oracle is being handed over"))
            released = OracleDescriptor(
                term.lease.epoch,
                site.address,
                site.tenure.session if site.tenure else 0,
                released=True,
            )
            change = Change(
                {ORACLE: term.lease.revision}, [Put(ORACLE, encode_descriptor(released))], ORACLE
            )
            revision = await site.coordination.write_surely(change)
            if revision is not None:
                site.view.oracle_changed(revision, released)
        finally:
            self._releasing = False
        return True
