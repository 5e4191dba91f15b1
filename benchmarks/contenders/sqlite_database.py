"""SQLite: write-ahead log, `synchronous=FULL`, prepared statements, a table keyed by a blob."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contests import Operation
from benchmarks.workload import VALUE_BYTES, Entry

CACHE_KIB = 65_536
SELECT = "select value from entry where key = ?"
SCAN = "select key, value from entry where key >= ? and key < ? order by key"
UPSERT = "insert or replace into entry values (?, ?)"


class SQLiteDatabase:
    """One connection in autocommit mode; the module keeps its statements prepared."""

    name = "SQLite"

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(directory / "database", isolation_level=None)
        for pragma in ("journal_mode=wal", "synchronous=full", f"cache_size=-{CACHE_KIB}"):
            self._connection.execute(f"pragma {pragma}")
        self._connection.execute(
            "create table if not exists entry (key blob primary key, value blob) without rowid"
        )
        self._cursor = self._connection.cursor()
        self._value = bytes(VALUE_BYTES)

    def load(self, entries: Sequence[Entry]) -> None:
        """One transaction, then the log is moved into the database."""
        self._cursor.execute("begin")
        self._cursor.executemany(UPSERT, entries)
        self._cursor.execute("commit")
        self._cursor.execute("pragma wal_checkpoint(truncate)")
        self._cursor.execute("analyze")

    @contextmanager
    def reading(self) -> Iterator[Operation[bytes]]:
        """A read transaction of prepared selects by primary key."""
        execute = self._cursor.execute

        def read(key: bytes) -> object:
            return execute(SELECT, (key,)).fetchone()

        execute("begin")
        yield read
        execute("commit")

    def read(self, key: bytes) -> object:
        """A prepared select by primary key, in a transaction of its own."""
        return self._cursor.execute(SELECT, (key,)).fetchone()

    def scan(self, begin: bytes, end: bytes) -> int:
        """A prepared range select in key order."""
        return sum(1 for _ in self._cursor.execute(SCAN, (begin, end)))

    def commit(self, key: bytes) -> object:
        """A prepared upsert in a transaction of its own."""
        self._cursor.execute(UPSERT, (key, self._value))
        return None

    def close(self) -> None:
        """Release the files."""
        self._connection.close()
