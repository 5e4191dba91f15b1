"""The schema of a store: made, migrated, and given to one cluster.

Migrations are the files of `schema/`, in order of their numbers; `fastness.migrations` says which
were carried out. Each is carried out once, all of those missing in one transaction, under a lock
that keeps two nodes from doing so at once. A released file is never changed: what is to be
different comes in a new one, which nodes of the version before must be able to live with.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine
from importlib import resources
from typing import Any, NamedTuple

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.errors import ForeignStore
from fastness.hosting.postgres.checks import check_server
from fastness.hosting.postgres.connecting import Found, find_primary, hosts_of
from fastness.hosting.postgres.failures import translated

LOCK = 0x666173746E657373
"""Of migrations, among the advisory locks of the database."""

FAREWELL_S = 1.0
"""How long a server may take to hang up."""

_BEGINNING = """
CREATE SCHEMA IF NOT EXISTS fastness;
CREATE TABLE IF NOT EXISTS fastness.migrations (
    number int PRIMARY KEY, name text NOT NULL, carried_out timestamptz NOT NULL DEFAULT now()
);
"""


class Identity(NamedTuple):
    """Whose store it is, and which."""

    cluster_id: str
    store_id: str


class Migration(NamedTuple):
    """One step of the schema."""

    number: int
    name: str
    statements: str


def migrations() -> list[Migration]:
    """All that this version knows, in order."""
    found = []
    for file in resources.files(__package__).joinpath("schema").iterdir():
        named = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if named is not None:
            found.append(Migration(int(named[1]), named[2], file.read_text("utf-8")))
    return sorted(found)


async def prepare(connection: Any, cluster_id: str) -> Identity:  # noqa: ANN401 - no types
    """Make the schema, or bring it up to date, and give the store to a cluster; may be repeated.

    `ForeignStore` where another cluster has it, or a newer version has migrated it.
    """
    async with connection.transaction(isolation="read_committed"):
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        if await _migrated_to(connection) == 0:
            await connection.execute(_BEGINNING)
        else:
            await identity_of(connection, cluster_id)
        await migrate(connection)
        await connection.execute(
            "INSERT INTO fastness.store (cluster_id, store_id) VALUES ($1, $2)"
            " ON CONFLICT DO NOTHING",
            cluster_id,
            secrets.token_hex(16),
        )
        return await identity_of(connection, cluster_id)


async def bring_up_to_date(connection: Any, cluster_id: str) -> Identity:  # noqa: ANN401 - no types
    """The identity of a store that was prepared for this cluster, its schema this version's."""
    known = migrations()[-1].number
    if 0 < await _migrated_to(connection) < known:
        return await prepare(connection, cluster_id)
    return await identity_of(connection, cluster_id)


async def identity_of(connection: Any, cluster_id: str) -> Identity:  # noqa: ANN401 - no types
    """Whose store it is; `ForeignStore` unless it is that cluster's, in a version known here."""
    version, known = await _migrated_to(connection), migrations()[-1].number
    if version == 0:
        raise ForeignStore(
            "the database was not prepared as a store: fastness cluster add-store does that"
        )
    if version > known:
        raise ForeignStore(
            f"the store's schema is {version}, and this version of fastness knows {known}: "
            "upgrade this node"
        )
    row = await connection.fetchrow("SELECT cluster_id, store_id FROM fastness.store")
    if row is None:
        raise ForeignStore("the store has no identity: prepare it again")
    if row["cluster_id"] != cluster_id:
        raise ForeignStore(
            f"the store belongs to cluster {row['cluster_id']!r}, not to {cluster_id!r}: use "
            "another database"
        )
    return Identity(row["cluster_id"], row["store_id"])


async def migrate(connection: Any) -> None:  # noqa: ANN401 - no types
    """Carry out what is missing; in a transaction, under the lock."""
    done = await _migrated_to(connection)
    for migration in migrations():
        if migration.number > done:
            await connection.execute(migration.statements)
            await connection.execute(
                "INSERT INTO fastness.migrations (number, name) VALUES ($1, $2)",
                migration.number,
                migration.name,
            )


async def _migrated_to(connection: Any) -> int:  # noqa: ANN401 - no types
    """The last migration carried out, 0 for none."""
    if await connection.fetchval("SELECT to_regclass('fastness.migrations')") is None:
        return 0
    number: int = await connection.fetchval(
        "SELECT coalesce(max(number), 0) FROM fastness.migrations"
    )
    return number


async def prepare_store(dsn: str, cluster_id: str, *, allow_unreplicated: bool) -> Identity:
    """Make the database at a DSN a store of a cluster, if it is not; see `prepare`."""
    found = await find_primary(dsn, hosts_of(dsn))
    try:
        await check_server(
            found.connection, found.instance.version, allow_unreplicated=allow_unreplicated
        )
        return await prepare(found.connection, cluster_id)
    except Exception as error:
        raise translated(error, "preparing the store") from error
    finally:
        await _farewell(found)


async def _farewell(found: Found) -> None:
    close: Callable[[], Coroutine[Any, Any, None]] = found.connection.close
    try:
        async with asyncio.timeout(FAREWELL_S):
            await close()
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        found.connection.terminate()
