"""Validation by reading exactly again, for commits older than the range's memory.

A range remembers recent writes down to a low-water mark. A commit whose reads lie below it is
validated here: every key and interval it read is read again at its read timestamp and at
`through`, the highest visible timestamp; where both agree, version by version, the reads are
true up to `through`, and the range's memory covers the rest.
"""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, SnapshotTooOld
from fastness.ranges import Commit, conflict_of
from fastness.storage import cells
from fastness.storage.contract import Store

PAGE_ENTRIES = 1_000


def validate_in_store(
    commit: Commit, store: Store, *, through: Timestamp, horizon: Timestamp
) -> None:
    """Raise the commit's `validated_at` to `through`, or fail it."""
    since = commit.validated_at
    try:
        changed = _changed_key(commit, store, since, through)
        if changed is None:
            changed = _changed_interval(commit, store, since, through)
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
        key, cell = changed
        commit.fail(conflict_of(key, cells.timestamp_of(cell) if cell else 0))
    else:
        commit.validated_at = through


def _changed_key(
    commit: Commit, store: Store, since: Timestamp, through: Timestamp
) -> tuple[bytes, bytes | None] | None:
    keys = sorted(commit.read_keys)
    before = store.get_many(keys, since)
    after = store.get_many(keys, through)
    for key, old, new in zip(keys, before, after, strict=True):
        if old != new:
            return key, new
    return None


def _changed_interval(
    commit: Commit, store: Store, since: Timestamp, through: Timestamp
) -> tuple[bytes, bytes | None] | None:
    for interval in commit.read_intervals:
        begin = interval.begin
        while True:
            rest = KeyInterval(begin, interval.end)
            old = store.scan(rest, at=since, limit=PAGE_ENTRIES)
            new = store.scan(rest, at=through, limit=PAGE_ENTRIES)
            if old != new:
                key, cell = min(set(old) ^ set(new))
                return key, dict(new).get(key, cell)
            if len(old) < PAGE_ENTRIES:
                break
            begin = successor(old[-1][0])
    return None
