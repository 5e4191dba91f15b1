"""The attempts of one transaction function: shared by everybody who runs one."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import CoroutineType
from typing import Any, Protocol, TypeVar

from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, FastnessError, UsageError
from fastness.hosting import InlineHost
from fastness.model.layout import SCHEMA_VERSION_KEY
from fastness.model.operations import Schema
from fastness.ranges import Reservation
from fastness.transactions import TURN_MS, Retries

ELDEST: tuple[Timestamp, bytes] = (0, b"")
"""The priority of what others wait for: no reservation holds it back."""

A = TypeVar("A", Transaction, AsyncTransaction)
T = TypeVar("T")


class Place(Protocol):
    """Where transactions run: an engine, and the schema known now."""

    engine: InlineHost
    schema: Schema

    problems: dict[str, str]

    def refresh_schema(self) -> None:
        """Take up the stored schema."""
        ...

    def cannot_build(self, name: str, problem: str) -> None:
        """Note why an index or total cannot be built."""
        ...


class Attempts:
    """Begins transactions, says how long to pause between them, keeps the starving one's turn."""

    __slots__ = ("_place", "_priority", "_retries", "_turn")

    def __init__(
        self,
        place: Place,
        timeout: float | None,
        priority: tuple[Timestamp, bytes] | None = None,
    ) -> None:
        self._place = place
        self._priority = priority
        # A time that was given counts from here, and is checked here.
        self._retries = None if timeout is None else self._count_from_now(timeout)
        self._turn: Reservation | None = None

    def _count_from_now(self, timeout: float | None) -> Retries:
        engine = self._place.engine
        boot_ns = engine.clock.boot_ns()
        return Retries(engine.limits, engine.random, timeout=timeout, boot_ns=boot_ns)

    def begin(self, kind: type[A]) -> A:
        """The next attempt; it keeps the first one's priority."""
        place = self._place
        return kind(place.engine, schema=place.schema, priority=self._priority)

    def failed(self, tx: Transaction | AsyncTransaction, error: FastnessError) -> float:
        """Seconds to pause before the next attempt; raises when there is to be none."""
        if tx.commit_timestamp is not None or not error.retryable:
            # Committed all the same: a hook raised. Running it again would do it twice.
            raise error
        engine = self._place.engine
        now_ns = engine.clock.boot_ns()
        if self._retries is None:
            self._retries = self._count_from_now(None)
        pause_s = self._retries.pause_s(error, now_ns)
        if isinstance(error, Conflict) and error.key == SCHEMA_VERSION_KEY:
            self._place.refresh_schema()
        self._priority = tx.priority
        if self._retries.wants_turn:
            self.end()
            self._turn = engine.reserve(tx.priority, *tx.reads, milliseconds=TURN_MS)
        return pause_s

    def end(self) -> None:
        """Give up the turn, if there is one."""
        if self._turn is not None:
            self._place.engine.release(self._turn)
            self._turn = None


def _unawaited(result: Any) -> UsageError:  # noqa: ANN401 - any coroutine
    """A commit of what never ran would look like success."""
    result.close()
    return UsageError(
        f"{result.__qualname__} is an async function, and a Database does not await: nothing was "
        "done. Make it a plain function, or use fastness.open_async"
    )


def run_attempts(
    place: Place,
    timeout: float | None,
    function: Callable[..., T],
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    priority: tuple[Timestamp, bytes] | None = None,
) -> T:
    """Call `function(tx, ...)` and commit, again after each conflict; answers its result.

    With `priority` `ELDEST` no reservation holds it back.
    """
    attempts = Attempts(place, timeout, priority)
    try:
        while True:
            tx = attempts.begin(Transaction)
            try:
                with tx:
                    result = function(tx, *args, **(kwargs or {}))
                    if type(result) is CoroutineType:
                        raise _unawaited(result)
            except FastnessError as error:
                pause_s = attempts.failed(tx, error)
            else:
                return result
            if pause_s:
                time.sleep(pause_s)
    finally:
        attempts.end()
