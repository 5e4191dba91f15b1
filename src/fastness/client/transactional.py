"""`@transactional`: functions that begin a transaction, or join the one they are given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, overload

from fastness.client.async_database import AsyncDatabase
from fastness.client.database import Database
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.errors import ForeignTransaction, UsageError

P = ParamSpec("P")
T = TypeVar("T")


@overload
def transactional(
    function: Callable[Concatenate[AsyncTransaction, P], Awaitable[T]],
) -> Callable[Concatenate[AsyncDatabase | AsyncTransaction, P], Awaitable[T]]: ...
@overload
def transactional(
    function: Callable[Concatenate[Transaction, P], T],
) -> Callable[Concatenate[Database | Transaction, P], T]: ...
def transactional(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let `function(tx, ...)` be called with a database or with a transaction.

    Given a database it begins, retries and commits (as `database.run`); given a transaction
    it joins, and whoever began that one commits it.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{function.__qualname__} is a generator: its body would run after the commit. "
            "Return a list, or take the transaction where it is iterated"
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(
            place: AsyncDatabase | AsyncTransaction,
            /,
            *args: object,
            **kwargs: object,
        ) -> object:
            if isinstance(place, AsyncDatabase):
                return await place.run(function, *args, **kwargs)
            _require(place, AsyncTransaction, AsyncDatabase, function)
            return await function(place, *args, **kwargs)

        return run_async

    @functools.wraps(function)
    def run(place: Database | Transaction, /, *args: object, **kwargs: object) -> object:
        if isinstance(place, Database):
            return place.run(function, *args, **kwargs)
        _require(place, Transaction, Database, function)
        return function(place, *args, **kwargs)

    return run


def _require(
    place: object,
    transaction: type[Transaction | AsyncTransaction],
    database: type[Database | AsyncDatabase],
    function: Callable[..., Any],
) -> None:
    if not isinstance(place, transaction):
        raise ForeignTransaction(
            f"{function.__qualname__} takes a {database.__name__} or {transaction.__name__} "
            f"first, not {type(place).__name__}"
        )
    place.require_active()
