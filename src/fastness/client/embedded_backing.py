"""An embedded engine behind the two faces of a database.

Reads answer at once in the calling thread or task. What may take long (registering classes,
building, figures, closing) is handed to a thread where a task asks for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastness.client.attempts import AsyncEmbeddedAttempts, EmbeddedAttempts
from fastness.client.cache_audit import CacheAudit
from fastness.client.embedded import Embedded, settled_timestamp
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import Freshness
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import InvalidOption
from fastness.hosting import Watch
from fastness.model import IndexOf, Record, TotalOf

OUTCOME_POLL_S = 0.001


class _EmbeddedBacking:
    """What both kinds share."""

    def __init__(self, embedded: Embedded) -> None:
        self._embedded = embedded
        self._engine = embedded.engine
        self.url = embedded.url
        self.limits = embedded.engine.limits

    @property
    def embedded(self) -> Embedded:
        """The engine in this process."""
        return self._embedded

    def _moment(
        self, at: Timestamp | datetime | None, freshness: Freshness | None
    ) -> Timestamp | None:
        if freshness is not None:
            if at is not None:
                raise InvalidOption(f"at={at!r} and freshness={freshness!r} exclude each other")
            self._embedded.require_fresh(freshness)
        return None if at is None else self._embedded.moment(at)


class EmbeddedBacking(_EmbeddedBacking):
    """See `backing.Backing`. There is nothing to cache: every read is from this process."""

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,  # noqa: ARG002 - see the class
        freshness: Freshness | None,
    ) -> Transaction:
        """A transaction, one attempt."""
        return Transaction(
            self._engine,
            schema=self._embedded.schema,
            at=None if at is None and freshness is None else self._moment(at, freshness),
            read_only=read_only,
        )

    def attempts(self, timeout: float | None) -> EmbeddedAttempts:
        """The attempts of one function, `timeout` seconds at most."""
        return EmbeddedAttempts(self._embedded, timeout)

    def get(
        self,
        key: bytes,
        cache: bool | None,  # noqa: ARG002 - see the class
        freshness: Freshness | None,
    ) -> bytes | None:
        """The value of a key."""
        if freshness is not None:
            self._embedded.require_fresh(freshness)
        return Transaction(self._engine, read_only=True).get(key)

    def get_many(
        self,
        keys: Sequence[bytes],
        cache: bool | None,  # noqa: ARG002 - see the class
        freshness: Freshness | None,
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        if freshness is not None:
            self._embedded.require_fresh(freshness)
        return Transaction(self._engine, read_only=True).get_many(keys)

    def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        return self._embedded.use(classes)

    def build_indexes(self) -> dict[str, str]:
        """Build what is pending, in this thread; problems by name."""
        return self._embedded.build_indexes()

    def wait_until_readable(
        self, parts: Sequence[IndexOf[Any] | TotalOf[Any]], timeout: float | None
    ) -> bool:
        """Wait until these are built, `timeout` seconds at most."""
        return self._embedded.wait_until_readable(parts, timeout)

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self._engine.read_timestamp()

    def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        return self._engine.watch(key, seen)

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        commit = self._embedded.outcome_of(transaction_id)
        while not commit.settled:
            time.sleep(OUTCOME_POLL_S)
        return settled_timestamp(commit)

    def stat(self) -> DatabaseStat:
        """Figures now."""
        return self._embedded.stat()

    def audit_cache(self, entries: int) -> CacheAudit:  # noqa: ARG002 - there is none
        """Nothing was cached, so nothing can be stale."""
        return CacheAudit()

    def close(self) -> None:
        """Finish the commits under way and release the directory. Idempotent."""
        self._embedded.close()


class AsyncEmbeddedBacking(_EmbeddedBacking):
    """See `backing.AsyncBacking`."""

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,  # noqa: ARG002 - there is nothing to cache
        freshness: Freshness | None,
    ) -> AsyncTransaction:
        """A transaction, one attempt."""
        return AsyncTransaction(
            self._engine,
            schema=self._embedded.schema,
            at=None if at is None and freshness is None else self._moment(at, freshness),
            read_only=read_only,
        )

    def attempts(self, timeout: float | None) -> AsyncEmbeddedAttempts:
        """The attempts of one function, `timeout` seconds at most."""
        return AsyncEmbeddedAttempts(self._embedded, timeout)

    async def get(
        self,
        key: bytes,
        cache: bool | None,  # noqa: ARG002 - there is nothing to cache
        freshness: Freshness | None,
    ) -> bytes | None:
        """The value of a key."""
        if freshness is not None:
            self._embedded.require_fresh(freshness)
        return await AsyncTransaction(self._engine, read_only=True).get(key)

    async def get_many(
        self,
        keys: Sequence[bytes],
        cache: bool | None,  # noqa: ARG002 - there is nothing to cache
        freshness: Freshness | None,
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        if freshness is not None:
            self._embedded.require_fresh(freshness)
        return await AsyncTransaction(self._engine, read_only=True).get_many(keys)

    async def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        return await asyncio.to_thread(self._embedded.use, classes)

    async def build_indexes(self) -> dict[str, str]:
        """Build what is pending, in a thread; problems by name."""
        return await asyncio.to_thread(self._embedded.build_indexes)

    async def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,  # noqa: ASYNC109 - handed to a thread
    ) -> bool:
        """Wait until these are built, `timeout` seconds at most."""
        return await asyncio.to_thread(self._embedded.wait_until_readable, parts, timeout)

    async def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self._engine.read_timestamp()

    async def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        return self._engine.watch(key, seen)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        commit = self._embedded.outcome_of(transaction_id)
        while not commit.settled:  # noqa: ASYNC110 - rare, and another thread settles it
            await asyncio.sleep(OUTCOME_POLL_S)
        return settled_timestamp(commit)

    async def stat(self) -> DatabaseStat:
        """Figures now."""
        return await asyncio.to_thread(self._embedded.stat)

    async def audit_cache(self, entries: int) -> CacheAudit:  # noqa: ARG002 - there is none
        """Nothing was cached, so nothing can be stale."""
        return CacheAudit()

    async def close(self) -> None:
        """Finish the commits under way and release the directory. Idempotent."""
        await asyncio.to_thread(self._embedded.close)


__all__ = ["AsyncEmbeddedBacking", "EmbeddedBacking"]
