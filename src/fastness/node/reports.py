"""What a node reports to the other nodes and to whoever runs the cluster: `wire/reports.py`."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata

from fastness.node.held import HeldRanges
from fastness.node.oracle_seat import OracleSeat
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.placement.samples import Extent
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.wire.handshake import PROTOCOLS
from fastness.wire.reports import TIDYING, NodeReport, RangeReport, StoreReport

SERVING = "serving"
DRAINING = "draining"
WAITING = "waiting"


class NodeReports:
    """Answers requests for a report."""

    __slots__ = ("_held", "_oracle", "_site", "_started_ns", "_version")

    def __init__(self, site: Site, held: HeldRanges, oracle: OracleSeat) -> None:
        self._site = site
        self._held = held
        self._oracle = oracle
        self._version = metadata.version("fastness")
        self._started_ns = site.boot_ns()

    def report(self) -> NodeReport:
        """How it is now."""
        site = self._site
        return NodeReport(
            name=site.name,
            version=self._version,
            protocols=list(PROTOCOLS),
            state=self._state(),
            is_oracle=self._oracle.held,
            wall_ms=site.process.clock.wall_ms(),
            issued=site.post.issued,
            uptime_ms=(site.boot_ns() - self._started_ns) // NANOSECONDS_PER_MILLISECOND,
            ranges=[self._range(shell) for shell in self._held],
            stores=self.stores(),
            counts={name: count for name, count in asdict(site.counts).items() if count},
        )

    def _state(self) -> str:
        site = self._site
        if site.draining:
            return DRAINING
        return SERVING if site.tenure is not None and site.tenure.alive else WAITING

    def _range(self, shell: RangeShell) -> RangeReport:
        leaseholder, load, shape = shell.leaseholder, shell.load, shell.shape
        sample = self._site.samples.get(shell.store_name)
        extent = Extent() if sample is None else sample.extent(shape.begin, shape.end)
        return RangeReport(
            range_id=shell.range_id,
            generation=shape.generation,
            epoch=shell.lease.epoch,
            requests_s=load.rate,
            is_measured=load.is_measured,
            split_key=load.split_key(),
            may_commit=shell.allowed,
            doing=self._held.busy.get(shell.range_id, TIDYING if shell.has_leftovers else ""),
            undecided=leaseholder.undecided,
            prune_horizon=leaseholder.prune_horizon,
            closed=leaseholder.closed,
            size_bytes=extent.size_bytes,
            half_key=extent.half_key,
            lease_ms=int(shell.lease_left_ms()),
        )

    def stores(self) -> list[StoreReport]:
        """Its stores, as it reaches them."""
        site = self._site
        reports = []
        for name, store in site.stores.items():
            sample = site.samples.get(name)
            size_bytes, keys = (sample.size_bytes, sample.keys) if sample else (0, 0)
            refusal = str(store.refusal or "")
            reports.append(StoreReport(name, "", refusal, size_bytes, keys))
        reports += [StoreReport(name, str(problem)) for name, problem in site.problems.items()]
        return sorted(reports, key=lambda one: one.name)
