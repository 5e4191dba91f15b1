"""Watches: told once, after durability, never missing a change, to threads and to tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import Context
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVarTuple

import pytest

from fastness.client import Database, Transaction
from fastness.errors import InvalidKey, InvalidTimestamp, Overloaded, SnapshotTooOld
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.runtime import ManualClock, SystemClock
from fastness.storage import MemoryStore
from tests.hosting.gates import Gate
from tests.hosting.workers import PATIENCE_SECONDS, Worker
from tests.transactions.databases import (
    ENGINES,
    driven,
    driven_database,
    store_with_faults,
    twin_of,
)

Arguments = TypeVarTuple("Arguments")


def changes(tx: Transaction) -> None:
    """Touch the keys a, range b and the counter c, and nothing else."""
    tx.set(b"a", b"2")
    tx.delete_range(b"b", b"c")
    tx.add(b"c", 1)


def test_a_watch_fires_on_every_kind_of_write(database: Database) -> None:
    """Sets, erased ranges and additions fire; what was not touched does not."""
    for key in (b"a", b"b1", b"d"):
        database.set(key, b"1")
    hit = [database.watch(key) for key in (b"a", b"b1", b"c")]
    missed = database.watch(b"d")
    assert not any(watch.fired for watch in hit)
    database.run(changes)
    assert all(watch.fired and watch.wait(0) for watch in hit)
    assert not missed.fired
    assert not missed.wait(0)
    assert database.stat().watches == 1


def test_a_watch_fires_once_and_is_gone(database: Database) -> None:
    """It holds no place once it fired; waiting again returns at once."""
    watch = database.watch(b"a")
    database.set(b"a", b"1")
    database.set(b"a", b"2")
    assert watch.wait() and watch.wait()  # noqa: PT018 - the same question twice
    assert database.stat().watches == 0


def test_nothing_is_missed_between_the_read_and_the_watch(database: Database) -> None:
    """A change since the version seen fires at the registration."""
    with database.transaction() as tx:
        tx.get(b"a")
        seen = tx.read_timestamp
    assert not database.watch(b"a", seen=seen).fired
    database.set(b"a", b"1")
    assert database.watch(b"a", seen=seen).fired
    assert not database.watch(b"a", seen=database.now()).fired
    assert not database.watch(b"b", seen=seen).fired


@pytest.mark.parametrize("engine", ENGINES)
def test_a_watch_fires_after_durability(engine: str, tmp_path: Path) -> None:
    """While the write is not durable nobody is told; a watch registered meanwhile is."""
    gate = Gate()
    with driven(store_with_faults(engine, tmp_path, gate), ManualClock()) as database:
        before = database.watch(b"a")
        gate.stop_next()
        writer = Worker(partial(database.set, b"a", b"1"))
        gate.wait_until_reached()
        meanwhile = database.watch(b"a")
        assert not before.fired
        assert not meanwhile.fired
        gate.open()
        writer.result()
        assert before.wait(PATIENCE_SECONDS)
        assert meanwhile.wait(PATIENCE_SECONDS)
        assert database.get(b"a") == b"1", "whoever is told sees it"


def test_a_write_that_failed_wakes_nobody(database: Database) -> None:
    """A cancelled transaction and one that conflicts are no changes."""
    watch = database.watch(b"a")
    cancelled, conflicting = database.transaction(), database.transaction()
    cancelled.set(b"a", b"1")
    cancelled.cancel()
    conflicting.get(b"other")
    conflicting.set(b"a", b"1")
    database.set(b"other", b"1")
    with pytest.raises(Exception, match="overwritten"):
        conflicting.commit()
    assert not watch.fired


def test_tasks_and_threads_wait_for_the_same_change(database: Database) -> None:
    """One change wakes a thread and two tasks, whichever waited first."""
    twin = twin_of(database)

    async def wait_and_write(watch: Watch) -> None:
        async with asyncio.TaskGroup() as group, asyncio.timeout(PATIENCE_SECONDS):
            group.create_task(watch.wait_async())
            group.create_task(watch.wait_async())
            await asyncio.sleep(0)
            await twin.set(b"a", b"1")
        await watch.wait_async()

    watch = database.watch(b"a")
    thread = Worker(partial(watch.wait, PATIENCE_SECONDS))
    asyncio.run(wait_and_write(watch))
    assert thread.result()


def test_a_task_that_is_cancelled_stops_waiting(database: Database) -> None:
    """Waiting bounded by asyncio's own timeout leaves nothing behind."""

    async def wait_a_little(watch: Watch) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await watch.wait_async()

    watch = database.watch(b"a")
    asyncio.run(wait_a_little(watch))
    database.set(b"a", b"1")
    assert watch.fired


