"""Reads that need more than the newest table: versions at a timestamp, and the log.

Written over `View`, one consistent sight of the tables, so that every engine answers
alike. Which version of a key is visible at T::

    newest row      committed <= T                      it is this one
    history row     the least `ended` above T, if its   it is this one
                    cell was committed at or below T
    neither                                             the key was absent at T

Versions of a key do not overlap, so the history row with the least end above T is the only
candidate. It is found by one seek, however many versions the key has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import SnapshotTooOld, StoreDamaged
from fastness.storage.cells import bound, expiry_of, timestamp_of, value_of
from fastness.storage.contract import Change, Item
from fastness.storage.layout import (
    LogEntry,
    Table,
    history_begin,
    history_end,
    history_interval,
    history_row,
    log_entry,
    log_row,
    split_history_row,
)

EVERYTHING = KeyInterval(b"", b"\xff" * 16)
"""Above every row of every table: no key of a user or of the system begins with ff ff."""

PAGE_ROWS = 256
RECENT_ENTRIES = 128
"""How many commits behind the newest a scan may be to find what they overwrote in the log."""

_cell = itemgetter(1)


class View(Protocol):
    """One consistent sight of a store's tables. Damage raises; it never shortens an answer.

    The history may be a later sight than the newest table, never an earlier one; and the
    newest table a later one than the log.
    """

    def get(self, table: Table, row: bytes) -> bytes | None:
        """What a row holds, `None` where there is no such row."""
        ...

    def pages(
        self, table: Table, interval: KeyInterval, *, size: int, reverse: bool = False
    ) -> Iterator[list[Item]]:
        """Every row of the interval, in order or against it, `size` rows to a page.

        All pages are full but the last, which may be empty. Pages are read as they are asked
        for, from the sight of the table taken with the first.
        """
        ...

    def seek(self, table: Table, interval: KeyInterval, *, reverse: bool = False) -> Item | None:
        """The first row of the interval, or its last."""
        ...


def stream(view: View, table: Table, interval: KeyInterval) -> Iterator[Item]:
    """Every row of the interval in order, read as it is asked for."""
    return chain.from_iterable(view.pages(table, interval, size=PAGE_ROWS))


def history_cell(view: View, key: bytes, at: Timestamp) -> bytes | None:
    """The cell of the overwritten version of `key` visible at `at`, if there is one."""
    if at >= TIMESTAMP_MAX:
        return None
    rows = KeyInterval(history_row(key, at + 1), history_end(key))
    found = view.seek(Table.HISTORY, rows)
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
    view: View,
    interval: KeyInterval,
    at: Timestamp,
    *,
    limit: int,
    reverse: bool,
    applied: Callable[[], Timestamp],
) -> list[Item]:
    """The first `limit` keys of the interval present at `at`, with their cells.

    `applied` is at or above every commit timestamp in the newest table; it is asked after
    that table was looked at. Where it is at or below `at` the first page is the answer.
    Nearly always it is otherwise too: every cell is plain and old enough (one comparison of
    the greatest), and no overwritten version lies among them.
    """
    pages = view.pages(Table.NEWEST, interval, size=limit, reverse=reverse)
    page = next(pages)
    if applied() <= at:
        return page
    overwritten = _overwritten(view, interval, at, reverse=reverse)
    first = next(overwritten, None)
    if _all_visible(page, at) and not _lies_among(first, page, limit=limit, reverse=reverse):
        return page
    newest = chain(page, chain.from_iterable(pages))
    visible = (item for item in newest if timestamp_of(item[1]) <= at)
    old = iter(()) if first is None else chain((first,), overwritten)
    return list(islice(_merged(visible, old, reverse=reverse), limit))


def _all_visible(page: list[Item], at: Timestamp) -> bool:
    return not page or (at < TIMESTAMP_MAX and max(map(_cell, page)) < bound(at))


def _lies_among(item: Item | None, page: list[Item], *, limit: int, reverse: bool) -> bool:
    """Whether a row belongs before the end of a page, or after a page that is not full."""
    if item is None:
        return False
    return len(page) < limit or (item[0] > page[-1][0] if reverse else item[0] < page[-1][0])


def _merged(left: Iterator[Item], right: Iterator[Item], *, reverse: bool) -> Iterator[Item]:
    """Two ordered streams as one.

    A key is in both only if its version was overwritten between the sight of the newest
    table and that of the history: both then hold the same version.
    """
    one, two = next(left, None), next(right, None)
    while one is not None and two is not None:
        if one[0] == two[0]:
            two = next(right, None)
        elif (one[0] < two[0]) is not reverse:
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


def _overwritten(
    view: View, interval: KeyInterval, at: Timestamp, *, reverse: bool
) -> Iterator[Item]:
    """The overwritten versions visible at `at`, by key.

    They ended above `at`, so the log's entries above `at` name them. A reader is seldom more
    than a few commits behind: then those entries are far fewer than the rows of the history
    among the keys scanned. The log is looked at after the newest table, the history after
    the log, so nothing that has left the newest table is missed.
    """
    above = KeyInterval(log_row(at + 1, 0), EVERYTHING.end)
    page = next(view.pages(Table.LOG, above, size=RECENT_ENTRIES))
    if len(page) == RECENT_ENTRIES:
        yield from _visible_history(view, interval, at, reverse=reverse)
        return
    begin, end = interval
    keys = {key for row, value in page for key in log_entry(row, value).ended if begin <= key < end}
    for key in sorted(keys, reverse=reverse):
        cell = history_cell(view, key, at)
        if cell is not None:
            yield key, cell


def _visible_history(
    view: View, interval: KeyInterval, at: Timestamp, *, reverse: bool
) -> Iterator[Item]:
    """The overwritten versions visible at `at`, by key: two seeks a key, not one per version."""
    begin, end = history_interval(interval)
    while True:
        found = view.seek(Table.HISTORY, KeyInterval(begin, end), reverse=reverse)
        if found is None:
            return
        key, ended = split_history_row(found[0])
        if reverse:
            end = history_begin(key)
        else:
            begin = history_end(key)
        if ended <= at:
            # Against the order this is the key's last version; none ends above `at`.
            cell = None if reverse else history_cell(view, key, at)
        elif reverse:
            cell = history_cell(view, key, at)
        else:
            cell = found[1] if timestamp_of(found[1]) <= at else None
        if cell is not None:
            yield key, cell


def log_entries(view: View, after: Timestamp, up_to: Timestamp) -> Iterator[LogEntry]:
    """The log's entries with timestamps in (after, up_to], in order."""
    interval = KeyInterval(log_row(after + 1, 0), log_row(up_to + 1, 0))
    for row, value in stream(view, Table.LOG, interval):
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
    for entry in log_entries(view, after, min(up_to, TIMESTAMP_MAX)):
        if len(changes) >= limit and entry.timestamp != changes[-1].timestamp:
            break
        changes.append(_change(view, entry))
    return changes


def _change(view: View, entry: LogEntry) -> Change:
    writes: list[tuple[bytes, bytes | None]] = [(key, None) for key in entry.deleted]
    expiries: list[tuple[bytes, Timestamp]] = []
    for key in (*entry.fresh, *entry.replaced):
        cell = cell_at(view, key, entry.timestamp)
        if cell is None or timestamp_of(cell) != entry.timestamp:
            raise StoreDamaged(
                f"the log tells that {key!r} was written at {entry.timestamp}, but that version "
                "is gone: restore a backup"
            )
        writes.append((key, value_of(cell)))
        if expires_at := expiry_of(cell):
            expiries.append((key, expires_at))
    return Change(entry.timestamp, tuple(sorted(writes)), tuple(sorted(expiries)))
