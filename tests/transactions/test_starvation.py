"""A transaction that keeps losing gets its turn: younger writers wait for it, for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from fastness.client import AsyncDatabase, AsyncTransaction, Database, Transaction
from fastness.limits import Limits
from fastness.runtime import ManualClock, SystemClock
from fastness.transactions import TURN_MS
from fastness.transactions.retry import TURN_AFTER
from tests.hosting.workers import Worker
from tests.transactions.databases import beside, driven_database

A_MOMENT_SECONDS = 0.2
"""Long enough for a commit that nobody holds back."""


@pytest.fixture
def busy(any_database_url: str) -> Iterator[Database]:
    """A database whose retries are few, so that starving is an error."""
    limits = replace(Limits(), retries=3 * TURN_AFTER, backoff_ms=1)
    with driven_database(any_database_url, SystemClock(), limits=limits) as database:
        yield database


def test_an_endless_stream_of_writers_does_not_starve_a_reader(busy: Database) -> None:
    """After a few conflicts what it reads is reserved, and it gets through."""
    rivals: list[Worker[int]] = []

    def long_transaction(tx: Transaction) -> int:
        seen = [tx.get(b"key"), *tx.scan(b"list/", b"list0")]
        for key in (b"key", b"list/%d" % len(rivals)):
            rivals.append(Worker(partial(busy.set, key, b"%d" % len(rivals))))
            rivals[-1].ended_within(A_MOMENT_SECONDS)
        tx.set(b"result", b"%d" % len(seen))
        return len(rivals) // 2

    assert busy.run(long_transaction) == TURN_AFTER + 1
    for rival in rivals:
        assert rival.result() > 0, "whoever waited goes on once the turn is over"


def test_a_task_gets_its_turn_too(busy: Database) -> None:
    """The asynchronous database reserves alike, and releases when its task is cancelled."""
    rivals: list[asyncio.Task[int]] = []
    has_its_turn = asyncio.Event()

    async def overtaken(tx: AsyncTransaction, twin: AsyncDatabase) -> int:
        await tx.get(b"key")
        rivals.append(asyncio.create_task(twin.set(b"key", b"%d" % len(rivals))))
        await asyncio.wait(rivals[-1:], timeout=A_MOMENT_SECONDS)
        tx.set(b"result", b"1")
        return len(rivals)

    async def never_ending(tx: AsyncTransaction, twin: AsyncDatabase) -> None:
        await overtaken(tx, twin)
        if len(rivals) > TURN_AFTER:
            has_its_turn.set()
            await asyncio.get_running_loop().create_future()

    async def everything() -> None:
        async with beside(busy) as twin:
            await starve(twin)

    async def starve(twin: AsyncDatabase) -> None:
        assert await twin.run(overtaken, twin) == TURN_AFTER + 1
        await asyncio.gather(*rivals)
        rivals.clear()
        stuck = asyncio.create_task(twin.run(never_ending, twin))
        await has_its_turn.wait()
        held_back = rivals[-1]
        await asyncio.wait([held_back], timeout=A_MOMENT_SECONDS)
        assert not held_back.done()
        stuck.cancel()
        await asyncio.gather(*rivals)
        with pytest.raises(asyncio.CancelledError):
            await stuck

    asyncio.run(everything())


def test_a_turn_ends_by_itself(own_database: Database, clock: ManualClock) -> None:
    """Whoever has one and does not come back holds nobody up for longer than its time."""
    engine = own_database.embedded.engine
    elder = own_database.transaction()
    own_database.set(b"other", b"1")
    turn = engine.reserve(elder.priority, {b"key"}, [], milliseconds=TURN_MS)
    younger = Worker(partial(own_database.set, b"key", b"1"))
    assert not younger.ended_within(A_MOMENT_SECONDS)
    clock.advance(milliseconds=TURN_MS - 1)
    own_database.embedded.upkeep_step()
    assert not younger.ended_within(A_MOMENT_SECONDS)
    clock.advance(milliseconds=1)
    own_database.embedded.upkeep_step()
    assert younger.result() > 0
    engine.release(turn)
