"""Real nodes over a real etcd: a quorum that is lost and comes back, a thousand ranges."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from fastness.encoding.intervals import SYSTEM_END
from fastness.hosting.etcd import EtcdCoordinator
from fastness.hosting.local_store import LocalStore
from fastness.limits import Limits
from fastness.node import Node, bootstrap
from fastness.node.waiting import pause
from fastness.placement.bounds import OPERATIONS_MAX
from fastness.placement.cluster_view import encode_counter, encode_descriptor, range_key
from fastness.placement.coordinator import NEXT_RANGE, Put
from fastness.placement.descriptors import Descriptor
from fastness.runtime.local import LocalNetwork
from fastness.storage import MemoryStore
from tests.servers.etcd import EtcdCluster, etcd_cluster

pytestmark = pytest.mark.process

PATIENCE_SECONDS = 100.0
STORE = "store"
LIMITS = replace(Limits(), poll_ms=300, claim_ms=10)


class Place:
    """Nodes of one process over one store, each with a coordinator of its own."""

    def __init__(self, url: str) -> None:
        """Inside a running loop."""
        self.network = LocalNetwork()
        self.store = LocalStore(MemoryStore())
        self.nodes: list[Node] = []
        self._url = url
        self._waiter = self.network.process("waiter")
        self._coordinators: list[EtcdCoordinator] = []

    async def coordinator(self, name: str) -> EtcdCoordinator:
        """What a process of this name uses."""
        process = self.network.process(name)
        self._coordinators.append(await EtcdCoordinator.open(process, self._url, limits=LIMITS))
        return self._coordinators[-1]

    async def node(self, name: str) -> Node:
        """A node, started."""
        process = self.network.process(name)
        coordinator = await EtcdCoordinator.open(process, self._url, limits=LIMITS)
        self._coordinators.append(coordinator)
        node = Node(process, coordinator, {STORE: self.store}, LIMITS)
        self.nodes.append(node)
        node.start()
        return node

    def running(self) -> int:
        """How many ranges are served under leases that run."""
        return sum(
            leaseholder.ports.lease_left_ms() > 0
            for node in self.nodes
            for leaseholder in node.leaseholders.values()
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        while not holds():
            await pause(self._waiter, 10)

    async def close(self) -> None:
        """Stop everything."""
        for node in self.nodes:
            node.stop()
        for coordinator in self._coordinators:
            await coordinator.close()
        await self.network.close()
        await self.store.close()


def placed(url: str, scenario: Callable[[Place], Awaitable[None]]) -> None:
    """Run a scenario; everything is closed in the end."""

    async def main() -> None:
        place = Place(url)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await scenario(place)
        finally:
            await place.close()

    asyncio.run(main())


def edges(count: int) -> Sequence[bytes]:
    """Borders of so many ranges."""
    return [b"", *(number.to_bytes(3, "big") for number in range(1, count)), SYSTEM_END]


@pytest.fixture
def three(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members."""
    with etcd_cluster(tmp_path, 3) as cluster:
        yield cluster


def test_a_lost_quorum_ends_leases_and_its_return_brings_them_back(three: EtcdCluster) -> None:
    """What leases cover is served until they run out, then nothing, then all by itself."""

    async def scenario(place: Place) -> None:
        operator = await place.coordinator("operator")
        assert await bootstrap(operator, [(begin, end, STORE) for begin, end in pairwise(edges(4))])
        node = await place.node("node")
        await place.until(lambda: place.running() == 4 and node.is_oracle)
        lost = three.followers()
        for member in lost:
            member.daemon.pause()
        # Nobody is told: leases run out at the holder, by its own clock.
        assert place.running() == 4
        await place.until(lambda: place.running() == 0)
        assert node.counts.leases_lost == 0
        for member in lost:
            member.daemon.resume()
        await place.until(lambda: place.running() == 4 and node.is_oracle)
        assert node.counts.alarms == 0

    placed(three.url(), scenario)


def test_a_killed_leader_costs_no_lease(three: EtcdCluster) -> None:
    """The others elect another one well within the time that leases have left."""

    async def scenario(place: Place) -> None:
        operator = await place.coordinator("operator")
        assert await bootstrap(operator, [(b"", SYSTEM_END, STORE)])
        node = await place.node("node")
        await place.until(lambda: place.running() == 1)
        leader = three.leader()
        leader.daemon.kill()
        renewed = node.counts.renewals
        await place.until(lambda: node.counts.renewals > renewed + 1)
        assert place.running() == 1
        assert node.counts.sessions == 1
        assert node.counts.leases_lost == 0

    placed(three.url(), scenario)


def test_a_thousand_ranges_are_taken_in_a_few_writes(tmp_path: Path) -> None:
    """Two nodes that start together hold all of them; each write claims as many as it may."""
    count = 1_000

    async def scenario(place: Place) -> None:
        operator = await place.coordinator("operator")
        ranges = [
            Descriptor(number, begin, end, 1, STORE, released=True)
            for number, (begin, end) in enumerate(pairwise(edges(count)), start=1)
        ]
        puts = [Put(range_key(one.range_id), encode_descriptor(one)) for one in ranges]
        for start in range(0, count, OPERATIONS_MAX):
            await operator.write({}, puts[start : start + OPERATIONS_MAX])
        before = await operator.write({}, [Put(NEXT_RANGE, encode_counter(count + 1))])
        assert before is not None
        nodes = [await place.node(name) for name in ("a", "b")]
        await place.until(
            lambda: place.running() == count and any(node.is_oracle for node in nodes)
        )
        after, _entries = await operator.read("")
        assert after - before < count / 10
        renewed = [node.counts.renewals for node in nodes]
        await place.until(
            lambda: all(
                node.counts.renewals > done + 2 for node, done in zip(nodes, renewed, strict=True)
            )
        )
        assert place.running() == count
        assert sum(node.counts.leases_lost for node in nodes) == 0

    with etcd_cluster(tmp_path) as cluster:
        placed(cluster.url(), scenario)
