"""Workloads and drivers: seeded, generic, and honest about every outcome."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from threading import Lock

import pytest

from fastness.errors import Conflict, InvalidOption, MaybeCommitted
from fastness.testing import (
    AsyncKeyValue,
    BankWorkload,
    History,
    KeyValue,
    ListAppendWorkload,
    Outcome,
    Read,
    ReadWriteWorkload,
    RegisterWorkload,
    Workload,
    Write,
    run_workload,
    run_workload_async,
)
from tests.histories.databases import StepDatabase, StepTransaction
from tests.histories.interleaving import interleave

WORKLOADS = [
    ListAppendWorkload(transactions=40),
    ReadWriteWorkload(transactions=40),
    RegisterWorkload(transactions=40),
    BankWorkload(transactions=40),
]

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: type(one).__name__)


class SerialDatabase:
    """One transaction at a time; every few commits fail, or fall silent before or after."""

    def __init__(self, *, trouble: float = 0.0) -> None:
        self.store = StepDatabase()
        self.trouble = trouble
        self.random = Random(1)
        self.lock = Lock()

    def run(self, body: Callable[[KeyValue], None]) -> None:
        """Run a body and commit it, on its second attempt."""
        with self.lock:
            body(self.store.begin())
            transaction = self.store.begin()
            body(transaction)
            self.commit(transaction)

    async def run_async(self, body: Callable[[AsyncKeyValue], Awaitable[None]]) -> None:
        """As `run`; other tasks take turns at every read."""
        transaction = AsyncStepTransaction(self.store.begin())
        await body(transaction)
        self.commit(transaction.inner)

    def commit(self, transaction: StepTransaction) -> None:
        """Commit, or make trouble in one of three ways."""
        trouble = self.random.random() / self.trouble if self.trouble else 1.0
        if trouble < 0.3:
            raise Conflict("refused")
        if trouble < 0.6:
            raise MaybeCommitted("silence; it did not commit")
        transaction.commit()
        if trouble < 1.0:
            raise MaybeCommitted("silence; it did commit")


class AsyncStepTransaction:
    """A transaction whose reads are awaited."""

    def __init__(self, inner: StepTransaction) -> None:
        self.inner = inner

    async def get(self, key: bytes) -> bytes | None:
        """Read after letting others run."""
        await asyncio.sleep(0)
        return self.inner.get(key)

    def set(self, key: bytes, value: bytes) -> None:
        """Buffer a write."""
        self.inner.set(key, value)


def outcomes(history: History) -> Counter[Outcome]:
    """How many transactions ended in which way."""
    return Counter(one.outcome for one in history)


@each_workload
def test_threads_run_every_transaction(workload: Workload) -> None:
    """Each process runs its share, a finale follows, and the history is legal."""
    history = run_workload(workload, SerialDatabase().run)
    assert outcomes(history) == {Outcome.OK: len(history)}
    shares = Counter(one.process for one in history)
    assert [shares[process] for process in range(8)] == [40] * 8
    assert shares[8] == len(workload.finale()) > 0
    workload.check(history).require_ok()


@each_workload
def test_trouble_is_recorded_as_it_was(workload: Workload) -> None:
    """Refused and silent commits become failed and unknown, and the run goes on."""
    history = run_workload(workload, SerialDatabase(trouble=0.3).run)
    assert set(outcomes(history)) == set(Outcome)
    workload.check(history).require_ok()


@each_workload
def test_tasks_run_every_transaction(workload: Workload) -> None:
    """Tasks interleave at every read and record a legal history; conflicts count as failed."""
    history = asyncio.run(run_workload_async(workload, SerialDatabase(trouble=0.2).run_async))
    assert {one.process for one in history} == set(range(9))
    assert outcomes(history)[Outcome.OK] > 100
    workload.check(history).require_ok()


@each_workload
def test_a_seed_fixes_every_transaction(workload: Workload) -> None:
    """The same seed and interleaving give the same history; another seed gives another."""
    first, again, other = (
        interleave(one, StepDatabase(), seed=1)
        for one in (workload, workload, type(workload)(transactions=40, seed=9))
    )
    assert first == again
    assert first != other


def test_only_the_last_attempt_is_recorded() -> None:
    """A database that runs a body twice leaves each operation in the history once."""
    history = run_workload(RegisterWorkload(transactions=10), SerialDatabase().run)
    assert all(len(one.operations) == 1 for one in history)


def test_the_setup_of_a_bank_is_no_part_of_its_history() -> None:
    """The accounts are full before the first recorded transaction."""
    history = run_workload(BankWorkload(processes=1, transactions=1, keys=2), SerialDatabase().run)
    assert history[0].operations[0] in {Read(0, 100), Read(1, 100)}
    assert not any(isinstance(done, Write) and done.value == 100 for done in history[0].operations)


def test_a_setup_that_never_succeeds_is_given_up() -> None:
    """Accounts that cannot be filled raise the database's own error."""

    def refuse(_: Callable[[KeyValue], None]) -> None:
        raise Conflict("refused")

    async def refuse_later(_: Callable[[AsyncKeyValue], Awaitable[None]]) -> None:
        raise Conflict("refused")

    with pytest.raises(Conflict):
        run_workload(BankWorkload(), refuse)
    with pytest.raises(Conflict):
        asyncio.run(run_workload_async(BankWorkload(), refuse_later))


def test_unknown_errors_stop_the_workload() -> None:
    """An error that is no outcome of a transaction ends every process and is raised."""
    calls = Counter[str]()

    def broken(_: Callable[[KeyValue], None]) -> None:
        calls["run"] += 1
        raise ZeroDivisionError("the adapter is broken")

    with pytest.raises(ZeroDivisionError):
        run_workload(ListAppendWorkload(transactions=1000), broken)
    assert calls["run"] <= 8


def test_unknown_errors_stop_the_tasks() -> None:
    """The same for tasks, as an exception group."""

    async def broken(_: Callable[[AsyncKeyValue], Awaitable[None]]) -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError("the adapter is broken")

    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(run_workload_async(ListAppendWorkload(), broken))
    assert caught.group_contains(ZeroDivisionError)


@pytest.mark.parametrize(
    ("workload", "text"),
    [
        (ListAppendWorkload(processes=1, transactions=5, keys=1), b"1 what 2"),
        (RegisterWorkload(processes=1, transactions=5, keys=1, seed=1), b"what"),
        (ReadWriteWorkload(processes=1, transactions=5, keys=1), b"what"),
    ],
)
def test_foreign_bytes_are_found_by_the_checker(workload: Workload, text: bytes) -> None:
    """A database that holds what no process wrote fails the check, not the workload."""
    database = SerialDatabase()
    database.store.apply({workload.place(0): text})
    report = workload.check(run_workload(workload, database.run))
    assert {"garbage-read", "nonlinearizable"} & set(report.counts), str(report)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ListAppendWorkload(processes=0), "processes=0"),
        (lambda: BankWorkload(transactions=-1), "transactions=-1"),
        (lambda: RegisterWorkload(keys=0), "keys=0"),
        (lambda: ReadWriteWorkload(operations_max=0), "operations_max=0"),
    ],
)
def test_a_workload_of_nothing_is_refused(make: Callable[[], Workload], message: str) -> None:
    """Sizes are at least one; the message names the field."""
    with pytest.raises(InvalidOption, match=message):
        make()
