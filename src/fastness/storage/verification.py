"""Reading everything a store keeps and telling what cannot be right.

Checksums are the engine's; reading every row makes it test them. What is checked here is what
the rows say together::

    newest    a cell per key, committed at or below what was applied; a row of expiry for each that
              expires
    history   per key: versions follow each other without overlap, the newest after the last
    log       above the prune horizon: each entry's versions and ended versions are there, what it
              deleted is absent at its timestamp, and no version is there that it does not list
    state     rows decode; a record belongs to a range that is there
    expiry    above the prune horizon: each row is of a version in the newest table

Memory stays bounded: the two directions of "log and versions agree" are compared as sums of
row digests, not as sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from fastness.encoding.timestamps import Timestamp
from fastness.errors import StoreDamaged
from fastness.storage.cells import HEADER_BYTES, gone_from, timestamp_of
from fastness.storage.contract import Damage, Item
from fastness.storage.layout import (
    IDENTITY_ROW,
    LogEntry,
    RangeRow,
    Table,
    decode_range_id,
    decode_range_value,
    expiry_row,
    history_row,
    log_entry,
    split_expiry_row,
    split_history_row,
    split_record_row,
)
from fastness.storage.reading import EVERYTHING, View, cell_at, stream

DAMAGES_MAX = 1_000
"""More are not listed: a store this wrong is restored, not repaired by hand."""
REPORT_ROWS = 4_096


class Verification:
    """One pass over the tables of a view; `run` gives what it found wrong."""

    def __init__(self, view: View, progress: Callable[[int], None]) -> None:
        self._view = view
        self._progress = progress
        self._rows_read = 0
        self._found: list[Damage] = []
        self._ranges: dict[int, RangeRow] = {}
        self._ended_digest = 0
        self._version_digest = 0

    def run(self) -> list[Damage]:
        """Read everything; at most `DAMAGES_MAX` findings are listed."""
        checks = (self._check_state, self._check_versions, self._check_log, self._check_expiry)
        for check in checks:
            try:
                check()
            except StoreDamaged as damage:
                self._note(check.__name__.removeprefix("_check_"), str(damage))
        self._progress(self._rows_read)
        return self._found

    @property
    def _applied(self) -> Timestamp:
        return max((row.applied for row in self._ranges.values()), default=0)

    @property
    def _horizon(self) -> Timestamp:
        return max((row.prune_horizon for row in self._ranges.values()), default=0)

    def _note(self, place: str, what: str) -> None:
        if len(self._found) < DAMAGES_MAX:
            self._found.append(Damage(place, what))

    def _read(self, table: Table) -> Iterator[Item]:
        """All rows of a table, in checked order, counted."""
        last: bytes | None = None
        for item in stream(self._view, table, EVERYTHING):
            if last is not None and item[0] <= last:
                self._note(table.name.lower(), f"row {item[0]!r} comes after {last!r}")
            last = item[0]
            self._rows_read += 1
            if self._rows_read % REPORT_ROWS == 0:
                self._progress(self._rows_read)
            yield item

    def _check_state(self) -> None:
        for row, value in self._read(Table.STATE):
            if row.startswith(b"r"):
                self._ranges[decode_range_id(row)] = decode_range_value(value)
            elif row.startswith(b"s"):
                range_id, name = split_record_row(row)
                if range_id not in self._ranges:
                    self._note("state", f"record {name!r} is of range {range_id}, which is unknown")
            elif row != IDENTITY_ROW and not row.startswith(b"m"):
                self._note("state", f"row {row!r} is of no kind known")

    def _check_versions(self) -> None:
        """Newest and history side by side, key by key."""
        newest, history = self._read(Table.NEWEST), self._read(Table.HISTORY)
        live, old = next(newest, None), next(history, None)
        while live is not None or old is not None:
            old_key = None if old is None else split_history_row(old[0])[0]
            if old_key is None or (live is not None and live[0] < old_key):
                key = live[0] if live is not None else b""
            else:
                key = old_key
            ended_last = 0
            while old is not None and split_history_row(old[0])[0] == key:
                ended_last = self._check_old(key, old, ended_last)
                old = next(history, None)
            if live is not None and live[0] == key:
                self._check_cell("newest", key, live[1], ended_last)
                self._check_expires(key, live[1])
                live = next(newest, None)

    def _check_old(self, key: bytes, item: Item, ended_last: Timestamp) -> Timestamp:
        """Check one overwritten version; returns when it ended."""
        row, cell = item
        ended = split_history_row(row)[1]
        committed = self._check_cell("history", key, cell, ended_last)
        if committed >= ended:
            self._note("history", f"version of {key!r} begins at {committed}, ends at {ended}")
        if ended > self._applied:
            self._note("history", f"version of {key!r} ends at {ended}, above what was applied")
        if ended > self._horizon:
            self._ended_digest += _digest(key, ended)
        return ended

    def _check_cell(self, place: str, key: bytes, cell: bytes, ended_last: Timestamp) -> Timestamp:
        """Check a cell; returns when it was committed."""
        if len(cell) < HEADER_BYTES or (cell[0] >= 0x80 and len(cell) < 2 * HEADER_BYTES):
            self._note(place, f"the cell of {key!r} is cut short: {cell!r}")
            return ended_last
        committed = timestamp_of(cell)
        if committed < ended_last:
            self._note(
                place,
                f"version of {key!r} begins at {committed}, before the one before it ended "
                f"at {ended_last}",
            )
        if committed > self._applied:
            self._note(place, f"{key!r} was committed at {committed}, above what was applied")
        if committed > self._horizon:
            self._version_digest += _digest(key, committed)
        return committed

    def _check_expires(self, key: bytes, cell: bytes) -> None:
        """Check that pruning will come by for a newest version that expires."""
        if cell[:1] < b"\x80" or len(cell) < 2 * HEADER_BYTES:
            return
        gone = gone_from(cell)
        if self._view.get(Table.EXPIRY, expiry_row(gone, key)) is None:
            self._note("expiry", f"{key!r} is gone from {gone}, which no row tells")

    def _check_expiry(self) -> None:
        for row, _nothing in self._read(Table.EXPIRY):
            gone, key = split_expiry_row(row)
            cell = self._view.get(Table.NEWEST, key)
            if gone > self._horizon and (cell is None or gone_from(cell) != gone):
                self._note(
                    "expiry", f"a row tells that {key!r} is gone from {gone}, which is not so"
                )

    def _check_log(self) -> None:
        ended = versions = 0
        for row, value in self._read(Table.LOG):
            entry = log_entry(row, value)
            if entry.timestamp > self._applied:
                self._note("log", f"timestamp {entry.timestamp} is above what was applied")
            if entry.timestamp > self._horizon:
                self._check_entry(entry)
                ended += sum(_digest(key, entry.timestamp) for key in entry.ended)
                written = (*entry.fresh, *entry.replaced)
                versions += sum(_digest(key, entry.timestamp) for key in written)
        if ended != self._ended_digest:
            self._note("log", "the overwritten versions it lists are not those of the history")
        if versions != self._version_digest:
            self._note("log", "the versions it lists are not those stored")

    def _check_entry(self, entry: LogEntry) -> None:
        """Check that what one commit says it wrote, ended and deleted is so."""
        at = entry.timestamp
        for key in entry.ended:
            if self._view.get(Table.HISTORY, history_row(key, at)) is None:
                self._note("log", f"{key!r} ended a version at {at}, which is gone")
        for key in (*entry.fresh, *entry.replaced):
            cell = cell_at(self._view, key, at)
            if cell is None or timestamp_of(cell) != at:
                self._note("log", f"{key!r} was written at {at}, but that version is gone")
        for key in entry.deleted:
            if cell_at(self._view, key, at) is not None:
                self._note("log", f"{key!r} was deleted at {at}, but is there")


def _digest(key: bytes, timestamp: Timestamp) -> int:
    hashed = hashlib.blake2b(key, digest_size=8, key=timestamp.to_bytes(8, "big")).digest()
    return int.from_bytes(hashed, "big")
