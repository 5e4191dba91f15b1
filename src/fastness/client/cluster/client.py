"""`ClusterClient`: the asynchronous database whose engine is a cluster, over any `Process`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from fastness.cache import CacheCounts
from fastness.client.async_database import AsyncDatabase
from fastness.client.cluster.access import Access
from fastness.client.cluster.auditing import Audit, audit_key, audit_scan
from fastness.client.cluster.background import Tasks
from fastness.client.cluster.backing import ClusterBacking
from fastness.client.cluster.calls import CallCounts
from fastness.client.cluster.commits import CommitCounts
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.transaction import ClusterTransaction
from fastness.client.freshness import Freshness
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.limits import Limits
from fastness.model import Record
from fastness.model.operations import Schema
from fastness.runtime.forking import own
from fastness.runtime.process import Address, Process


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """Figures of a client since it began; live."""

    calls: CallCounts = field(repr=False)
    commits: CommitCounts
    cache: CacheCounts


class ClusterClient(AsyncDatabase):
    """One client process of a cluster, shared by all its tasks. Close it, or use `async with`.

    `fastness.open_async("fastness://...")` makes one over a real network. With `cache` reads are
    served from the near cache unless they say otherwise; without it only those are that ask.

    Errors, besides those of an embedded database: `Unreachable` where nobody who could answer
    did so for `limits.operation_ms`, `Overloaded` beyond `limits.calls_in_flight`, and
    `MaybeCommitted` where a commit was sent and its outcome could not be learned.
    """

    def __init__(
        self,
        process: Process,
        nodes: Sequence[Address],
        limits: Limits | None = None,
        *,
        schema: Iterable[type[Record]] = (),
        cache: bool = False,
        access: Access | None = None,
        closing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Begin with the addresses of some nodes; nothing is sent before the first use.

        `schema` are the record classes that `async with` registers, as `use` does; `closing` is
        awaited at the end.
        """
        self._tasks = Tasks(process)
        access = access or Access(url=process.address, cache=cache)
        self.core = ClusterCore(process, nodes, limits or Limits(), self._tasks, space=access.space)
        self.core.loop = process.future().get_loop()
        backing = ClusterBacking(self.core, access)
        super().__init__(backing)
        self._cluster = backing
        self._closing = closing
        self._wanted: list[type[Record]] = list(schema)
        self.counts = ClusterCounts(
            self.core.calls.counts, self.core.commits.counts, self.core.cached.near.counts
        )
        own(self.core)

    @property
    def schema(self) -> Schema:
        """The schema known now."""
        return self._cluster.schema

    def transaction(
        self,
        *,
        at: Timestamp | datetime | None = None,
        read_only: bool = False,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> ClusterTransaction:
        """As of every database; of the type that a cluster has."""
        return self._cluster.begin(at, read_only=read_only, cache=cache, freshness=freshness)

    def transaction_since(self, at: Timestamp) -> ClusterTransaction:
        """A single attempt that reads at a timestamp of the past, and may write all the same.

        Its commit raises `Conflict` where anything it read was overwritten since: whoever read
        at a timestamp can write upon that, however long ago, within the retention window.
        """
        return ClusterTransaction(
            self.core,
            schema=self.schema,
            moment=self._cluster.moment(at, None)._replace(writes=True),
            read_only=self._cluster.read_only,
        )

    async def refresh_schema(self) -> None:
        """Take up the stored schema: a build finished, or another process registered."""
        await self._cluster.records.refresh_schema()

    async def audit(self, key: bytes) -> Audit:
        """Compare what the near cache serves for a key with the truth; for tests."""
        return await audit_key(self.core, self.core.outside(key))

    async def audit_scan(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[Audit]:
        """The same for what it serves of a scan, one audit for each range; for tests.

        A transaction that asks for a page of n entries caches n + 1.
        """
        interval = KeyInterval(self.core.outside(begin), self.core.outside(end))
        return await audit_scan(self.core, interval, limit, reverse=reverse)

    async def close(self) -> None:
        """Stop: commits under way are left to be resolved by their ids. Idempotent."""
        self.core.require_here()
        await super().close()
        await self._tasks.stop()
        closing, self._closing = self._closing, None
        if closing is not None:
            await closing()

    async def __aenter__(self) -> Self:
        if self._wanted:
            await self.use(*self._wanted)
        return self


__all__ = ["ClusterClient", "ClusterCounts"]
