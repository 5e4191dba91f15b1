"""Looking at a cluster and changing it: what `fastness cluster` does, for programs too.

::

    async with controlling("etcd://...") as control:      # as whoever runs the cluster
    async with controlling("fastness://...") as control:  # with an admin's token
        seen = await control.look()
        await control.split(b"m")

The coordinator tells which nodes and ranges there are, and holds the secret by which its nodes, and
so this, let each other in; without it any node tells the same to an admin. Nodes are then asked one
by one, over the wire. Changes are asked of the leaseholder; one that was refused since something
moved meanwhile is asked for again, of whoever holds the range by then.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

from fastness.client.cluster.calls import Calls
from fastness.client.remote import connect_calls, reached, tls_context
from fastness.client.urls import is_remote, parse_url
from fastness.errors import (
    FastnessError,
    InvalidOption,
    InvalidUrl,
    Overloaded,
    PermissionDenied,
    Unauthenticated,
    Unreachable,
)
from fastness.limits import Limits
from fastness.node import read_cluster
from fastness.placement.cluster_view import ClusterView, revision_of
from fastness.placement.coordinator import NEXT_RANGE, Coordinator
from fastness.placement.descriptors import Descriptor
from fastness.placement.membership import (
    ClusterRecord,
    StoreRecord,
    nodes_in,
    store_key,
    stores_in,
)
from fastness.runtime.process import Address
from fastness.server.certificates import trusting
from fastness.server.clustered import ETCD, open_coordinator
from fastness.transport.network import NetworkProcess
from fastness.wire.messages import (
    Body,
    Drain,
    MapAnswer,
    MapRequest,
    MergeRange,
    MoveRange,
    Refusal,
    SplitRange,
    TransferLease,
)
from fastness.wire.refusals import error_of
from fastness.wire.reports import TIDYING, NodeReport, RangeReport, ReportRequest

CHANGE_MS_MAX = 60_000
"""How long a change may take."""
REPORT_S_MAX = 3.0
"""How long a node may take to report; one that is paused should not stop a look at the others."""
TRIES = 20
PAUSE_S = 0.1
MOVE_PAUSE_S = 0.5
"""Between two looks at a move under way."""

AGENT = "fastness cluster"


@dataclass(slots=True)
class SeenNode:
    """A node that lives, as the coordinator and it itself say."""

    address: Address
    name: str
    version: str
    report: NodeReport | None = None
    problem: FastnessError | None = None
    """Why there is no report."""
    wall_off_ms: float = 0.0
    """How far its wall clock is ahead of this machine's, to within half a round trip."""

    @property
    def shown(self) -> str:
        """Its name, or its address where it has none."""
        return self.name or self.address


@dataclass(slots=True)
class Seen:
    """A cluster at about one moment. What needs the coordinator is empty without it."""

    cluster: ClusterRecord | None
    nodes: list[SeenNode]
    ranges: list[Descriptor]
    """In the order of keys."""
    oracle: Address
    """Where timestamps are issued, empty while they are not."""
    stores: dict[str, StoreRecord] = field(default_factory=dict)
    view: ClusterView | None = None
    """Everything at the coordinator."""

    def node_at(self, address: Address) -> SeenNode | None:
        """The node of an address, if it lives."""
        return next((node for node in self.nodes if node.address == address), None)

    def report_of(self, descriptor: Descriptor) -> RangeReport | None:
        """What its holder tells of a range, `None` if nobody does."""
        node = self.node_at(descriptor.holder)
        if node is None or node.report is None:
            return None
        return next(
            (one for one in node.report.ranges if one.range_id == descriptor.range_id), None
        )


