"""Validation by reading exactly again, over a store that answers at once.

`ranges.rereading` says what is read again and why; here the reading is done.
"""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, SnapshotTooOld
from fastness.ranges import Commit, conflict_of
from fastness.ranges.rereading import Found, Rereading, Wanted, reread
from fastness.storage.contract import Store


def validate_in_store(
    commit: Commit, store: Store, *, through: Timestamp, horizon: Timestamp
) -> None:
    """Raise the commit's `validated_at` to `through`, or fail it."""
    since = commit.validated_at
    try:
        changed = _run(reread(commit, through), store)
    except FastnessError as error:
        commit.fail(error)
        return
    if since < max(horizon, store.prune_horizon(1)):
        commit.fail(
            SnapshotTooOld(
                f"the transaction read at {since}, below the retained window: run it again"
            )
        )
    elif changed is not None:
        commit.fail(conflict_of(*changed))
    else:
        commit.validated_at = through


def _run(steps: Rereading, store: Store) -> tuple[bytes, Timestamp] | None:
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(_read(wanted, store))
    except StopIteration as stop:
        changed: tuple[bytes, Timestamp] | None = stop.value
        return changed


def _read(wanted: Wanted, store: Store) -> Found:
    keys, scan, at = wanted
    cells = store.get_many(keys, at)
    if scan is None:
        return cells, []
    interval = KeyInterval(scan.begin, scan.end)
    return cells, store.scan(interval, at=at, limit=scan.limit)
