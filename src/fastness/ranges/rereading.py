"""Validation by reading exactly again, for commits older than the range's memory.

Every key and interval the commit read is read again at its read timestamp and at `through`, the
highest durable timestamp of the range; where both agree, version by version, the reads are
true up to `through`, and the range's memory covers the rest. A version that had expired by the
first of the two moments counts as absent at both: pruning may take it away in between. Written as a
generator: it yields what it wants read, is sent the answer, and returns the first key that changed.
"""

from __future__ import annotations

from collections.abc import Generator

from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.commit import Commit
from fastness.ranges.requests import Scan
from fastness.storage import cells
from fastness.storage.contract import Item

PAGE_ENTRIES = 1_000

Wanted = tuple[list[bytes], Scan | None, Timestamp]
"""Keys, a scan, and the timestamp to read them at."""
Found = tuple[list[bytes | None], list[Item]]

Rereading = Generator[Wanted, Found, tuple[bytes, Timestamp] | None]
"""Returns the key that changed and what overtook it (0: it is gone), or `None`."""


def reread(commit: Commit, through: Timestamp) -> Rereading:
    """Read again what the commit read."""
    since = commit.validated_at
    changed = yield from _keys(sorted(commit.read_keys), since, through)
    for interval in commit.read_intervals:
        if changed is not None:
            return changed
        changed = yield from _interval(interval, since, through)
    return changed


def _keys(keys: list[bytes], since: Timestamp, through: Timestamp) -> Rereading:
    for place in range(0, len(keys), PAGE_ENTRIES):
        page = keys[place : place + PAGE_ENTRIES]
        before, _ = yield (page, None, since)
        after, _ = yield (page, None, through)
        for key, old, new in zip(page, before, after, strict=True):
            if cells.lasting(old, since) != cells.lasting(new, since):
                return key, _written_at(new)
    return None


def _interval(interval: KeyInterval, since: Timestamp, through: Timestamp) -> Rereading:
    begin = interval.begin
    while True:
        scan = Scan(begin, interval.end, PAGE_ENTRIES)
        _, old = yield ([], scan, since)
        _, new = yield ([], scan, through)
        # Up to here both have told everything: a page that is not full tells of the rest too.
        last = min((page[-1][0] for page in (old, new) if len(page) == PAGE_ENTRIES), default=None)
        differing = _lasting(old, since, last) ^ _lasting(new, since, last)
        if differing:
            key = min(key for key, _ in differing)
            return key, _written_at(dict(new).get(key))
        if last is None:
            return None
        begin = successor(last)


def _lasting(page: list[Item], since: Timestamp, last: bytes | None) -> set[Item]:
    """The entries of a page up to a key, without those that had expired by `since`."""
    return {
        (key, cell)
        for key, cell in page
        if (last is None or key <= last) and cells.lasting(cell, since) is not None
    }


def _written_at(cell: bytes | None) -> Timestamp:
    return cells.timestamp_of(cell) if cell else 0
