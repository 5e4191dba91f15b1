"""What clocks that jump and power that fails must not do to timestamps and to the past."""

from __future__ import annotations

import pytest

from fastness.client import Database
from fastness.errors import StoreUnavailable
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore
from tests.transactions.databases import driven

YEAR_MS = 365 * 86_400_000


def test_a_wall_clock_that_jumps_ahead_prunes_nothing(
    database: Database, clock: ManualClock
) -> None:
    """What is retained is counted in the oracle's time, which does not follow a jump."""
    database.set(b"k", b"1")
    reader = database.transaction()
    clock.advance(milliseconds=10)
    database.set(b"k", b"2")
    clock.jump_wall(milliseconds=YEAR_MS)
    database.embedded.upkeep_step()
    assert reader.get(b"k") == b"1"


def test_no_timestamp_is_issued_twice_after_relaxed_commits_are_lost() -> None:
    """A ceiling is durable before anything under it is told, however commits are written."""
    clock = ManualClock()
    store = MemoryStore()
    before = driven(store, clock, durable=False)
    for _ in range(6):
        clock.advance(milliseconds=2_000)
        before.set(b"k", b"1")
    told = before.now()
    found = store.crash()
    clock.jump_wall(milliseconds=-12_000)
    with driven(found, clock, durable=False) as after:
        assert after.set(b"k", b"2") > told
    with pytest.raises(StoreUnavailable):
        before.close()
