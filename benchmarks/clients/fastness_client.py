"""Fastness over a socket, as `fastness.open_async` gives it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import fastness
from benchmarks.clients.contract import VALUE, incremented
from benchmarks.workload import Entry
from fastness.invariants import present

LOAD_ENTRIES = 2_000
"""Entries in one transaction of a load."""


class FastnessClient:
    """See `Client`."""

    name = "Fastness"

    def __init__(self, database: fastness.AsyncDatabase) -> None:
        self.database = database

    @classmethod
    async def open(cls, url: str) -> FastnessClient:
        """A client of the server there."""
        return cls(await fastness.open_async(url))

    async def load(self, entries: Sequence[Entry]) -> None:
        """Ordinary transactions."""
        rest = iter(entries)
        while some := list(islice(rest, LOAD_ENTRIES)):
            async with self.database.transaction() as tx:
                for key, value in some:
                    tx.set(key, value)

    async def get(self, key: bytes) -> bytes | None:
        """The newest value."""
        return await self.database.get(key)

    async def set(self, key: bytes) -> object:
        """A transaction of one write."""
        return await self.database.set(key, VALUE)

    async def increment(self, key: bytes) -> object:
        """`run` retries after a conflict."""
        return await self.database.run(_increment, key)

    async def close(self) -> None:
        """Hang up."""
        await self.database.close()


async def _increment(tx: fastness.AsyncTransaction, key: bytes) -> None:
    tx.set(key, incremented(present(await tx.get(key), "every key was loaded")))
