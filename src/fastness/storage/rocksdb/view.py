"""The view readers get of RocksDB's tables.

Habits of `rocksdict` that shape it, each held down by a test:

* its snapshots do not bind their iterators: each iterator is its own sight of its table, taken
  when it is made;
* `set_iterate_lower_bound` sets the upper bound, so only that one is used;
* `items`, `keys` and `values` end alike at the end and at damage.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Self, cast

from rocksdict import RdictIter, ReadOptions

from fastness.encoding.intervals import KeyInterval
from fastness.storage.contract import Item
from fastness.storage.layout import Table, history_interval
from fastness.storage.reading import EVERYTHING
from fastness.storage.rocksdb.engine import Tables
from fastness.storage.rocksdb.options import FAMILIES
from fastness.storage.rocksdb.translation import translated


class RocksView:
    """A sight of the tables, for one reader, from its first look on; see `View`."""

    def __init__(self, tables: Tables, interval: KeyInterval) -> None:
        """A view of the versions of the keys in `interval`, and of all the other tables.

        The bounds keep cursors from wading through what was deleted beyond them.
        """
        self._tables = tables
        self._ends = {
            Table.NEWEST: interval.end,
            Table.HISTORY: history_interval(interval).end,
            Table.LOG: EVERYTHING.end,
            Table.STATE: EVERYTHING.end,
            Table.EXPIRY: EVERYTHING.end,
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
