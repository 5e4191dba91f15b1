"""LMDB: a memory-mapped tree of pages; the fastest reads there are, one writer, synced."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lmdb

from benchmarks.contests import Operation
from benchmarks.workload import VALUE_BYTES, Entry

MAP_BYTES = 4 << 30


class LMDBEnvironment:
    """One environment with its defaults, which sync data and meta page at each commit."""

    name = "LMDB"

    def __init__(self, directory: Path) -> None:
        self._environment = lmdb.open(str(directory), map_size=MAP_BYTES, sync=True)
        self._value = bytes(VALUE_BYTES)

    def load(self, entries: Sequence[Entry]) -> None:
        """One write transaction; there is nothing to settle."""
        with self._environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            cursor.putmulti(entries)

    @contextmanager
    def reading(self) -> Iterator[Operation[bytes]]:
        """A read transaction."""
        with self._environment.begin() as transaction:
            yield transaction.get

    def read(self, key: bytes) -> object:
        """A read transaction of one `get`."""
        with self._environment.begin() as transaction:
            return transaction.get(key)

    def scan(self, begin: bytes, end: bytes) -> int:
        """A cursor over keys and values."""
        count = 0
        with self._environment.begin() as transaction, transaction.cursor() as cursor:
            if cursor.set_range(begin):
                for key, _value in cursor:
                    if key >= end:
                        break
                    count += 1
        return count

    def commit(self, key: bytes) -> object:
        """A write transaction of one `put`."""
        with self._environment.begin(write=True) as transaction:
            return transaction.put(key, self._value)

    def close(self) -> None:
        """Release the files."""
        self._environment.close()
