"""Recording: outcomes, order, processes, and use from threads and tasks."""

from __future__ import annotations

import asyncio
import itertools
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastness.errors import Conflict, InvalidOption, MaybeCommitted
from fastness.invariants import InvariantViolation
from fastness.testing import (
    Append,
    History,
    InvalidHistory,
    Outcome,
    Read,
    Recorder,
    Transaction,
    outcome_of,
)

THREADS = 8
TRANSACTIONS = 200


def transaction(process: int, invoked: int, completed: int | None) -> Transaction:
    """An empty one; acknowledged if it was ever complete."""
    outcome = Outcome.UNKNOWN if completed is None else Outcome.OK
    return Transaction(0, process, invoked, completed, outcome, ())


def test_a_block_that_ends_is_acknowledged() -> None:
    """The context manager records times around the block, its operations and `OK`."""
    recorder = Recorder()
    with recorder.transaction(recorder.process()) as record:
        record.read("x", (1,))
        record.append("x", 2)
    assert list(recorder.history()) == [
        Transaction(0, 0, 1, 2, Outcome.OK, (Read("x", (1,)), Append("x", 2)))
    ]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Conflict("changed"), Outcome.FAILED),
        (InvalidOption("wrong"), Outcome.FAILED),
        (MaybeCommitted("connection lost"), Outcome.UNKNOWN),
        (ValueError("who knows"), Outcome.UNKNOWN),
        (asyncio.CancelledError(), Outcome.UNKNOWN),
    ],
)
def test_an_error_decides_the_outcome(error: BaseException, outcome: Outcome) -> None:
    """Errors of the database mean failed unless they may have committed; others mean unknown."""
    assert outcome_of(error) is outcome
    recorder = Recorder()
    with pytest.raises(type(error)), recorder.transaction(0):
        raise error
    assert recorder.history()[0].outcome is outcome


def test_errors_of_other_packages_can_say_unknown() -> None:
    """Any error with a true `maybe_committed` means unknown, for adapters of other databases."""

    class LostConnectionError(Exception):
        maybe_committed = True

    assert outcome_of(LostConnectionError()) is Outcome.UNKNOWN


def test_an_attempt_can_be_forgotten() -> None:
    """After `restart` only what was recorded since counts."""
    recorder = Recorder()
    with recorder.transaction(0) as record:
        record.append("x", 1)
        record.restart()
        record.append("x", 2)
    assert recorder.history()[0].operations == (Append("x", 2),)


def test_an_open_transaction_is_unknown() -> None:
    """A history taken while a transaction runs says that it may commit."""
    recorder = Recorder()
    record = recorder.begin(0)
    record.append("x", 1)
    assert recorder.history()[0].outcome is Outcome.UNKNOWN
    assert recorder.history()[0].completed is None
    record.complete(Outcome.OK)
    assert recorder.history()[0].outcome is Outcome.OK


def test_completing_twice_is_a_programming_error() -> None:
    """An outcome is recorded once."""
    record = Recorder().begin(0)
    record.complete(Outcome.FAILED)
    with pytest.raises(InvariantViolation, match="already complete"):
        record.complete(Outcome.OK)


def test_threads_share_a_recorder() -> None:
    """Nothing is lost, and no moment is given out twice."""
    recorder = Recorder()

    def client() -> None:
        process = recorder.process()
        for value in range(TRANSACTIONS):
            with recorder.transaction(process) as record:
                record.append(process, value)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(client) for _ in range(THREADS)]:
            done.result()
    history = recorder.history()
    assert len(history) == THREADS * TRANSACTIONS
    moments = [moment for one in history for moment in (one.invoked, one.completed)]
    assert len(set(moments)) == len(moments)
    for process, ran in itertools.groupby(
        sorted(history, key=lambda one: (one.process, one.index)), lambda one: one.process
    ):
        expected = [(Append(process, value),) for value in range(TRANSACTIONS)]
        assert [one.operations for one in ran] == expected


def test_tasks_share_a_recorder() -> None:
    """Interleaved tasks record overlapping transactions."""
    recorder = Recorder()

    async def client() -> None:
        with recorder.transaction(recorder.process()):
            await asyncio.sleep(0)

    async def clients() -> None:
        await asyncio.gather(client(), client())

    asyncio.run(clients())
    first, second = recorder.history()
    assert first.completed is not None
    assert second.invoked < first.completed


def test_a_shared_clock_merges_histories() -> None:
    """Recorders with one clock can be merged into one history, in order of invocation."""
    recorders = [Recorder(clock=time.monotonic_ns) for _ in range(2)]
    for process, recorder in enumerate(recorders * 3):
        with recorder.transaction(process) as record:
            record.append("x", process)
    merged = History.of(itertools.chain.from_iterable(one.history() for one in recorders))
    assert [one.process for one in merged] == list(range(6))
    assert [one.index for one in merged] == list(range(6))


@pytest.mark.parametrize(
    ("transactions", "message"),
    [
        ([transaction(0, 5, 4)], "complete before it was invoked"),
        ([Transaction(0, 0, 1, None, Outcome.OK, ())], "no completion time"),
        ([transaction(0, 1, 4), transaction(0, 3, 6)], "still open"),
        ([transaction(0, 1, None), transaction(0, 3, 6)], "still open"),
    ],
)
def test_impossible_histories_are_refused(transactions: list[Transaction], message: str) -> None:
    """Times and processes must make sense."""
    with pytest.raises(InvalidHistory, match=message):
        History.of(transactions)


def test_a_history_out_of_order_is_refused() -> None:
    """Indices are places in the order of invocation."""
    with pytest.raises(InvalidHistory, match=r"History\.of"):
        History([transaction(0, 5, 6), transaction(1, 1, 2)])


def test_histories_compare_by_content() -> None:
    """Equal transactions make equal histories, which are sequences."""
    one, other = (History.of([transaction(0, 1, 2), transaction(1, 2, 3)]) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert list(one[1:]) == [one[1]]
    assert repr(one) == "<History of 2 transactions>"
