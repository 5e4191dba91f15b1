"""Draws a sample of a store's rows, and asks how large the store is: cheap, for every minute.

Whole pages are drawn (TABLESAMPLE SYSTEM), so few of them are read; rows of one page were written
at about one time, not about one key. Asked over a connection of its own.
"""

from __future__ import annotations

from typing import Any

from fastness.hosting.postgres.connecting import find_primary, hosts_of
from fastness.hosting.postgres.failures import translated
from fastness.placement.samples import StoreSample

ROWS = 5_000
"""About so many are drawn."""

_SIZE = """
SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::int8 AS bytes,
    coalesce(max(c.reltuples) FILTER (WHERE c.relname = 'newest'), 0)::float8 AS keys
FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace
WHERE s.nspname = 'fastness' AND c.relkind = 'r'
"""
_SAMPLE = """
SELECT key, octet_length(key) + octet_length(rest) + octet_length(value) AS bytes
FROM fastness.newest TABLESAMPLE SYSTEM ($1)
"""


async def survey(dsn: str) -> StoreSample:
    """Ask the primary of a DSN; raises why there is none, or what it refuses."""
    found = await find_primary(dsn, hosts_of(dsn))
    try:
        return await _asked(found.connection)
    except Exception as error:
        raise translated(error, "drawing a sample of the store") from error
    finally:
        found.connection.terminate()


async def _asked(connection: Any) -> StoreSample:  # noqa: ANN401 - no types
    size = await connection.fetchrow(_SIZE)
    # Before the first vacuum the number of rows is not known: then the table is small.
    keys = max(0.0, size["keys"])
    percent = min(100.0, 100.0 * ROWS / keys) if keys else 100.0
    rows = await connection.fetch(_SAMPLE, percent)
    weight = 100.0 / percent
    drawn = [(row["key"], row["bytes"] * weight) for row in rows]
    return StoreSample(drawn, size_bytes=size["bytes"], keys=int(keys) or len(drawn))
