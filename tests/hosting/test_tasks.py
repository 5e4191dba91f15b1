"""Tasks: a commit does not block the loop, and cancelling it does not lose its outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from fastness.client import AsyncDatabase, Database
from fastness.errors import InvalidOption, MaybeCommitted
from fastness.runtime import ManualClock
from fastness.storage.faults import Step
from tests.hosting.gates import Gate
from tests.transactions.databases import ENGINES, driven, store_with_faults, twin_of


async def cancelled_commit(database: AsyncDatabase, gate: Gate) -> bytes:
    """Begin a commit, let it be written, cancel it there; its transaction's id."""
    tx = database.transaction()
    tx.set(b"a", b"1")
    gate.stop_next()
    committing = asyncio.create_task(tx.commit())
    await asyncio.to_thread(gate.wait_until_reached)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert tx.commit_timestamp is None
    return tx.id


@pytest.mark.parametrize("engine", ENGINES)
def test_the_loop_runs_while_a_commit_is_written(engine: str, tmp_path: Path) -> None:
    """Other tasks go on, and read, while a batch stands at its fsync."""
    gate = Gate()

    async def look_meanwhile(database: AsyncDatabase) -> None:
        gate.stop_next()
        committing = asyncio.create_task(database.set(b"a", b"1"))
        await asyncio.to_thread(gate.wait_until_reached)
        assert await database.get(b"a") is None
        assert not committing.done()
        gate.open()
        committed = await committing
        assert await database.get(b"a") == b"1"
        assert await database.now() >= committed

    with driven(store_with_faults(engine, tmp_path, gate), ManualClock()) as database:
        asyncio.run(look_meanwhile(twin_of(database)))


def test_the_outcome_of_a_cancelled_commit_is_known_by_its_id(tmp_path: Path) -> None:
    """It went on without its task; outcome() waits for it and tells when it happened."""
    gate = Gate()

    async def cancel_and_ask(database: AsyncDatabase) -> None:
        identity = await cancelled_commit(database, gate)
        asking = asyncio.create_task(database.outcome(identity))
        await asyncio.sleep(0)
        assert not asking.done()
        gate.open()
        committed = await asking
        assert committed is not None
        assert await database.transaction(at=committed).get(b"a") == b"1"
        assert await database.transaction(at=committed - 1).get(b"a") is None

    with driven(store_with_faults("memory", tmp_path, gate), ManualClock()) as database:
        asyncio.run(cancel_and_ask(twin_of(database)))


def test_a_cancellation_that_comes_too_late_is_no_doubt(database: Database) -> None:
    """Committed already, and its task not yet told: the outcome is there to ask for."""

    async def cancel_late(twin: AsyncDatabase) -> None:
        tx = twin.transaction()
        tx.set(b"a", b"1")
        committing = asyncio.create_task(tx.commit())
        await asyncio.sleep(0)
        # The loop stands still here, so the task cannot be told before it is cancelled.
        while database.get(b"a") is None:
            database.set(b"b", b"1")
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        assert await twin.outcome(tx.id) is not None

    asyncio.run(cancel_late(twin_of(database)))


def test_a_cancelled_commit_that_conflicted_did_not_happen(tmp_path: Path) -> None:
    """The answer is None: run it again without fear."""
    gate = Gate()

    async def cancel_and_ask(database: AsyncDatabase) -> None:
        tx = database.transaction()
        await tx.get(b"a")
        tx.set(b"b", b"1")
        gate.stop_next()
        winner = asyncio.create_task(database.set(b"a", b"1"))
        await asyncio.to_thread(gate.wait_until_reached)
        committing = asyncio.create_task(tx.commit())
        await asyncio.sleep(0)
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        gate.open()
        await winner
        assert await database.outcome(tx.id) is None
        assert await database.get(b"b") is None

    with driven(store_with_faults("memory", tmp_path, gate), ManualClock()) as database:
        asyncio.run(cancel_and_ask(twin_of(database)))


def test_a_cancelled_commit_whose_store_failed_stays_in_doubt(tmp_path: Path) -> None:
    """Nobody can know before the database is opened again."""
    gate = Gate()
    failing = False

    def both(step: Step) -> None:
        gate(step)
        if failing and step is Step.SYNC_BEGIN:
            raise OSError(5, "the disk is gone")

    async def cancel_and_ask(database: AsyncDatabase) -> None:
        nonlocal failing
        identity = await cancelled_commit(database, gate)
        failing = True
        gate.open()
        with pytest.raises(MaybeCommitted, match="the disk is gone") as doubt:
            await database.outcome(identity)
        assert doubt.value.transaction_id == identity

    with driven(store_with_faults("memory", tmp_path, both), ManualClock()) as database:
        asyncio.run(cancel_and_ask(twin_of(database)))


def test_only_interrupted_commits_can_be_asked_for(database: Database) -> None:
    """An id that means nothing here is a mistake, and the message says what can be asked."""
    with pytest.raises(InvalidOption, match=f"no interrupted commit has the id {'ab' * 16}"):
        database.outcome(b"\xab" * 16)
