"""The ranges a node holds, and those that something is being done to."""

from __future__ import annotations

from collections.abc import Iterator, ValuesView

from fastness.errors import FastnessError
from fastness.invariants import check
from fastness.node.leases import Lease, Tenure
from fastness.node.range_totals import RangeTotals
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.placement.cluster_view import Placed
from fastness.ranges.shape import Shape
from fastness.storage.contract import RangeState


class HeldRanges:
    """Shells by range id, in the order they were taken."""

    __slots__ = ("_past", "_shells", "_site", "busy")

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shells: dict[int, RangeShell] = {}
        self._past = RangeTotals()
        """Of ranges held no more."""
        self.busy: dict[int, str] = {}
        """Ranges in the middle of being split, merged or handed over: nobody claims them."""

    def __len__(self) -> int:
        return len(self._shells)

    def __iter__(self) -> Iterator[RangeShell]:
        return iter(list(self._shells.values()))

    def __contains__(self, range_id: int) -> bool:
        return range_id in self._shells

    def get(self, range_id: int) -> RangeShell | None:
        """The shell of a range, if it is held."""
        return self._shells.get(range_id)

    def shells(self) -> ValuesView[RangeShell]:
        """All of them, while nothing is taken or dropped."""
        return self._shells.values()

    def totals(self) -> RangeTotals:
        """What all of them, and those held before, have done."""
        return self._past.with_(shell.leaseholder for shell in self._shells.values())

    def take(
        self,
        tenure: Tenure,
        placed: Placed,
        lease: Lease,
        state: RangeState,
        shape: Shape,
        *,
        commits_from_ns: int,
    ) -> RangeShell:
        """Begin to serve a range under a lease; commits wait until `commits_from_ns`."""
        descriptor = placed.descriptor
        check(descriptor.range_id not in self._shells, "a range is held twice")
        check(state.epoch == descriptor.epoch, "another epoch was opened than was claimed")
        self._site.post.learn(state.applied)
        shell = RangeShell(
            self._site,
            descriptor,
            lease,
            state,
            shape,
            commits_from_ns=commits_from_ns,
            busy=self.busy,
            ended=self._ended,
        )
        self._shells[descriptor.range_id] = shell
        tenure.holdings[lease.key] = shell
        shell.allow_when_due(self._site.boot_ns())
        if self._site.resting:
            self._site.wake()
        shell.note(f"held at epoch {lease.epoch}, generation {shape.generation}")
        return shell

    def _ended(self, shell: RangeShell) -> None:
        if self._shells.get(shell.range_id) is shell:
            del self._shells[shell.range_id]
            self._past = self._past.past(shell.leaseholder)
        tenure = self._site.tenure
        if tenure is not None and tenure.holdings.get(shell.lease.key) is shell:
            del tenure.holdings[shell.lease.key]
        self._site.changed.give()

    def drop_all(self, error: FastnessError) -> None:
        """Give every range up at once."""
        for shell in self:
            shell.drop(error)
