"""Traces of OpenTelemetry: what a client does with a database, and what its server does for it.

::

    from fastness.tracing import traced

    with traced(fastness.open("fastness://db/?cache=on")) as db:
        sign_up(db, "ann", "ann@example.org")

    fastness transaction                        a function and its retries
    |-- fastness attempt 1                      error.type=conflict
    |   |-- fastness get
    |   |   `-- fastness read                   the server, where it traces as well
    |   `-- fastness commit
    |       `-- fastness commit                 the server: validated, refused
    `-- fastness attempt 2
        ...

Spans go to the application's own provider. A database that is not traced is not touched by any of
this: a traced one is a layer before it, whose transactions are of classes of their own.
Names and attributes follow the semantic conventions for databases where these have one (`db.*`,
`error.type`, `server.address`); what only Fastness has begins with `fastness.`. Neither keys nor
values are ever recorded, but for the key of a conflict.

Needs the extra: pip install 'fastness[otel]'.
"""

from __future__ import annotations

from typing import overload

from opentelemetry.trace import TracerProvider

from fastness.client import AsyncDatabase, Database
from fastness.tracing.layers import AsyncTracedBacking, TracedBacking
from fastness.tracing.spans import spans_for


@overload
def traced(database: Database, provider: TracerProvider | None = None) -> Database: ...
@overload
def traced(database: AsyncDatabase, provider: TracerProvider | None = None) -> AsyncDatabase: ...
def traced(
    database: Database | AsyncDatabase, provider: TracerProvider | None = None
) -> Database | AsyncDatabase:
    """The same database, traced: by `provider`, or the one the application has set.

    Use it in place of `database`, which is closed with it.
    """
    spans = spans_for(database.backing.url, provider)
    if isinstance(database, AsyncDatabase):
        return AsyncDatabase(AsyncTracedBacking(database, spans))
    return Database(TracedBacking(database, spans))


__all__ = ["traced"]
