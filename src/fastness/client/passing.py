"""Backings that pass everything on: the documented seam to put a layer under a database.

`Database(backing)` and `AsyncDatabase(backing)` take anything that keeps the contracts of
`client/backing.py`. A layer overrides what it is about: `taken` sees every transaction before
it is handed out, `reading` comes before reads outside of transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from fastness.client.async_database import AsyncDatabase
from fastness.client.cache_audit import CacheAudit
from fastness.client.database import Database
from fastness.client.embedded import Embedded
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import Freshness
from fastness.client.running import AsyncAttempts, Attempts
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.hosting import Watch
from fastness.model import IndexOf, Record, TotalOf


class PassingAttempts:
    """The attempts of another, each transaction of which is handed to `taken`."""

    def __init__(self, inner: Attempts, taken: Callable[[Transaction], Transaction]) -> None:
        self._inner = inner
        self._taken = taken

    def begin(self) -> Transaction:
        """The next attempt."""
        return self._taken(self._inner.begin())

    def failed(self, tx: Transaction, error: FastnessError) -> None:
        """Pause, or raise."""
        self._inner.failed(tx, error)

    def end(self) -> None:
        """Give up what was kept."""
        self._inner.end()


class PassingBacking:
    """A `Backing` that passes everything on."""

    def __init__(self, database: Database) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        self._database = database
        self._inner = database.backing
        self.url = self._inner.url
        self.limits = self._inner.limits

    def taken(self, tx: Transaction) -> Transaction:
        """A transaction as it is handed out; to be overridden."""
        return tx

    def reading(self) -> None:
        """Before a read outside of transactions; to be overridden."""

    @property
    def embedded(self) -> Embedded:
        """The engine in this process."""
        return self._inner.embedded

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,
        freshness: Freshness | None,
    ) -> Transaction:
        """A transaction, one attempt."""
        inner = self._inner.begin(at, read_only=read_only, cache=cache, freshness=freshness)
        return self.taken(inner)

    def attempts(self, timeout: float | None) -> PassingAttempts:
        """The attempts of one function."""
        return PassingAttempts(self._inner.attempts(timeout), self.taken)

    def get(self, key: bytes, cache: bool | None, freshness: Freshness | None) -> bytes | None:
        """The value of a key."""
        self.reading()
        return self._inner.get(key, cache, freshness)

    def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        self.reading()
        return self._inner.get_many(keys, cache, freshness)

    def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes."""
        return self._inner.use(classes)

    def build_indexes(self) -> dict[str, str]:
        """Build what is pending."""
        return self._inner.build_indexes()

    def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,
    ) -> bool:
        """Wait until these are built."""
        return self._inner.wait_until_readable(parts, timeout)

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self._inner.now()

    def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        return self._inner.watch(key, seen)

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened."""
        return self._inner.outcome(transaction_id)

    def stat(self) -> DatabaseStat:
        """Figures now."""
        return self._inner.stat()

    def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        return self._inner.audit_cache(entries)

    def close(self) -> None:
        """End, with the database this stands before."""
        self._database.close()


class AsyncPassingAttempts:
    """The attempts of another, each transaction of which is handed to `taken`."""

    def __init__(
        self, inner: AsyncAttempts, taken: Callable[[AsyncTransaction], AsyncTransaction]
    ) -> None:
        self._inner = inner
        self._taken = taken

    def begin(self) -> AsyncTransaction:
        """The next attempt."""
        return self._taken(self._inner.begin())

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        await self._inner.failed(tx, error)

    def end(self) -> None:
        """Give up what was kept."""
        self._inner.end()


class AsyncPassingBacking:
    """A `AsyncBacking` that passes everything on."""

    def __init__(self, database: AsyncDatabase) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        self._database = database
        self._inner = database.backing
        self.url = self._inner.url
        self.limits = self._inner.limits

    def taken(self, tx: AsyncTransaction) -> AsyncTransaction:
        """A transaction as it is handed out; to be overridden."""
        return tx

    def reading(self) -> None:
        """Before a read outside of transactions; to be overridden."""

    @property
    def embedded(self) -> Embedded:
        """The engine in this process."""
        return self._inner.embedded

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,
        freshness: Freshness | None,
    ) -> AsyncTransaction:
        """A transaction, one attempt."""
        inner = self._inner.begin(at, read_only=read_only, cache=cache, freshness=freshness)
        return self.taken(inner)

    def attempts(self, timeout: float | None) -> AsyncPassingAttempts:
        """The attempts of one function."""
        return AsyncPassingAttempts(self._inner.attempts(timeout), self.taken)

    async def get(
        self, key: bytes, cache: bool | None, freshness: Freshness | None
    ) -> bytes | None:
        """The value of a key."""
        self.reading()
        return await self._inner.get(key, cache, freshness)

    async def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        self.reading()
        return await self._inner.get_many(keys, cache, freshness)

    async def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes."""
        return await self._inner.use(classes)

    async def build_indexes(self) -> dict[str, str]:
        """Build what is pending."""
        return await self._inner.build_indexes()

    async def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,  # noqa: ASYNC109 - handed on
    ) -> bool:
        """Wait until these are built."""
        return await self._inner.wait_until_readable(parts, timeout)

    async def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return await self._inner.now()

    async def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        return await self._inner.watch(key, seen)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened."""
        return await self._inner.outcome(transaction_id)

    async def stat(self) -> DatabaseStat:
        """Figures now."""
        return await self._inner.stat()

    async def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        return await self._inner.audit_cache(entries)

    async def close(self) -> None:
        """End, with the database this stands before."""
        await self._database.close()


__all__ = ["AsyncPassingAttempts", "AsyncPassingBacking", "PassingAttempts", "PassingBacking"]
