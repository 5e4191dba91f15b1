"""What a batch does to the rows of a store: versions, the log, the ranges and their records.

The same for every engine, so that all write the same rows. The loop over written keys is the
hottest of the write path: per key one look at the newest version, nothing else from the
store.

A batch whose timestamps may lie below what its range applied, because it resolves
transactions across ranges or follows one that did, takes `plan_late`: its commits are taken
in the order of their timestamps, and each is held to what its locks promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.invariants import check
from fastness.storage.cells import expiring, gone_at, gone_from, header, timestamp_of
from fastness.storage.contract import Batch, CommittedWrites
from fastness.storage.layout import (
    RangeRow,
    Table,
    expiry_row,
    history_end,
    history_row,
    log_row,
    log_union,
    log_value,
    mark_row,
    range_row,
    range_value,
    record_row,
    record_rows,
)
from fastness.storage.reading import View, stream
from fastness.storage.sorted_keys import SortedKeys

Newest = Callable[[bytes], bytes | None]
LiveKeys = Callable[[KeyInterval], Iterable[bytes]]
Writes = dict[bytes, bytes | None]


@dataclass(slots=True)
class PlannedRows:
    """The rows one atomic write puts into each table; `None` deletes."""

    newest: dict[bytes, bytes | None] = field(default_factory=dict)
    history: list[tuple[bytes, bytes]] = field(default_factory=list)
    log: list[tuple[bytes, bytes]] = field(default_factory=list)
    state: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    expiry: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    """In the order to be written: a row may go with one version and come with the next."""


def plan(
    batch: Batch,
    row: RangeRow,
    newest: Newest,
    live_keys: LiveKeys,
    late: _LateWrites | None = None,
) -> PlannedRows:
    """The rows of `batch`; `row` is its range's row after it.

    `newest` and `live_keys` read the store as it is before the batch.
    """
    rows = PlannedRows()
    # The keys of the batch so far, in order; kept only if some commit erases an interval.
    written = SortedKeys() if any(commit.erased for commit in batch.commits) else None
    for commit in batch.commits:
        writes = commit.writes
        if commit.erased and written is not None:
            writes = dict.fromkeys(_erased(commit, rows.newest, written, live_keys))
            writes.update(commit.writes)
        if late is not None:
            writes = late.held_to_order(commit, writes, rows.newest)
        known = len(rows.newest)
        _plan_commit(commit, writes, batch.range_id, rows, newest)
        if written is not None:
            for key in islice(rows.newest, known, None):
                written.add(key)
    rows.state.append((range_row(batch.range_id), range_value(row)))
    for name, mark in batch.marks.items():
        rows.state.append((mark_row(name), mark))
    for record, value in batch.records.items():
        rows.state.append((record_row(batch.range_id, record), value))
    return rows


def plan_late(
    batch: Batch, row: RangeRow, newest: Newest, live_keys: LiveKeys, view: View
) -> PlannedRows:
    """As `plan`, for a batch whose timestamps may lie below what its range has applied."""
    commits = sorted(batch.commits + batch.resolved, key=lambda commit: commit.timestamp)
    late = _LateWrites(newest, view)
    rows = plan(replace(batch, commits=commits), row, newest, live_keys, late)
    resolved = {log_row(commit.timestamp, batch.range_id) for commit in batch.resolved}
    rows.log = _united(rows.log, resolved, view)
    return rows


def plan_reshaping(
    batch: Batch, changed: Mapping[int, RangeRow], rows: PlannedRows, view: View
) -> None:
    """Add the rows of the ranges a batch absorbs and gives birth to, themselves `changed`."""
    for range_id, _epoch in batch.absorbs:
        rows.state.append((range_row(range_id), range_value(changed[range_id])))
        for row, _value in stream(view, Table.STATE, record_rows(range_id)):
            rows.state.append((row, None))
    for born in batch.splits:
        rows.state.append((range_row(born.range_id), range_value(changed[born.range_id])))
        for name, value in born.records.items():
            rows.state.append((record_row(born.range_id, name), value))


def _plan_commit(
    commit: CommittedWrites,
    writes: dict[bytes, bytes | None],
    range_id: int,
    rows: PlannedRows,
    newest: Newest,
) -> None:
    """Add the rows of one commit. Deleting what is absent leaves no trace."""
    timestamp = commit.timestamp
    head = header(timestamp)
    overlay = rows.newest
    fresh: list[bytes] = []
    replaced: list[bytes] = []
    deleted: list[bytes] = []
    for key, value in writes.items():
        old = overlay[key] if key in overlay else newest(key)
        if old is not None:
            rows.history.append((history_row(key, timestamp), old))
            if old[:1] >= b"\x80":
                rows.expiry.append((expiry_row(gone_from(old), key), None))
            (deleted if value is None else replaced).append(key)
        elif value is None:
            continue
        else:
            fresh.append(key)
        overlay[key] = None if value is None else head + value
    if commit.expiries:
        for key, expires_at in commit.expiries.items():
            expiring_value = writes[key]
            if expiring_value is not None:
                overlay[key] = expiring(timestamp, expires_at, expiring_value)
                rows.expiry.append((expiry_row(gone_at(timestamp, expires_at), key), b""))
    if fresh or replaced or deleted:
        rows.log.append((log_row(timestamp, range_id), log_value(fresh, replaced, deleted)))


def _erased(
    commit: CommittedWrites,
    overlay: dict[bytes, bytes | None],
    written: SortedKeys,
    live_keys: LiveKeys,
) -> list[bytes]:
    """The keys alive in the erased intervals, those of earlier commits of the batch too."""
    keys: set[bytes] = set()
    for interval in commit.erased:
        keys.update(key for key in live_keys(interval) if key not in overlay)
        keys.update(key for key in written.ascending(*interval) if overlay[key] is not None)
    return sorted(keys)


class _LateWrites:
    """What locks promise of a commit below what its range has applied, looked up key by key."""

    def __init__(self, newest: Newest, view: View) -> None:
        self._newest = newest
        self._view = view

    def held_to_order(self, commit: CommittedWrites, writes: Writes, overlay: Writes) -> Writes:
        """The writes of a commit, checked to be above every version of their keys.

        Without the keys an erased interval holds only because of a later version.
        """
        held: Writes = {}
        for key, value in writes.items():
            if not self._is_late(key, commit.timestamp, overlay):
                held[key] = value
            else:
                check(
                    key not in commit.writes,
                    "no commit lies at or below a version of a key it writes",
                )
        return held

    def _is_late(self, key: bytes, timestamp: Timestamp, overlay: Writes) -> bool:
        """Whether a version of the key began or ended at the timestamp or above."""
        planned = key in overlay
        cell = overlay[key] if planned else self._newest(key)
        if cell is not None:
            return timestamp_of(cell) >= timestamp
        # Commits of a batch are planned in order: what an earlier one deleted ended below.
        if planned:
            return False
        ended = KeyInterval(history_row(key, timestamp), history_end(key))
        return self._view.seek(Table.HISTORY, ended) is not None


def _united(
    log: list[tuple[bytes, bytes]], resolved: set[bytes], view: View
) -> list[tuple[bytes, bytes]]:
    """Log rows, each once: with what the other part of a transaction left or leaves there.

    Both parts come into one range when theirs are merged, before or after one was resolved.
    """
    united: dict[bytes, bytes] = {}
    for row, value in log:
        before = united.get(row)
        if before is None and row in resolved:
            before = view.get(Table.LOG, row)
        united[row] = value if before is None else log_union(row, before, value)
    return list(united.items())
