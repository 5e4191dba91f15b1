"""Databases that meet a plan of faults: a thin layer between a face and its backing.

::

    Database  ->  FaultyBacking  ->  the backing of any engine
                     |
                     `- its transactions, whose reads and commit ask the plan first

A transaction stays the engine's own object: it is given a class derived from its own, which
overrides reads and the commit and adds nothing to be stored. So all else, typed records and
retries among it, is the production code, on every engine. What a database does for itself
(registering classes, building indexes, figures) meets no faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar, overload

from fastness import AsyncDatabase, AsyncTransaction, Database, Page, Timestamp, Transaction
from fastness.client.passing import AsyncPassingBacking, PassingBacking
from fastness.errors import MaybeCommitted
from fastness.testing.kit.faults import Fault, FaultKind, Faults
from fastness.transactions import TransactionCore, TransactionState

T = TypeVar("T", Transaction, AsyncTransaction)


class _FaultyCore(TransactionCore):
    """What both kinds share."""

    __slots__ = ()

    _faults: ClassVar[Faults]

    def _meet(self) -> Fault | None:
        """Raise what the plan refuses this commit with; a fault if it shall be left open."""
        self.require_active()
        if self._buffer is None:
            # What wrote nothing is committed without asking anybody.
            return None
        fault = self._faults.next_commit()
        if fault is None or fault.kind is FaultKind.MAYBE_COMMITTED:
            return fault
        self._end(TransactionState.FAILED)
        if fault.kind is FaultKind.MAYBE_NOT:
            raise self._faults.left_open(b"", None)
        raise fault.error()

    def _untold(self) -> MaybeCommitted:
        """It was committed; make it look as it does to a client that was not told."""
        error = self._faults.left_open(self.id, self.commit_timestamp)
        self.commit_timestamp = None
        self._state = TransactionState.FAILED
        return error


class FaultyTransaction(_FaultyCore, Transaction):
    """The calls of a thread's transaction that may meet a fault."""

    __slots__ = ()

    def get(self, key: bytes, *, snapshot: bool = False, cache: bool | None = None) -> bytes | None:
        """As without faults."""
        self._faults.next_read()
        return super().get(key, snapshot=snapshot, cache=cache)

    def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """As without faults."""
        self._faults.next_read()
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
        """As without faults."""
        self._faults.next_read()
        return super().scan(
            begin,
            end,
            limit=limit,
            reverse=reverse,
            continuation=continuation,
            snapshot=snapshot,
            cache=cache,
        )

    def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As without faults; typed records are read by this."""
        self._faults.next_read()
        return super().unchecked_get(key, snapshot=snapshot)

    def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As without faults."""
        self._faults.next_read()
        return super().unchecked_get_many(keys, snapshot=snapshot)

    def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """As without faults."""
        self._faults.next_read()
        return super().unchecked_scan(begin, end, limit, reverse, snapshot=snapshot)

    def commit(self) -> None:
        """Commit, unless the plan says otherwise."""
        fault = self._meet()
        if fault is None:
            super().commit()
            return
        # Whoever is not told of a commit runs no hooks.
        self._hooks = None
        try:
            super().commit()
        except BaseException:
            self._faults.give_back(fault)
            raise
        raise self._untold()


class AsyncFaultyTransaction(_FaultyCore, AsyncTransaction):
    """The calls of a task's transaction that may meet a fault."""

    __slots__ = ()

    async def get(
        self, key: bytes, *, snapshot: bool = False, cache: bool | None = None
    ) -> bytes | None:
        """As without faults."""
        self._faults.next_read()
        return await super().get(key, snapshot=snapshot, cache=cache)

    async def get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False, cache: bool | None = None
    ) -> list[bytes | None]:
        """As without faults."""
        self._faults.next_read()
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
        """As without faults."""
        self._faults.next_read()
        return await super().scan(
            begin,
            end,
            limit=limit,
            reverse=reverse,
            continuation=continuation,
            snapshot=snapshot,
            cache=cache,
        )

    async def unchecked_get(self, key: bytes, *, snapshot: bool = False) -> bytes | None:
        """As without faults; typed records are read by this."""
        self._faults.next_read()
        return await super().unchecked_get(key, snapshot=snapshot)

    async def unchecked_get_many(
        self, keys: Sequence[bytes], *, snapshot: bool = False
    ) -> list[bytes | None]:
        """As without faults."""
        self._faults.next_read()
        return await super().unchecked_get_many(keys, snapshot=snapshot)

    async def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """As without faults."""
        self._faults.next_read()
        return await super().unchecked_scan(begin, end, limit, reverse, snapshot=snapshot)

    async def commit(self) -> None:
        """Commit, unless the plan says otherwise."""
        fault = self._meet()
        if fault is None:
            await super().commit()
            return
        self._hooks = None
        try:
            await super().commit()
        except BaseException:
            self._faults.give_back(fault)
            raise
        raise self._untold()


class _Classes:
    """For each class of transactions the one derived from it that meets the plan."""

    def __init__(
        self, faults: Faults, layer: type[FaultyTransaction | AsyncFaultyTransaction]
    ) -> None:
        self._faults = faults
        self._layer = layer
        self._known: dict[type, type] = {}

    def take(self, tx: T) -> T:
        """The same transaction, which meets the plan from now on."""
        kind = type(tx)
        faulty = self._known.get(kind)
        if faulty is None:
            body = {"__slots__": (), "_faults": self._faults}
            faulty = type(f"Faulty{kind.__name__}", (self._layer, kind), body)
            self._known[kind] = faulty
        tx.__class__ = faulty
        return tx


class FaultyBacking(PassingBacking):
    """For threads."""

    def __init__(self, database: Database, faults: Faults) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        super().__init__(database)
        self._faults = faults
        self._classes = _Classes(faults, FaultyTransaction)

    def taken(self, tx: Transaction) -> Transaction:
        """A transaction as it is handed out."""
        return self._classes.take(tx)

    def reading(self) -> None:
        """Before a read."""
        self._faults.next_read()

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        if self._faults.knows(transaction_id):
            return self._faults.outcome(transaction_id)
        return super().outcome(transaction_id)


class AsyncFaultyBacking(AsyncPassingBacking):
    """For tasks."""

    def __init__(self, database: AsyncDatabase, faults: Faults) -> None:
        """Stand before the backing of a database, which is closed with this one."""
        super().__init__(database)
        self._faults = faults
        self._classes = _Classes(faults, AsyncFaultyTransaction)

    def taken(self, tx: AsyncTransaction) -> AsyncTransaction:
        """A transaction as it is handed out."""
        return self._classes.take(tx)

    def reading(self) -> None:
        """Before a read."""
        self._faults.next_read()

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        if self._faults.knows(transaction_id):
            return self._faults.outcome(transaction_id)
        return await super().outcome(transaction_id)


@overload
def faulty(database: Database, faults: Faults) -> Database: ...
@overload
def faulty(database: AsyncDatabase, faults: Faults) -> AsyncDatabase: ...
def faulty(database: Database | AsyncDatabase, faults: Faults) -> Database | AsyncDatabase:
    """The same database, of any engine, through a plan of faults. Closing it closes both."""
    if isinstance(database, AsyncDatabase):
        return AsyncDatabase(AsyncFaultyBacking(database, faults))
    return Database(FaultyBacking(database, faults))


__all__ = ["AsyncFaultyBacking", "AsyncFaultyTransaction", "FaultyBacking", "FaultyTransaction"]
__all__ += ["faulty"]
