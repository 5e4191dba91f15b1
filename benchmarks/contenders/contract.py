"""What every contender of the key-value benchmarks can do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from benchmarks.contests import Operation
from benchmarks.workload import Entry


class Contender(Protocol):
    """One database, open. Durable: a commit returns once it is on disk."""

    name: str

    def load(self, entries: Sequence[Entry]) -> None:
        """Write the entries, and bring the database into the state it would settle in."""
        ...

    def reading(self) -> AbstractContextManager[Operation[bytes]]:
        """One transaction, or what comes closest; the operation is a point read in it."""
        ...

    def read(self, key: bytes) -> object:
        """A point read on its own, in whatever transaction it needs."""
        ...

    def scan(self, begin: bytes, end: bytes) -> int:
        """Read every key and value in [begin, end), in order; how many there were."""
        ...

    def commit(self, key: bytes) -> object:
        """Write one small value durably."""
        ...

    def close(self) -> None:
        """Release the files."""
        ...
