"""Where a store under test lives: opened, closed and crashed alike for every engine."""

from __future__ import annotations

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from fastness.encoding.intervals import KeyInterval
from fastness.limits import KIB, MIB, Limits
from fastness.storage import (
    Batch,
    CommittedWrites,
    Faults,
    Inherited,
    MemoryStore,
    RocksStore,
    Store,
    no_faults,
)
from fastness.storage.rocksdb.high_water import manifest_of

REPOSITORY = Path(__file__).parents[2]

SMALL = replace(Limits(), write_buffer_bytes=256 * KIB, block_cache_bytes=1 * MIB)
"""Limits under which little data flushes, compacts and fills a disk."""

ALL_KEYS = KeyInterval(b"", b"\xff\xff")
RANGE = 1


class Home(ABC):
    """A place that holds one store at a time."""

    @abstractmethod
    def open(self, faults: Faults = no_faults) -> Store:
        """Open the store, creating it the first time."""

    @abstractmethod
    def crash(self, faults: Faults = no_faults) -> Store:
        """Lose the process that has the store open, and open it anew."""

    def reopen(self, store: Store, faults: Faults = no_faults) -> Store:
        """Close a store in good order and open it again."""
        store.close()
        return self.open(faults)


class MemoryHome(Home):
    """Memory, kept from one opening to the next as a disk would be."""

    def __init__(self) -> None:
        self.store: MemoryStore | None = None

    def open(self, faults: Faults = no_faults) -> MemoryStore:
        """Find what the last store had made durable."""
        if self.store is None:
            self.store = MemoryStore(faults=faults)
            return self.store
        return self.crash(faults)

    def crash(self, faults: Faults = no_faults) -> MemoryStore:
        """Find what a power failure leaves, which is less than what a killed process leaves."""
        assert self.store is not None
        self.store = self.store.crash(faults=faults)
        return self.store

    def reopen(self, store: Store, faults: Faults = no_faults) -> Store:
        """Closing syncs; then what is durable is found again."""
        store.sync()
        store.close()
        return self.open(faults)


class RocksHome(Home):
    """A directory. A crash opens a copy of the files as they stand, the old store still open."""

    def __init__(self, path: Path) -> None:
        self.first = self.path = path
        self.crashes = 0
        self.opened: list[RocksStore] = []

    def open(self, faults: Faults = no_faults) -> RocksStore:
        """Open the directory."""
        store = RocksStore.open(self.path, limits=SMALL, faults=faults)
        self.opened.append(store)
        return store

    def crash(self, faults: Faults = no_faults) -> RocksStore:
        """Open what a killed process would leave behind."""
        self.crashes += 1
        left = self.first.with_name(f"{self.first.name}-crash{self.crashes}")
        copy_as_left(self.path, left)
        self.path = left
        return self.open(faults)

    def close(self) -> None:
        """Close whatever a test left open."""
        for store in self.opened:
            store.close()


def copy_as_left(path: Path, target: Path) -> None:
    """Copy a directory in use as it stands at one moment.

    RocksDB deletes a file only after an entry in its manifest: a copy counts if the manifest
    was the same before and after.
    """
    while True:
        before = _manifest_in_force(path)
        with suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(path, target)
            if _manifest_in_force(path) == before:
                return
        shutil.rmtree(target, ignore_errors=True)


def _manifest_in_force(path: Path) -> tuple[int, int]:
    number, manifest = manifest_of(path / "tables")
    return number, manifest.stat().st_size


def commit(timestamp: int, *erased: KeyInterval, **writes: str | None) -> CommittedWrites:
    """One transaction's writes, with keys and values given as text."""
    encoded = {
        key.encode(): None if value is None else value.encode() for key, value in writes.items()
    }
    return CommittedWrites(timestamp, encoded, erased)


def child_environment() -> dict[str, str]:
    """The environment of a process that tests start: it imports what this one imports."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


class Writer:
    """Applies batches to one range of a store, numbering them."""

    def __init__(self, store: Store, *, range_id: int = RANGE) -> None:
        self.store = store
        self.range_id = range_id
        state = store.open_range(range_id, store.range_epoch(range_id) + 1)
        self.epoch = state.epoch
        self.number = state.batch_number

    def batch(self, *commits: CommittedWrites, **marks: bytes) -> Batch:
        """The next batch, not yet applied."""
        return Batch(self.range_id, self.epoch, self.number + 1, list(commits), marks)

    def apply(self, *commits: CommittedWrites, **marks: bytes) -> None:
        """Apply the next batch."""
        self.store.apply(self.batch(*commits, **marks))
        self.number += 1

    def change(
        self,
        *commits: CommittedWrites,
        resolved: Sequence[CommittedWrites] = (),
        records: dict[bytes, bytes | None] | None = None,
        splits: Sequence[Inherited] = (),
        absorbs: Sequence[tuple[int, int]] = (),
    ) -> Batch:
        """The next batch of a range among others, not yet applied."""
        batch = self.batch(*commits)
        batch.resolved.extend(resolved)
        batch.records.update(records or {})
        batch.splits.extend(splits)
        batch.absorbs.extend(absorbs)
        return batch

    def send(self, batch: Batch) -> None:
        """Apply a batch that `change` gave."""
        self.store.apply(batch)
        self.number = batch.number
