"""Several real nodes on one real loop: one coordinator and stores that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from fastness.client.cluster import ClusterClient
from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.local_coordinator import LocalCoordinator
from fastness.hosting.local_store import LocalStore
from fastness.limits import Limits
from fastness.node import ClusterNode, bootstrap
from fastness.node.stores import Opened
from fastness.node.waiting import pause
from fastness.placement.coordinator import CLUSTER, Put
from fastness.placement.membership import ClusterRecord, StoreRecord, encode_record, store_key
from fastness.placement.samples import StoreSample
from fastness.runtime.local import LocalNetwork
from fastness.storage import MemoryStore
from fastness.wire.messages import PROTOCOL

PATIENCE_SECONDS = 60.0
"""How long a scenario may take before it is stopped."""

LIMITS = replace(
    Limits(),
    lease_ms=600,
    poll_ms=100,
    claim_ms=5,
    cache_lease_ms=200,
    operation_ms=30_000,
    balance_ms=100,
    survey_ms=100,
)

CLUSTER_RECORD = ClusterRecord("c" * 32, "a secret", PROTOCOL)


class Town:
    """A coordinator, stores by name, and the nodes and clients of a scenario."""

    def __init__(self, network: LocalNetwork) -> None:
        """Nothing is in it yet; `found` makes a cluster of it."""
        self.network = network
        self.homes: dict[str, LocalStore] = {}
        self.unusable: dict[str, FastnessError] = {}
        """Why a store cannot be opened for now."""
        self.drawn: list[tuple[bytes, float]] = []
        """The sample that every store answers."""
        self.nodes: list[ClusterNode] = []
        self._process = network.process("coordinator#1")
        # What the coordinator holds must outlive no process here.
        self._kept = LocalStore(MemoryStore())
        self.coordinator = LocalCoordinator(self._process, self._kept)
        self._names = 0

    async def found(
        self, *borders: bytes, stores: tuple[str, ...] = ("a",), record: ClusterRecord | None = None
    ) -> None:
        """Write the cluster's record, its stores, and ranges between these keys, store by turn."""
        put = Put(CLUSTER, encode_record(record or CLUSTER_RECORD))
        assert await self.coordinator.write({CLUSTER: 0}, [put])
        for name in stores:
            await self.add_store(name)
        begins, ends = [b"", *borders], [*borders, SYSTEM_END]
        turn = [stores[number % len(stores)] for number in range(len(begins))]
        assert await bootstrap(self.coordinator, zip(begins, ends, turn, strict=True))

    async def add_store(self, name: str) -> None:
        """Register a store."""
        record = StoreRecord(name, f"memory://{name}")
        assert await self.coordinator.write({}, [Put(store_key(name), encode_record(record))])

    async def open_store(self, record: StoreRecord) -> Opened:
        """One home for each URL, whoever asks."""
        if record.name in self.unusable:
            raise self.unusable[record.name]
        if record.url not in self.homes:
            self.homes[record.url] = LocalStore(MemoryStore())
        return Opened(self.homes[record.url], _left_open, self.survey)

    async def survey(self) -> StoreSample:
        """What a test says lies where."""
        return StoreSample(self.drawn, size_bytes=1 << 30, keys=len(self.drawn))

    def node(self, name: str, own_stores: Mapping[str, StoreRecord] | None = None) -> ClusterNode:
        """A node that is not started yet."""
        self._names += 1
        node = ClusterNode(
            self.network.process(f"{name}#{self._names}"),
            self.coordinator,
            LIMITS,
            cluster=CLUSTER_RECORD,
            open_store=self.open_store,
            own_stores=own_stores or {},
            name=name,
        )
        self.nodes.append(node)
        return node

    async def start(self, *names: str) -> list[ClusterNode]:
        """Nodes of these names, in service."""
        nodes = [self.node(name) for name in names]
        for node in nodes:
            await node.start()
        return nodes

    def client(self, *nodes: ClusterNode) -> ClusterClient:
        """A client that knows these nodes."""
        self._names += 1
        process = self.network.process(f"client/{self._names}")
        return ClusterClient(process, [node.address for node in nodes], LIMITS)

    async def until(self, holds: Callable[[], object]) -> None:
        """Return once it holds; the scenario's own bound ends this."""
        while not holds():
            await pause(self._process, 5)

    async def close(self) -> None:
        """Stop whatever runs."""
        for node in self.nodes:
            await node.stop()
        await self.network.close()
        for home in [*self.homes.values(), self._kept]:
            await home.close()


async def _left_open() -> None:
    """Others have the store open too."""


def living(scenario: Callable[[Town], Awaitable[None]]) -> None:
    """Run a scenario on a real loop; whatever runs in the end is stopped."""

    async def main() -> None:
        town = Town(LocalNetwork())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await scenario(town)
        finally:
            await town.close()

    asyncio.run(main())


def away(what: str) -> Unreachable:
    """The error of a store that does not answer."""
    return Unreachable(f"{what} does not answer: try again")
