"""etcd through aetcd (gRPC)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import aetcd  # type: ignore[import-untyped]  # it ships no types

from benchmarks.clients.contract import VALUE, incremented
from benchmarks.workload import Entry
from fastness.laptop.ports import HOST

LOAD_ENTRIES = 128
"""Operations that etcd takes in one transaction."""


class EtcdClient:
    """See `Client`."""

    name = "aetcd"

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - aetcd has no types
        self._client = client

    @classmethod
    async def open(cls, port: int) -> EtcdClient:
        """A client of the member there."""
        client = aetcd.Client(host=HOST, port=port)
        await client.connect()
        return cls(client)

    async def load(self, entries: Sequence[Entry]) -> None:
        """Transactions as large as they may be."""
        rest = iter(entries)
        put = self._client.transactions.put
        while some := list(islice(rest, LOAD_ENTRIES)):
            await self._client.transaction(
                compare=[], success=[put(*one) for one in some], failure=[]
            )

    async def get(self, key: bytes) -> bytes | None:
        """A linearizable range of one key, the default."""
        found = await self._client.get(key)
        value: bytes | None = None if found is None else found.value
        return value

    async def set(self, key: bytes) -> object:
        """A put."""
        return await self._client.put(key, VALUE)

    async def increment(self, key: bytes) -> object:
        """A get, and a transaction on its revision; again where another came first."""
        parts = self._client.transactions
        while True:
            found = await self._client.get(key)
            succeeded, answers = await self._client.transaction(
                compare=[parts.mod(key) == found.mod_revision],
                success=[parts.put(key, incremented(found.value))],
                failure=[],
            )
            if succeeded:
                return answers

    async def close(self) -> None:
        """Hang up."""
        await self._client.close()
