"""`AsyncDatabase`: the asynchronous face of one database, equal in power."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from fastness.client.attempts import Attempts
from fastness.client.embedded import DatabaseStat, Embedded, settled_timestamp
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf
from fastness.transactions import Page

OUTCOME_POLL_S = 0.001

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDatabase:
    """One database, shared by all tasks of this process. Close it, or use `async with`.

    `run` and `@transactional` retry for you; `transaction()` is a single attempt. The plain
    calls (`get`, `set`, ...) are transactions of one operation.
    """

    def __init__(self, embedded: Embedded) -> None:
        """Use `await fastness.open_async` instead."""
        self.embedded = embedded
        self._engine = embedded.engine

    def __repr__(self) -> str:
        return f"<AsyncDatabase {self.embedded.url}>"

    @property
    def limits(self) -> Limits:
        """The limits this database was opened with."""
        return self._engine.limits

    def transaction(
        self, *, at: Timestamp | datetime | None = None, read_only: bool = False
    ) -> AsyncTransaction:
        """Begin a single attempt; as a context manager it commits on a clean exit.

        `at`, a timestamp or an aware datetime inside the retention window, reads the past.
        """
        embedded = self.embedded
        return AsyncTransaction(
            self._engine,
            schema=embedded.schema,
            at=None if at is None else embedded.moment(at),
            read_only=read_only,
        )

    # ---------------------------------------------------------- typed records

    async def use(self, *classes: type[Record]) -> list[str]:
        """Register record classes; answers what changed in the stored schema, in words.

        Raises `SchemaError` listing what would misread stored records. New indexes are built
        in the background; until then they are written but not readable.
        """
        return await asyncio.to_thread(self.embedded.use, classes)

    async def build_indexes(self) -> dict[str, str]:
        """Build every index and total now, in a thread; answers the problems by name."""
        return await asyncio.to_thread(self.embedded.build_indexes)

    async def wait_until_readable(
        self,
        *parts: IndexOf[Any] | TotalOf[Any],
        timeout: float | None = None,  # noqa: ASYNC109 - handed to a thread
    ) -> bool:
        """Wait until these indexes and totals are built; `False` when `timeout` s passed.

        Raises `SchemaError` when one cannot be built: two records hold the same values of a
        unique index, which the message names.
        """
        return await asyncio.to_thread(self.embedded.wait_until_readable, parts, timeout)

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
        attempts = Attempts(self.embedded, timeout)
        try:
            while True:
                tx = attempts.begin(AsyncTransaction)
                try:
                    async with tx:
                        result = await function(tx, *args, **kwargs)
                except FastnessError as error:
                    pause_s = attempts.failed(tx, error)
                else:
                    return result
                if pause_s:
                    await asyncio.sleep(pause_s)
        finally:
            attempts.end()

    async def get(self, key: bytes) -> bytes | None:
        """The newest value of `key`, `None` if absent."""
        return await AsyncTransaction(self._engine, read_only=True).get(key)

    async def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys at one moment, in the order asked."""
        return await AsyncTransaction(self._engine, read_only=True).get_many(keys)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end; each page has a snapshot of its own."""
        return await AsyncTransaction(self._engine, read_only=True).scan(
            begin, end, limit=limit, reverse=reverse, continuation=continuation
        )

    def scan_all(
        self, begin: bytes, end: bytes, *, reverse: bool = False
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every entry of the interval at one moment, page after page."""
        return AsyncTransaction(self._engine, read_only=True).scan_all(begin, end, reverse=reverse)

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
        committed: list[Timestamp] = []

        async def attempt(tx: AsyncTransaction) -> None:
            tx.on_commit(committed.append)
            body(tx)

        await self.run(attempt)
        return committed[-1]

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self._engine.read_timestamp()

    def watch(self, key: bytes, *, seen: Timestamp | None = None) -> Watch:
        """A one-time notice of the next change of `key`, or of any since timestamp `seen`."""
        return self._engine.watch(key, seen)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When an interrupted commit happened, `None` if it did not; waits while it is under way.

        Raises `MaybeCommitted` when the store failed under it.
        """
        commit = self.embedded.outcome_of(transaction_id)
        while not commit.settled:  # noqa: ASYNC110 - rare, and another thread settles it
            await asyncio.sleep(OUTCOME_POLL_S)
        return settled_timestamp(commit)

    async def stat(self) -> DatabaseStat:
        """Figures of this database now."""
        return await asyncio.to_thread(self.embedded.stat)

    async def close(self) -> None:
        """Finish the commits under way and release the directory. Idempotent."""
        await asyncio.to_thread(self.embedded.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
