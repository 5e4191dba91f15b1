"""Consistent copies of a store that goes on being written."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fastness.errors import InvalidOption, StoreUnavailable
from fastness.storage import RocksStore, Step
from fastness.storage.cells import value_of
from tests.storage.conformance import FailingOnce, seen
from tests.storage.homes import ALL_KEYS, RANGE, SMALL, RocksHome, Writer, commit


def test_a_copy_holds_everything_of_its_moment(rocks_home: RocksHome, tmp_path: Path) -> None:
    """A copy has the identity, data, versions and marks of the moment it was made."""
    store = rocks_home.open()
    writer = Writer(store)
    writer.apply(commit(1, a="1"), commit(2, a="2"), closed=b"mark")
    store.checkpoint(tmp_path / "deep" / "copy")
    writer.apply(commit(3, a="3"))
    copy = RocksStore.open(tmp_path / "deep" / "copy", limits=SMALL)
    assert copy.identity == store.identity
    assert seen(copy.scan_newest(ALL_KEYS, limit=9)) == {"a": "2"}
    assert seen(copy.scan(ALL_KEYS, at=1, limit=9)) == {"a": "1"}
    assert copy.state("closed") == b"mark"
    assert copy.verify() == []
    Writer(copy).apply(commit(9, b="9"))
    copy.close()
    assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "3"}


def test_a_target_that_exists_is_refused(rocks_home: RocksHome, tmp_path: Path) -> None:
    """Nothing is ever copied over."""
    with pytest.raises(InvalidOption, match="exists"):
        rocks_home.open().checkpoint(tmp_path)


@pytest.mark.parametrize("step", [Step.CHECKPOINT_BEGIN, Step.CHECKPOINT_COPIED])
def test_a_copy_that_fails_leaves_nothing(
    rocks_home: RocksHome, tmp_path: Path, step: Step
) -> None:
    """A failed copy is removed, the error told, and the store goes on."""
    failing = FailingOnce(step)
    store = rocks_home.open(failing)
    writer = Writer(store)
    failing.armed = True
    with pytest.raises(StoreUnavailable):
        store.checkpoint(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    writer.apply(commit(1, a="1"))
    store.sync()
    store.checkpoint(tmp_path / "copy")


def test_copies_made_while_writing_are_whole(rocks_home: RocksHome, tmp_path: Path) -> None:
    """Copies made beside a busy writer hold whole commits, and all acknowledged before."""
    store = rocks_home.open()
    writer = Writer(store)
    acknowledged = 0
    stop = threading.Event()

    def write() -> None:
        nonlocal acknowledged
        timestamp = 0
        while not stop.is_set():
            timestamp += 1
            values = {f"k{n:03}": f"{timestamp}:" + "x" * 150 for n in range(20)}
            writer.apply(commit(timestamp, **values))
            store.sync()
            acknowledged = timestamp

    thread = threading.Thread(target=write)
    thread.start()
    befores = []
    try:
        for turn in range(5):
            befores.append(acknowledged)
            store.checkpoint(tmp_path / f"copy{turn}")
    finally:
        stop.set()
        thread.join()
    for turn, before in enumerate(befores):
        copy = RocksStore.open(tmp_path / f"copy{turn}", limits=SMALL)
        found = copy.scan_newest(ALL_KEYS, limit=99)
        numbers = {int(value_of(cell).partition(b":")[0]) for _key, cell in found}
        assert numbers == ({copy.applied} if copy.applied else set())
        assert before <= copy.applied == copy.open_range(RANGE, 9).batch_number
        assert copy.verify() == []
        copy.close()