class LeavingLoop(asyncio.SelectorEventLoop):
    """A loop that closes between being asked whether it is closed and being called."""

    leaving = False

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Refuse as a closed loop does."""
        if self.leaving:
            raise RuntimeError("Event loop is closed")
        return super().call_soon_threadsafe(callback, *args, context=context)


def test_a_loop_that_closes_meanwhile_does_not_close_the_database(database: Database) -> None:
    """The leader that fires a watch goes on when the loop of who waited is gone."""

    async def begin_to_wait(watch: Watch) -> asyncio.Task[None]:
        task = asyncio.create_task(watch.wait_async())
        await asyncio.sleep(0)
        return task

    async def stop_waiting(task: asyncio.Task[None]) -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop = LeavingLoop()
    task = loop.run_until_complete(begin_to_wait(database.watch(b"a")))
    loop.leaving = True
    for value in (b"1", b"2"):
        database.set(b"a", value)
    assert database.get(b"a") == b"2"
    loop.leaving = False
    loop.run_until_complete(stop_waiting(task))
    loop.close()


def test_a_loop_that_closes_meanwhile_does_not_stop_the_leader(database: Database) -> None:
    """Nor when a task of that loop waits for a commit: it is durable, and others go on."""

    async def begin_to_commit() -> asyncio.Task[int]:
        task = asyncio.create_task(twin.set(b"a", b"1"))
        await asyncio.sleep(0)
        return task

    async def stop_waiting(task: asyncio.Task[int]) -> None:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    twin = twin_of(database)
    loop = LeavingLoop()
    loop.leaving = True
    task = loop.run_until_complete(begin_to_commit())
    database.set(b"b", b"1")
    assert database.get(b"a") == b"1"
    loop.leaving = False
    loop.run_until_complete(stop_waiting(task))
    loop.close()


def test_a_cancelled_watch_gives_up_its_place(database: Database) -> None:
    """It does not fire any more, and cancelling twice is harmless."""
    watch = database.watch(b"a")
    watch.cancel()
    watch.cancel()
    database.set(b"a", b"1")
    assert not watch.fired
    assert database.stat().watches == 0


def test_watches_are_bounded(any_database_url: str, clock: ManualClock) -> None:
    """One too many is refused, retryably; a place given up is free again."""
    with driven_database(any_database_url, clock, limits=replace(Limits(), watches=2)) as database:
        first = database.watch(b"a")
        database.watch(b"a")
        with pytest.raises(Overloaded, match=r"2 watches are registered \(limit watches\)"):
            database.watch(b"b")
        first.cancel()
        database.watch(b"b")


def test_a_watch_below_the_retained_window_takes_no_place(
    any_database_url: str, clock: ManualClock
) -> None:
    """What happened since cannot be told; the refusal leaves no watch behind."""
    limits = replace(Limits(), retention_ms=10, recent_keys=1)
    with driven_database(any_database_url, clock, limits=limits) as database:
        seen = database.set(b"a", b"1")
        for number in range(5):
            clock.advance(milliseconds=100)
            database.set(b"a", b"%d" % number)
        clock.advance(milliseconds=100)
        database.embedded.upkeep_step()
        with pytest.raises(SnapshotTooOld, match="below the retained window"):
            database.watch(b"a", seen=seen)
        assert database.stat().watches == 0


@pytest.mark.parametrize(
    ("key", "seen", "refused"),
    [
        ("text", None, pytest.raises(InvalidKey, match="'text' is str, not bytes")),
        (b"a", "now", pytest.raises(InvalidTimestamp, match="seen='now' is no timestamp")),
        (b"a", -1, pytest.raises(InvalidTimestamp, match="seen=-1 is no timestamp")),
    ],
)
def test_a_watch_of_nothing_is_refused(
    key: object, seen: object, refused: AbstractContextManager[object]
) -> None:
    """A watch that could never fire is a mistake, told at once."""
    with driven(MemoryStore(), SystemClock()) as database, refused:
        database.watch(key, seen=seen)  # type: ignore[arg-type]  # the mistake under test
