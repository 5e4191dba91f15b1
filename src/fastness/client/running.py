"""The retry loop: one for functions, one for coroutine functions, on every engine.

What an attempt begins with, how long to pause and when to give up is the engine's (`Attempts`);
that a function is run, committed, and run again is here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, Protocol, TypeVar

from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, UsageError
from fastness.invariants import present

T = TypeVar("T")

ELDEST: tuple[Timestamp, bytes] = (0, b"")
"""The priority of what others wait for: no reservation holds it back."""


class Attempts(Protocol):
    """The attempts of one transaction function."""

    def begin(self) -> Transaction:
        """The next attempt; it keeps the first one's priority."""
        ...

    def failed(self, tx: Transaction, error: FastnessError) -> None:
        """Pause until the next attempt; raises when there is to be none."""
        ...

    def end(self) -> None:
        """Give up what was kept for a next attempt."""
        ...


class AsyncAttempts(Protocol):
    """The attempts of one transaction function that is awaited."""

    def begin(self) -> AsyncTransaction:
        """The next attempt; it keeps the first one's priority."""
        ...

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause until the next attempt; raises when there is to be none."""
        ...

    def end(self) -> None:
        """Give up what was kept for a next attempt."""
        ...


def run(
    attempts: Attempts, function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> T:
    """Call `function(tx, ...)` and commit, again after each conflict; answers its result."""
    try:
        while True:
            tx = attempts.begin()
            try:
                with tx:
                    result = function(tx, *args, **kwargs)
                    if type(result) is CoroutineType:
                        raise _unawaited(result)
            except FastnessError as error:
                attempts.failed(tx, error)
            else:
                return result
    finally:
        attempts.end()


async def run_async(
    attempts: AsyncAttempts,
    function: Callable[..., Awaitable[T]],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> T:
    """Await `function(tx, ...)` and commit, again after each conflict; answers its result."""
    try:
        while True:
            tx = attempts.begin()
            try:
                async with tx:
                    result = await function(tx, *args, **kwargs)
            except FastnessError as error:
                await attempts.failed(tx, error)
            else:
                return result
    finally:
        attempts.end()


def write(attempts: Attempts, body: Callable[[Transaction], None]) -> Timestamp:
    """Call `body(tx)`, which only writes, and commit, again after each conflict; answers when.

    What `run` does, less what only a function of the user's needs.
    """
    try:
        while True:
            tx = attempts.begin()
            try:
                try:
                    body(tx)
                except BaseException:
                    tx.cancel()
                    raise
                tx.commit()
            except FastnessError as error:
                attempts.failed(tx, error)
            else:
                return present(tx.commit_timestamp, "what committed has a timestamp")
    finally:
        attempts.end()


async def write_async(
    attempts: AsyncAttempts, body: Callable[[AsyncTransaction], None]
) -> Timestamp:
    """As `write`, awaited."""
    try:
        while True:
            tx = attempts.begin()
            try:
                try:
                    body(tx)
                except BaseException:
                    tx.cancel()
                    raise
                await tx.commit()
            except FastnessError as error:
                await attempts.failed(tx, error)
            else:
                return present(tx.commit_timestamp, "what committed has a timestamp")
    finally:
        attempts.end()


def _unawaited(result: Any) -> UsageError:  # noqa: ANN401 - any coroutine
    """A commit of what never ran would look like success."""
    result.close()
    return UsageError(
        f"{result.__qualname__} is an async function, and a Database does not await: nothing was "
        "done. Make it a plain function, or use fastness.open_async"
    )
