"""The attempts of one transaction function: shared by `Database.run` and `AsyncDatabase.run`."""

from __future__ import annotations

from typing import TypeVar

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.hosting import InlineHost
from fastness.ranges import Reservation
from fastness.transactions import TURN_MS, Retries, TransactionCore

A = TypeVar("A", bound=TransactionCore)


class Attempts:
    """Begins transactions, says how long to pause between them, keeps the starving one's turn."""

    __slots__ = ("_engine", "_priority", "_retries", "_timeout", "_turn")

    def __init__(self, engine: InlineHost, timeout: float | None) -> None:
        self._engine = engine
        self._timeout = timeout
        self._priority: tuple[Timestamp, bytes] | None = None
        self._retries: Retries | None = None
        self._turn: Reservation | None = None

    def begin(self, kind: type[A]) -> A:
        """The next attempt; it keeps the first one's priority."""
        return kind(self._engine, priority=self._priority)

    def failed(self, tx: TransactionCore, error: FastnessError) -> float:
        """Seconds to pause before the next attempt; raises when there is to be none."""
        if tx.commit_timestamp is not None or not error.retryable:
            # Committed all the same: a hook raised. Running it again would do it twice.
            raise error
        engine = self._engine
        now_ns = engine.clock.boot_ns()
        if self._retries is None:
            self._retries = Retries(
                engine.limits, engine.random, timeout=self._timeout, boot_ns=now_ns
            )
        pause_s = self._retries.pause_s(error, now_ns)
        self._priority = tx.priority
        if self._retries.wants_turn:
            self.end()
            self._turn = engine.reserve(tx.priority, *tx.reads, milliseconds=TURN_MS)
        return pause_s

    def end(self) -> None:
        """Give up the turn, if there is one."""
        if self._turn is not None:
            self._engine.release(self._turn)
            self._turn = None
