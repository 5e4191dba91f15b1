"""RocksDB's tables, opened and closed as one, and the view readers get of them.

Habits of `rocksdict` that shape this module, each held down by a test:

* everything it hands out (column families, handles, iterators) keeps the database open until
  dropped, whatever `close` was called on;
* its snapshots do not bind their iterators: each iterator is its own sight of its table, taken
  when it is made;
* `set_iterate_lower_bound` sets the upper bound, so only that one is used;
* `items`, `keys` and `values` end alike at the end and at damage;
* RocksDB's background threads belong to the process and are not inherited by a forked child,
  where whatever waits for them would wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Self, cast

from rocksdict import (
    AccessType,
    ColumnFamily,
    DbClosedError,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
)

from fastness.encoding.intervals import KeyInterval
from fastness.errors import DatabaseClosed
from fastness.storage.contract import Item
from fastness.storage.layout import Table, history_interval
from fastness.storage.planning import PlannedRows
from fastness.storage.reading import EVERYTHING
from fastness.storage.rocksdb.options import FAMILIES, TableOptions
from fastness.storage.rocksdb.translation import translated


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
        self.families: dict[Table, Rdict] = {}
        self.handles: dict[Table, ColumnFamily] = {}
        self._in_order: tuple[ColumnFamily, ...] = ()
        try:
            for table, name in FAMILIES.items():
                self.families[table] = self.root.get_column_family(name)
                self.handles[table] = self.root.get_column_family_handle(name)
        except BaseException:
            with suppress(Exception):
                self.close()
            raise
        self._in_order = tuple(self.handles[table] for table in Table)

    def write(self, rows: PlannedRows) -> None:
        """Write a batch's rows atomically, unsynced."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        newest, history, log, states = self._in_order
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
        self.root.write(batch)

    def write_rows(self, puts: list[tuple[Table, bytes, bytes | None]]) -> None:
        """Write rows atomically, unsynced."""
        batch = WriteBatch(raw_mode=True)
        for table, row, value in puts:
            if value is None:
                batch.delete(row, self.handles[table])
            else:
                batch.put(row, value, self.handles[table])
        self.root.write(batch)

    def estimated_rows(self, table: Table) -> int:
        """About how many rows a table has."""
        estimate = self.families[table].property_int_value("rocksdb.estimate-num-keys")
        return max(estimate or 0, 0)

    def flush(self) -> None:
        """Write what is in memory to table files, without holding the interpreter lock."""
        for family in self.families.values():
            family.flush()

    def close(self) -> None:
        """Release the database; raises the first error met, after all is released."""
        first: Exception | None = None
        families = (*self.families.values(), self.root)
        # A handle left behind would keep the directory locked.
        self.families, self.handles, self._in_order = {}, {}, ()
        for family in families:
            try:
                family.close()
            except DbClosedError:
                continue
            except Exception as error:  # noqa: BLE001 - rocksdict raises nothing narrower
                first = first or error
        if first is not None:
            raise first


class RocksView:
    """A sight of the tables, for one reader, from its first look on; see `View`."""

    def __init__(self, tables: Tables, interval: KeyInterval) -> None:
        """A view of the versions of the keys in `interval`, and of the whole log and state.

        The bounds keep cursors from wading through what was deleted beyond them.
        """
        self._tables = tables
        self._ends = {
            Table.NEWEST: interval.end,
            Table.HISTORY: history_interval(interval).end,
            Table.LOG: EVERYTHING.end,
            Table.STATE: EVERYTHING.end,
        }
        self._cursors: dict[Table, RdictIter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Drop the iterators, also where a traceback still holds this view."""
        self._cursors.clear()

    def get(self, table: Table, row: bytes) -> bytes | None:
        """What a row holds in this view."""
        found = self.seek(table, KeyInterval(row, row + b"\x00"))
        return None if found is None else found[1]

    def seek(self, table: Table, interval: KeyInterval, *, reverse: bool = False) -> Item | None:
        """The first row of the interval, or its last."""
        try:
            found = self._rows(table, interval, limit=1, reverse=reverse)
        except Exception as error:
            raise translated(error, f"reading the {FAMILIES[table]} table") from error
        return found[0] if found else None

    def pages(
        self, table: Table, interval: KeyInterval, *, size: int, reverse: bool = False
    ) -> Iterator[list[Item]]:
        """The rows of the interval by the page."""
        read = self._rows if reverse else self._first_page
        while True:
            try:
                page = read(table, interval, limit=size, reverse=reverse)
            except Exception as error:
                raise translated(error, f"reading the {FAMILIES[table]} table") from error
            yield page
            if len(page) < size:
                return
            begin, end = interval
            if reverse:
                interval = KeyInterval(begin, page[-1][0])
            else:
                interval = KeyInterval(page[-1][0] + b"\x00", end)
            read = self._rows

    def _first_page(
        self, table: Table, interval: KeyInterval, *, limit: int, reverse: bool
    ) -> list[Item]:
        """The first rows in order, at the speed of C where that proves right.

        `items` is faster than a cursor but hides damage. A page that is full has not met any.
        For one that is not, the cursor, whose sight is taken right after, must confirm that
        nothing follows; else the cursor's own answer is taken.
        """
        begin, end = interval
        options = _read_options(end)
        items = self._tables.families[table].items(from_key=begin, read_opt=options)
        cursor = self._cursor(table)
        page = cast("list[Item]", list(islice(items, limit)))
        if len(page) < limit:
            cursor.seek(page[-1][0] + b"\x00" if page else begin)
            if not _ended(cursor, end):
                return self._rows(table, interval, limit=limit, reverse=reverse)
        return page

    def _rows(
        self, table: Table, interval: KeyInterval, *, limit: int, reverse: bool
    ) -> list[Item]:
        """The first rows as the cursor sees them; an error of the cursor is raised."""
        cursor = self._cursor(table)
        begin, end = interval
        rows: list[Item] = []
        if reverse:
            _seek_below(cursor, end)
            step = cursor.prev
        else:
            cursor.seek(begin)
            step = cursor.next
        key_of, value_of = cursor.key, cursor.value
        while (key := key_of()) is not None:
            if not begin <= key < end:
                return rows
            rows.append((key, value_of()))
            if len(rows) == limit:
                return rows
            step()
        cursor.status()
        return rows

    def _cursor(self, table: Table) -> RdictIter:
        cursor = self._cursors.get(table)
        if cursor is None:
            options = _read_options(self._ends[table])
            cursor = self._cursors[table] = self._tables.families[table].iter(options)
        return cursor


def _read_options(end: bytes) -> ReadOptions:
    options = ReadOptions()
    options.set_iterate_upper_bound(end)
    return options


def _seek_below(cursor: RdictIter, end: bytes) -> None:
    """Place a cursor on the last row below `end`."""
    cursor.seek_for_prev(end)
    if cursor.key() == end:
        cursor.prev()


def _ended(cursor: RdictIter, end: bytes) -> bool:
    """Whether a cursor stands at no row below `end`; raises if damage keeps it from telling."""
    key = cursor.key()
    if key is None:
        cursor.status()
        return True
    return bool(key >= end)
