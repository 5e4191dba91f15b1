"""Reading a directory beside the process that owns it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fastness.errors import StoreReadOnly
from fastness.storage import InspectedStore, RocksStore
from fastness.storage.cells import value_of
from tests.storage.conformance import seen
from tests.storage.homes import ALL_KEYS, RANGE, SMALL, RocksHome, Writer, commit


def test_it_shows_what_was_acknowledged_before(rocks_home: RocksHome) -> None:
    """An inspection shows everything synced before it was opened, and does not move on."""
    store = rocks_home.open()
    writer = Writer(store)
    writer.apply(commit(1, a="1", b="1"), commit(2, a="2"), closed=b"mark")
    store.sync()
    inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
    writer.apply(commit(3, a="3"))
    store.sync()
    assert seen(inspected.scan_newest(ALL_KEYS, limit=9)) == {"a": "2", "b": "1"}
    assert seen(inspected.scan(ALL_KEYS, at=1, limit=9)) == {"a": "1", "b": "1"}
    assert [change.timestamp for change in inspected.changes(0, 9, 9)] == [1, 2]
    assert (inspected.applied, inspected.range_epoch(RANGE)) == (2, 1)
    assert inspected.state("closed") == b"mark"
    assert inspected.identity == store.identity
    assert inspected.verify() == []
    inspected.close()
    again = InspectedStore.open(rocks_home.path, limits=SMALL)
    assert seen(again.scan_newest(ALL_KEYS, limit=9)) == {"a": "3", "b": "1"}
    again.close()


def test_it_refuses_every_write(rocks_home: RocksHome, tmp_path: Path) -> None:
    """Nothing can be written through an inspection."""
    store = rocks_home.open()
    batch = Writer(store).batch(commit(1, a="1"))
    inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
    refused: list[Callable[[], object]] = [
        lambda: inspected.apply(batch),
        lambda: inspected.open_range(RANGE, 9),
        lambda: inspected.record({"a": b"1"}),
        lambda: inspected.prune(RANGE, ALL_KEYS, 9, 9),
        lambda: inspected.settle(RANGE, 1, 1),
        lambda: inspected.checkpoint(tmp_path / "copy"),
    ]
    for call in refused:
        with pytest.raises(StoreReadOnly, match="inspection"):
            call()
    inspected.sync()
    inspected.close()
    assert store.range_epoch(RANGE) == 1


def test_it_leaves_the_directory_as_it_is(rocks_home: RocksHome) -> None:
    """Opening, reading and closing an inspection changes no file and leaves nothing behind."""
    store = rocks_home.open()
    Writer(store).apply(commit(1, a="1"))
    store.close()
    before = file_facts(rocks_home.path)
    inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
    assert inspected.newest(b"a") is not None
    assert inspected.size().bytes_on_disk > 0
    inspected.close()
    assert file_facts(rocks_home.path) == before


def file_facts(path: Path) -> dict[str, tuple[int, int, int]]:
    """Every file with what changes when it is written or replaced."""
    facts = {}
    for file in sorted(path.rglob("*")):
        status = file.stat()
        facts[str(file)] = (status.st_ino, status.st_size, status.st_mtime_ns)
    return facts


@pytest.mark.parametrize("turns", [40])
def test_it_is_whole_while_the_owner_flushes_and_compacts(
    rocks_home: RocksHome, turns: int
) -> None:
    """Opened at any moment beside a busy owner it holds all acknowledged, and whole commits."""
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
    try:
        for _turn in range(turns):
            before = acknowledged
            inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
            found = inspected.scan_newest(ALL_KEYS, limit=99)
            numbers = {int(value_of(cell).partition(b":")[0]) for _key, cell in found}
            assert numbers == ({inspected.applied} if inspected.applied else set())
            assert before <= inspected.applied
            changes = inspected.changes(0, inspected.applied, 10**6)
            assert [change.timestamp for change in changes] == list(range(1, inspected.applied + 1))
            inspected.close()
    finally:
        stop.set()
        thread.join()
    assert store.verify() == []


def test_an_owners_crash_can_be_inspected(rocks_home: RocksHome) -> None:
    """The files a killed owner left can be read without being repaired first."""
    store = rocks_home.open()
    Writer(store).apply(commit(1, a="1"))
    crashed = rocks_home.crash()
    crashed.close()
    inspected = InspectedStore.open(rocks_home.path, limits=SMALL)
    assert seen(inspected.scan_newest(ALL_KEYS, limit=9)) == {"a": "1"}
    inspected.close()
    RocksStore.open(rocks_home.path, limits=SMALL).close()
