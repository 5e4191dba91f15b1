"""Fastness, embedded, as `fastness.open("file:...")` gives it: nothing is tuned for the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import fastness
from benchmarks.contests import Operation
from benchmarks.workload import VALUE_BYTES, Entry

LOAD_ENTRIES = 2_000
"""Entries in one transaction of a load."""


def _put(tx: fastness.Transaction, key: bytes, value: bytes) -> None:
    tx.set(key, value)


class FastnessDatabase:
    """One database directory; see `Contender`."""

    name = "Fastness"

    def __init__(self, directory: Path) -> None:
        self._url = f"file:{directory}"
        self.database = fastness.open(self._url)
        self._value = bytes(VALUE_BYTES)

    def load(self, entries: Sequence[Entry]) -> None:
        """Ordinary transactions, then a reopening: the log becomes sorted tables."""
        rest = iter(entries)
        while some := list(islice(rest, LOAD_ENTRIES)):
            with self.database.transaction() as tx:
                for key, value in some:
                    tx.set(key, value)
        self.database.close()
        self.database = fastness.open(self._url)

    @contextmanager
    def reading(self) -> Iterator[Operation[bytes]]:
        """A transaction that records what it reads, as any that may write does."""
        with self.database.transaction() as tx:
            yield tx.get

    def read(self, key: bytes) -> object:
        """A read-write transaction of one `get`: begun, read, ended."""
        with self.database.transaction() as tx:
            return tx.get(key)

    def scan(self, begin: bytes, end: bytes) -> int:
        """All pages of a scan in one transaction."""
        with self.database.transaction() as tx:
            return sum(1 for _ in tx.scan_all(begin, end))

    def commit(self, key: bytes) -> object:
        """One write through `run`, which would retry a conflict."""
        return self.database.run(_put, key, self._value)

    def close(self) -> None:
        """Release the directory."""
        self.database.close()
