"""Closing while others are at work: everything under way ends, nobody is left waiting."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from fastness.client import Database
from fastness.errors import DatabaseClosed
from fastness.runtime import ManualClock
from tests.hosting.gates import Gate
from tests.hosting.workers import Breakpoint, Worker, stopping_at
from tests.transactions.databases import ENGINES, driven, store_with_faults, twin_of


def set_under(database: Database, key: bytes, handed_over: Breakpoint) -> int:
    """Write a key; `handed_over` is met once the commit is the range's."""
    with stopping_at(handed_over):
        return database.set(key, b"1")


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_waits_for_the_commits_under_way(engine: str, tmp_path: Path) -> None:
    """The batch being written and the one behind it are both finished and acknowledged."""
    gate = Gate()
    database = driven(store_with_faults(engine, tmp_path, gate), ManualClock())
    gate.stop_next()
    first = Worker(partial(database.set, b"first", b"1"))
    gate.wait_until_reached()
    joined = Breakpoint("InlineHost._submit", stops=False)
    second = Worker(partial(set_under, database, b"second", joined))
    joined.wait_until_reached()
    closing = Worker(database.close)
    gate.open()
    closing.result()
    assert first.result() < second.result()
    with pytest.raises(DatabaseClosed, match="the database was closed: open it again"):
        database.set(b"third", b"1")


def test_closing_twice_and_at_once_is_harmless(database: Database) -> None:
    """Any number of threads may close."""
    for worker in [Worker(database.close) for _ in range(4)]:
        worker.result()
    database.close()


def test_whoever_waits_for_a_turn_is_told_at_the_close(database: Database) -> None:
    """A commit held back by a reservation nobody will ever release ends, and did not happen."""
    elder = database.transaction()
    database.set(b"other", b"1")
    engine = database.embedded.engine
    engine.reserve(elder.priority, {b"key"}, [], milliseconds=10**6)
    handed_over = Breakpoint("InlineHost._submit", stops=False)
    younger = Worker(partial(set_under, database, b"key", handed_over))
    handed_over.wait_until_reached()
    Worker(database.close).result()
    with pytest.raises(DatabaseClosed):
        younger.result()


def test_the_committer_thread_ends_with_the_database(database: Database) -> None:
    """Tasks that commit as the database closes end one way or the other, and leave no thread."""

    async def commit_until_closed() -> int:
        twin, done = twin_of(database), 0
        while True:
            try:
                await twin.set(b"key", b"1")
            except DatabaseClosed:
                return done
            done += 1
            if done == 3:
                closings.append(asyncio.create_task(asyncio.to_thread(database.close)))

    closings: list[asyncio.Task[None]] = []
    assert asyncio.run(commit_until_closed()) >= 3


def test_a_watch_ends_with_its_database(database: Database) -> None:
    """Whoever waits for a change is not left waiting for ever: nothing will change any more."""
    watch = database.watch(b"key")
    waiting = Worker(watch.wait)
    database.close()
    with pytest.raises(DatabaseClosed):
        waiting.result()
