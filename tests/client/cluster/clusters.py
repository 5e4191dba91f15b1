"""Clusters of real nodes in a simulated world, with the client under test beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastness.client.cluster import ClusterClient
from fastness.limits import Limits
from fastness.ranges.requests import Done
from fastness.runtime.process import Address
from fastness.testing.simulation import World
from fastness.wire.messages import MergeRange, SplitRange
from tests.node.clusters import LIMITS, Cluster

BORDERS = (b"d", b"m", b"t")
"""Four ranges."""


class Scene:
    """A world with a cluster that serves."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self.world = world
        self.cluster = cluster
        self._clients = 0

    def client(self, limits: Limits = LIMITS, **options: Any) -> ClusterClient:  # noqa: ANN401 - handed through
        """A client in a process of its own."""
        self._clients += 1
        process = self.world.process(f"app-{self._clients}")
        return ClusterClient(process, self.cluster.addresses(), limits, **options)

    def name_of(self, address: Address) -> str:
        """The name a node is crashed and cut off by."""
        return self.cluster.name_of(address)

    async def split(self, key: bytes) -> None:
        """Split the range of a key at it, and wait until both halves serve."""
        asker = self.cluster.client
        while (place := await asker.holder_of(key)).begin != key:
            request = SplitRange(place.range_id, place.generation, key)
            if isinstance(await asker.ask(place.holder, request, patience_ms=5_000), Done):
                return
            await asker.pause(50)

    async def merge(self, key: bytes) -> None:
        """Let the range of a key absorb its neighbour on the right."""
        asker = self.cluster.client
        before = await asker.holder_of(key)
        while (place := await asker.holder_of(key)).end == before.end:
            request = MergeRange(place.range_id, place.generation)
            if isinstance(await asker.ask(place.holder, request, patience_ms=5_000), Done):
                return
            await asker.pause(50)


def play(
    scenario: Callable[[Scene], Awaitable[None]],
    *,
    seed: int = 1,
    nodes: int = 3,
    borders: tuple[bytes, ...] = BORDERS,
    limits: Limits = LIMITS,
) -> str:
    """Run a scenario to its end; the digest of all that happened."""
    with World(seed=seed) as world:
        cluster = Cluster(world, nodes=nodes, splits=borders, limits=limits)

        async def whole() -> None:
            await cluster.start()
            await cluster.client.map()
            await scenario(Scene(world, cluster))

        world.run(whole())
        return world.digest()
