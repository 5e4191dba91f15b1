"""The transactions users hold: keys and values, and typed records, in one."""

from __future__ import annotations

from fastness.model.operations import AsyncTypedOperations, TypedOperations


class Transaction(TypedOperations):
    """A synchronous transaction: keys and values (`get`, `set`, ...) and typed records."""

    __slots__ = ()


class AsyncTransaction(AsyncTypedOperations):
    """An asynchronous transaction, equal in power: reads and the commit are awaited."""

    __slots__ = ()
