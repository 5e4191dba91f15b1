"""An asynchronous transaction over keys and values: the twin of `KeyValueTransaction`.

Reads of an embedded engine answer at once and do not yield to the event loop; the commit
does. Writes are plain calls, as they only fill the buffer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Self

from fastness.transactions.core import TransactionCore, TransactionState
from fastness.transactions.page import Page


class AsyncKeyValueTransaction(TransactionCore):
    """One attempt of an asynchronous transaction; for one task at a time."""

    __slots__ = ()

    async def get(
        self,
        key: bytes,
        *,
        snapshot: bool = False,
        cache: bool | None = None,  # noqa: ARG002 - for engines with a near cache
    ) -> bytes | None:
        """The value of `key`, `None` if absent. `cache` overrides the transaction's own choice."""
        self._check_key(key)
        return self._read(key, snapshot)

    async def get_many(
        self,
        keys: Sequence[bytes],
        *,
        snapshot: bool = False,
        cache: bool | None = None,  # noqa: ARG002 - as above
    ) -> list[bytes | None]:
        """The value of each key in the order asked, `None` where absent."""
        for key in keys:
            self._check_key(key)
        return self._read_many(keys, snapshot)

    async def scan(
        self,
        begin: bytes,
        end: bytes,
        *,
        limit: int | None = None,
        reverse: bool = False,
        continuation: bytes | None = None,
        snapshot: bool = False,
        cache: bool | None = None,  # noqa: ARG002 - as above
    ) -> Page:
        """One page of the keys k with begin <= k < end, in order or against it."""
        return self._page(
            begin, end, limit, reverse=reverse, continuation=continuation, snapshot=snapshot
        )

    async def scan_all(
        self,
        begin: bytes,
        end: bytes,
        *,
        reverse: bool = False,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> AsyncIterator[tuple[bytes, bytes]]:
        """Every entry of the interval, page after page."""
        continuation: bytes | None = None
        while True:
            page = await self.scan(
                begin,
                end,
                reverse=reverse,
                continuation=continuation,
                snapshot=snapshot,
                cache=cache,
            )
            for entry in page.entries:
                yield entry
            continuation = page.continuation
            if continuation is None:
                return

    async def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As `get`, for layers above: any key, its type and size checked by the caller."""
        return self._read(key, snapshot)

    async def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As `get_many`, for layers above."""
        return self._read_many(keys, snapshot)

    async def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        return self._scan(begin, end, limit, reverse, snapshot)

    async def commit(self) -> None:
        """Commit durably, then run the hooks; raises `Conflict` when a read was overtaken.

        Cancelled while it waits, the commit stays under way; `AsyncDatabase.outcome(tx.id)`
        tells how it ended.
        """
        commit = self._begin_commit()
        if commit is not None:
            try:
                await self._engine.commit_async(commit)
                self._finish_commit(commit)
            except BaseException:
                self._abandon(commit)
                raise
        self._run_hooks()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.cancel()
        elif self._state is TransactionState.ACTIVE:
            await self.commit()
