"""The layer before a database that makes spans of what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence

from fastness.client import AsyncDatabase, Database, Freshness
from fastness.client.cluster.backing import ClusterBacking
from fastness.client.cluster.blocking import BlockingBacking
from fastness.client.passing import (
    AsyncPassingAttempts,
    AsyncPassingBacking,
    PassingAttempts,
    PassingBacking,
)
from fastness.client.running import AsyncAttempts, Attempts
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.tracing.context import here
from fastness.tracing.spans import Open, Spans, attributes_of, record_error
from fastness.tracing.transactions import (
    AsyncTracedTransaction,
    TracedClasses,
    TracedTransaction,
)
from fastness.transactions.core import TransactionCore


class _Course:
    """The span of one function: from its first attempt to the end of its last."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans
        self._opened: Open | None = None
        self.attempts = 0
        self._last: TransactionCore | None = None

    def begin(self) -> None:
        """Another attempt begins."""
        if self._opened is None:
            self._opened = self._spans.open("transaction", {})
        self.attempts += 1

    def begun(self, tx: TransactionCore) -> None:
        """It is this one."""
        self._last = tx

    def failed(self, error: FastnessError) -> None:
        """It came to nothing."""
        if self._opened is not None:
            attributes = {"fastness.attempt": self.attempts, **attributes_of(error)}
            self._opened.span.add_event("attempt failed", attributes)

    def given_up(self, error: FastnessError) -> None:
        """There is to be no other."""
        if self._opened is not None:
            record_error(self._opened.span, error)

    def end(self) -> None:
        """The function has ended, one way or the other."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        opened.span.set_attribute("fastness.attempts", self.attempts)
        last = self._last
        if last is not None and last.commit_timestamp is not None:
            opened.span.set_attribute("fastness.commit_timestamp", last.commit_timestamp)
        opened.end()


class TracedAttempts(PassingAttempts):
    """For a thread."""

    def __init__(self, inner: Attempts, spans: Spans, classes: TracedClasses) -> None:
        self._course = _Course(spans)
        self._classes = classes
        super().__init__(inner, self._attempt)

    def _attempt(self, tx: Transaction) -> Transaction:
        number = self._course.attempts
        return self._classes.take(tx, "attempt", {"fastness.attempt": number})

    def begin(self) -> Transaction:
        """The next attempt."""
        self._course.begin()
        tx = super().begin()
        self._course.begun(tx)
        return tx

    def failed(self, tx: Transaction, error: FastnessError) -> None:
        """Pause, or raise."""
        self._course.failed(error)
        try:
            super().failed(tx, error)
        except FastnessError as last:
            self._course.given_up(last)
            raise

    def end(self) -> None:
        """Give up what was kept."""
        try:
            super().end()
        finally:
            self._course.end()


class AsyncTracedAttempts(AsyncPassingAttempts):
    """For a task."""

    def __init__(self, inner: AsyncAttempts, spans: Spans, classes: TracedClasses) -> None:
        self._course = _Course(spans)
        self._classes = classes
        super().__init__(inner, self._attempt)

    def _attempt(self, tx: AsyncTransaction) -> AsyncTransaction:
        number = self._course.attempts
        return self._classes.take(tx, "attempt", {"fastness.attempt": number})

    def begin(self) -> AsyncTransaction:
        """The next attempt."""
        self._course.begin()
        tx = super().begin()
        self._course.begun(tx)
        return tx

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        self._course.failed(error)
        try:
            await super().failed(tx, error)
        except FastnessError as last:
            self._course.given_up(last)
            raise

    def end(self) -> None:
        """Give up what was kept."""
        try:
            super().end()
        finally:
            self._course.end()


class TracedBacking(PassingBacking):
    """For threads."""

    def __init__(self, database: Database, spans: Spans) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        super().__init__(database)
        self._spans = spans
        self._classes = TracedClasses(spans, TracedTransaction)
        if isinstance(database.backing, BlockingBacking):
            database.backing.core.calls.tracing = here

    def taken(self, tx: Transaction) -> Transaction:
        """A transaction as it is handed out."""
        return self._classes.take(tx, "transaction", {})

    def attempts(self, timeout: float | None) -> TracedAttempts:
        """The attempts of one function."""
        return TracedAttempts(self._inner.attempts(timeout), self._spans, self._classes)

    def get(self, key: bytes, cache: bool | None, freshness: Freshness | None) -> bytes | None:
        """The value of a key."""
        with self._spans.call("get", 1):
            return super().get(key, cache, freshness)

    def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        with self._spans.call("get_many", len(keys)):
            return super().get_many(keys, cache, freshness)

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened."""
        with self._spans.call("outcome"):
            return super().outcome(transaction_id)


class AsyncTracedBacking(AsyncPassingBacking):
    """For tasks."""

    def __init__(self, database: AsyncDatabase, spans: Spans) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        super().__init__(database)
        self._spans = spans
        self._classes = TracedClasses(spans, AsyncTracedTransaction)
        if isinstance(database.backing, ClusterBacking):
            database.backing.core.calls.tracing = here

    def taken(self, tx: AsyncTransaction) -> AsyncTransaction:
        """A transaction as it is handed out."""
        return self._classes.take(tx, "transaction", {})

    def attempts(self, timeout: float | None) -> AsyncTracedAttempts:
        """The attempts of one function."""
        return AsyncTracedAttempts(self._inner.attempts(timeout), self._spans, self._classes)

    async def get(
        self, key: bytes, cache: bool | None, freshness: Freshness | None
    ) -> bytes | None:
        """The value of a key."""
        with self._spans.call("get", 1):
            return await super().get(key, cache, freshness)

    async def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        with self._spans.call("get_many", len(keys)):
            return await super().get_many(keys, cache, freshness)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened."""
        with self._spans.call("outcome"):
            return await super().outcome(transaction_id)


__all__ = ["AsyncTracedBacking", "TracedBacking"]
