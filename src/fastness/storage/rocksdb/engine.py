"""RocksDB's tables, opened, written and closed as one.

Habits of `rocksdict` and RocksDB that shape this module, each held down by a test:

* everything handed out (column families, handles, iterators) keeps the database open until
  dropped, whatever `close` was called on;
* a write that must wait, for a flush or on a full disk, waits with the interpreter lock held:
  so writes are told not to wait, and the waiting is done here;
* RocksDB's background threads belong to the process and are not inherited by a forked child,
  where whatever waits for them would wait for ever.
"""

from __future__ import annotations

import os
from pathlib import Path

from rocksdict import (
    AccessType,
    ColumnFamily,
    DbClosedError,
    Rdict,
    WriteBatch,
)

from fastness.errors import DatabaseClosed
from fastness.storage.layout import Table
from fastness.storage.planning import PlannedRows
from fastness.storage.rocksdb.options import FAMILIES, TableOptions
from fastness.storage.rocksdb.stalls import PatientWriter


class _Process:
    """Whether RocksDB's threads run in this process, or did in the one it was forked from."""

    def __init__(self) -> None:
        self.started = False
        self.inherited = False

    def forked(self) -> None:
        """In a child: what was started in the parent is not there."""
        self.inherited = self.started

    def start(self) -> None:
        """Note that RocksDB is used; raise in a child whose parent had used it."""
        if self.inherited:
            raise DatabaseClosed(
                "this process was forked from one that had a database open, whose background "
                "threads it did not inherit: start it afresh (subprocess, or multiprocessing "
                "with the spawn method), or fork before the first database is opened"
            )
        self.started = True


_process = _Process()
os.register_at_fork(after_in_child=_process.forked)


class Tables:
    """The open column families of one database."""

    def __init__(self, path: Path, options: TableOptions, access: AccessType | None = None) -> None:
        """Open them. Raises what rocksdict raises, and `DatabaseClosed` in a forked child."""
        _process.start()
        self.root = Rdict(
            str(path), options.database, options.families, access or AccessType.read_write()
        )
        self._writer = PatientWriter(self.root, path, room=options.write_buffer_bytes)
        self.families: dict[Table, Rdict] = {}
        self.handles: dict[Table, ColumnFamily] = {}
        self._in_order: tuple[ColumnFamily, ...] = ()
        self._closing_error: Exception | None = None
        try:
            for table, name in FAMILIES.items():
                self.families[table] = self.root.get_column_family(name)
                self.handles[table] = self.root.get_column_family_handle(name)
        except BaseException as failed:
            self.close_after(failed)
            raise
        self._in_order = tuple(self.handles[table] for table in Table)

    def write(self, rows: PlannedRows) -> None:
        """Write a batch's rows atomically, unsynced."""
        self._writer.write(lambda: self._batch_of(rows))

    def _batch_of(self, rows: PlannedRows) -> WriteBatch:
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        newest, history, log, states, expiry = self._in_order
        for key, cell in rows.newest.items():
            if cell is None:
                batch.delete(key, newest)
            else:
                put(key, cell, newest)
        for row, cell in rows.history:
            put(row, cell, history)
        for row, value in rows.log:
            put(row, value, log)
        for row, state in rows.state:
            if state is None:
                batch.delete(row, states)
            else:
                put(row, state, states)
        for row, nothing in rows.expiry:
            if nothing is None:
                batch.delete(row, expiry)
            else:
                put(row, nothing, expiry)
        return batch

    def write_rows(self, puts: list[tuple[Table, bytes, bytes | None]]) -> None:
        """Write rows atomically, unsynced."""

        def build() -> WriteBatch:
            batch = WriteBatch(raw_mode=True)
            for table, row, value in puts:
                if value is None:
                    batch.delete(row, self.handles[table])
                else:
                    batch.put(row, value, self.handles[table])
            return batch

        self._writer.write(build)

    def estimated_rows(self, table: Table) -> int:
        """About how many rows a table has."""
        estimate = self.families[table].property_int_value("rocksdb.estimate-num-keys")
        return max(estimate or 0, 0)

    def flush(self) -> None:
        """Write what is in memory to table files, without holding the interpreter lock."""
        self._writer.wait_until_writable()
        for family in self.families.values():
            family.flush()

    def close_family(self, table: Table) -> None:
        """Close one table before the others; `close` raises what goes wrong here."""
        self._close(self.families[table])

    def close(self) -> None:
        """Release the database; raises the first error met, after all is released."""
        families = (*self.families.values(), self.root)
        # A handle left behind would keep the directory locked.
        self.handles, self._in_order = {}, ()
        for family in families:
            self._close(family)
        if self._closing_error is not None:
            raise self._closing_error

    def close_after(self, failed: BaseException) -> None:
        """Release the database because of another error, which a further one only adds to."""
        try:
            self.close()
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            failed.add_note(f"closing the tables failed too: {error}")

    def _close(self, family: Rdict) -> None:
        try:
            family.close()
        except DbClosedError:
            return
        except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
            self._closing_error = self._closing_error or error
