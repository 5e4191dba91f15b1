"""PostgreSQL for tests: one server for all of them, a database each; a primary with a standby."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.laptop.daemon import running
from fastness.laptop.postgres import Postgres, new_postgres, standby_of

STANDBY = "standby"
SETTINGS = {
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_senders": "8",
    "wal_level": "replica",
    "hot_standby": "on",
    "autovacuum_naptime": "5s",
}
_numbers = count(1)


@contextmanager
def killed_at_last(server: Postgres) -> Iterator[None]:
    """A running server whose last checkpoint nobody waits for."""
    with running(server.daemon):
        try:
            yield
        finally:
            server.daemon.kill()


@contextmanager
def postgres_server(folder: Path, programs: Path | None = None) -> Iterator[Postgres]:
    """A running server without a standby, stopped in the end."""
    server = new_postgres(folder, SETTINGS, programs=programs)
    with killed_at_last(server):
        yield server


def new_database(server: Postgres, template: str = "template1") -> str:
    """The DSN of a fresh database of a server."""
    name = f"test_{next(_numbers)}"
    execute(server.dsn(), f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.dsn(name)


def execute(dsn: str, *statements: str) -> None:
    """Carry out statements, each a transaction of its own."""
    for statement in statements:
        query(dsn, statement)


def query(dsn: str, statement: str, *args: object) -> list[Any]:
    """The rows of a statement, over a connection of its own."""

    async def main() -> list[Any]:
        connection = await asyncpg.connect(dsn)
        try:
            rows: list[Any] = await connection.fetch(statement, *args)
            return rows
        finally:
            await connection.close()

    return asyncio.run(main())


@dataclass
class Pair:
    """A primary that waits for a standby, both running; either may be killed, or take over."""

    primary: Postgres
    standby: Postgres

    def dsn(self, database: str = "postgres") -> str:
        """Both, in this order."""
        user, _at, place = self.primary.dsn(database).rpartition("@")
        first, _slash, name = place.partition("/")
        second = self.standby.dsn(database).rpartition("@")[2].partition("/")[0]
        return f"{user}@{first},{second}/{name}"

    def promote(self) -> None:
        """Make the standby a primary, which waits for nobody, and see that it is one."""
        execute(
            self.standby.dsn(),
            "ALTER SYSTEM SET synchronous_standby_names = ''",
            "SELECT pg_reload_conf()",
            "SELECT pg_promote(true, 60)",
        )


@contextmanager
def postgres_pair(folder: Path) -> Iterator[Pair]:
    """A primary and a synchronous standby, stopped in the end."""
    primary = new_postgres(folder / "primary", SETTINGS)
    with killed_at_last(primary):
        standby = standby_of(primary, folder / STANDBY, SETTINGS)
        with killed_at_last(standby):
            execute(
                primary.dsn(),
                f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'",
                "SELECT pg_reload_conf()",
            )
            yield Pair(primary, standby)
