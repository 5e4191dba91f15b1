"""`Database`: the synchronous face of one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from fastness.client.attempts import run_attempts
from fastness.client.embedded import DatabaseStat, Embedded, settled_timestamp
from fastness.client.transaction import Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf
from fastness.transactions import Page

P = ParamSpec("P")
T = TypeVar("T")


class Database:
    """One database, shared by all threads of this process. Close it, or use `with`.

    `run` and `@transactional` retry for you; `transaction()` is a single attempt. The plain
    calls (`get`, `set`, ...) are transactions of one operation.
    """

    def __init__(self, embedded: Embedded) -> None:
        """Use `fastness.open` instead."""
        self.embedded = embedded
        self._engine = embedded.engine

    def __repr__(self) -> str:
        return f"<Database {self.embedded.url}>"

    @property
    def limits(self) -> Limits:
        """The limits this database was opened with."""
        return self._engine.limits

    def transaction(
        self, *, at: Timestamp | datetime | None = None, read_only: bool = False
    ) -> Transaction:
        """Begin a single attempt; as a context manager it commits on a clean exit.

        `at`, a timestamp or an aware datetime inside the retention window, reads the past.
        """
        embedded = self.embedded
        return Transaction(
            self._engine,
            schema=embedded.schema,
            at=None if at is None else embedded.moment(at),
            read_only=read_only,
        )

    # ---------------------------------------------------------- typed records

    def use(self, *classes: type[Record]) -> list[str]:
        """Register record classes; answers what changed in the stored schema, in words.

        Raises `SchemaError` listing what would misread stored records. New indexes are built
        in the background; until then they are written but not readable.
        """
        return self.embedded.use(classes)

    def build_indexes(self) -> dict[str, str]:
        """Build every index and total now, in this thread; answers the problems by name."""
        return self.embedded.build_indexes()

    def wait_until_readable(
        self, *parts: IndexOf[Any] | TotalOf[Any], timeout: float | None = None
    ) -> bool:
        """Block until these indexes and totals are built; `False` when `timeout` s passed.

        Raises `SchemaError` when one cannot be built: two records hold the same values of a
        unique index, which the message names.
        """
        return self.embedded.wait_until_readable(parts, timeout)

    # ------------------------------------------------- one-operation calls

    def run(
        self,
        function: Callable[Concatenate[Transaction, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call `function(tx, ...)` in a transaction and commit; again after each conflict.

        The function may run several times: leave side effects to `tx.on_commit`. Gives up
        with `DeadlineExceeded` after `limits.retry_ms`; `run_within` takes another time.
        """
        return self.run_within(None, function, *args, **kwargs)

    def run_within(
        self,
        timeout: float | None,
        function: Callable[Concatenate[Transaction, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """As `run`, giving up after `timeout` seconds."""
        return run_attempts(self.embedded, timeout, function, args, kwargs)

    def get(self, key: bytes) -> bytes | None:
        """The newest value of `key`, `None` if absent."""
        return Transaction(self._engine, read_only=True).get(key)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of the keys at one moment, in the order asked."""
        return Transaction(self._engine, read_only=True).get_many(keys)

    def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
    ) -> Page:
        """One page of the keys k with begin <= k < end; each page has a snapshot of its own."""
        return Transaction(self._engine, read_only=True).scan(
            begin, end, limit=limit, reverse=reverse, continuation=continuation
        )

    def scan_all(
        self, begin: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of the interval at one moment, page after page."""
        return Transaction(self._engine, read_only=True).scan_all(begin, end, reverse=reverse)

    def set(self, key: bytes, value: bytes, *, expires_at: Timestamp | None = None) -> Timestamp:
        """Write a value; answers the commit timestamp, as all writes here do."""
        return self._write(lambda tx: tx.set(key, value, expires_at=expires_at))

    def delete(self, key: bytes) -> Timestamp:
        """Remove a key; removing an absent one is no error."""
        return self._write(lambda tx: tx.delete(key))

    def delete_range(self, begin: bytes, end: bytes) -> Timestamp:
        """Remove every key k with begin <= k < end."""
        return self._write(lambda tx: tx.delete_range(begin, end))

    def add(self, key: bytes, amount: int) -> Timestamp:
        """Add to a counter (8 bytes, little-endian, signed)."""
        return self._write(lambda tx: tx.add(key, amount))

    def _write(self, body: Callable[[Transaction], None]) -> Timestamp:
        committed: list[Timestamp] = []

        def attempt(tx: Transaction) -> None:
            tx.on_commit(committed.append)
            body(tx)

        self.run(attempt)
        return committed[-1]

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        return self._engine.read_timestamp()

    def watch(self, key: bytes, *, seen: Timestamp | None = None) -> Watch:
        """A one-time notice of the next change of `key`, or of any since timestamp `seen`."""
        return self._engine.watch(key, seen)

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When an interrupted commit happened, `None` if it did not; waits while it is under way.

        Raises `MaybeCommitted` when the store failed under it.
        """
        commit = self.embedded.outcome_of(transaction_id)
        while not commit.settled:
            time.sleep(0.001)
        return settled_timestamp(commit)

    def stat(self) -> DatabaseStat:
        """Figures of this database now."""
        return self.embedded.stat()

    def close(self) -> None:
        """Finish the commits under way and release the directory. Idempotent."""
        self.embedded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
