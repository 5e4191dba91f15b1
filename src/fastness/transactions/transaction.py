"""A synchronous transaction over keys and values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from fastness.encoding.intervals import USER_END
from fastness.errors import FastnessError
from fastness.transactions.core import ACTIVE, TransactionCore
from fastness.transactions.page import Page


class KeyValueTransaction(TransactionCore):
    """One attempt: reads a snapshot, buffers writes, commits on a clean exit of its `with`.

    Not thread-safe. Every read sees the transaction's own writes. `snapshot=True` reads are
    not validated at the commit. A commit that finds a read overtaken raises `Conflict`;
    `Database.run` and `@transactional` then run the whole function again.
    """

    __slots__ = ()

    def get(
        self,
        key: bytes,
        *,
        snapshot: bool = False,
        cache: bool | None = None,  # noqa: ARG002 - for engines with a near cache
    ) -> bytes | None:
        """The value of `key`, `None` if absent. `cache` overrides the transaction's own choice."""
        # The hot path of the whole system: `_read_stored` is repeated here to save its call.
        if type(key) is not bytes or key >= USER_END:
            self._check_key(key)
        if self._buffer is not None:
            self._check_key(key)
            return self._read(key, snapshot)
        if self._records and not snapshot:
            self._read_keys.add(key)
        try:
            cell = self._newest(key)
        except FastnessError:
            raise
        except Exception as error:
            raise self._engine.failure(error) from error
        if cell is not None and cell < self._bound:
            return cell[8:]
        if cell is None:
            self._check_key(key)
        return self._read_slow(key, cell)

    def get_many(
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

    def scan(
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

    def scan_all(
        self,
        begin: bytes,
        end: bytes,
        *,
        reverse: bool = False,
        snapshot: bool = False,
        cache: bool | None = None,
    ) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of the interval, page after page."""
        continuation: bytes | None = None
        while True:
            page = self.scan(
                begin,
                end,
                reverse=reverse,
                continuation=continuation,
                snapshot=snapshot,
                cache=cache,
            )
            yield from page.entries
            continuation = page.continuation
            if continuation is None:
                return

    def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As `get`, for layers above: any key, its type and size checked by the caller."""
        if self._buffer is not None:
            return self._read(key, snapshot)
        if self._records and not snapshot:
            self._read_keys.add(key)
        try:
            cell = self._newest(key)
        except FastnessError:
            raise
        except Exception as error:
            raise self._engine.failure(error) from error
        if cell is not None and cell < self._bound:
            return cell[8:]
        return self._read_slow(key, cell)

    def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As `get_many`, for layers above."""
        return self._read_many(keys, snapshot)

    def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """The first `limit` entries of the interval, and whether there are more."""
        return self._scan(begin, end, limit, reverse, snapshot)

    def commit(self) -> None:
        """Commit durably, then run the hooks; raises `Conflict` when a read was overtaken.

        Interrupted while it waits (Ctrl-C), the commit stays under way: the transaction is
        FAILED, its outcome unknown.
        """
        commit = self._begin_commit()
        if commit is not None:
            try:
                self._engine.commit(commit)
                self._finish_commit(commit)
            except BaseException:
                self._abandon(commit)
                raise
        self._run_hooks()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.cancel()
        elif self._state is ACTIVE:
            self.commit()