class Control:
    """See the module's page."""

    def __init__(
        self,
        process: NetworkProcess,
        seeds: list[Address],
        coordinator: Coordinator | None,
        cluster: ClusterRecord | None,
    ) -> None:
        self.process = process
        self.coordinator = coordinator
        self.cluster = cluster
        self._seeds = seeds
        self._calls = Calls(process, replace(process.limits, call_ms=CHANGE_MS_MAX))
        connect_calls(self._calls, process, seeds)

    # ------------------------------------------------------------------ looking

    async def look(self, *, reports: bool = True) -> Seen:
        """Everything there is to see; nodes that do not answer are there with the reason."""
        seen = await self._look_around()
        seen.ranges.sort(key=lambda one: one.begin)
        if reports:
            await asyncio.gather(*(self._report(node) for node in seen.nodes))
        seen.nodes.sort(key=lambda node: (node.name, node.address))
        return seen

    async def _look_around(self) -> Seen:
        if self.coordinator is None:
            answer = await self._map()
            nodes = [SeenNode(address, "", "") for address in answer.nodes]
            return Seen(None, nodes, answer.descriptors, answer.oracle)
        revision, entries = await self.coordinator.read("")
        view = ClusterView()
        view.refreshed(revision, entries)
        nodes = [
            SeenNode(address, record.name, record.version)
            for address, record in nodes_in(entries).items()
        ]
        ranges = [placed.descriptor for placed in view.ranges.values()]
        return Seen(self.cluster, nodes, ranges, view.oracle_address(), stores_in(entries), view)

    async def _map(self) -> MapAnswer:
        answer = await self._first_answer(MapRequest())
        if not isinstance(answer, MapAnswer):
            raise Unreachable(f"{type(answer).__name__} came in place of the map: try again")
        return answer

    async def _first_answer(self, body: Body) -> Body:
        """What the first of the seeds that answers says."""
        failure: FastnessError = Unreachable("there is no node to ask")
        for seed in self._seeds:
            try:
                return await self.ask(seed, body)
            except FastnessError as error:
                failure = error
        raise failure

    async def _report(self, node: SeenNode) -> None:
        clock = self.process.clock
        before_ms, before_ns = clock.wall_ms(), clock.boot_ns()
        try:
            async with asyncio.timeout(REPORT_S_MAX):
                answer = await self.ask(node.address, ReportRequest())
        except TimeoutError:
            node.problem = Unreachable(f"it did not report within {REPORT_S_MAX:.0f} s")
        except (PermissionDenied, Unauthenticated):
            raise  # It is the same at every node.
        except FastnessError as error:
            node.problem = error
        else:
            if isinstance(answer, NodeReport):
                elapsed_ms = (clock.boot_ns() - before_ns) / 1e6
                node.report = answer
                node.name, node.version = answer.name, answer.version
                node.wall_off_ms = answer.wall_ms - (before_ms + elapsed_ms / 2)

    async def ask(self, to: Address, body: Body) -> Body:
        """The answer of a node; raises its refusal, or `Unreachable`."""
        answer = await self._calls.ask(to, body)
        if answer is None:
            reason = self.process.reason(to)
            raise Unreachable(f"{to} did not answer" + (f" ({reason})" if reason else ""))
        if isinstance(answer, Refusal):
            raise error_of(answer)
        return answer

    # ----------------------------------------------------------------- changing

    async def split(self, key: bytes) -> Descriptor:
        """Split the range that holds a key there; the left one as it was."""

        def request(one: Descriptor) -> Body:
            if one.begin == key:
                raise InvalidOption(f"range {one.range_id} begins at {key!r} already")
            return SplitRange(one.range_id, one.generation, key)

        return await self._change(lambda one: one.begin <= key < one.end, f"key {key!r}", request)

    async def merge(self, range_id: int) -> Descriptor:
        """Let a range absorb its right neighbour, which is brought to its node first."""
        for _try in range(TRIES):
            seen = await self.look()
            left = _the(seen, range_id)
            right = next((one for one in seen.ranges if one.begin == left.end), None)
            if right is None:
                raise InvalidOption(f"range {range_id} is the last one: nothing is right of it")
            if right.holder != left.holder:
                await self.transfer(right.range_id, left.holder)
            elif seen.report_of(left) is not None and seen.report_of(right) is not None:
                break
            # Who has claimed a range serves it a moment later.
            await asyncio.sleep(PAUSE_S)
        return await self._change(
            lambda one: one.range_id == range_id,
            f"range {range_id}",
            lambda one: MergeRange(one.range_id, one.generation),
        )

    async def transfer(self, range_id: int, to: str) -> Descriptor:
        """Hand a range to the node of a name or an address."""
        target = _named(await self.look(), to)

        def request(one: Descriptor) -> Body:
            _require_reach(target, one)
            return TransferLease(one.range_id, one.generation, target.address)

        return await self._change(
            lambda one: one.range_id == range_id, f"range {range_id}", request
        )

    async def move(self, range_id: int, store: str) -> Descriptor:
        """Carry a range to the store of a name; what it is then, under another id.

        With the name of the store where it lies, a move that is under way is given up. Asked again
        after an interruption, it goes on with a move under way, or begins anew.
        """
        failures = 0
        one = _the(await self.look(reports=False), range_id)
        if one.store == store:
            return await self._change(
                lambda other: other.range_id == range_id,
                f"range {range_id}",
                lambda other: MoveRange(other.range_id, other.generation, store),
            )
        while True:
            seen = await self.look(reports=False)
            if seen.stores and store not in seen.stores:
                known = ", ".join(seen.stores)
                raise InvalidOption(f"no store is called {store!r}: choose from {known}")
            # It has another id once it has moved.
            found = next(other for other in seen.ranges if other.begin == one.begin)
            if found.store == store:
                return found
            try:
                _require_served(seen, found)
                await self.ask(found.holder, MoveRange(found.range_id, found.generation, store))
            except Overloaded:
                # Under way: it takes as long as carrying the range does.
                await asyncio.sleep(MOVE_PAUSE_S)
            except FastnessError as error:
                failures += 1
                if not error.retryable or failures >= TRIES:
                    raise
                await asyncio.sleep(PAUSE_S)

    async def remove_store(self, name: str) -> StoreRecord:
        """Let the cluster forget a store in which no range lies; running nodes let go of it."""
        seen = await self.look()
        coordinator, view, record = self.coordinator, seen.view, seen.stores.get(name)
        if coordinator is None or view is None:
            raise InvalidOption("stores are registered at the coordinator: name that")
        if record is None:
            known = ", ".join(seen.stores) or "none"
            raise InvalidOption(f"no store is called {name!r}: choose from {known}")
        _require_empty(seen, name)
        key = store_key(name)
        _revision, entries = await coordinator.read(key)
        # Whoever begins to move a range reserves an id for it first.
        compare = {NEXT_RANGE: view.next_range_revision, key: revision_of(entries.get(key))}
        if await coordinator.write(compare, [], (key,)) is None:
            raise Overloaded("the cluster was changed meanwhile: look, and try again")
        return record

    async def drain(self, name: str) -> SeenNode:
        """Have a node hand everything over; answered once it holds nothing."""
        node = _named(await self.look(), name)
        await self.ask(node.address, Drain())
        return node

    async def _change(
        self,
        wanted: Callable[[Descriptor], bool],
        what: str,
        request: Callable[[Descriptor], Body],
    ) -> Descriptor:
        """Ask the holder of the range that is wanted, again where it has just changed."""
        failure: FastnessError | None = None
        for _try in range(TRIES):
            seen = await self.look(reports=False)
            found = next((one for one in seen.ranges if wanted(one)), None)
            if found is None:
                raise InvalidOption(f"no range fits {what}: 'fastness cluster ranges' lists them")
            try:
                _require_served(seen, found)
                await self.ask(found.holder, request(found))
            except FastnessError as error:
                if not error.retryable:
                    raise
                failure = error
                await asyncio.sleep(PAUSE_S)
            else:
                return found
        raise failure or Unreachable(f"{what} could not be changed: try again")


