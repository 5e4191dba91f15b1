"""PostgreSQL through asyncpg: a pool of 16 connections, prepared statements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from benchmarks.clients.contract import VALUE, incremented
from benchmarks.workload import Entry
from fastness.laptop.ports import HOST
from fastness.laptop.postgres import USER

POOL = 16
GET = "SELECT value FROM entries WHERE key = $1"
PUT = "UPDATE entries SET value = $2 WHERE key = $1"


class PostgreSQLClient:
    """See `Client`."""

    name = "asyncpg"

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        self._pool = pool

    @classmethod
    async def open(cls, port: int) -> PostgreSQLClient:
        """Connect all of the pool, and make the table."""
        pool = await asyncpg.create_pool(
            host=HOST,
            port=port,
            user=USER,
            database="postgres",
            min_size=POOL,
            max_size=POOL,
            # By default a connection costs one more round trip when it is given back.
            reset=_leave_as_it_is,
        )
        await pool.execute("CREATE TABLE entries (key bytea PRIMARY KEY, value bytea NOT NULL)")
        return cls(pool)

    async def load(self, entries: Sequence[Entry]) -> None:
        """COPY, and the statistics that autovacuum would gather soon."""
        await self._pool.copy_records_to_table("entries", records=entries)
        await self._pool.execute("VACUUM ANALYZE entries")

    async def get(self, key: bytes) -> bytes | None:
        """One statement."""
        value: bytes | None = await self._pool.fetchval(GET, key)
        return value

    async def set(self, key: bytes) -> object:
        """One statement, which commits by itself."""
        return await self._pool.execute(PUT, key, VALUE)

    async def increment(self, key: bytes) -> object:
        """SERIALIZABLE, again after each failure that says so."""
        while True:
            try:
                async with self._pool.acquire() as connection:
                    return await _increment(connection, key)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                continue

    async def close(self) -> None:
        """Hang up."""
        await self._pool.close()


async def _increment(connection: Any, key: bytes) -> object:  # noqa: ANN401 - no types
    async with connection.transaction(isolation="serializable"):
        value: bytes = await connection.fetchval(GET, key)
        return await connection.execute(PUT, key, incremented(value))


async def _leave_as_it_is(_connection: object) -> None:
    """Nothing here changes a session."""
