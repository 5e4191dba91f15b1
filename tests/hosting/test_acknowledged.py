"""What was acknowledged is seen by whoever begins after: strict serializability, at its seams."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.client import Database
from fastness.runtime import ManualClock
from tests.hosting.gates import Gate
from tests.hosting.workers import Breakpoint, Worker, stopping_at
from tests.transactions.databases import ENGINES, driven, store_with_faults


def commit_and_read(database: Database, key: bytes, *breakpoints: Breakpoint) -> bytes | None:
    """Commit a write, then begin again and read it."""
    with stopping_at(*breakpoints):
        database.set(key, b"1")
        return database.get(key)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_commit_is_visible_before_it_can_be_known(engine: str, tmp_path: Path) -> None:
    """A committer that never went to sleep may see its commit settled: it must read it too.

    It has handed its commit over and not yet looked whether to sleep, when the leader marks
    the batch committed. It returns, and begins again, while the leader is still at work.
    """
    gate = Gate()
    with driven(store_with_faults(engine, tmp_path, gate), ManualClock()) as database:
        joined = Breakpoint("InlineHost._submit", stops=False)
        marked = Breakpoint("Range.applied")
        handed_over = Breakpoint("InlineHost._submit")
        gate.stop_next()
        first = Worker(lambda: database.set(b"first", b"1"))
        gate.wait_until_reached()
        leader = Worker(lambda: commit_and_read(database, b"leader", joined, marked))
        joined.wait_until_reached()
        quick = Worker(lambda: commit_and_read(database, b"quick", handed_over))
        handed_over.wait_until_reached()
        gate.open()
        marked.wait_until_reached()
        handed_over.release()
        # Asleep still, or back already with what it read: only to read the past is wrong.
        quick.ended_within(0.2)
        marked.release()
        assert quick.result() == b"1"
        assert leader.result() == b"1"
        first.result()
