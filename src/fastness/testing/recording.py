"""Databases that record: every attempt of every transaction goes into a ledger.

::

    recorded = RecordedDatabase(database, ledger, process=3)

    async def transfer(tx: RecordedTransaction) -> None:
        balance = await tx.get(b"a")
        ...
    await recorded.run("bank", transfer)

One `RecordedDatabase` is one client that does one thing at a time. It is a face over anything
that has the asynchronous face of a database (`AsyncDatabase`, the client of a cluster); typed
operations are done on `tx.inner` and go unrecorded, but for their timestamps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from fastness.testing.history import Operation, Outcome, outcome_of
from fastness.testing.ledger import (
    Add,
    Attempt,
    Erase,
    Extend,
    Ledger,
    Scanned,
    Set,
    StampKey,
    StampValue,
)
from fastness.transactions import Page

T = TypeVar("T")


class TransactionalDatabase(Protocol):
    """What is recorded: the asynchronous face of a database, as far as it is used here."""

    async def run(self, function: Callable[[Any], Awaitable[T]], /) -> T:
        """Run a function in a transaction, again after each conflict."""
        ...

    def transaction(self, *, at: int | None = None, read_only: bool = False) -> Any:  # noqa: ANN401 - of any engine
        """Begin a single attempt."""
        ...

    async def get(self, key: bytes) -> bytes | None:
        """The newest value of a key."""
        ...


class RecordedTransaction:
    """One attempt, recorded. What it notes with `note` is for checkers of histories."""

    __slots__ = ("_resume", "attempt", "inner", "writes")

    def __init__(self, inner: Any, attempt: Attempt, resume: dict[bytes, bytes]) -> None:  # noqa: ANN401 - of any engine
        self.inner = inner
        self.attempt = attempt
        self.writes = attempt.writes
        self._resume = resume

    def note(self, operation: Operation) -> None:
        """Note what the transaction does in the words of histories."""
        self.attempt.operations.append(operation)

    async def get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As `get` of the transaction."""
        value: bytes | None
        if snapshot:
            value = await self.inner.get(key, snapshot=True)
        else:
            value = await self.inner.get(key)
        self._record_get(key, value, snapshot=snapshot)
        return value

    async def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As `get_many` of the transaction."""
        values: list[bytes | None] = await self.inner.get_many(keys, snapshot=snapshot)
        for key, value in zip(keys, values, strict=True):
            self._record_get(key, value, snapshot=snapshot)
        return values

    def _record_get(self, key: bytes, value: bytes | None, *, snapshot: bool) -> None:
        if not self.writes and not snapshot:
            self.attempt.reads.append((key, value))
            return
        entries = () if value is None else ((key, value),)
        scanned = Scanned(key, key + b"\x00", entries, after=len(self.writes), single=True)
        (self.attempt.loose if snapshot else self.attempt.scans).append(scanned)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        snapshot: bool = False,
    ) -> Page:
        """As `scan` of the transaction."""
        page: Page = await self.inner.scan(
            begin, end, limit=limit, reverse=reverse, continuation=continuation, snapshot=snapshot
        )
        low, high = begin, end
        if continuation is not None:
            last = self._resume[continuation]
            low, high = (low, last) if reverse else (last + b"\x00", high)
        if page.continuation is not None:
            last = page.entries[-1][0]
            self._resume[page.continuation] = last
            low, high = (last, high) if reverse else (low, last + b"\x00")
        entries = tuple(page.entries[::-1] if reverse else page.entries)
        scanned = Scanned(low, high, entries, after=len(self.writes))
        (self.attempt.loose if snapshot else self.attempt.scans).append(scanned)
        return page

    async def scan_all(self, begin: bytes, end: bytes, *, limit: int) -> list[tuple[bytes, bytes]]:
        """Every entry of an interval, in pages of so many."""
        entries: list[tuple[bytes, bytes]] = []
        page = await self.scan(begin, end, limit=limit)
        while True:
            entries += page.entries
            if page.continuation is None:
                return entries
            page = await self.scan(begin, end, limit=limit, continuation=page.continuation)

    def set(self, key: bytes, value: bytes, *, expires_at: int = 0) -> None:
        """As `set` of the transaction; 0 never expires."""
        if expires_at:
            self.inner.set(key, value, expires_at=expires_at)
        else:
            self.inner.set(key, value)
        self.writes.append(Set(key, value, expires_at))

    def delete(self, key: bytes) -> None:
        """As `delete` of the transaction."""
        self.inner.delete(key)
        self.writes.append(Set(key, None))

    async def delete_range(self, begin: bytes, end: bytes) -> None:
        """As `delete_range` of the transaction, which some engines must await."""
        waiting = self.inner.delete_range(begin, end)
        if waiting is not None:
            await waiting
        self.writes.append(Erase(begin, end))

    def add(self, key: bytes, amount: int) -> None:
        """As `add` of the transaction."""
        self.inner.add(key, amount)
        self.writes.append(Add(key, amount))

    def append(self, key: bytes, value: bytes) -> None:
        """As `append` of the transaction."""
        self.inner.append(key, value)
        self.writes.append(Extend(key, value))

    def set_versionstamped_key(self, prefix: bytes, value: bytes, suffix: bytes = b"") -> None:
        """As `set_versionstamped_key` of the transaction."""
        self.inner.set_versionstamped_key(prefix, value, suffix)
        self.writes.append(StampKey(prefix, value, suffix))

    def set_versionstamped_value(self, key: bytes, prefix: bytes, suffix: bytes = b"") -> None:
        """As `set_versionstamped_value` of the transaction."""
        self.inner.set_versionstamped_value(key, prefix, suffix)
        self.writes.append(StampValue(key, prefix, suffix))


class RecordedDatabase:
    """One client of a database, recorded. It does one thing at a time."""

    def __init__(self, database: TransactionalDatabase, ledger: Ledger, process: int) -> None:
        self.database = database
        self.ledger = ledger
        self.process = process
        self.last: Attempt | None = None
        """The attempt that began last."""
        self._resume: dict[bytes, bytes] = {}
        """The last key of the page that a continuation goes on from."""

    async def run(self, kind: str, body: Callable[[RecordedTransaction], Awaitable[T]]) -> T:
        """Run a body in a transaction, again after each conflict; each attempt is recorded.

        An attempt counts as begun where the one before it had done its part, since the
        database may prepare the next one before it calls the body.
        """
        ledger = self.ledger
        begun = ledger.now()
        current: Attempt | None = None
        transaction: Any = None

        async def attempt(tx: Any) -> T:  # noqa: ANN401 - of any engine
            nonlocal begun, current, transaction
            if current is not None:
                _end(current, transaction, Outcome.FAILED)
            current = self.last = ledger.begin(self.process, kind, invoked=begun)
            transaction = tx
            try:
                return await body(RecordedTransaction(tx, current, self._resume))
            finally:
                begun = ledger.now()

        try:
            result = await self.database.run(attempt)
        except BaseException as error:
            if current is not None:
                _end(current, transaction, outcome_of(error))
            raise
        if current is not None:
            _end(current, transaction, Outcome.OK)
        return result

    async def snapshot(
        self,
        kind: str,
        body: Callable[[RecordedTransaction], Awaitable[T]],
        *,
        at: int | None = None,
    ) -> T:
        """A read-only transaction, at a timestamp of the past if one is given; one attempt."""
        current = self.last = self.ledger.begin(self.process, kind)
        current.past = at is not None
        tx = self.database.transaction(at=at, read_only=True)
        try:
            async with tx:
                result = await body(RecordedTransaction(tx, current, self._resume))
        except BaseException as error:
            _end(current, tx, outcome_of(error), past=at)
            raise
        _end(current, tx, Outcome.OK, past=at)
        return result

    async def get(self, kind: str, key: bytes) -> tuple[Attempt, bytes | None]:
        """A latest read of one key, on its own; the attempt it was, and the value."""
        current = self.ledger.begin(self.process, kind)
        try:
            value = await self.database.get(key)
        except BaseException as error:
            current.end(outcome_of(error))
            raise
        current.reads.append((key, value))
        current.end(Outcome.OK)
        return current, value


def _end(attempt: Attempt, transaction: Any, outcome: Outcome, *, past: int | None = None) -> None:  # noqa: ANN401 - of any engine
    """Record how an attempt ended, with what its transaction knows.

    In a cluster a transaction may end without a snapshot: its `read_timestamp` is a bound then.
    """
    has_snapshot = past is not None or getattr(transaction, "has_snapshot", True)
    attempt.end(
        outcome,
        read_timestamp=past or (transaction.read_timestamp if has_snapshot else 0),
        commit_timestamp=(transaction.commit_timestamp or 0) if outcome is Outcome.OK else 0,
        identity=transaction.id if attempt.writes else b"",
    )
