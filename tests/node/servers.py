"""A real server of one node on the real loop, with clients beside it in a local network."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastness.client.cluster import ClusterClient
from fastness.limits import Limits
from fastness.node import ServerNode
from fastness.node.waiting import pause
from fastness.runtime import Clock
from fastness.runtime.local import LocalNetwork
from fastness.storage import MemoryStore, RocksStore, Store

PATIENCE_SECONDS = 60.0
"""How long a scenario may take before it is stopped."""


class Premises:
    """A network with one server at a time, over one store."""

    def __init__(
        self, network: LocalNetwork, directory: Path | None, limits: Limits | None = None
    ) -> None:
        """Over a directory, or over memory that is lost with each server."""
        self.network = network
        self.limits = limits or Limits()
        self.server: ServerNode | None = None
        self.clock: Clock | None = None
        """The clock of servers to be started, the machine's own without one."""
        self._directory = directory
        self._names = 0

    def open_store(self) -> Store:
        """The store, as a process that starts finds it."""
        if self._directory is None:
            return MemoryStore()
        return RocksStore.open(self._directory, limits=self.limits)

    async def start(self, store: Store | None = None) -> ServerNode:
        """Start the next server."""
        self._names += 1
        process = self.network.process(f"server#{self._names}", clock=self.clock)
        reopen = None if self._directory is None else self.open_store
        self.server = ServerNode(process, store or self.open_store(), self.limits, reopen=reopen)
        await self.server.start()
        return self.server

    def client(self, limits: Limits | None = None, **options: Any) -> ClusterClient:  # noqa: ANN401 - handed through
        """A client of the present server."""
        assert self.server is not None
        self._names += 1
        process = self.network.process(f"client/{self._names}")
        return ClusterClient(process, [self.server.address], limits or self.limits, **options)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once it holds; the scenario's own bound ends this."""
        self._names += 1
        watcher = self.network.process(f"watcher/{self._names}")
        while not holds():
            await pause(watcher, 5)


def serving(
    scenario: Callable[[Premises], Awaitable[None]],
    directory: Path | None = None,
    limits: Limits | None = None,
    kind: type[Premises] = Premises,
) -> None:
    """Run a scenario on a real loop; whatever runs in the end is stopped."""

    async def main() -> None:
        network = LocalNetwork()
        premises = kind(network, directory, limits)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await scenario(premises)
        finally:
            if premises.server is not None:
                await premises.server.stop()
            await network.close()

    asyncio.run(main())
