"""What an operator asks of a node: split, merge, transfer a lease, drain.

::

    split     reserve an id -> pause -> one store batch -> flip the descriptors -> serve both
    move      reserve an id -> build it in the other store -> pause -> the last of it -> serve
              nothing more -> flip the descriptors -> serve it there -> remove the source
    merge     pause both -> one store batch -> flip the descriptors -> serve the union
    transfer  pause -> serve nothing more -> descriptor released -> tell the target
    drain     transfer everything, release the oracle, end the session

The store batch is the point of no return: a range whose shape has changed is served only once
its descriptors are known to have followed. Whatever fails after it drops the ranges, and
whoever opens them next completes the flip. A range still waiting for its predecessor's lease to
end is neither split, merged nor released: its successor would not know to wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from fastness.errors import FastnessError, Fenced, InvalidOption, Overloaded, Unreachable
from fastness.node.carrying import BUILT_AT, Carrier
from fastness.node.claims import Claims
from fastness.node.coordination import RETRY_MS, change_of
from fastness.node.held import HeldRanges
from fastness.node.leases import Lease, Tenure, held_ns
from fastness.node.oracle_seat import OracleSeat
from fastness.node.refusals import moved
from fastness.node.session import SessionKeeper
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.node.waiting import Turns, pause
from fastness.placement.cluster_view import Placed, encode_counter, range_key
from fastness.placement.coordinator import NEXT_RANGE, Put
from fastness.placement.descriptors import Descriptor
from fastness.placement.flips import Flip, merge_of, move_of, release_of, split_of
from fastness.placement.shares import shared_out
from fastness.ranges.shape import (
    MOVING,
    Elsewhere,
    Shape,
    encode_record,
    moved_records,
)
from fastness.runtime.process import Address
from fastness.storage.contract import RangeState
from fastness.wire.messages import TakeRange

HANDOVERS_MAX = 64
"""Ranges that a drain hands over at a time."""

RESERVATIONS_MAX = 20
"""Tries to reserve a range id, each lost to somebody else."""


class Flows:
    """See the module's page. Each raises what its caller is to be refused with."""

    __slots__ = ("_carriers", "_claims", "_held", "_keeper", "_oracle", "_site")

    def __init__(
        self,
        site: Site,
        keeper: SessionKeeper,
        held: HeldRanges,
        oracle: OracleSeat,
        claims: Claims,
    ) -> None:
        self._site = site
        self._keeper = keeper
        self._held = held
        self._oracle = oracle
        self._claims = claims
        self._carriers: dict[int, Carrier] = {}
        """Of the moves under way, by the ids of their ranges."""

    # Split.

    async def split(self, range_id: int, generation: int, key: bytes) -> None:
        """Split a range at `key`, the begin of the right child."""
        shell = self._settled(self._serving(range_id, generation))
        if not shell.shape.begin < key < shell.shape.end:
            raise InvalidOption(
                f"range {range_id} is {shell.shape.begin!r} to {shell.shape.end!r}: it cannot be "
                f"split at {key!r}; choose a key inside"
            )
        with self._busy("split", shell):
            child_id = await self._reserve_id(shell)
            with _resumed_on_failure(shell):
                await shell.paused()
                state, shape = await shell.split(key, child_id)
            with self._busy_id("split", child_id), _dropped_on_failure(shell):
                await self._serve_children(shell, state, shape)

    async def _reserve_id(self, shell: RangeShell) -> int:
        """A range id that nobody else has or will have.

        Only a write known to have happened reserves one: an id of a doubtful write is wasted.
        """
        site = self._site
        for _try in range(RESERVATIONS_MAX):
            await site.coordination.refresh()
            child_id = site.view.next_range
            compare = {
                NEXT_RANGE: site.view.next_range_revision,
                shell.lease.key: shell.lease.revision,
            }
            puts = [Put(NEXT_RANGE, encode_counter(child_id + 1))]
            if await site.coordination.write(compare, puts) is not None:
                return child_id
            await pause(site.process, RETRY_MS)
        raise Overloaded("range ids are being reserved by others all the time: try again")

    async def _serve_children(self, shell: RangeShell, state: RangeState, shape: Shape) -> None:
        site, tenure = self._site, self._tenure()
        parent = self._placed(shell)
        child = Descriptor(
            shape.range_id,
            shape.begin,
            shape.end,
            shape.generation,
            shell.store_name,
            epoch=state.epoch,
            holder=site.address,
            session=tenure.session,
        )
        before_ns = site.boot_ns()
        revision = await self._flip(shell, split_of(parent, shell.shape, child))
        if not tenure.alive:
            raise Fenced("the session ended during the split")
        until_ns = before_ns + held_ns(site.limits.lease_ms)
        lease = Lease(range_key(child.range_id), child.epoch, revision, until_ns)
        # The parent may commit, so nobody reads of an older leaseholder; the child may as well.
        self._held.take(
            tenure, Placed(child, revision), lease, state, shape, commits_from_ns=site.boot_ns()
        )
        shell.leaseholder.resume()
        site.counts.splits += 1

    # Merge.

    async def merge(self, range_id: int, generation: int) -> None:
        """Let a range absorb its right neighbour, which this node holds in the same store."""
        left = self._settled(self._serving(range_id, generation))
        right = self._settled(self._neighbour(left))
        with self._busy("merge", left, right):
            with _resumed_on_failure(left), _resumed_on_failure(right):
                await left.paused()
                await right.paused()
                await self._absorbed(left, right)
            with _dropped_on_failure(left, right):
                flip = merge_of(self._placed(left), self._placed(right), left.shape)
                left.widened(left.shape)
                right.drop(moved(f"range {right.range_id} was merged into range {range_id}"))
                await self._flip(left, flip)
                left.leaseholder.resume()
        self._site.counts.merges += 1

    async def _absorbed(self, left: RangeShell, right: RangeShell) -> None:
        """One store batch; where it is not known what became of it, both are opened anew."""
        try:
            await left.absorb(right)
        except FastnessError as error:
            if left.closed:
                right.drop(error)
            raise

    def _neighbour(self, left: RangeShell) -> RangeShell:
        for shell in self._held:
            if shell.shape.begin == left.shape.end and shell.store_name == left.store_name:
                return self._serving(shell.range_id, shell.shape.generation)
        raise InvalidOption(
            f"the range that begins at {left.shape.end!r} is not held by this node in store "
            f"{left.store_name!r}: transfer it here first, then merge"
        )

    # Move.

    async def move(self, range_id: int, generation: int, store_name: str) -> None:
        """Carry a range to another store, under another id; answered once it is served there."""
        carrier = self._carriers.get(range_id)
        if carrier is not None and carrier.source_name == store_name:
            what = f"the move of range {range_id} was given up, as somebody asked for"
            carrier.give_up(InvalidOption(what))
            return
        self._require_staying()
        shell = self._settled(self._serving(range_id, generation))
        if shell.store_name == store_name:
            return
        target = self._site.stores.get(store_name)
        if target is None:
            known = ", ".join(self._site.stores)
            raise InvalidOption(
                f"store {store_name!r} is not open at the node that holds range {range_id}, only "
                f"{known}: add it to the cluster, or see why it does not open"
            )
        with self._busy("move", shell):
            child_id = await self._reserve_id(shell)
            self._settled(shell)
            elsewhere = Elsewhere(store_name, child_id, BUILT_AT)
            await shell.recorded({MOVING: encode_record(elsewhere)})
            carrier = Carrier(self._site, shell, target, range_id=child_id)
            self._carriers[range_id] = carrier
            try:
                state, shape = await self._carried(shell, carrier, child_id)
            except FastnessError:
                # What was built is removed by whoever holds the range: `MOVING` tells of it.
                self._site.counts.moves_given_up += 1
                raise
            finally:
                del self._carriers[range_id]
            with self._busy_id("move", child_id), _dropped_on_failure(shell):
                await self._serve_moved(shell, store_name, state, shape)

    async def _carried(
        self, shell: RangeShell, carrier: Carrier, child_id: int
    ) -> tuple[RangeState, Shape]:
        await carrier.build()
        with _resumed_on_failure(shell):
            await shell.paused()
            old, records = shell.shape, shell.leaseholder.records
            shape = Shape(child_id, old.begin, old.end, old.generation + 1)
            source = Elsewhere(shell.store_name, shell.range_id, shell.lease.epoch)
            return await carrier.finish(moved_records(records, shape, source)), shape

    async def _serve_moved(
        self, shell: RangeShell, store_name: str, state: RangeState, shape: Shape
    ) -> None:
        site, tenure = self._site, self._tenure()
        source = self._placed(shell)
        moved_to = Descriptor(
            shape.range_id,
            shape.begin,
            shape.end,
            shape.generation,
            store_name,
            epoch=state.epoch,
            holder=site.address,
            session=tenure.session,
        )
        # Nothing is served of the source from here on, whether or not the flip succeeds.
        shell.drop(moved(f"range {shell.range_id} goes on as range {shape.range_id}"))
        before_ns = site.boot_ns()
        flip = move_of(source, moved_to)
        revision = await site.coordination.write_surely(change_of(flip))
        if revision is None:
            site.counts.moves_given_up += 1
            raise Fenced(f"range {shell.range_id} was taken by another node during its move")
        site.view.changed(revision, flip.puts, flip.gone)
        site.counts.moves += 1
        if not tenure.alive:
            raise Fenced("the session ended during the move")
        until_ns = before_ns + held_ns(site.limits.lease_ms)
        lease = Lease(range_key(shape.range_id), state.epoch, revision, until_ns)
        # The source might commit, so nobody reads of an older leaseholder.
        self._held.take(
            tenure, Placed(moved_to, revision), lease, state, shape, commits_from_ns=site.boot_ns()
        )

    def _require_staying(self) -> None:
        """Raise if this node is about to hand everything over: its successor may move it."""
        if self._site.draining:
            raise _leaving()

    def _settled(self, shell: RangeShell) -> RangeShell:
        """The shell, if no move of its range still has to be tidied up after."""
        if shell.has_leftovers:
            raise Overloaded(
                f"range {shell.range_id}: what a move left behind is being removed: try again soon"
            )
        return shell

    # Transfer.

    async def transfer(self, range_id: int, generation: int, to: str) -> None:
        """Hand a range over; answered once its release is known to be written."""
        shell = self._serving(range_id, generation)
        if to == self._site.address:
            return
        if to not in self._site.view.nodes:
            raise InvalidOption(f"no node lives at {to!r}: choose one of {self._site.view.nodes}")
        await self._release(shell, to)

    async def _release(self, shell: RangeShell, to: str) -> None:
        """Give a range up; `to` is told to take it, if it names anybody."""
        site, range_id = self._site, shell.range_id
        with self._busy("transfer", shell):
            with _resumed_on_failure(shell):
                await shell.paused()
                placed = self._placed(shell)
            self._claims.given_up(range_id)
            # Dropped before the release is written: the write may be seen before its answer is.
            shell.drop(moved(f"range {range_id} is being handed to {to}"))
            flip = release_of(placed)
            revision = await site.coordination.write_surely(change_of(flip))
            if revision is None:
                raise Fenced(f"range {range_id} was taken by another node during its transfer")
            site.view.changed(revision, flip.puts)
        site.counts.transfers += 1
        if to:
            site.post.notify(to, TakeRange(range_id))

    # Drain.

    async def drain(self) -> None:
        """Hand everything over, take nothing any more, end the session.

        Decisions that some range has not heard yet are not waited for: they are durable records
        of their range, and its next holder goes on spreading them (`Decisions.load`).
        """
        site = self._site
        site.draining = True
        for carrier in self._carriers.values():
            carrier.give_up(_leaving())
        while not self._holds_nothing():
            await self._hand_over_all()
            await self._oracle.release()
            if not self._holds_nothing():
                await pause(site.process, RETRY_MS)
        await self._keeper.finish()

    async def _hand_over_all(self) -> None:
        """Side by side: most of the time of each goes into letting its commits end."""
        site = self._site
        others = site.view.holding()
        others.pop(site.address, None)
        shells = list(self._held)
        to = shared_out((shell.range_id for shell in shells), others) if others else {}
        turns = Turns(site.process, HANDOVERS_MAX)
        await asyncio.gather(
            *(self._hand_over(turns, shell, to.get(shell.range_id, "")) for shell in shells)
        )

    def _holds_nothing(self) -> bool:
        return not (
            len(self._held) or self._held.busy or self._oracle.held or self._claims.under_way
        )

    async def _hand_over(self, turns: Turns, shell: RangeShell, to: Address) -> None:
        async with turns:
            if shell.closed:
                return
            try:
                await self._release(self._serving(shell.range_id, shell.shape.generation), to)
            except FastnessError as error:
                self._site.process.note(f"range {shell.range_id} not handed over yet: {error}")

    # What they have in common.

    def _tenure(self) -> Tenure:
        tenure = self._site.tenure
        if tenure is None:
            raise Unreachable("this node has no session at the coordinator: try again")
        return tenure

    def _serving(self, range_id: int, generation: int) -> RangeShell:
        """The shell of a range that may be changed now."""
        shell = self._held.get(range_id)
        if shell is None or shell.shape.generation != generation:
            raise moved(f"range {range_id} of generation {generation} is not held by this node")
        if range_id in self._held.busy:
            raise Overloaded(f"range {range_id}: a {self._held.busy[range_id]} is under way")
        if not shell.allowed:
            raise Overloaded(
                f"range {range_id} waits for its predecessor's lease to end: try again soon"
            )
        return shell

    def _placed(self, shell: RangeShell) -> Placed:
        placed = self._site.view.ranges.get(shell.range_id)
        if placed is None or placed.revision != shell.lease.revision:
            raise Fenced(f"the descriptor of range {shell.range_id} changed: try again")
        return placed

    async def _flip(self, shell: RangeShell, flip: Flip) -> int:
        """Write a flip whose store batch is durable; `Fenced` if the range was lost meanwhile."""
        revision = await self._site.coordination.write_surely(change_of(flip))
        if revision is None or shell.closed:
            raise Fenced(f"range {shell.range_id} was lost before its descriptors were written")
        self._site.view.changed(revision, flip.puts, flip.gone)
        shell.lease.revision = revision
        shell.note(f"generation {flip.kept.generation}: {flip.kept.begin!r} to {flip.kept.end!r}")
        return revision

    @contextmanager
    def _busy(self, what: str, *shells: RangeShell) -> Iterator[None]:
        for shell in shells:
            self._held.busy[shell.range_id] = what
        try:
            yield
        finally:
            for shell in shells:
                del self._held.busy[shell.range_id]
            self._site.changed.give()

    @contextmanager
    def _busy_id(self, what: str, range_id: int) -> Iterator[None]:
        self._held.busy[range_id] = what
        try:
            yield
        finally:
            del self._held.busy[range_id]


def _leaving() -> Overloaded:
    return Overloaded("this node hands its ranges over: ask for the move again")


@contextmanager
def _resumed_on_failure(shell: RangeShell) -> Iterator[None]:
    """Nothing was changed yet: the range goes on as it was."""
    try:
        yield
    except FastnessError:
        if not shell.closed:
            shell.leaseholder.resume()
        raise


@contextmanager
def _dropped_on_failure(*shells: RangeShell) -> Iterator[None]:
    """What was changed is not known: the ranges are opened again, at another epoch."""
    try:
        yield
    except FastnessError as error:
        for shell in shells:
            shell.drop(error)
        raise
