"""The memory store: the contract, and the power failures it plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.errors import InvalidOption, StoreUnavailable
from fastness.storage import MemoryStore, Step
from tests.storage.conformance import StoreConformance, seen
from tests.storage.expiry_conformance import ExpiryConformance
from tests.storage.homes import ALL_KEYS, Home, MemoryHome, Writer, commit
from tests.storage.ranges_conformance import RangesConformance


class TestMemoryStore(StoreConformance, RangesConformance, ExpiryConformance):
    """The contract, kept by the memory store."""

    @pytest.fixture
    def home(self) -> Home:
        """A home in memory."""
        return MemoryHome()


def test_a_power_failure_loses_what_was_not_synced() -> None:
    """Of the batches after the last sync a crash keeps as many as it is told, in order."""
    for kept, expected in enumerate(({"a": "1"}, {"a": "2"}, {"a": "2", "b": "3"})):
        store = MemoryStore()
        writer = Writer(store)
        writer.apply(commit(1, a="1"))
        store.sync()
        writer.apply(commit(2, a="2"))
        writer.apply(commit(3, b="3"))
        assert store.unsynced_writes == 2
        found = store.crash(kept=kept)
        assert seen(found.scan_newest(ALL_KEYS, limit=9)) == expected
        assert found.applied == 1 + kept
        assert found.verify() == []
        assert found.unsynced_writes == 0


def test_the_store_that_lost_power_refuses() -> None:
    """The store that was crashed answers nothing, so that nobody reads lost writes from it."""
    store = MemoryStore()
    store.crash()
    with pytest.raises(StoreUnavailable):
        store.newest(b"a")


def test_a_crash_may_come_twice() -> None:
    """A store found after a crash can itself crash, and loses only its own unsynced writes."""
    store = MemoryStore()
    Writer(store).apply(commit(1, a="1"))
    store.sync()
    found = store.crash()
    Writer(found).apply(commit(2, a="2"))
    assert seen(found.crash().scan_newest(ALL_KEYS, limit=9)) == {"a": "1"}


def test_a_lost_prune_step_comes_back() -> None:
    """A step that no sync covered may be lost, its horizon with it."""
    store = MemoryStore()
    writer = Writer(store)
    writer.apply(commit(1, a="1"), commit(2, a="2"))
    store.sync()
    assert store.prune(1, ALL_KEYS, 2, 99) == 3
    found = store.crash()
    assert found.prune_horizon(1) == 0
    assert found.prune(1, ALL_KEYS, 2, 99) == 3
    assert found.verify() == []


def test_the_identity_may_be_given() -> None:
    """A simulation names its stores, so that nothing random is in them."""
    assert MemoryStore(identity="0" * 32).identity == "0" * 32
    assert MemoryStore().identity != MemoryStore().identity


def test_there_is_no_checkpoint(tmp_path: Path) -> None:
    """A memory store has no files to copy, and says what to do instead."""
    with pytest.raises(InvalidOption, match="export"):
        MemoryStore().checkpoint(tmp_path / "copy")


def test_faults_are_told_every_step() -> None:
    """Hooks see the steps of a write in their order."""
    steps: list[Step] = []
    store = MemoryStore(faults=steps.append)
    writer = Writer(store)
    steps.clear()
    writer.apply(commit(1, a="1"), commit(2, a="2"))
    store.sync()
    store.prune(1, ALL_KEYS, 2, 99)
    store.record({"mark": b""})
    assert steps == [
        Step.APPLY_BEGIN,
        Step.APPLY_END,
        Step.SYNC_BEGIN,
        Step.SYNC_END,
        Step.PRUNE_BEGIN,
        Step.PRUNE_END,
        Step.RECORD_BEGIN,
        Step.RECORD_WRITTEN,
        Step.SYNC_BEGIN,
        Step.SYNC_END,
    ]
