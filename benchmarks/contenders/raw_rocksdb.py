"""Raw RocksDB through `rocksdict`: the engine under Fastness, without what Fastness adds.

No versions, no snapshots, no validation, no group commit. Its options are the very ones
Fastness opens its table of newest versions with: block cache, write buffer, bloom filter,
compression, recovery mode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rocksdict import Rdict, ReadOptions, WriteOptions

from benchmarks.contests import Operation
from benchmarks.workload import VALUE_BYTES, Entry
from fastness.limits import Limits
from fastness.storage.layout import Table
from fastness.storage.rocksdb.options import FAMILIES, table_options


class RawRocksDB:
    """One directory of RocksDB; see `Contender`."""

    name = "raw rocksdict"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._database = self._opened()
        self._synced = WriteOptions()
        self._synced.sync = True
        self._value = bytes(VALUE_BYTES)

    def _opened(self) -> Rdict:
        options = table_options(Limits(), create=True)
        return Rdict(str(self._directory), options.families[FAMILIES[Table.NEWEST]])

    def load(self, entries: Sequence[Entry]) -> None:
        """Write without syncing, then reopen: the log becomes sorted tables."""
        for key, value in entries:
            self._database.put(key, value)
        self._database.close()
        self._database = self._opened()

    @contextmanager
    def reading(self) -> Iterator[Operation]:
        """Plain `get`: there is no transaction to read in."""
        yield self._database.get

    def read(self, key: bytes) -> object:
        """A plain `get`."""
        return self._database.get(key)

    def scan(self, begin: bytes, end: bytes) -> int:
        """The library's own iterator of items, bounded above."""
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        return sum(1 for _ in self._database.items(from_key=begin, read_opt=options))

    def commit(self, key: bytes) -> object:
        """A put whose log record is synced before it returns."""
        self._database.put(key, self._value, self._synced)
        return None

    def close(self) -> None:
        """Release the files."""
        self._database.close()
