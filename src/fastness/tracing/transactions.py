"""Transactions whose calls are spans.

A transaction stays the engine's own object, of a class that puts a span around its calls, as
`testing.kit` does for planned faults. What is kept of the spans is in the slot `observer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeVar, cast

from opentelemetry.trace import Span

from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.tracing.spans import Attributes, Open, Spans
from fastness.transactions import Page
from fastness.transactions.core import TransactionCore


class Observer:
    """The spans of one transaction: what it is called as a whole, and how much it read."""

    __slots__ = ("_attributes", "_opened", "_operation", "keys", "reads", "spans")

    def __init__(self, spans: Spans, operation: str, attributes: Attributes) -> None:
        self.spans = spans
        self.reads = 0
        self.keys = 0
        self._operation = operation
        self._attributes = attributes
        self._opened: Open | None = None

    def enter(self) -> None:
        """The transaction is used as a context manager from here on."""
        self._opened = self.spans.open(self._operation, self._attributes)

    def leave(self, error: BaseException | None) -> None:
        """To here."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.span.set_attribute("fastness.reads", self.reads)
            opened.span.set_attribute("fastness.keys_read", self.keys)
            opened.end(error)

    def count(self, keys: int) -> int:
        """A read of so many keys begins."""
        self.reads += 1
        self.keys += keys
        return keys


class _Observed(TransactionCore):
    """What both kinds share."""

    __slots__ = ()

    @property
    def _seen(self) -> Observer:
        return cast("Observer", self.observer)

    def _tell_size(self, span: Span) -> None:
        usage = self.usage()
        span.set_attribute("fastness.keys_used", usage.keys_used)
        span.set_attribute("fastness.bytes_used", usage.bytes_used)

    def _tell_end(self, span: Span) -> None:
        if self.commit_timestamp is not None:
            span.set_attribute("fastness.commit_timestamp", self.commit_timestamp)


class TracedTransaction(_Observed, Transaction):
    """The calls of a thread's transaction, each a span."""

    __slots__ = ()

    def get(self, key: bytes, *, snapshot: bool = False, cache: bool | None = None) -> bytes | None:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get", seen.count(1)):
            return super().get(key, snapshot=snapshot, cache=cache)

    def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get_many", seen.count(len(keys))):
            return super().get_many(keys, snapshot=snapshot, cache=cache)

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
        """As untraced."""
        seen = self._seen
        with seen.spans.call("scan", seen.count(0)) as span:
            page = super().scan(
                begin,
                end,
                limit=limit,
                reverse=reverse,
                continuation=continuation,
                snapshot=snapshot,
                cache=cache,
            )
            span.set_attribute("db.response.returned_rows", len(page.entries))
            return page

    def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As untraced; typed records are read by this."""
        seen = self._seen
        with seen.spans.call("get", seen.count(1)):
            return super().unchecked_get(key, snapshot=snapshot)

    def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get_many", seen.count(len(keys))):
            return super().unchecked_get_many(keys, snapshot=snapshot)

    def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("scan", seen.count(0)) as span:
            entries, more = super().unchecked_scan(begin, end, limit, reverse, snapshot=snapshot)
            span.set_attribute("db.response.returned_rows", len(entries))
            return entries, more

    def commit(self) -> None:
        """As untraced."""
        with self._seen.spans.call("commit") as span:
            self._tell_size(span)
            super().commit()
            self._tell_end(span)

    def __enter__(self) -> Self:
        self._seen.enter()
        return super().__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ended = error
        try:
            super().__exit__(kind, error, trace)
        except BaseException as failure:
            ended = failure
            raise
        finally:
            self._seen.leave(ended)


class AsyncTracedTransaction(_Observed, AsyncTransaction):
    """The calls of a task's transaction, each a span."""

    __slots__ = ()

    async def get(
        self, key: bytes, *, snapshot: bool = False, cache: bool | None = None
    ) -> bytes | None:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get", seen.count(1)):
            return await super().get(key, snapshot=snapshot, cache=cache)

    async def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get_many", seen.count(len(keys))):
            return await super().get_many(keys, snapshot=snapshot, cache=cache)

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
        """As untraced."""
        seen = self._seen
        with seen.spans.call("scan", seen.count(0)) as span:
            page = await super().scan(
                begin,
                end,
                limit=limit,
                reverse=reverse,
                continuation=continuation,
                snapshot=snapshot,
                cache=cache,
            )
            span.set_attribute("db.response.returned_rows", len(page.entries))
            return page

    async def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As untraced; typed records are read by this."""
        seen = self._seen
        with seen.spans.call("get", seen.count(1)):
            return await super().unchecked_get(key, snapshot=snapshot)

    async def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("get_many", seen.count(len(keys))):
            return await super().unchecked_get_many(keys, snapshot=snapshot)

    async def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """As untraced."""
        seen = self._seen
        with seen.spans.call("scan", seen.count(0)) as span:
            entries, more = await super().unchecked_scan(
                begin, end, limit, reverse, snapshot=snapshot
            )
            span.set_attribute("db.response.returned_rows", len(entries))
            return entries, more

    async def commit(self) -> None:
        """As untraced."""
        with self._seen.spans.call("commit") as span:
            self._tell_size(span)
            await super().commit()
            self._tell_end(span)

    async def __aenter__(self) -> Self:
        self._seen.enter()
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        ended = error
        try:
            await super().__aexit__(kind, error, trace)
        except BaseException as failure:
            ended = failure
            raise
        finally:
            self._seen.leave(ended)


T = TypeVar("T", bound=TransactionCore)


class TracedClasses:
    """For each class of transactions the one derived from it whose calls are spans."""

    def __init__(
        self, spans: Spans, layer: type[TracedTransaction | AsyncTracedTransaction]
    ) -> None:
        self._spans = spans
        self._layer = layer
        self._known: dict[type, type] = {}

    def take(self, tx: T, operation: str, attributes: Attributes) -> T:
        """The same transaction, traced from now on."""
        kind = type(tx)
        derived = self._known.get(kind)
        if derived is None:
            derived = type(f"Traced{kind.__name__}", (self._layer, kind), {"__slots__": ()})
            self._known[kind] = derived
        tx.__class__ = derived
        tx.observer = Observer(self._spans, operation, attributes)
        return tx
