"""Leadership passes from thread to thread and task to task; nobody is forgotten or misled."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from functools import partial

import pytest

from fastness.client import AsyncDatabase, Database, Transaction
from fastness.encoding import counters
from fastness.runtime import SystemClock
from tests.hosting.workers import Worker
from tests.transactions.databases import driven_database, twin_of

HITS = b"hits"


@pytest.fixture
def hasty_scheduler() -> Iterator[None]:
    """Let threads be switched as often as the interpreter can, so that races come up."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.fixture
def shared(any_database_url: str) -> Iterator[Database]:
    """A database under the machine's clock, as services share it."""
    with driven_database(any_database_url, SystemClock()) as database:
        yield database


def commit_and_look(database: Database, key: bytes, count: int) -> None:
    """Commit again and again; each acknowledged commit must be seen by a read begun after."""
    for number in range(count):
        with database.transaction() as tx:
            tx.set(key, b"%d" % number)
            tx.add(HITS, 1)
        assert database.get(key) == b"%d" % number


async def commit_and_look_async(database: AsyncDatabase, key: bytes, count: int) -> None:
    """As `commit_and_look`, in a task."""
    for number in range(count):
        async with database.transaction() as tx:
            tx.set(key, b"%d" % number)
            tx.add(HITS, 1)
        assert await database.get(key) == b"%d" % number


def run_tasks(database: AsyncDatabase, keys: list[bytes], count: int) -> None:
    """Tasks of one event loop, all at once."""

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(commit_and_look_async(database, key, count))

    asyncio.run(all_of_them())


def finish(workers: list[Worker[None]]) -> None:
    """Wait for all of them."""
    for worker in workers:
        worker.result()


@pytest.mark.usefixtures("hasty_scheduler")
def test_many_threads_lose_no_wakeup_and_no_commit(shared: Database) -> None:
    """Every commit returns, is counted once, and is visible when it does."""
    keys, count = [b"thread %d" % number for number in range(8)], 250
    finish([Worker(partial(commit_and_look, shared, key, count)) for key in keys])
    assert shared.get(HITS) == counters.encode(len(keys) * count)
    assert shared.stat().commits == len(keys) * count


@pytest.mark.usefixtures("hasty_scheduler")
def test_threads_that_conflict_all_get_through(shared: Database) -> None:
    """Read, add one, write: retried until it holds; nothing is lost."""
    threads, count = 6, 40

    def add_one(tx: Transaction) -> None:
        tx.set(b"sum", b"%d" % (int(tx.get(b"sum") or b"0") + 1))

    def add_many() -> None:
        for _ in range(count):
            shared.run(add_one)

    finish([Worker(add_many) for _ in range(threads)])
    assert shared.get(b"sum") == b"%d" % (threads * count)


@pytest.mark.usefixtures("hasty_scheduler")
def test_threads_and_tasks_share_one_engine(shared: Database) -> None:
    """Two event loops and four threads commit at once, each seeing what it was acknowledged."""
    twin, count = twin_of(shared), 20
    loops = [[b"loop %d task %d" % (loop, task) for task in range(15)] for loop in range(2)]
    threads = [b"thread %d" % number for number in range(4)]
    finish(
        [
            *(Worker(partial(run_tasks, twin, keys, count)) for keys in loops),
            *(Worker(partial(commit_and_look, shared, key, count)) for key in threads),
        ]
    )
    assert shared.get(HITS) == counters.encode((30 + 4) * count)


def test_a_lone_committer_leads_in_its_own_thread(shared: Database) -> None:
    """No thread is started for synchronous commits, and each is a batch of its own."""
    for number in range(10):
        shared.set(b"key", b"%d" % number)
    assert shared.stat().store.batches == shared.stat().commits == 10


def test_tasks_share_batches(shared: Database) -> None:
    """A hundred tasks that commit at once need far fewer syncs than commits."""
    keys = [b"task %d" % number for number in range(100)]
    run_tasks(twin_of(shared), keys, 1)
    stat = shared.stat()
    assert stat.commits == 100
    assert stat.store.batches <= 10
