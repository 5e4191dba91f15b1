"""What a batch does to the rows of a store: fencing first, then versions, then the log.

The same for every engine, so that all write the same rows. The loop over written keys is the
hottest of the write path: per key one look at the newest version, nothing else from the
store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice

from fastness.encoding.intervals import KeyInterval
from fastness.errors import Fenced, LimitExceeded
from fastness.invariants import check
from fastness.storage.cells import expiring, header
from fastness.storage.contract import Batch, CommittedWrites
from fastness.storage.layout import (
    RangeRow,
    history_row,
    log_row,
    log_value,
    mark_row,
    range_row,
    range_value,
)
from fastness.storage.sorted_keys import SortedKeys

Newest = Callable[[bytes], bytes | None]
LiveKeys = Callable[[KeyInterval], Iterable[bytes]]
EPOCH_MAX = (1 << 63) - 1


@dataclass(slots=True)
class PlannedRows:
    """The rows one atomic write puts into each table; `None` deletes."""

    newest: dict[bytes, bytes | None] = field(default_factory=dict)
    history: list[tuple[bytes, bytes]] = field(default_factory=list)
    log: list[tuple[bytes, bytes]] = field(default_factory=list)
    state: list[tuple[bytes, bytes | None]] = field(default_factory=list)


def opened(row: RangeRow, range_id: int, epoch: int) -> RangeRow:
    """The range's row under a newly opened epoch; `Fenced` unless it is the highest."""
    if epoch <= row.epoch:
        raise Fenced(
            f"range {range_id} was already opened at epoch {row.epoch}, so not at {epoch}: "
            "ask the range map for the present leaseholder"
        )
    if epoch > EPOCH_MAX:
        raise LimitExceeded(f"epoch {epoch} is above {EPOCH_MAX}")
    return RangeRow(epoch, row.batch_number, row.applied, row.prune_horizon)


def advanced(row: RangeRow, batch: Batch) -> RangeRow:
    """The range's row after `batch`; `Fenced` under another epoch than the one opened last."""
    if batch.epoch != row.epoch:
        raise Fenced(
            f"range {batch.range_id} is open at epoch {row.epoch}: a batch of epoch "
            f"{batch.epoch} is refused; ask the range map for the present leaseholder"
        )
    check(batch.number == row.batch_number + 1, "batches of a range follow each other by number")
    applied = row.applied
    for commit in batch.commits:
        check(commit.timestamp > applied, "commit timestamps of a range strictly increase")
        applied = commit.timestamp
    check(
        not batch.commits or batch.commits[0].timestamp > row.prune_horizon,
        "no commit is at or below the prune horizon",
    )
    return RangeRow(row.epoch, batch.number, applied, row.prune_horizon)


def plan(batch: Batch, row: RangeRow, newest: Newest, live_keys: LiveKeys) -> PlannedRows:
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
        known = len(rows.newest)
        _plan_commit(commit, writes, batch.range_id, rows, newest)
        if written is not None:
            for key in islice(rows.newest, known, None):
                written.add(key)
    rows.state.append((range_row(batch.range_id), range_value(row)))
    for name, value in batch.marks.items():
        rows.state.append((mark_row(name), value))
    return rows


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
