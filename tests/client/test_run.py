"""`run`: the library owns the retries, the deadline and the hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fastness.client import AsyncDatabase, AsyncTransaction, Database, Transaction
from fastness.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidOption,
    Overloaded,
    SnapshotTooOld,
    TransactionClosed,
    UsageError,
)
from fastness.limits import Limits
from fastness.runtime import ManualClock
from tests.transactions.databases import beside, driven_database, twin_of


class Rival:
    """Overwrites a key behind a transaction's back, so many times."""

    def __init__(self, database: Database, times: int) -> None:
        self._database = database
        self._left = times
        self.attempts = 0

    def __call__(self, tx: Transaction) -> int:
        """Read the key, be overtaken while there are times left, write another key."""
        self.attempts += 1
        tx.get(b"contended")
        if self._left:
            self._left -= 1
            self._database.set(b"contended", b"%d" % self._left)
        tx.set(b"result", b"%d" % self.attempts)
        return self.attempts


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_conflict_runs_the_function_again(database: Database, times: int) -> None:
    """The result and the writes are those of the attempt that committed."""
    rival = Rival(database, times)
    assert database.run(rival) == times + 1
    assert database.get(b"result") == b"%d" % (times + 1)


def test_arguments_and_results_pass_through(database: Database) -> None:
    """Positional and keyword arguments, whatever their names."""

    def function(tx: Transaction, one: int, *, timeout: int) -> tuple[int, int]:
        tx.set(b"k", b"1")
        return one, timeout

    assert database.run(function, 1, timeout=2) == (1, 2)


def test_attempts_keep_the_age_of_the_first(database: Database) -> None:
    """The first attempt's snapshot decides who goes first, or the retried would starve."""
    priorities = []

    def function(tx: Transaction) -> None:
        priorities.append(tx.priority)
        Rival(database, 1 if len(priorities) < 4 else 0)(tx)

    database.run(function)
    assert len(set(priorities)) == 1


def test_errors_of_the_function_end_it_at_once(database: Database) -> None:
    """Nothing is written, nothing is run again."""
    attempts = []

    def function(tx: Transaction) -> None:
        attempts.append(tx)
        tx.set(b"k", b"1")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        database.run(function)
    assert len(attempts) == 1
    assert database.get(b"k") is None
    with pytest.raises(TransactionClosed):
        attempts[0].get(b"k")


def test_an_error_that_cannot_be_retried_ends_it_at_once(database: Database) -> None:
    """A mistake stays one."""
    attempts = []

    def function(tx: Transaction) -> None:
        attempts.append(tx)
        tx.get("text")  # type: ignore[arg-type]  # the mistake

    with pytest.raises(UsageError):
        database.run(function)
    assert len(attempts) == 1


@pytest.mark.parametrize("error", [SnapshotTooOld, Overloaded, Conflict])
def test_whatever_is_retryable_is_retried(
    database: Database, error: Callable[[str], Exception]
) -> None:
    """Also when the function raises it itself."""
    attempts = []

    def function(tx: Transaction) -> int:
        attempts.append(tx)
        if len(attempts) < 3:
            raise error("look again")
        return len(attempts)

    assert database.run(function) == 3


def test_a_number_of_attempts_is_the_limit(any_database_url: str, clock: ManualClock) -> None:
    """Retries are bounded by `limits.retries`; the error says that nothing was committed."""
    limits = replace(Limits(), retries=5, backoff_ms=1)
    with driven_database(any_database_url, clock, limits=limits) as database:
        attempts = []

        def function(tx: Transaction) -> None:
            attempts.append(tx)
            tx.set(b"k", b"1")
            raise Conflict("look again")

        with pytest.raises(DeadlineExceeded, match="gave up after 5 attempts; nothing") as ended:
            database.run(function)
        assert len(attempts) == 5
        assert isinstance(ended.value.__cause__, Conflict)
        assert "look again" in str(ended.value)
        assert not ended.value.maybe_committed
        assert database.get(b"k") is None


def test_a_deadline_counts_from_the_beginning(own_database: Database, clock: ManualClock) -> None:
    """Time spent in the first attempt is part of the time given."""
    rival = Rival(own_database, 10_000)

    def slow(tx: Transaction) -> None:
        rival(tx)
        clock.advance(milliseconds=600)

    with pytest.raises(DeadlineExceeded, match="gave up after 2 attempts"):
        own_database.run_within(1.0, slow)


