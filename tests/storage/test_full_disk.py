"""A disk that fills up: writes are refused, nothing is lost, and the database opens again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from fastness.errors import DiskFull, StoreReadOnly, StoreUnavailable
from fastness.limits import KIB, MIB
from fastness.storage import CommittedWrites, InspectedStore, RocksStore
from fastness.storage.cells import value_of
from fastness.storage.rocksdb.reserve import OPENING_BYTES
from tests.storage.homes import ALL_KEYS, SMALL, Writer, commit

DISK_BYTES = 6 * MIB
LIMITS = replace(SMALL, write_buffer_bytes=1 * MIB)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own; only root may mount one."""
    mount = tmp_path / "disk"
    mount.mkdir()
    options = f"size={DISK_BYTES}"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(mount)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        pytest.skip(f"mounting a tmpfs needs root: {made.stderr.strip()}")
    yield mount
    subprocess.run(["umount", "--lazy", str(mount)], check=True)


def fill(disk: Path, *, leave: int = 0) -> Path:
    """Take the space that is left on a disk, all or all but some."""
    path = disk / "filler"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.write(handle, bytes(64 * KIB)):
            continue
    os.ftruncate(handle, os.fstat(handle).st_size - leave)
    os.close(handle)
    return path


def write_until_full(store: RocksStore, *, begin: int = 1) -> int:
    """Write and sync batches until the disk is full; the last number acknowledged."""
    writer = Writer(store)
    number = begin
    while True:
        value = number.to_bytes(4, "big") + Random(number).randbytes(4 * KIB)
        try:
            writer.apply(CommittedWrites(number, {f"k{number:06}".encode(): value}))
            store.sync()
        except DiskFull:
            return number - 1
        number += 1


def numbers(store: RocksStore | InspectedStore) -> list[int]:
    """What is there."""
    found = store.scan_newest(ALL_KEYS, limit=9999)
    return [int.from_bytes(value_of(cell)[:4], "big") for _key, cell in found]


def test_a_full_disk_refuses_and_keeps(disk: Path) -> None:
    """Writing until the disk is full raises `DiskFull`; the store closed itself."""
    store = RocksStore.open(disk / "database", limits=LIMITS)
    last = write_until_full(store)
    assert last > 50
    with pytest.raises(StoreUnavailable):
        store.newest(b"k000001")
    store.close()
    with pytest.raises(StoreUnavailable):
        store.sync()
    (disk / "database" / "RESERVE").unlink()
    store = RocksStore.open(disk / "database", limits=LIMITS)
    assert numbers(store)[:last] == list(range(1, last + 1))
    store.close()


def test_a_full_disk_opens_again(disk: Path) -> None:
    """Opened on the full disk, what its log held is written to tables in the reserve's space."""
    store = RocksStore.open(disk / "database", limits=LIMITS)
    last = write_until_full(store)
    store.close()
    fill(disk)
    store = RocksStore.open(disk / "database", limits=LIMITS)
    assert numbers(store)[:last] == list(range(1, last + 1))
    store.close()


def test_without_its_reserve_a_store_only_reads(disk: Path) -> None:
    """While the reserve cannot be put back writes are refused and reads go on; then all is well."""
    store = RocksStore.open(disk / "database", limits=LIMITS)
    Writer(store).apply(CommittedWrites(1, {b"a": bytes((0, 0, 0, 1))}))
    store.close()
    (disk / "database" / "RESERVE").unlink()
    filler = fill(disk, leave=512 * KIB)
    store = RocksStore.open(disk / "database", limits=LIMITS)
    assert not (disk / "database" / "RESERVE").exists()
    for call in (
        lambda: Writer(store),
        lambda: store.record({"a": b"1"}),
        lambda: store.prune(1, ALL_KEYS, 1, 1),
        lambda: store.settle(1, 1, 2),
    ):
        with pytest.raises(DiskFull, match="reserve"):
            call()
        assert numbers(store) == [1]
    filler.unlink()
    Writer(store).apply(CommittedWrites(2, {b"b": bytes((0, 0, 0, 2))}))
    assert (disk / "database" / "RESERVE").exists()
    assert numbers(store) == [1, 2]
    store.close()


def test_a_full_disk_may_be_inspected(disk: Path) -> None:
    """Reading a directory on a full disk needs no space on it."""
    store = RocksStore.open(disk / "database", limits=LIMITS)
    last = write_until_full(store)
    store.close()
    fill(disk)
    inspected = InspectedStore.open(disk / "database", limits=LIMITS)
    assert numbers(inspected)[:last] == list(range(1, last + 1))
    inspected.close()


def test_there_must_be_room_for_the_reserve(disk: Path) -> None:
    """Creating a database where its reserve does not fit says how much is wanted."""
    with pytest.raises(DiskFull, match=str(DISK_BYTES * 2 + OPENING_BYTES)):
        RocksStore.open(
            disk / "database", limits=replace(LIMITS, write_buffer_bytes=DISK_BYTES * 2)
        )
    RocksStore.open(disk / "database", limits=LIMITS).close()


def test_a_checkpoint_without_room_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    """A copy to a disk too small for it fails with `DiskFull`, is removed, and harms nothing."""
    store = RocksStore.open(tmp_path / "database", limits=LIMITS)
    writer = Writer(store)
    for number in range(1, 1_000):
        writer.apply(commit(number, **{f"k{number}": os.urandom(4 * KIB).hex()}))
    with pytest.raises(DiskFull):
        store.checkpoint(disk / "copy")
    assert not (disk / "copy").exists()
    writer.apply(commit(1_000, a="1"))
    store.close()


def test_a_read_only_disk_says_so(disk: Path) -> None:
    """A directory on a read-only disk can be inspected; opening it says what is wrong."""
    store = RocksStore.open(disk / "database", limits=LIMITS)
    Writer(store).apply(CommittedWrites(1, {b"a": bytes((0, 0, 0, 1))}))
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(StoreReadOnly, match="Read-only"):
        RocksStore.open(disk / "database", limits=LIMITS)
    with pytest.raises(StoreReadOnly, match="Read-only"):
        RocksStore.open(disk / "new", limits=LIMITS)
    inspected = InspectedStore.open(disk / "database", limits=LIMITS)
    assert numbers(inspected) == [1]
    inspected.close()
