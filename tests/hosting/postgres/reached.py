"""A PostgreSQL store as a process reaches it, for scenarios on a loop of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from fastness.hosting.postgres import PostgresStore
from fastness.hosting.remote import StoreRead
from fastness.limits import Limits
from fastness.runtime.local import LocalNetwork
from tests.hosting.remote_conformance import RANGE, Reached

CLUSTER = "a cluster"
PATIENCE_SECONDS = 90.0


class OnPostgres(Reached):
    """On the real loop; the store is prepared and opened when the scenario begins."""

    def __init__(
        self, dsn: str, *, allow_unreplicated: bool = True, limits: Limits | None = None
    ) -> None:
        self.dsn = dsn
        self.allow_unreplicated = allow_unreplicated
        self.limits = limits or Limits()

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it; the store is closed in the end."""

        async def main() -> None:
            await PostgresStore.prepare(
                self.dsn, CLUSTER, allow_unreplicated=self.allow_unreplicated
            )
            network = LocalNetwork()
            async with AsyncExitStack() as stack:
                stack.push_async_callback(network.close)
                self.postgres = await self.another(network, "node")
                self.network = network
                self.store = self.postgres
                stack.push_async_callback(self.postgres.close)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await scenario()

        asyncio.run(main())

    async def another(self, network: LocalNetwork, name: str) -> PostgresStore:
        """One more client of the same store."""
        return await PostgresStore.open(
            network.process(name),
            self.dsn,
            cluster_id=CLUSTER,
            allow_unreplicated=self.allow_unreplicated,
            limits=self.limits,
        )

    async def number(self) -> int:
        """The number of the batch that a read tells of."""
        answer = await self.ask(self.store.read, StoreRead(RANGE, [], 1))
        number: int = answer.number
        return number
