"""A store that fails at any step: who is told what, and what can still be read."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from fastness.client import Database
from fastness.errors import (
    DatabaseClosed,
    DiskFull,
    FastnessError,
    MaybeCommitted,
    StoreError,
    StoreUnavailable,
)
from fastness.runtime import ManualClock
from fastness.storage.faults import Step
from tests.hosting.gates import Gate
from tests.hosting.workers import Breakpoint, Worker, stopping_at
from tests.transactions.databases import ENGINES, driven, store_with_faults

WRITE_STEPS = (Step.APPLY_BEGIN, Step.APPLY_END, Step.SYNC_BEGIN, Step.SYNC_END)


class Failing:
    """Fails a store once, at a step, as the operating system would."""

    def __init__(self) -> None:
        self._step: Step | None = None
        self._number = 0

    def fail_next(self, step: Step, number: int) -> None:
        """Fail with this error number when the step comes next."""
        self._step, self._number = step, number

    def __call__(self, step: Step) -> None:
        """The store's hook."""
        if step is self._step:
            self._step = None
            raise OSError(self._number, os.strerror(self._number))


def overwrite(database: Database) -> None:
    """Overwrite, add and delete in one commit."""
    with database.transaction() as tx:
        tx.set(b"a", b"2")
        tx.set(b"new", b"2")
        tx.delete(b"gone")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("number", "refusal"), [(errno.ENOSPC, DiskFull), (errno.EIO, StoreUnavailable)]
)
@pytest.mark.parametrize("step", WRITE_STEPS)
def test_a_failed_batch_is_in_doubt_and_closes_the_database(
    engine: str, step: Step, number: int, refusal: type[FastnessError], tmp_path: Path
) -> None:
    """Its members may have committed; later commits are refused with what went wrong."""
    failing = Failing()
    with driven(store_with_faults(engine, tmp_path, failing), ManualClock()) as database:
        for key in (b"a", b"gone"):
            database.set(key, b"1")
        begun = database.transaction()
        failing.fail_next(step, number)
        with pytest.raises(MaybeCommitted) as doubt:
            overwrite(database)
        assert doubt.value.maybe_committed
        assert not doubt.value.retryable
        assert doubt.value.transaction_id
        assert os.strerror(number) in str(doubt.value)
        assert "reopen the database and read what it wrote" in str(doubt.value)
        for _ in range(2):
            with pytest.raises(refusal, match=os.strerror(number)) as refused:
                overwrite(database)
            assert not refused.value.maybe_committed
        for reader in (begun, database):
            for key, value in ((b"a", b"1"), (b"gone", b"1"), (b"new", None)):
                with suppress(StoreError):
                    assert reader.get(key) == value, "what may not be durable is never shown"
    for reader in (begun, database):
        with pytest.raises((DatabaseClosed, StoreUnavailable)):
            reader.get(b"new")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("step", [Step.SYNC_BEGIN, Step.SYNC_END])
def test_everybody_who_waits_is_told_the_truth(engine: str, step: Step, tmp_path: Path) -> None:
    """Only the batch being written is in doubt: the next batch and whoever waits for it are not."""
    failing, gate = Failing(), Gate()

    def both(at: Step) -> None:
        gate(at)
        failing(at)

    with driven(store_with_faults(engine, tmp_path, both), ManualClock()) as database:
        gate.stop_next()
        member = Worker(partial(database.set, b"a", b"1"))
        gate.wait_until_reached()
        joined, waiting = Breakpoint("InlineHost._submit"), Breakpoint("InlineHost._submit")
        next_one = Worker(partial(set_under, database, b"b", joined))
        joined.wait_until_reached()
        reader = Worker(partial(copy_under, database, b"a", b"c", waiting))
        waiting.wait_until_reached()
        failing.fail_next(step, errno.EIO)
        joined.release()
        waiting.release()
        gate.open()
        with pytest.raises(MaybeCommitted):
            member.result()
        for worker in (next_one, reader):
            with pytest.raises(StoreUnavailable):
                worker.result()


def set_under(database: Database, key: bytes, joined: Breakpoint) -> None:
    """Write a key, stopping once it was handed over."""
    with stopping_at(joined):
        database.set(key, b"1")


def copy_under(database: Database, source: bytes, target: bytes, waiting: Breakpoint) -> None:
    """Read one key and write another, stopping once it was handed over."""
    tx = database.transaction()
    tx.set(target, tx.get(source) or b"absent")
    with stopping_at(waiting):
        tx.commit()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_transaction_that_outlives_its_database_is_told_so(engine: str, tmp_path: Path) -> None:
    """Reads, scans and the commit of an open transaction say that the database was closed."""
    database = driven(store_with_faults(engine, tmp_path, Gate()), ManualClock())
    database.set(b"a", b"1")
    reading, writing = database.transaction(), database.transaction()
    writing.set(b"a", b"2")
    database.close()
    if engine == "file":
        # A memory store has nothing to protect: a point read still finds what was there.
        with pytest.raises(DatabaseClosed, match="open it again"):
            reading.get(b"a")
    with pytest.raises(DatabaseClosed, match="open it again"):
        reading.scan(b"a", b"b")
    with pytest.raises(DatabaseClosed, match="open it again"):
        writing.commit()
    for call in (
        database.now,
        partial(database.get, b"a"),
        partial(database.set, b"a", b"1"),
        partial(database.scan, b"a", b"b"),
        partial(database.watch, b"a"),
    ):
        with pytest.raises(DatabaseClosed, match="open it again"):
            call()