def _the(seen: Seen, range_id: int) -> Descriptor:
    for one in seen.ranges:
        if one.range_id == range_id:
            return one
    raise InvalidOption(f"there is no range {range_id}: 'fastness cluster ranges' lists them")


def _require_served(seen: Seen, one: Descriptor) -> None:
    """Raise unless the holder of a range is a node that lives."""
    if seen.node_at(one.holder) is None:
        raise Unreachable(f"nobody serves range {one.range_id}: see to its node first")


def _require_empty(seen: Seen, name: str) -> None:
    """Raise unless no range lies in a store, nor is on its way there."""
    inside = [str(one.range_id) for one in seen.ranges if one.store == name]
    if inside:
        raise InvalidOption(
            f"{len(inside)} ranges lie in store {name!r} ({', '.join(inside[:10])}): move them to "
            "another first, with 'fastness cluster move'"
        )
    reports = [(one, seen.report_of(one)) for one in seen.ranges]
    # Whoever removes what a move left behind needs the store open.
    if any(report is None or report.doing in {"move", TIDYING} for _one, report in reports):
        raise Overloaded(
            "a range is being moved or tidied up after, or nobody tells whether it is: wait until "
            "all are served ('fastness cluster ranges'), then try again"
        )


def _require_reach(node: SeenNode, one: Descriptor) -> None:
    """Raise unless a node can serve a range: it would be released, and nobody take it for long."""
    if node.report is None:
        raise node.problem or Unreachable(f"{node.shown} does not report: see to it first")
    if node.report.state != "serving":
        raise InvalidOption(f"{node.shown} is {node.report.state}: choose another node")
    problems = {store.name: store.problem for store in node.report.stores}
    if problems.get(one.store, "it is not open"):
        raise InvalidOption(
            f"{node.shown} cannot serve range {one.range_id}: of its store {one.store!r} it says "
            f"{problems.get(one.store, 'nothing')!r}; choose another node"
        )


