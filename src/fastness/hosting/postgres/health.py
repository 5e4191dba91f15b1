"""How a store's PostgreSQL fares, for whoever looks after it: its standbys, its size, its bloat.

Asked over a connection of its own, beside the store's. Everything here is what PostgreSQL's own
statistics say, which may be some seconds old.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fastness.hosting.postgres.connecting import find_primary, hosts_of
from fastness.hosting.postgres.failures import translated
from fastness.hosting.postgres.primary import farewell

_STANDBYS = """
SELECT application_name, sync_state,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::int8 AS behind
FROM pg_stat_replication WHERE state = 'streaming' ORDER BY application_name
"""
_TABLES = """
SELECT coalesce(sum(n_live_tup), 0)::int8 AS live, coalesce(sum(n_dead_tup), 0)::int8 AS dead,
    coalesce(sum(pg_total_relation_size(relid)), 0)::int8 AS bytes
FROM pg_stat_user_tables WHERE schemaname = 'fastness'
"""
_OLDEST = """
SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float8 AS seconds
FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""
SYNCHRONOUS = frozenset({"sync", "quorum"})


class Standby(msgspec.Struct, frozen=True):
    """One server that follows the primary."""

    name: str
    is_synchronous: bool
    bytes_behind: int
    """Of the log, until it shows what the primary shows."""


class Health(msgspec.Struct, frozen=True):
    """One PostgreSQL cluster; rows are estimates."""

    version: int
    """As 180004 for 18.4."""
    standbys: list[Standby]
    live_rows: int
    dead_rows: int
    """Not taken away by a vacuum yet."""
    size_bytes: int
    oldest_transaction_s: float
    """Of anybody: no vacuum takes away what it may still see."""


async def health(dsn: str) -> Health:
    """Ask the primary of a DSN; raises why there is none, or what it refuses."""
    found = await find_primary(dsn, hosts_of(dsn))
    try:
        return await _asked(found.connection, found.instance.version)
    except Exception as error:
        raise translated(error, "asking how the store fares") from error
    finally:
        await farewell(found)


async def _asked(connection: Any, version: int) -> Health:  # noqa: ANN401 - no types
    standbys = await connection.fetch(_STANDBYS)
    tables = await connection.fetchrow(_TABLES)
    oldest = await connection.fetchrow(_OLDEST)
    return Health(
        version,
        [
            Standby(row["application_name"], row["sync_state"] in SYNCHRONOUS, row["behind"])
            for row in standbys
        ],
        tables["live"],
        tables["dead"],
        tables["bytes"],
        oldest["seconds"],
    )
