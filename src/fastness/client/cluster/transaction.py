"""The transactions of a cluster: one that is awaited, one that blocks; both read as `reading.py`.

Each stands before the embedded transaction of its kind in the order of inheritance and replaces
what reads and commits. The blocking one has its coroutines driven in the calling thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.driving import Drive
from fastness.client.cluster.reading import ClusterReading
from fastness.client.cluster.view import NOW, Moment, View
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding import continuations
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.model.operations import Schema
from fastness.storage import cells
from fastness.transactions import AsyncKeyValueTransaction, Engine, KeyValueTransaction, Page

NO_SCHEMA = Schema()


class AwaitedReads(ClusterReading, AsyncKeyValueTransaction):
    """The calls of `AsyncKeyValueTransaction`, over ranges."""

    __slots__ = ()

    async def get(
        self, key: bytes, *, snapshot: bool = False, cache: bool | None = None
    ) -> bytes | None:
        """The value of `key`, `None` if absent. `cache` overrides the transaction's own choice."""
        self._check_key(key)
        return await self.read_key(key, snapshot, cache)

    async def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """The value of each key in the order asked, `None` where absent."""
        for key in keys:
            self._check_key(key)
        return await self.read_keys(keys, snapshot, cache)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end, in order or against it."""
        interval, rest, limit = self._page_asked(begin, end, limit, reverse, continuation)
        entries, more = await self.read_interval(rest, limit, reverse, snapshot, cache)
        token = continuations.encode(interval, reverse, entries[-1][0]) if more else None
        return Page(entries, token)

    async def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As `get`, for layers above: any key, its type and size checked by the caller."""
        return await self.read_key(key, snapshot, None)

    async def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As `get_many`, for layers above."""
        return await self.read_keys(keys, snapshot, None)

    async def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        return await self.read_interval(KeyInterval(begin, end), limit, reverse, snapshot, None)

    async def commit(self) -> None:
        """Commit durably, then run the hooks; raises `Conflict` when a read was overtaken.

        Cancelled while it waits, the commit goes on; `outcome(tx.id)` tells how it ended.
        """
        await self.send_commit()
        self._run_hooks()


class DrivenReads(ClusterReading, KeyValueTransaction):
    """The calls of `KeyValueTransaction`, over ranges."""

    __slots__ = ()

    _drive: Drive

    def get(self, key: bytes, *, snapshot: bool = False, cache: bool | None = None) -> bytes | None:
        """The value of `key`, `None` if absent. `cache` overrides the transaction's own choice."""
        self._check_key(key)
        return self._drive(self.read_key(key, snapshot, cache))

    def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """The value of each key in the order asked, `None` where absent."""
        for key in keys:
            self._check_key(key)
        return self._drive(self.read_keys(keys, snapshot, cache))

    def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end, in order or against it."""
        interval, rest, limit = self._page_asked(begin, end, limit, reverse, continuation)
        entries, more = self._drive(self.read_interval(rest, limit, reverse, snapshot, cache))
        token = continuations.encode(interval, reverse, entries[-1][0]) if more else None
        return Page(entries, token)

    def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As `get`, for layers above: any key, its type and size checked by the caller."""
        return self._drive(self.read_key(key, snapshot, None))

    def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As `get_many`, for layers above."""
        return self._drive(self.read_keys(keys, snapshot, None))

    def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        interval = KeyInterval(begin, end)
        return self._drive(self.read_interval(interval, limit, reverse, snapshot, None))

    def commit(self) -> None:
        """Commit durably, then run the hooks; raises `Conflict` when a read was overtaken.

        Interrupted while it waits (Ctrl-C), the commit goes on; `outcome(tx.id)` tells how it
        ended.
        """
        self._drive(self.send_commit())
        self._run_hooks()


class ClusterTransaction(AwaitedReads, AsyncTransaction):
    """A transaction of a cluster: keys and values (`get`, `set`, ...) and typed records."""

    __slots__ = ("_core", "_view")

    def __init__(
        self,
        core: ClusterCore,
        *,
        schema: Schema = NO_SCHEMA,
        moment: Moment = NOW,
        read_only: bool = False,
        priority: tuple[Timestamp, bytes] | None = None,
        cache: bool = False,
    ) -> None:
        """Begin; nothing is sent before the first read or the commit."""
        # Of an engine only limits and randomness are left: the reads above replace the others.
        super().__init__(
            cast("Engine", core),
            schema=schema,
            read_only=read_only or (moment.at is not None and not moment.writes),
            priority=priority,
        )
        self._core = core
        # A priority is kept from an attempt that failed.
        self._view = View(core, moment, caching=cache, draws_first=priority is not None)
        self._bound = cells.bound(TIMESTAMP_MAX)


class BlockingTransaction(DrivenReads, Transaction):
    """The same, for a thread."""

    __slots__ = ("_core", "_drive", "_view")

    def __init__(
        self,
        core: ClusterCore,
        drive: Drive,
        *,
        schema: Schema = NO_SCHEMA,
        moment: Moment = NOW,
        read_only: bool = False,
        priority: tuple[Timestamp, bytes] | None = None,
        cache: bool = False,
    ) -> None:
        """Begin; nothing is sent before the first read or the commit."""
        super().__init__(
            cast("Engine", core),
            schema=schema,
            read_only=read_only or moment.at is not None,
            priority=priority,
        )
        self._core = core
        self._drive = drive
        self._view = View(core, moment, caching=cache, draws_first=priority is not None)
        self._bound = cells.bound(TIMESTAMP_MAX)


__all__ = ["BlockingTransaction", "ClusterTransaction"]
