"""Recorded histories of the real database, judged: eight clients at once.

On both stores, and on a server, with the near cache and without it.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import fastness
from fastness.testing import (
    BankWorkload,
    History,
    KeyValue,
    ListAppendWorkload,
    Outcome,
    Plan,
    ReadWriteWorkload,
    Recorder,
    RegisterWorkload,
    Workload,
    run_workload,
    run_workload_async,
)
from tests.client.servers import RunningServer

WORKLOADS = [
    ListAppendWorkload(transactions=120, keys=4),
    ReadWriteWorkload(transactions=120, keys=4),
    RegisterWorkload(transactions=120, keys=2),
    BankWorkload(transactions=120, keys=4),
]

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: type(one).__name__)


@pytest.fixture(params=["memory", "file", "server", "cache"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database on each store, and behind a server."""
    if request.param in ("memory", "file"):
        yield "memory:" if request.param == "memory" else f"file:{tmp_path}/db"
        return
    with RunningServer() as server:
        yield server.url if request.param == "server" else f"{server.url}?cache=on"


def scaled(workload: Workload, url: str) -> Workload:
    """Fewer transactions where each takes a way over a socket."""
    return replace(workload, transactions=40) if url.startswith("fastness") else workload


@pytest.fixture(autouse=True)
def eager_switching() -> Iterator[None]:
    """Let threads take turns so often that transactions overlap."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def require_legal(workload: Workload, history: History) -> None:
    """The history is legal, and there was something to judge."""
    report = workload.check(history)
    report.require_ok()
    assert report.committed > 0.9 * workload.processes * workload.transactions, str(report)
    assert any(
        later.invoked < (earlier.completed or later.completed or 0)
        for earlier, later in zip(history, list(history)[1:], strict=False)
    ), "no two transactions overlapped"


@each_workload
def test_threads_see_a_strictly_serializable_database(workload: Workload, url: str) -> None:
    """Eight threads record a legal history."""
    workload = scaled(workload, url)
    with fastness.open(url) as database:
        history = run_workload(workload, database.run)
    require_legal(workload, history)


@each_workload
def test_tasks_see_a_strictly_serializable_database(workload: Workload, url: str) -> None:
    """Eight tasks of one event loop record a legal history."""
    workload = scaled(workload, url)

    async def record() -> History:
        async with await fastness.open_async(url) as database:
            return await run_workload_async(workload, database.run)

    require_legal(workload, asyncio.run(record()))


@each_workload
def test_refused_attempts_leave_nothing_behind(workload: Workload, url: str) -> None:
    """Where nothing is retried, refused transactions are recorded as failed, and never seen."""
    workload = scaled(workload, url)
    with fastness.open(url) as database:

        def attempt(body: Callable[[KeyValue], None]) -> None:
            with database.transaction() as transaction:
                body(transaction)

        history = run_workload(workload, attempt)
    workload.check(history).require_ok()
    outcomes = Counter(one.outcome for one in history)
    assert outcomes[Outcome.UNKNOWN] == 0
    assert outcomes[Outcome.OK] > 100


@pytest.mark.parametrize("workload", [WORKLOADS[0], WORKLOADS[3]], ids=["lists", "bank"])
def test_reads_that_are_not_validated_are_caught(workload: Workload, tmp_path: Path) -> None:
    """The same run with snapshot reads, which commits do not validate, loses updates: caught."""
    with fastness.open(f"file:{tmp_path}/db") as database:

        def unvalidated(body: Callable[[KeyValue], None]) -> None:
            database.run(lambda transaction: body(SnapshotReads(transaction)))

        history = run_workload(workload, unvalidated)
    found = workload.check(history).counts
    assert {"lost-update", "incompatible-order", "wrong-total"} & set(found), found


class SnapshotReads:
    """A transaction whose reads are not validated."""

    def __init__(self, transaction: fastness.Transaction) -> None:
        self.transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        """Read without a promise."""
        return self.transaction.get(key, snapshot=True)

    def set(self, key: bytes, value: bytes) -> None:
        """Write as usual."""
        self.transaction.set(key, value)


@each_workload
def test_scans_are_isolated_as_gets_are(workload: Workload, url: str) -> None:
    """Where every read is a scan of an interval, validated as one, histories are legal too."""
    workload = scaled(workload, url)
    with fastness.open(url) as database:

        def scanning(body: Callable[[KeyValue], None]) -> None:
            database.run(lambda transaction: body(ScanningReads(transaction)))

        history = run_workload(workload, scanning)
    workload.check(history).require_ok()


class ScanningReads:
    """A transaction that reads a key by scanning the interval that holds only it."""

    def __init__(self, transaction: fastness.Transaction) -> None:
        self.transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        """The only value of the interval."""
        return next((value for _, value in self.transaction.scan(key, key + b"\x00")), None)

    def set(self, key: bytes, value: bytes) -> None:
        """Write as usual."""
        self.transaction.set(key, value)


def test_relaxed_durability_is_as_isolated(tmp_path: Path) -> None:
    """Acknowledging before the disk does changes what survives, not what is seen."""
    workload = WORKLOADS[0]
    with fastness.open(f"file:{tmp_path}/db", durability="relaxed") as database:
        history = run_workload(workload, database.run)
    require_legal(workload, history)


@dataclass(frozen=True, kw_only=True)
class Rereading(ListAppendWorkload):
    """Only the reads at the end."""

    def client(self, process: int) -> Iterator[Plan]:  # noqa: ARG002 - no client does anything
        """Nothing."""
        return iter(())


def test_a_reopened_database_continues_its_history(tmp_path: Path) -> None:
    """What was acknowledged before a close is read after the next open."""
    url, recorder = f"file:{tmp_path}/db", Recorder()
    workload = ListAppendWorkload(transactions=60)
    with fastness.open(url) as database:
        run_workload(workload, database.run, recorder=recorder)
    with fastness.open(url) as database:
        history = run_workload(Rereading(transactions=60), database.run, recorder=recorder)
    require_legal(workload, history)
