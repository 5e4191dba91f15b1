"""Raw RocksDB through `rocksdict`: the engine under Fastness, without what Fastness adds.

No versions, no snapshots, no validation, no group commit. Its options are the very ones
Fastness opens its table of newest versions with: block cache, write buffer, bloom filter,
compression, recovery mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import Rdict, ReadOptions, WriteBatch, WriteOptions

from benchmarks.contests import Operation
from benchmarks.traces import Trace
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
        # Named as a family: options given for the database alone are replaced, when it is
        # reopened, by those it stored, which have neither the block cache nor the filter.
        families = {"default": options.families[FAMILIES[Table.NEWEST]]}
        return Rdict(str(self._directory), options.database, families)

    @property
    def block_cache_bytes(self) -> int:
        """How much of its tables it may keep in memory."""
        return self._database.property_int_value("rocksdb.block-cache-capacity") or 0

    def load(self, entries: Iterable[Entry]) -> None:
        """Write without syncing, then reopen: the log becomes sorted tables."""
        for key, value in entries:
            self._database.put(key, value)
        self._database.close()
        self._database = self._opened()

    @contextmanager
    def reading(self) -> Iterator[Operation[bytes]]:
        """Plain `get`: there is no transaction to read in."""
        yield self._database.get

    def read(self, key: bytes) -> object:
        """A plain `get`."""
        return self._database.get(key)

    def scan(self, begin: bytes, end: bytes) -> int:
        """The library's own iterator of items, bounded above."""
        return sum(1 for _ in self._items(begin, end))

    def entries(self, begin: bytes, end: bytes) -> list[Entry]:
        """As `scan`, but they are kept."""
        return list(self._items(begin, end))

    def _items(self, begin: bytes, end: bytes) -> Iterator[Entry]:
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        items = self._database.items(from_key=begin, read_opt=options)
        return cast("Iterator[Entry]", items)

    def commit(self, key: bytes) -> object:
        """A put whose log record is synced before it returns."""
        self._database.put(key, self._value, self._synced)
        return None

    def replay(self, trace: Trace) -> None:
        """What an operation read, one `get` a key and one scan an interval; then its writes.

        They go into one batch, whose log record is synced before it returns.
        """
        get = self._database.get
        for key in trace.gets:
            get(key)
        for begin, end in trace.scans:
            self.entries(begin, end)
        if trace.writes:
            batch = WriteBatch(raw_mode=True)
            for key, value in trace.writes:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            self._database.write(batch, self._synced)

    def close(self) -> None:
        """Release the files."""
        self._database.close()
