"""The attempts of one transaction function on an embedded engine: pauses, turns, the schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from fastness.client.running import ELDEST, run
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, FastnessError
from fastness.hosting import InlineHost
from fastness.model.layout import SCHEMA_VERSION_KEY
from fastness.model.operations import Schema
from fastness.ranges import Reservation
from fastness.transactions import TURN_MS, Retries

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


class _Course:
    """How often a function was run, after what pauses, and whose turn it is."""

    __slots__ = ("_place", "_retries", "_turn", "priority")

    def __init__(
        self,
        place: Place,
        timeout: float | None,
        priority: tuple[Timestamp, bytes] | None,
    ) -> None:
        self._place = place
        self.priority = priority
        # A time that was given counts from here, and is checked here.
        self._retries = None if timeout is None else self._count_from_now(timeout)
        self._turn: Reservation | None = None

    def _count_from_now(self, timeout: float | None) -> Retries:
        engine = self._place.engine
        boot_ns = engine.clock.boot_ns()
        return Retries(engine.limits, engine.random, timeout=timeout, boot_ns=boot_ns)

    def pause_s(self, tx: Transaction | AsyncTransaction, error: FastnessError) -> float:
        """Seconds to pause before the next attempt; raises when there is to be none."""
        if tx.commit_timestamp is not None or not error.retryable:
            # Committed all the same: a hook raised. Running it again would do it twice.
            raise error
        now_ns = self._place.engine.clock.boot_ns()
        if self._retries is None:
            self._retries = self._count_from_now(None)
        return self._retries.pause_s(error, now_ns)

    def take_turn(self, tx: Transaction | AsyncTransaction) -> None:
        """Keep the priority of an attempt that failed; reserve what it read if it starves."""
        self.priority = tx.priority
        if self._retries is not None and self._retries.wants_turn:
            self.end()
            engine = self._place.engine
            self._turn = engine.reserve(tx.priority, *tx.reads, milliseconds=TURN_MS)

    def end(self) -> None:
        """Give up the turn, if there is one."""
        if self._turn is not None:
            self._place.engine.release(self._turn)
            self._turn = None


def _schema_changed(error: FastnessError) -> bool:
    return isinstance(error, Conflict) and error.key == SCHEMA_VERSION_KEY


class EmbeddedAttempts:
    """For a thread; see `running.Attempts`."""

    __slots__ = ("_course", "_place")

    def __init__(
        self,
        place: Place,
        timeout: float | None,
        *,
        priority: tuple[Timestamp, bytes] | None = None,
    ) -> None:
        """`timeout` in seconds; with priority `ELDEST` no reservation holds it back."""
        self._place = place
        self._course = _Course(place, timeout, priority)

    def begin(self) -> Transaction:
        """The next attempt."""
        place = self._place
        return Transaction(place.engine, schema=place.schema, priority=self._course.priority)

    def failed(self, tx: Transaction, error: FastnessError) -> None:
        """Pause, or raise."""
        pause_s = self._course.pause_s(tx, error)
        if _schema_changed(error):
            self._place.refresh_schema()
        self._course.take_turn(tx)
        if pause_s:
            time.sleep(pause_s)

    def end(self) -> None:
        """Give up the turn, if there is one."""
        self._course.end()


class AsyncEmbeddedAttempts:
    """For a task; see `running.AsyncAttempts`."""

    __slots__ = ("_course", "_place")

    def __init__(self, place: Place, timeout: float | None) -> None:
        """`timeout` in seconds."""
        self._place = place
        self._course = _Course(place, timeout, None)

    def begin(self) -> AsyncTransaction:
        """The next attempt."""
        place = self._place
        return AsyncTransaction(place.engine, schema=place.schema, priority=self._course.priority)

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        pause_s = self._course.pause_s(tx, error)
        if _schema_changed(error):
            await asyncio.to_thread(self._place.refresh_schema)
        self._course.take_turn(tx)
        if pause_s:
            await asyncio.sleep(pause_s)

    def end(self) -> None:
        """Give up the turn, if there is one."""
        self._course.end()


def run_attempts(
    place: Place,
    timeout: float | None,
    function: Callable[..., T],
    args: tuple[Any, ...] = (),
    *,
    priority: tuple[Timestamp, bytes] | None = None,
) -> T:
    """Call `function(tx, ...)` and commit, again after each conflict; answers its result."""
    return run(EmbeddedAttempts(place, timeout, priority=priority), function, args, {})


__all__ = ["ELDEST", "AsyncEmbeddedAttempts", "EmbeddedAttempts", "Place", "run_attempts"]
