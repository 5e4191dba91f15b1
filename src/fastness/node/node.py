"""A node: the process that serves the wire protocol for a cluster.

::

    frames -> Dispatch -> RangeShell -> Leaseholder (ranges/) -> StorePort -> RemoteStore
                  |            `-> Draws, Calls: the oracle and other ranges
                  |-> OracleSeat -> OracleRole (placement/)
                  `-> Flows: split, merge, transfer, drain

    Balancer       as the oracle's node: evens out what the nodes have to do
    SessionKeeper  one session at the coordinator, every lease under it proved again and again
    Claims         takes over what nobody holds
    Upkeep         prunes

It holds nothing durable: what a node knows is at the coordinator and in the stores, and a node
that restarts is a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.hosting.remote import RemoteStore
from fastness.limits import Limits
from fastness.node.balancing import Balancer
from fastness.node.claims import Claims
from fastness.node.counts import Counts
from fastness.node.dispatch import Dispatch
from fastness.node.figures import NodeFigures
from fastness.node.flows import Flows
from fastness.node.gate import Gate
from fastness.node.held import HeldRanges
from fastness.node.leftovers import Leftovers
from fastness.node.oracle_seat import OracleSeat
from fastness.node.range_totals import RangeTotals
from fastness.node.refusals import moved
from fastness.node.session import SessionKeeper
from fastness.node.site import Site
from fastness.node.upkeep import Upkeep
from fastness.placement.coordinator import Coordinator
from fastness.placement.membership import NodeRecord
from fastness.placement.samples import StoreSample
from fastness.ranges.leaseholder import Leaseholder
from fastness.runtime.process import Process, Timer
from fastness.wire.figures import StoreFigures
from fastness.wire.reports import NodeReport, StoreReport

RESTING_TICKS = 10
"""How many times rarer ticks are while nothing is under way."""


def _nothing_told() -> None:
    return None


class Node:
    """See the module's page. `stores` are those this node reaches, by the descriptors' names.

    `gate` says who may ask for what; without one everybody may ask everything.
    """

    def __init__(
        self,
        process: Process,
        coordinator: Coordinator,
        stores: Mapping[str, RemoteStore],
        limits: Limits,
        gate: Gate | None = None,
        *,
        may_cache: Callable[[], bool] | None = None,
        rests_until_ns: int = 0,
        store_figures: Callable[[], StoreFigures | None] = _nothing_told,
    ) -> None:
        """`may_cache`, asked each time, and `rests_until_ns` are for nodes without predecessors.

        Where nobody waits for a predecessor's lease to end, no cache lease is granted before
        a successor is sure to know of it, and no range commits before the boot clock shows
        `rests_until_ns`, until when a predecessor's may run. `store_figures` tells of its store.
        """
        self._site = Site(process, coordinator, stores, limits, gate)
        if may_cache is not None:
            self._site.may_cache = may_cache
        self._site.rests_until_ns = rests_until_ns
        self._site.wake = self._wake
        self._held = HeldRanges(self._site)
        self._oracle = OracleSeat(self._site)
        self._site.draws.here = self._oracle.issue
        self._keeper = SessionKeeper(self._site)
        self._claims = Claims(self._site, self._keeper, self._held, self._oracle)
        self._flows = Flows(self._site, self._keeper, self._held, self._oracle, self._claims)
        figures = NodeFigures(self._site, self._held, lambda: self.is_ready, store_figures)
        self._dispatch = Dispatch(
            self._site, self._held, self._oracle, self._claims, self._flows, figures=figures
        )
        self._upkeep = Upkeep(self._site, self._held)
        self._leftovers = Leftovers(self._site, self._held)
        self._balancer: Balancer | None = None
        self._timer: Timer | None = None

    @property
    def address(self) -> str:
        """Where it is reached."""
        return self._site.address

    @property
    def counts(self) -> Counts:
        """What it has counted since it started."""
        return self._site.counts

    def range_totals(self) -> RangeTotals:
        """What its ranges have done, those it holds no more included."""
        return self._held.totals()

    @property
    def issued(self) -> Timestamp:
        """The highest timestamp it knows to have been issued."""
        return self._site.post.issued

    @property
    def is_serving_all(self) -> bool:
        """Whether it is the oracle, and holds every range there is and may commit in it."""
        ranges = self._site.view.ranges
        return (
            self._oracle.held
            and 0 < len(ranges) == len(self._held)
            and all(shell.allowed for shell in self._held)
        )

    @property
    def is_ready(self) -> bool:
        """Whether it serves what it is there for: its part of a cluster, or everything."""
        return self.is_serving_all if self._balancer is None else self.is_in_service

    @property
    def is_in_service(self) -> bool:
        """Whether its session lives and it knows the map: it serves what it holds."""
        site = self._site
        alive = site.tenure is not None and site.tenure.alive
        return alive and not site.draining and bool(site.view.ranges)

    @property
    def is_draining(self) -> bool:
        """Whether it was told to hand everything over."""
        return self._site.draining

    @property
    def session_refusal(self) -> FastnessError | None:
        """Why it has no session and will get none: another node goes by its name."""
        return self._keeper.refusal

    @property
    def clock_jumps(self) -> int:
        """Jumps of the wall clock that it did not follow as the oracle."""
        return self._oracle.clock_jumps

    @property
    def is_oracle(self) -> bool:
        """Whether it holds the oracle's role."""
        return self._oracle.held

    @property
    def leaseholders(self) -> dict[int, Leaseholder]:
        """The leaseholders of the ranges it holds, by range id."""
        return {shell.range_id: shell.leaseholder for shell in self._held}

    @property
    def changing(self) -> dict[int, str]:
        """What is being done to ranges, by range id: `split`, `merge`, `move` or `transfer`."""
        return dict(self._held.busy)

    def store_of(self, range_id: int) -> str:
        """The store in which a range lies that it holds."""
        shell = self._held.get(range_id)
        return "" if shell is None else shell.store_name

    def join(
        self,
        name: str,
        problems: Mapping[str, FastnessError],
        samples: Mapping[str, StoreSample],
    ) -> None:
        """Be one of several, that even out what they have to do. Before `start`.

        No other node that lives may have the same name; several may have none. `problems` tells,
        each time it is read, why a store of the cluster is not among the node's, and `samples`
        what lies where in those that are.
        """
        self._site.name = name
        self._site.problems = problems
        self._site.samples = samples
        self._balancer = Balancer(self._site, self._held, self._oracle)

    def start(self) -> None:
        """Serve from now on."""
        record = NodeRecord(0, self._site.name, metadata.version("fastness"))
        self._site.post.listen(self._dispatch.receive)
        self._site.spawn(self._keeper.run(record), name="session")
        if self._balancer is not None:
            self._site.spawn(self._balancer.run(), name="balance")
        self._site.spawn(self._claims.run(), name="claims")
        self._site.spawn(self._upkeep.run(), name="upkeep")
        self._site.spawn(self._leftovers.run(), name="leftovers")
        self._tick()

    def report(self) -> NodeReport:
        """What it holds, and how it fares."""
        return self._dispatch.reports.report()

    def store_reports(self) -> list[StoreReport]:
        """The stores of its cluster, as it reaches them."""
        return self._dispatch.reports.stores()

    def look(self) -> None:
        """Something may be different: look for what can be claimed."""
        self._site.changed.give()

    def _tick(self) -> None:
        site = self._site
        now_ns = site.boot_ns()
        site.counts.ticks += 1
        site.calls.tick(now_ns)
        site.draws.tick()
        for shell in self._held:
            if not shell.closed:
                shell.tick(now_ns)
        site.resting = self._is_quiet()
        pause_ms = site.limits.tick_ms * (RESTING_TICKS if site.resting else 1)
        self._timer = site.process.call_later(pause_ms, self._tick)

    def _is_quiet(self) -> bool:
        """Whether nothing can become overdue before somebody asks for something."""
        site = self._site
        if len(site.calls) or site.draws.waiting or site.in_flight:
            return False
        return all(shell.is_quiet for shell in self._held.shells())

    def _wake(self) -> None:
        """Tick as often again: there is work under way."""
        site = self._site
        site.resting = False
        if self._timer is not None:
            self._timer.cancel()
        self._timer = site.process.call_later(site.limits.tick_ms, self._tick)

    async def drain(self) -> None:
        """Hand everything over and end the session; it goes on refusing until it is stopped."""
        await self._flows.drain()

    def stop(self) -> None:
        """Serve nothing any more, at once. What was not handed over, others claim in time."""
        if self._timer is not None:
            self._timer.cancel()
        self._held.drop_all(moved("this node is stopping"))
        for task in list(self._site.tasks):
            task.cancel()
