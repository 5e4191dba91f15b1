"""A directory left by a killed process, to damage: tables, a log, and what was acknowledged."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fastness.storage import CommittedWrites, InspectedStore, RocksStore
from fastness.storage.cells import value_of
from fastness.storage.rocksdb.log_scan import log_files
from tests.storage.homes import ALL_KEYS, RANGE, SMALL, Writer, copy_as_left

IN_TABLES = 60
IN_LOG = 40
UNSYNCED = 5
LAST = IN_TABLES + IN_LOG + UNSYNCED


def writes_of(number: int) -> dict[bytes, bytes | None]:
    """What batch `number` writes: keys spread over the key space, of a size that fills blocks."""
    random = Random(number)
    spread: dict[bytes, bytes | None] = {
        f"{random.randrange(10**6):06}-{number:03}".encode(): random.randbytes(80)
        for _key in range(6)
    }
    return {**spread, b"counter": str(number).encode()}


def contents(batches: int) -> dict[bytes, bytes]:
    """What the first batches leave."""
    found: dict[bytes, bytes] = {}
    for number in range(1, batches + 1):
        found.update({key: value for key, value in writes_of(number).items() if value is not None})
    return found


@dataclass(frozen=True)
class Scene:
    """The directory, and how long its log was when each batch of it was synced."""

    path: Path
    synced_sizes: list[int]

    @property
    def tables(self) -> Path:
        """RocksDB's own files."""
        return self.path / "tables"

    @property
    def log(self) -> Path:
        """The log in use."""
        return log_files(self.tables)[-1]

    @property
    def manifest(self) -> Path:
        """The manifest in force."""
        return self.tables / (self.tables / "CURRENT").read_text().strip()

    @property
    def table_files(self) -> list[Path]:
        """The table files, the largest first."""
        return sorted(self.tables.glob("*.sst"), key=lambda path: -path.stat().st_size)

    def copy(self, target: Path) -> Scene:
        """A copy to damage."""
        shutil.copytree(self.path, target)
        return Scene(target, self.synced_sizes)

    def batches_left(self) -> int:
        """Open the directory and hold it to being a beginning of what was written."""
        store = RocksStore.open(self.path, limits=SMALL)
        try:
            last = store.open_range(RANGE, store.range_epoch(RANGE) + 1).batch_number
            found = store.scan_newest(ALL_KEYS, limit=100_000)
            assert {key: value_of(cell) for key, cell in found} == contents(last)
            assert store.verify() == []
            return last
        finally:
            store.close()

    def inspected_left(self) -> int:
        """As `batches_left`, beside an owner that may still be there."""
        store = InspectedStore.open(self.path, limits=SMALL)
        try:
            found = store.scan_newest(ALL_KEYS, limit=100_000)
            assert {key: value_of(cell) for key, cell in found} == contents(store.applied)
            assert store.verify() == []
            return store.applied
        finally:
            store.close()


def make_scene(folder: Path) -> Scene:
    """Write a store whose older half is in tables and whose newer half is in the log."""
    path = folder / "written"
    store = RocksStore.open(path, limits=SMALL)
    writer = Writer(store)
    for number in range(1, IN_TABLES + 1):
        writer.apply(CommittedWrites(number, writes_of(number)))
    store.close()
    store = RocksStore.open(path, limits=SMALL)
    writer = Writer(store)
    log = log_files(path / "tables")[-1]
    sizes = []
    for number in range(IN_TABLES + 1, LAST + 1):
        writer.apply(CommittedWrites(number, writes_of(number)))
        if number <= IN_TABLES + IN_LOG:
            store.sync()
            sizes.append(log.stat().st_size)
    copy_as_left(path, folder / "left")
    store.close()
    return Scene(folder / "left", sizes)


def flip(path: Path, offset: int) -> None:
    """Invert one byte of a file."""
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
