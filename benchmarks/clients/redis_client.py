"""Redis through redis-py, asynchronous, each task on a connection of its pool."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from redis.asyncio import Redis

from benchmarks.clients.contract import VALUE, incremented
from benchmarks.workload import Entry
from fastness.laptop.ports import HOST

LOAD_ENTRIES = 2_000


class RedisClient:
    """See `Client`. hiredis is the parser where it is installed, as redis-py has it."""

    name = "redis-py"

    def __init__(self, port: int) -> None:
        # Its annotations know text alone; bytes pass as they are.
        self._redis: Any = Redis(host=HOST, port=port)

    async def load(self, entries: Sequence[Entry]) -> None:
        """MSET."""
        rest = iter(entries)
        while some := dict(islice(rest, LOAD_ENTRIES)):
            await self._redis.mset(some)

    async def get(self, key: bytes) -> bytes | None:
        """GET."""
        value: bytes | None = await self._redis.get(key)
        return value

    async def set(self, key: bytes) -> object:
        """SET."""
        done: object = await self._redis.set(key, VALUE)
        return done

    async def get_pipelined(self, keys: Sequence[bytes]) -> object:
        """A pipeline of GETs, on one connection."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.get(key)
            values: object = await pipeline.execute()
            return values

    async def increment(self, key: bytes) -> object:
        """WATCH, GET, MULTI, SET, EXEC by redis-py's own helper, which tries again."""

        async def change(pipeline: Any) -> None:  # noqa: ANN401 - see above
            value: bytes = await pipeline.get(key)
            pipeline.multi()
            pipeline.set(key, incremented(value))

        done: object = await self._redis.transaction(change, key)
        return done

    async def close(self) -> None:
        """Hang up."""
        await self._redis.aclose()