def test_a_deadline_does_not_stop_what_succeeds(database: Database, clock: ManualClock) -> None:
    """It bounds retries; an attempt under way is never torn away."""

    def slow(tx: Transaction) -> str:
        tx.set(b"k", b"1")
        clock.advance(milliseconds=10_000)
        return "done"

    assert database.run_within(1.0, slow) == "done"
    assert database.run_within(float("inf"), Rival(database, 3)) == 4


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1", True])
def test_a_deadline_is_a_positive_number(database: Database, timeout: float) -> None:
    """Refused before anything is run, whether or not there would be a conflict."""
    with pytest.raises(InvalidOption, match="is not a positive number of seconds"):
        database.run_within(timeout, lambda tx: tx.set(b"k", b"1"))
    assert database.get(b"k") is None


def test_hooks_run_in_order_after_the_commit_of_the_last_attempt(database: Database) -> None:
    """Not after failed attempts, and with the timestamp at which it is durable."""
    told: list[tuple[str, int]] = []
    rival = Rival(database, 2)

    def function(tx: Transaction) -> None:
        tx.on_commit(lambda at: told.append(("first", at)))
        tx.on_commit(lambda at: told.append(("second", at)))
        rival(tx)
        assert told == []

    database.run(function)
    assert [name for name, _ in told] == ["first", "second"]
    assert {database.transaction(at=at).get(b"result") for _, at in told} == {b"3"}
    assert database.transaction(at=told[0][1] - 1).get(b"result") is None


def test_a_hook_that_fails_does_not_run_the_transaction_again(database: Database) -> None:
    """It was committed: the error passes, even one that would otherwise be retried."""
    attempts = []

    def function(tx: Transaction) -> None:
        attempts.append(tx)
        tx.add(b"sum", 1)
        tx.on_commit(fail)

    def fail(_at: int) -> None:
        raise Conflict("from the hook")

    with pytest.raises(Conflict, match="from the hook"):
        database.run(function)
    assert len(attempts) == 1
    assert database.get(b"sum") == (1).to_bytes(8, "little")


def test_hooks_of_what_only_read_run_too(database: Database) -> None:
    """A commit without writes is a commit, at its snapshot."""
    told: list[int] = []
    with database.transaction() as tx:
        tx.get(b"k")
        tx.on_commit(told.append)
    assert told == [tx.read_timestamp] == [tx.commit_timestamp]


def test_a_transaction_ended_inside_is_left_as_it_is(database: Database) -> None:
    """Cancelled or committed by the function itself: run does not commit it again."""

    def cancelling(tx: Transaction) -> None:
        tx.set(b"k", b"1")
        tx.cancel()

    def committing(tx: Transaction) -> None:
        tx.set(b"k", b"2")
        tx.commit()

    database.run(cancelling)
    assert database.get(b"k") is None
    database.run(committing)
    assert database.get(b"k") == b"2"


def test_a_coroutine_function_given_to_the_synchronous_database_is_refused(
    database: Database,
) -> None:
    """It would commit nothing, in silence."""

    async def function(tx: AsyncTransaction) -> None:
        tx.set(b"k", b"1")

    run: Any = database.run
    with pytest.raises(UsageError, match="is an async function"):
        run(function)


def test_tasks_retry_alike(database: Database) -> None:
    """The asynchronous database runs the function again, hooks included."""
    told: list[int] = []

    async def everything() -> None:
        async with beside(database) as twin:
            await tried(twin)

    async def tried(twin: AsyncDatabase) -> None:
        attempts = 0

        async def function(tx: AsyncTransaction, last: int) -> int:
            nonlocal attempts
            attempts += 1
            tx.on_commit(told.append)
            await tx.get(b"contended")
            if attempts < last and attempts <= 3:
                await twin.set(b"contended", b"%d" % attempts)
            tx.set(b"result", b"1")
            return attempts

        assert await twin.run(function, 4) == 4
        assert len(told) == 1
        attempts = 0
        with pytest.raises(InvalidOption):
            await twin.run_within(-1, function, 1)
        assert attempts == 0

    asyncio.run(everything())


def test_a_deadline_of_a_task_counts_alike(own_database: Database, clock: ManualClock) -> None:
    """From the beginning of the first attempt, by the clock of the database."""
    twin = twin_of(own_database)

    async def slow(tx: AsyncTransaction) -> None:
        clock.advance(milliseconds=600)
        await tx.get(b"contended")
        await twin.set(b"contended", b"1")
        tx.set(b"result", b"1")

    with pytest.raises(DeadlineExceeded, match="gave up after 2 attempts"):
        asyncio.run(twin.run_within(1.0, slow))
