"""`AsyncDatabase`: the asynchronous face of one database, equal in power."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from fastness.client.backing import AsyncBacking
from fastness.client.cache_audit import CacheAudit
from fastness.client.embedded import Embedded
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import Freshness
from fastness.client.running import run_async, write_async
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import InvalidOption
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf
from fastness.transactions import Page

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDatabase:
    """One database, shared by all tasks of one event loop. Close it, or use `async with`.

    `run` and `@transactional` retry for you; `transaction()` is a single attempt. The plain
    calls (`get`, `set`, ...) are transactions of one operation. It is the same type whether the
    engine is in this process or behind a server.

    `cache` says whether a read may be served from the near cache, `freshness` how old what it
    shows may be (`AtLeast`, `Within`). An engine in this process needs no cache.
    """

    def __init__(self, backing: AsyncBacking) -> None:
        """Use `await fastness.open_async` instead."""
        self._backing = backing

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._backing.url}>"

    @property
    def limits(self) -> Limits:
        """The limits this database was opened with."""
        return self._backing.limits

    @property
    def backing(self) -> AsyncBacking:
        """What this face stands on: `AsyncDatabase(other)` puts a layer of your own between.

        `fastness.testing.kit` brings faults in here. A backing's transactions are the engine's.
        """
        return self._backing

    @property
    def embedded(self) -> Embedded:
        """The engine in this process, for tools; `UsageError` where a server has it."""
        return self._backing.embedded

    def transaction(
        self,
        *,
        at: Timestamp | datetime | None = None,
        read_only: bool = False,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> AsyncTransaction:
        """Begin a single attempt; as a context manager it commits on a clean exit.

        `at`, a timestamp or an aware datetime inside the retention window, reads the past.
        """
        return self._backing.begin(at, read_only=read_only, cache=cache, freshness=freshness)

    # ---------------------------------------------------------- typed records

    async def use(self, *classes: type[Record]) -> list[str]:
        """Register record classes; answers what changed in the stored schema, in words.

        Raises `SchemaError` listing what would misread stored records. New indexes are built
        in the background; until then they are written but not readable.
        """
        return await self._backing.use(classes)

    async def build_indexes(self) -> dict[str, str]:
        """Build every index and total now; answers the problems by name."""
        return await self._backing.build_indexes()

    async def wait_until_readable(
        self,
        *parts: IndexOf[Any] | TotalOf[Any],
        timeout: float | None = None,  # noqa: ASYNC109 - counted by the engine's own clock
    ) -> bool:
        """Wait until these indexes and totals are built; `False` when `timeout` s passed.

        Raises `SchemaError` when one cannot be built: two records hold the same values of a
        unique index, which the message names.
        """
        return await self._backing.wait_until_readable(parts, timeout)

    # ------------------------------------------------- one-operation calls

    async def run(
        self,
        function: Callable[Concatenate[AsyncTransaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Await `function(tx, ...)` in a transaction and commit; again after each conflict.

        The function may run several times: leave side effects to `tx.on_commit`. Gives up
        with `DeadlineExceeded` after `limits.retry_ms`; `run_within` takes another time.
        """
        return await self.run_within(None, function, *args, **kwargs)

    async def run_within(
        self,
        timeout: float | None,  # noqa: ASYNC109 - it bounds retries, not one await
        function: Callable[Concatenate[AsyncTransaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `run`, giving up after `timeout` seconds."""
        return await run_async(self._backing.attempts(timeout), function, args, kwargs)

    async def get(
        self, key: bytes, *, cache: bool | None = None, freshness: Freshness | None = None
    ) -> bytes | None:
        """The newest value of `key`, `None` if absent."""
        return await self._backing.get(key, cache, freshness)

    async def get_many(
        self,
        keys: Sequence[bytes],
        *,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> list[bytes | None]:
        """The values of the keys at one moment, in the order asked."""
        return await self._backing.get_many(keys, cache, freshness)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end; each page has a snapshot of its own."""
        tx = self._backing.begin(None, read_only=True, cache=cache, freshness=freshness)
        return await tx.scan(begin, end, limit=limit, reverse=reverse, continuation=continuation)

    def scan_all(
        self,
        begin: bytes,
        end: bytes,
        *,
        reverse: bool = False,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every entry of the interval at one moment, page after page."""
        tx = self._backing.begin(None, read_only=True, cache=cache, freshness=freshness)
        return tx.scan_all(begin, end, reverse=reverse)

    async def set(
        self, key: bytes, value: bytes, *, expires_at: Timestamp | None = None
    ) -> Timestamp:
        """Write a value; answers the commit timestamp, as all writes here do."""
        return await self._write(lambda tx: tx.set(key, value, expires_at=expires_at))

    async def delete(self, key: bytes) -> Timestamp:
        """Remove a key; removing an absent one is no error."""
        return await self._write(lambda tx: tx.delete(key))

    async def delete_range(self, begin: bytes, end: bytes) -> Timestamp:
        """Remove every key k with begin <= k < end."""
        return await self._write(lambda tx: tx.delete_range(begin, end))

    async def add(self, key: bytes, amount: int) -> Timestamp:
        """Add to a counter (8 bytes, little-endian, signed)."""
        return await self._write(lambda tx: tx.add(key, amount))

    async def _write(self, body: Callable[[AsyncTransaction], None]) -> Timestamp:
        return await write_async(self._backing.attempts(None), body)

    async def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return await self._backing.now()

    async def watch(self, key: bytes, *, seen: Timestamp | None = None) -> Watch:
        """A one-time notice of the next change of `key`, or of any since timestamp `seen`.

        It may come for a write that left the value as it was, and never misses one that did not.
        """
        return await self._backing.watch(key, seen)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When an interrupted commit happened, `None` if it did not; waits while it is under way.

        Raises `MaybeCommitted` when nobody can tell.
        """
        return await self._backing.outcome(transaction_id)

    async def stat(self) -> DatabaseStat:
        """Figures of this database now, and of its server: there it is asked, as by a read."""
        return await self._backing.stat()

    async def audit_cache(self, entries: int = 100) -> CacheAudit:
        """Compare what the near cache serves with the truth, up to `entries`: those used last.

        The database is asked for each at a timestamp drawn before. A ratio below 1 is a bug.
        """
        if type(entries) is not int or entries < 1:
            raise InvalidOption(f"entries={entries!r} cannot be audited: give 1 or more")
        return await self._backing.audit_cache(entries)

    async def close(self) -> None:
        """Finish the commits under way, release the directory or the connection. Idempotent."""
        await self._backing.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