def _named(seen: Seen, name: str) -> SeenNode:
    """The node of a name, or of an address with or without its incarnation."""
    found = [
        node
        for node in seen.nodes
        if name and name in {node.name, node.address, node.address.partition("#")[0]}
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(node.shown for node in seen.nodes) or "none"
    raise InvalidOption(f"{name!r} names {len(found)} of the nodes that live: choose from {known}")


@asynccontextmanager
async def controlling(
    url: str, *, ca: str = "", limits: Limits | None = None
) -> AsyncIterator[Control]:
    """The way into the cluster of a coordinator or a node.

    With a coordinator's URL nodes are dialed with TLS if `ca` names a file of CAs to trust; a
    node's URL has options of its own for that.
    """
    limits = limits or Limits()
    async with AsyncExitStack() as stack:
        if url.startswith(ETCD):
            tls = trusting(ca, "--ca") if ca else None
            process = _process(stack, limits, tls, "")
            coordinator = await open_coordinator(process, url, limits)
            stack.push_async_callback(coordinator.close)
            cluster = await read_cluster(coordinator)
            process.credential = cluster.secret
            yield Control(process, [], coordinator, cluster)
        elif is_remote(url):
            asked = parse_url(url)
            process = _process(stack, limits, tls_context(asked), asked.token)
            seeds = [str(place) for place in asked.places]
            await reached(process, seeds)
            yield Control(process, seeds, None, None)
        else:
            raise InvalidUrl(
                f"{url.partition(':')[0]!r} leads to no cluster: write etcd://HOST:PORT,.../PREFIX "
                "of its coordinator, or fastness://HOST:PORT of a node"
            )


def _process(
    stack: AsyncExitStack, limits: Limits, tls: ssl.SSLContext | None, credential: str
) -> NetworkProcess:
    process = NetworkProcess(limits=limits, credential=credential, tls=tls, agent=AGENT)
    stack.push_async_callback(process.close)
    return process
