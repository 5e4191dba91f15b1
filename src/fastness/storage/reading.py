"""Reads that need more than the newest table: versions at a timestamp, and the log.

Written over `View`, one consistent sight of the four tables, so that every engine answers
alike. Which version of a key is visible at T::

    newest row      committed <= T                      it is this one
    history row     the least `ended` above T, if its   it is this one
                    cell was committed at or below T
    neither                                             the key was absent at T

Versions of a key do not overlap, so the history row with the least end above T is the only
candidate. It is found by one seek, however many versions the key has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import SnapshotTooOld
from fastness.storage.cells import timestamp_of, value_of
from fastness.storage.contract import Change, Item
from fastness.storage.layout import (
    LogEntry,
    Table,
    history_end,
    history_interval,
    history_row,
    log_entry,
    log_row,
    split_history_row,
)

CHUNK_ROWS = 256


class View(Protocol):
    """One consistent sight of a store's tables. Damage raises; it never shortens an answer."""

    def get(self, table: Table, row: bytes) -> bytes | None:
        """What a row holds, `None` where there is no such row."""
        ...

    def rows(
        self, table: Table, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        """The first `limit` rows of the interval, in order or against it."""
        ...


def first_row(view: View, table: Table, begin: bytes, end: bytes) -> Item | None:
    """The first row of a table in [begin, end)."""
    found = view.rows(table, KeyInterval(begin, end), limit=1)
    return found[0] if found else None


def history_cell(view: View, key: bytes, at: Timestamp) -> bytes | None:
    """The cell of the overwritten version of `key` visible at `at`, if there is one."""
    if at >= TIMESTAMP_MAX:
        return None
    found = first_row(view, Table.HISTORY, history_row(key, at + 1), history_end(key))
    if found is None or timestamp_of(found[1]) > at:
        return None
    return found[1]


def cell_at(view: View, key: bytes, at: Timestamp) -> bytes | None:
    """The cell of the version of `key` visible at `at`."""
    cell = view.get(Table.NEWEST, key)
    if cell is not None and timestamp_of(cell) <= at:
        return cell
    return history_cell(view, key, at)


def scan_at(
    view: View, interval: KeyInterval, at: Timestamp, *, limit: int, reverse: bool
) -> list[Item]:
    """The first `limit` keys of the interval present at `at`, with their cells."""
    found: list[Item] = []
    for item in _merged(
        _visible_newest(view, interval, at, reverse=reverse),
        _visible_history(view, interval, at, reverse=reverse),
        reverse=reverse,
    ):
        found.append(item)
        if len(found) >= limit:
            break
    return found


def _merged(left: Iterator[Item], right: Iterator[Item], *, reverse: bool) -> Iterator[Item]:
    """Two ordered streams as one. No key is in both: its visible version is in one table."""
    one, two = next(left, None), next(right, None)
    while one is not None and two is not None:
        if (one[0] < two[0]) is not reverse:
            yield one
            one = next(left, None)
        else:
            yield two
            two = next(right, None)
    if one is not None:
        yield one
        yield from left
    if two is not None:
        yield two
        yield from right


def all_rows(
    view: View, table: Table, interval: KeyInterval, *, reverse: bool = False
) -> Iterator[Item]:
    """Every row of the interval, read in chunks that grow to `CHUNK_ROWS`."""
    begin, end = interval
    limit = 16
    while True:
        rows = view.rows(table, KeyInterval(begin, end), limit=limit, reverse=reverse)
        yield from rows
        if len(rows) < limit:
            return
        if reverse:
            end = rows[-1][0]
        else:
            begin = rows[-1][0] + b"\x00"
        limit = min(limit * 2, CHUNK_ROWS)


def _visible_newest(
    view: View, interval: KeyInterval, at: Timestamp, *, reverse: bool
) -> Iterator[Item]:
    for item in all_rows(view, Table.NEWEST, interval, reverse=reverse):
        if timestamp_of(item[1]) <= at:
            yield item


def _visible_history(
    view: View, interval: KeyInterval, at: Timestamp, *, reverse: bool
) -> Iterator[Item]:
    """The overwritten versions visible at `at`, by key: two seeks a key, not one per version."""
    begin, end = history_interval(interval)
    while True:
        found = view.rows(Table.HISTORY, KeyInterval(begin, end), limit=1, reverse=reverse)
        if not found:
            return
        key, ended = split_history_row(found[0][0])
        if reverse:
            end = history_interval(KeyInterval(key, key))[0]
        else:
            begin = history_end(key)
        if reverse or ended <= at:
            cell = history_cell(view, key, at)
        else:
            cell = found[0][1] if timestamp_of(found[0][1]) <= at else None
        if cell is not None:
            yield key, cell


def log_entries(view: View, after: Timestamp, up_to: Timestamp) -> Iterator[LogEntry]:
    """The log's entries with timestamps in (after, up_to], in order."""
    begin, end = log_row(after + 1, 0), log_row(up_to + 1, 0)
    for row, value in all_rows(view, Table.LOG, KeyInterval(begin, end)):
        yield log_entry(row, value)


def changes_between(
    view: View, after: Timestamp, up_to: Timestamp, limit: int, kept_from: Timestamp
) -> list[Change]:
    """The first `limit` commits in (after, up_to], in commit order.

    Entries of one timestamp are never torn apart by the limit, since the next call goes on
    above the last timestamp it was given.
    """
    if after < kept_from:
        raise SnapshotTooOld(
            f"changes after timestamp {after} are asked for, but those up to {kept_from} are "
            "pruned: start again from a snapshot"
        )
    changes: list[Change] = []
    if after >= up_to:
        return changes
    for entry in log_entries(view, after, up_to):
        if len(changes) >= limit and entry.timestamp != changes[-1].timestamp:
            break
        changes.append(_change(view, entry))
    return changes


def _change(view: View, entry: LogEntry) -> Change:
    writes: list[tuple[bytes, bytes | None]] = []
    for key in sorted(entry.replaced + entry.fresh):
        cell = cell_at(view, key, entry.timestamp)
        written = cell is not None and timestamp_of(cell) == entry.timestamp
        writes.append((key, value_of(cell) if written and cell is not None else None))
    return Change(entry.timestamp, tuple(writes))
