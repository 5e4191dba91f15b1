"""`ClusterClient`: the asynchronous face of a database that is a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from fastness.cache import CacheCounts
from fastness.client.attempts import ELDEST
from fastness.client.cluster.attempts import Attempts
from fastness.client.cluster.auditing import Audit, audit_key, audit_scan
from fastness.client.cluster.calls import CallCounts
from fastness.client.cluster.commits import CommitCounts
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.reads import paused
from fastness.client.cluster.transaction import ClusterTransaction
from fastness.encoding.intervals import USER_END, KeyInterval
from fastness.encoding.timestamps import Timestamp, from_datetime
from fastness.errors import Conflict, FastnessError, InvalidTimestamp
from fastness.hosting.forking import own
from fastness.limits import Limits
from fastness.model import Record, build_all_async, register_async
from fastness.model.layout import SCHEMA_VERSION_KEY
from fastness.model.operations import Schema
from fastness.runtime.process import Address, Process
from fastness.transactions import Page

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClusterCounts:
    """Figures of a client since it began; live."""

    calls: CallCounts = field(repr=False)
    commits: CommitCounts
    cache: CacheCounts


class ClusterClient:
    """One client process of a cluster, shared by all its tasks. Close it, or use `async with`.

    `run` and `@transactional` retry for you; `transaction()` is a single attempt. The plain
    calls (`get`, `set`, ...) are transactions of one operation. With `cache` reads are served
    from the near cache unless they say otherwise; without it only those are that ask for it.

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
    ) -> None:
        """Begin with the addresses of some nodes; nothing is sent before the first use.

        `schema` are the record classes that `async with` registers, as `use` does.
        """
        limits = limits or Limits()
        self.core = ClusterCore(process, nodes, limits)
        self.schema = Schema(limits=limits)
        self._classes: list[type[Record]] = list(schema)
        self._caching = cache
        self.counts = ClusterCounts(
            self.core.calls.counts, self.core.commits.counts, self.core.cached.near.counts
        )
        own(self.core.cached)

    def __repr__(self) -> str:
        return f"<ClusterClient {self.core.calls.process.address}>"

    @property
    def limits(self) -> Limits:
        """The limits this client keeps to."""
        return self.core.limits

    def transaction(
        self,
        *,
        at: Timestamp | datetime | None = None,
        read_only: bool = False,
        cache: bool | None = None,
    ) -> ClusterTransaction:
        """Begin a single attempt; as a context manager it commits on a clean exit.

        `at`, a timestamp or an aware datetime inside the retention window, reads the past.
        """
        return self._begin(at=self._moment(at), read_only=read_only, cache=cache)

    def _begin(
        self,
        *,
        at: Timestamp | None = None,
        read_only: bool = False,
        cache: bool | None = None,
        priority: tuple[Timestamp, bytes] | None = None,
    ) -> ClusterTransaction:
        return ClusterTransaction(
            self.core,
            schema=self.schema,
            at=at,
            read_only=read_only,
            priority=priority,
            cache=self._caching if cache is None else cache,
        )

    def _moment(self, at: Timestamp | datetime | None) -> Timestamp | None:
        if not isinstance(at, datetime):
            return at
        timestamp = from_datetime(at)
        if timestamp >> 18 > self.core.calls.process.clock.wall_ms():
            raise InvalidTimestamp(f"{at.isoformat()} lies in the future: read the past or now")
        return timestamp

    # ------------------------------------------------------------------ typed

    async def use(self, *classes: type[Record]) -> list[str]:
        """Register record classes beside those known; answers what changed, in words."""
        wanted = list(dict.fromkeys([*self._classes, *classes]))
        registration = await self._run(None, ELDEST, register_async, (wanted, self.limits), {})
        self.schema = registration.schema
        self._classes = wanted
        return registration.changes

    async def refresh_schema(self) -> None:
        """Take up the stored schema: a build finished, or another process registered."""
        await self.use()

    async def build_indexes(self) -> dict[str, str]:
        """Build every index and total that is not yet; answers the problems by name."""
        return await build_all_async(self.run, self.refresh_schema, lambda: False)

    # -------------------------------------------------------------------- run

    async def run(
        self,
        function: Callable[Concatenate[ClusterTransaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Await `function(tx, ...)` in a transaction and commit; again after each conflict.

        The function may run several times: leave side effects to `tx.on_commit`. Gives up
        with `DeadlineExceeded` after `limits.retry_ms`; `run_within` takes another time.
        """
        return await self._run(None, None, function, args, kwargs)

    async def run_within(
        self,
        timeout: float | None,  # noqa: ASYNC109 - it bounds retries, not one await
        function: Callable[Concatenate[ClusterTransaction, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `run`, giving up after `timeout` seconds."""
        return await self._run(timeout, None, function, args, kwargs)

    async def _run(
        self,
        timeout: float | None,  # noqa: ASYNC109 - as above
        priority: tuple[Timestamp, bytes] | None,
        function: Callable[..., Awaitable[T]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> T:
        attempts = Attempts(self.core, timeout)
        attempts.priority = priority
        try:
            while True:
                tx = self._begin(priority=attempts.priority)
                try:
                    async with tx:
                        result = await function(tx, *args, **kwargs)
                except FastnessError as error:
                    pause_ms = await attempts.failed(tx, error)
                    schema_changed = isinstance(error, Conflict) and error.key == SCHEMA_VERSION_KEY
                else:
                    return result
                if schema_changed and priority is not ELDEST:
                    await self.refresh_schema()
                if pause_ms:
                    await paused(self.core.calls, pause_ms)
        finally:
            attempts.end()

    # -------------------------------------------------- one-operation calls

    async def get(self, key: bytes, *, cache: bool | None = None) -> bytes | None:
        """The newest value of `key`, `None` if absent: one message, or none on a hit."""
        core = self.core
        if type(key) is not bytes or key >= USER_END or len(key) > self.limits.key_bytes:
            self._begin().check_key(key)
        if self._caching if cache is None else cache:
            entry = core.cached.find(key)
            cell = (await core.cached.latest([key]))[key].cell if entry is None else entry.cell
        else:
            cell = await core.reader.cell(key, 0)
        if cell is None:
            return None
        if _plain(cell):
            return cell[8:]
        # Only a timestamp can tell whether it has expired.
        return await self._begin(read_only=True).get(key, cache=False)

    async def get_many(
        self, keys: Sequence[bytes], *, cache: bool | None = None
    ) -> list[bytes | None]:
        """The values of the keys at one moment, in the order asked."""
        caching = self._caching if cache is None else cache
        tx = self._begin(read_only=True, cache=caching)
        for key in keys:
            tx.check_key(key)
        if keys and not caching:
            wanted = list(dict.fromkeys(keys))
            answer = await self.core.reader.latest(wanted, None, 0, reverse=False)
            if answer is not None and all(cell is None or _plain(cell) for cell in answer.cells):
                found = dict(zip(wanted, answer.cells, strict=True))
                return [None if (cell := found[key]) is None else cell[8:] for key in keys]
        return await tx.get_many(keys)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        cache: bool | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end; each page has a snapshot of its own."""
        return await self._begin(read_only=True, cache=cache).scan(
            begin, end, limit=limit, reverse=reverse, continuation=continuation
        )

    def scan_all(
        self, begin: bytes, end: bytes, *, reverse: bool = False
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every entry of the interval at one moment, page after page."""
        return self._begin(read_only=True).scan_all(begin, end, reverse=reverse)

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

    async def _write(self, body: Callable[[ClusterTransaction], None]) -> Timestamp:
        committed: list[Timestamp] = []

        async def attempt(tx: ClusterTransaction) -> None:
            tx.on_commit(committed.append)
            body(tx)

        await self.run(attempt)
        return committed[-1]

    async def now(self) -> Timestamp:
        """A timestamp issued from now on."""
        return await self.core.timestamps.read()

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not and never will.

        A commit under way in this client is waited for; any other that is undecided is aborted
        by asking. Raises `MaybeCommitted` where nobody can tell any more.
        """
        return await self.core.commits.outcome(transaction_id)

    async def audit(self, key: bytes) -> Audit:
        """Compare what the near cache serves for a key with the truth; for tests."""
        return await audit_key(self.core, key)

    async def audit_scan(
        self, begin: bytes, end: bytes, *, limit: int, reverse: bool = False
    ) -> list[Audit]:
        """The same for what it serves of a scan, one audit for each range; for tests.

        A transaction that asks for a page of n entries caches n + 1.
        """
        return await audit_scan(self.core, KeyInterval(begin, end), limit, reverse=reverse)

    # ---------------------------------------------------------------- closing

    async def close(self) -> None:
        """Stop: commits under way are left to be resolved by their ids. Idempotent."""
        self.core.commits.close()
        self.core.cached.near.void_all()
        self.core.calls.close()

    async def __aenter__(self) -> Self:
        if self._classes:
            await self.refresh_schema()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _plain(cell: bytes) -> bool:
    """Whether a cell needs no timestamp to be judged."""
    return cell[:1] < b"\x80"


__all__ = ["ClusterClient", "ClusterCounts"]
