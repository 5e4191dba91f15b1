"""One request as its handler sees it: decoded, and with the client that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from fastness.client.cluster import ClusterClient, ClusterTransaction
from fastness.encoding.timestamps import Timestamp
from fastness.limits import Limits
from fastness.model import read_schema_async
from fastness.model.by_name import RebuiltSchemas
from fastness.model.layout import SCHEMA_VERSION_KEY
from fastness.model.schema import Schema
from fastness.runtime.clock import Clock
from fastness.server.gateway.timestamps import moment_of
from fastness.server.http import Response

T = TypeVar("T")
C = TypeVar("C", bytes, str)

FIRST_STEP = 16
"""Entries read first, before it is known how large they are."""
STEP_MAX = 1_000
"""Entries, and operations, that are worked on in one turn of the loop: others wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """See the module's page."""

    client: ClusterClient
    schemas: RebuiltSchemas
    limits: Limits
    clock: Clock
    path: Sequence[bytes]
    """What stands in the path for the parameters of the route, unescaped."""
    query: Any
    """As the route's `query` says, `None` where it has none."""
    headers: Any
    """As the route's `headers` says."""
    body: Any
    """As the route's `body` says."""
    let_go: Callable[[float], Coroutine[Any, Any, None]]
    """Returns after so many seconds, or as soon as the server wants to end or nobody waits."""

    def reading(self, at: str | None) -> ClusterTransaction:
        """A transaction that reads now, or in the past."""
        moment: Timestamp | datetime | None = None if at is None else moment_of(at)
        return self.client.transaction(at=moment, read_only=True)

    async def bind(self, tx: ClusterTransaction) -> Schema:
        """Give a transaction the schema that is stored at its snapshot; answers it.

        Whoever reads the past may know a newer one: its indexes say since when they serve.
        """
        raw = await tx.unchecked_get(SCHEMA_VERSION_KEY)
        version = 0 if raw is None else int.from_bytes(raw, "big")
        newest = self.schemas.newest
        if newest is not None and (
            newest.version == version or (tx.is_read_only and newest.version > version)
        ):
            tx.schema = newest
        else:
            tx.schema = self.schemas.of(await read_schema_async(tx, self.limits))
        return tx.schema


Handler: TypeAlias = Callable[[Call], Awaitable[object]]
"""Answers a call: a document, or a whole response."""


async def paged(
    read: Callable[[int, C | None], Awaitable[tuple[list[T], C | None]]],
    size_of: Callable[[T], int],
    *,
    limit: int,
    bytes_max: int,
    continuation: C | None,
) -> tuple[list[T], C | None]:
    """Up to `limit` entries, or as many as make up `bytes_max`, and how to go on.

    `read(count, continuation)` reads a page. Steps grow as far as what was seen so far allows,
    so that entries of a megabyte are not read by the thousand.
    """
    entries: list[T] = []
    size, step = 0, FIRST_STEP
    while True:
        found, continuation = await read(min(step, limit - len(entries)), continuation)
        entries += found
        size += sum(map(size_of, found))
        left = bytes_max - size
        if continuation is None or len(entries) >= limit or left <= 0:
            return entries, continuation
        step = next_step(step, len(entries), size, left)


def next_step(step: int, entries: int, size: int, left: int) -> int:
    """How many entries to read next, after so many of this size."""
    return max(1, min(step * 4, STEP_MAX, left * max(entries, 1) // max(size, 1)))


__all__ = ["Call", "Handler", "Response", "next_step", "paged"]
