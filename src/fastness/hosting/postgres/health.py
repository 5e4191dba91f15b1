"""How a store's PostgreSQL fares, for whoever looks after it: its standbys, its size, its bloat.

Asked over a connection of its own, beside the store's. Everything here is what PostgreSQL's own
statistics say, which may be some seconds old.
"""

from __future__ import annotations

from typing import Any

from fastness.hosting.postgres.connecting import find_primary, hosts_of
from fastness.hosting.postgres.failures import translated
from fastness.hosting.store_health import Standby, StoreHealth

_STANDBYS = """
SELECT application_name, sync_state, state IS NULL AS hidden,
    coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::int8 AS behind
FROM pg_stat_replication WHERE state IS NULL OR state = 'streaming' ORDER BY application_name
"""
_TABLES = """
SELECT coalesce(sum(n_live_tup), 0)::int8 AS live, coalesce(sum(n_dead_tup), 0)::int8 AS dead,
    coalesce(sum(pg_total_relation_size(relid)), 0)::int8 AS bytes
FROM pg_stat_user_tables WHERE schemaname = 'fastness'
"""
_OLDEST = """
SELECT coalesce(max(extract(epoch FROM now() - xact_start)), 0)::float8 AS seconds
FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
SYNCHRONOUS = frozenset({"sync", "quorum"})


async def health(dsn: str) -> StoreHealth:
    """Ask the primary of a DSN; raises why there is none, or what it refuses."""
    found = await find_primary(dsn, hosts_of(dsn))
    try:
        return await _asked(found.connection, found.instance.version)
    except Exception as error:
        raise translated(error, "asking how the store fares") from error
    finally:
        found.connection.terminate()


async def _asked(connection: Any, version: int) -> StoreHealth:  # noqa: ANN401 - no types
    standbys = await connection.fetch(_STANDBYS)
    tables = await connection.fetchrow(_TABLES)
    oldest = await connection.fetchrow(_OLDEST)
    return StoreHealth(
        version,
        [
            Standby(row["application_name"], row["sync_state"] in SYNCHRONOUS, row["behind"])
            for row in standbys
            if not row["hidden"]
        ],
        sum(row["hidden"] for row in standbys),
        tables["live"],
        tables["dead"],
        tables["bytes"],
        oldest["seconds"],
    )
