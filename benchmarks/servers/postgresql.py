"""PostgreSQL with its defaults: `fsync` and `synchronous_commit` are on.

Alone, or as a primary whose commits wait for a standby.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from benchmarks.servers import Server
from fastness.laptop.daemon import running
from fastness.laptop.postgres import Postgres, new_postgres, standby_of

STANDBY = "standby"


@contextmanager
def postgresql(directory: Path) -> Iterator[Server]:
    """A fresh cluster, which trusts whoever connects from this machine."""
    server = new_postgres(directory / "postgresql")
    with running(server.daemon) as daemon:
        yield Server(server.port, daemon.pid)


class Pair(NamedTuple):
    """A primary that acknowledges no commit before its standby has it."""

    primary: Postgres
    standby: Postgres

    @property
    def pids(self) -> tuple[int, ...]:
        """The first processes of both."""
        return self.primary.daemon.pid, self.standby.daemon.pid

    def dsn(self, database: str) -> str:
        """Both servers, the primary first."""
        behind = self.standby.dsn(database).rpartition("@")[2]
        first, _slash, name = self.primary.dsn(database).rpartition("/")
        return f"{first},{behind.partition('/')[0]}/{name}"


@contextmanager
def postgresql_pair(directory: Path) -> Iterator[Pair]:
    """A fresh primary and its synchronous standby."""
    primary = new_postgres(directory / "primary")
    with running(primary.daemon):
        standby = standby_of(primary, directory / STANDBY)
        with running(standby.daemon):
            carry_out(primary, f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")
            carry_out(primary, "SELECT pg_reload_conf()")
            yield Pair(primary, standby)


def carry_out(server: Postgres, statement: str, *, database: str = "postgres") -> None:
    """One statement, over a connection of its own."""

    async def main() -> None:
        connection = await asyncpg.connect(server.dsn(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(main())
