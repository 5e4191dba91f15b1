"""A successor starts above everything any predecessor issued, and shows only what was durable."""

from __future__ import annotations

from functools import partial

import pytest

from fastness.client import Database
from fastness.errors import MaybeCommitted, StoreUnavailable
from fastness.hosting.marks import CEILING_MARK
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore
from fastness.storage.faults import Step, no_faults
from tests.hosting.gates import Gate
from tests.hosting.workers import Worker
from tests.transactions.databases import driven


@pytest.mark.parametrize("jump_ms", [0, 10, -3_600_000, 3_600_000])
def test_timestamps_go_on_above_whatever_was_told(jump_ms: int) -> None:
    """Read timestamps never written anywhere included, whatever the clock says after."""
    clock, store = ManualClock(), MemoryStore()
    highest = 0
    for life in range(5):
        database = driven(store, clock)
        assert database.now() > highest or life == 0, "the ceiling lies above all that was told"
        for step in range(4):
            written = database.set(b"k", b"%d" % step)
            assert written > highest
            clock.advance(milliseconds=700)
            highest = database.now()
            assert highest >= written
        store = store.crash()
        clock.jump_wall(milliseconds=jump_ms)
        with pytest.raises(StoreUnavailable):
            database.close()
    with driven(store, clock) as database:
        assert database.get(b"k") == b"3"


def test_a_clean_close_leaves_no_gap() -> None:
    """The last timestamp issued is recorded, and the next open goes on right there."""
    clock, store = ManualClock(), MemoryStore()
    database = driven(store, clock)
    last = database.set(b"k", b"1")
    database.close()
    with driven(store.crash(), clock) as successor:
        assert successor.now() == last
        assert successor.set(b"k", b"2") == last + 1


def test_the_ceiling_is_always_above_what_is_told() -> None:
    """Whatever is read or committed lies below what the store has durably promised."""
    clock, store = ManualClock(), MemoryStore()
    with driven(store, clock) as database:
        for _ in range(30):
            clock.advance(milliseconds=900)
            told = database.now()
            told = max(told, database.set(b"k", b"1"))
            mark = store.state(CEILING_MARK)
            assert mark is not None
            assert told < int.from_bytes(mark, "big")
            assert store.unsynced_writes == 0


class PowerFailure(Gate):
    """Stops a batch before it is durable; when it is let go on, the power has failed."""

    def __call__(self, step: Step) -> None:
        """The store's hook."""
        stopped = self.stops_next
        super().__call__(step)
        if stopped and step is Step.SYNC_BEGIN:
            raise OSError(5, "the power failed")


@pytest.mark.parametrize("kept", [0, 1])
def test_what_was_not_durable_is_whole_or_not_there(kept: int) -> None:
    """A disk may have written more than it was told to: the batch is found, or never was seen.

    Either way its committer was told that nobody knows, and its timestamp is not used again.
    """
    clock, power = ManualClock(), PowerFailure()
    store = MemoryStore(faults=power)
    database = driven(store, clock)
    database.set(b"x", b"0")
    power.stop_next()
    writer = Worker(partial(write_both, database))
    power.wait_until_reached()
    doubtful = store.applied
    found = store.crash(kept=kept, faults=no_faults)
    power.open()
    with pytest.raises(MaybeCommitted, match="the power failed"):
        writer.result()
    database.close()
    with driven(found, clock) as successor:
        expected = [b"1", b"1"] if kept else [b"0", None]
        assert successor.get_many([b"x", b"y"]) == expected
        assert successor.set(b"x", b"2") > doubtful


def write_both(database: Database) -> None:
    """One commit of two keys."""
    with database.transaction() as tx:
        tx.set(b"x", b"1")
        tx.set(b"y", b"1")
