"""Removing versions that no reader inside the retention window can see.

Pruning walks the log from its oldest entry up to the horizon. Each entry names the versions
its commit ended; those rows go, then the entry itself. The work is proportional to what is
removed, and every step is bounded: a long entry is taken in pieces, its place remembered in
memory. After a restart such an entry is walked again from its start; removing a row twice
is harmless.

A range prunes the keys of its interval, whatever range wrote them: splits and merges have
changed that since. An entry that names keys beyond the interval keeps those, for their own
range to prune up to its own horizon; the last of them takes the entry away. An entry with no key
inside is passed over, once: the walk never comes back below the place it reached, since nothing
inside is left there. It begins again where more keys became the range's, and where a
transaction resolved late left an entry below.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.storage.layout import (
    LogEntry,
    Put,
    Table,
    history_row,
    log_entry,
    log_row,
    log_timestamp,
    log_value,
    log_without,
)
from fastness.storage.reading import View, stream


@dataclass(slots=True)
class PrunePlace:
    """How far the walk of one range has come. Lost at a restart, which only costs time."""

    interval: KeyInterval
    """The keys it prunes."""
    row: bytes = b""
    """The log row to go on at: those before it name no key inside any more."""
    left: list[bytes] | None = None
    """Keys of that row whose versions are still to go; `None` before it was looked at."""


@dataclass(slots=True)
class PruneStep:
    """The rows one step removes or rewrites, the entries it passed over, and where it ends."""

    rows: list[Put]
    passed: int
    place: PrunePlace


def place_for(place: PrunePlace | None, interval: KeyInterval) -> PrunePlace:
    """Where to go on for an interval: at the beginning if it was not all walked for before."""
    if place is not None and place.interval == interval:
        return place
    if place is None or interval.begin < place.interval.begin or interval.end > place.interval.end:
        return PrunePlace(interval)
    return PrunePlace(interval, place.row)


def prune_step(view: View, horizon: Timestamp, limit: int, place: PrunePlace) -> PruneStep:
    """The next rows to remove or rewrite and entries to pass over, at most `limit` of both."""
    interval, left = place.interval, place.left
    rows: list[Put] = []
    passed = 0
    if left is not None and len(left) >= limit:
        _take(rows, place.row, left[:limit])
        return PruneStep(rows, 0, PrunePlace(interval, place.row, left[limit:]))
    end = max(place.row, log_row(horizon + 1, 0))
    for row, value in stream(view, Table.LOG, KeyInterval(place.row, end)):
        room = limit - len(rows) - passed
        if room < 1:
            return PruneStep(rows, passed, PrunePlace(interval, row))
        entry = log_entry(row, value)
        outside = log_without(entry, interval)
        if left is None or row != place.row:
            if sum(map(len, outside)) == len(entry.keys):
                passed += 1
                continue
            left = _ended_inside(entry, interval)
        _take(rows, row, left[:room])
        if len(left) >= room:
            return PruneStep(rows, passed, PrunePlace(interval, row, left[room:]))
        rows.append((Table.LOG, row, log_value(*outside) if any(outside) else None))
        left = None
    return PruneStep(rows, passed, PrunePlace(interval, end))


def _take(rows: list[Put], row: bytes, keys: list[bytes]) -> None:
    """Remove the versions of keys that a log row's commit ended."""
    timestamp = log_timestamp(row)
    rows.extend((Table.HISTORY, history_row(key, timestamp), None) for key in keys)


def _ended_inside(entry: LogEntry, interval: KeyInterval) -> list[bytes]:
    begin, end = interval
    return [key for key in entry.ended if begin <= key < end]
