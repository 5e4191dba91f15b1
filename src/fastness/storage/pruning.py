"""Removing versions that no reader inside the retention window can see.

Pruning walks two tables up to the horizon, the log first: what was overwritten or deleted, then
what has expired.

**Overwritten.** The log is walked from its oldest entry. Each entry names the versions
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

**Expired.** The rows of expiry are walked by when nobody sees their version any more, in the same
manner: bounded, in the interval, never twice. A version expired at or below the horizon shows
nothing to any reader at or above it, like a tombstone, so it goes without a commit. Nor does it go
unless it was committed at or below the horizon: the log, of which the changes and verification
tell, names every version above it. Since the log is walked first, an entry that stays names no
version that was removed as expired.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.storage.cells import gone_from
from fastness.storage.layout import (
    LogEntry,
    Put,
    Table,
    expiry_row,
    history_row,
    log_entry,
    log_row,
    log_timestamp,
    log_value,
    log_without,
    split_expiry_row,
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
    expiry: bytes = b""
    """The row of expiry to go on at: those before it are of no key inside any more."""


@dataclass(slots=True)
class PruneStep:
    """The rows one step removes or rewrites, the entries it passed over, and where it ends."""

    rows: list[Put]
    passed: int
    place: PrunePlace
    expired: int = 0
    """How many of the rows are versions that have expired."""


def place_for(place: PrunePlace | None, interval: KeyInterval) -> PrunePlace:
    """Where to go on for an interval: at the beginning if it was not all walked for before."""
    if place is not None and place.interval == interval:
        return place
    if place is None or interval.begin < place.interval.begin or interval.end > place.interval.end:
        return PrunePlace(interval)
    return PrunePlace(interval, place.row, expiry=place.expiry)


def prune_step(view: View, horizon: Timestamp, limit: int, place: PrunePlace) -> PruneStep:
    """The next rows to remove or rewrite and rows to pass over, at most `limit` of both."""
    step = _log_step(view, horizon, limit, place)
    step.place.expiry = place.expiry
    if step.place.left is None and step.place.row >= log_row(horizon + 1, 0):
        _go_on_with_expired(view, horizon, limit, step)
    return step


def _log_step(view: View, horizon: Timestamp, limit: int, place: PrunePlace) -> PruneStep:
    """What of a step falls to the log; its place is at the end if that was all there is."""
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


def _go_on_with_expired(view: View, horizon: Timestamp, limit: int, step: PruneStep) -> None:
    """Add to a step what of its rest falls to the rows of expiry."""
    place = step.place
    begin, end = place.interval
    stop = max(place.expiry, expiry_row(horizon + 1, b""))
    for row, _nothing in stream(view, Table.EXPIRY, KeyInterval(place.expiry, stop)):
        place.expiry = row
        room = limit - len(step.rows) - step.passed
        if room < 1:
            return
        gone, key = split_expiry_row(row)
        if not begin <= key < end:
            step.passed += 1
            continue
        cell = view.get(Table.NEWEST, key)
        if cell is not None and gone_from(cell) == gone:
            step.rows.append((Table.NEWEST, key, None))
            step.expired += 1
            if room < 2:
                # The row stays behind its version, never the other way round.
                return
        step.rows.append((Table.EXPIRY, row, None))
    place.expiry = stop


def _take(rows: list[Put], row: bytes, keys: list[bytes]) -> None:
    """Remove the versions of keys that a log row's commit ended."""
    timestamp = log_timestamp(row)
    rows.extend((Table.HISTORY, history_row(key, timestamp), None) for key in keys)


def _ended_inside(entry: LogEntry, interval: KeyInterval) -> list[bytes]:
    begin, end = interval
    return [key for key in entry.ended if begin <= key < end]
