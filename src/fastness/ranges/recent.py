"""What was written lately, in memory: validation without asking the store.

Holds the keys and intervals of applied batches back to a low-water mark. At or above the mark
it answers exactly; below it the store must be asked. A new leaseholder starts with the mark
at the highest timestamp it found in the store (CONSISTENCY, section 2.3).

Read timestamps never fall inside a batch's block of commit timestamps (a block is drawn at
once), so a whole batch is either before a read or after it.

A key is looked up in a table. For intervals the keys also stand in sorted runs. Batches wait
unsorted until somebody asks, or until `FRESH_MAX` of them make a run; runs are merged as they
age so that there are few: one is merged into the run before it once it has grown to half its
size (as in a log-structured merge tree, O'Neil et al. 1996).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection
from typing import NamedTuple

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp

RUNS_KEPT = 8
"""The memory is forgotten in about so many steps: the largest run's share of it."""


FRESH_MAX = 64
"""Batches that wait unsorted at most."""


class Overwritten(NamedTuple):
    """A read that is no longer true: the key, and the commit that overtook it."""

    key: bytes
    winner: Timestamp


class _Run(NamedTuple):
    last: Timestamp
    """The highest commit timestamp among its batches."""
    keys: list[bytes]
    """In order, each once."""


class RecentWrites:
    """An index of recent writes, bounded by a number of keys."""

    __slots__ = (
        "_fresh",
        "_intervals",
        "_keys_max",
        "_run_keys_max",
        "_runs",
        "_size",
        "_written",
        "low_water",
        "newest",
    )

    def __init__(self, *, low_water: Timestamp, keys_max: int) -> None:
        self.low_water = low_water
        self.newest = low_water
        """The highest commit timestamp applied."""
        self._keys_max = keys_max
        self._run_keys_max = max(1, keys_max // RUNS_KEPT)
        self._written: dict[bytes, Timestamp] = {}
        self._fresh: list[Collection[bytes]] = []
        self._runs: deque[_Run] = deque()
        self._intervals: deque[tuple[Timestamp, Timestamp, KeyInterval]] = deque()
        """When it was added, when it was written, what."""
        self._size = 0

    def add(
        self,
        keys: Collection[bytes],
        intervals: Collection[KeyInterval],
        last: Timestamp,
        *,
        written_at: Timestamp = 0,
    ) -> None:
        """Remember a batch whose highest commit timestamp is `last`.

        A resolved intent was written at `written_at`, which may lie below what was added before;
        `last` is then the highest of both.
        """
        written_at = written_at or last
        if keys:
            written = self._written
            for key in keys:
                written[key] = written_at
            self._fresh.append(keys)
            self._size += len(keys)
        for interval in intervals:
            self._intervals.append((last, written_at, interval))
            self._size += 1
        self.newest = last
        if len(self._fresh) >= FRESH_MAX or self._size > self._keys_max:
            self._sort_fresh()
            while self._size > self._keys_max:
                self._forget()

    def _sort_fresh(self) -> None:
        """Make a run of the batches that wait."""
        fresh, self._fresh = self._fresh, []
        if fresh:
            keys = sorted(set().union(*fresh))
            self._size += len(keys) - sum(map(len, fresh))
            self._runs.append(_Run(self.newest, keys))
            self._merge()

    def _merge(self) -> None:
        """Merge the newest runs until each is more than twice the next."""
        runs = self._runs
        while len(runs) > 1:
            newer, older = runs[-1], runs[-2]
            together = len(newer.keys) + len(older.keys)
            if len(older.keys) > 2 * len(newer.keys) or together > self._run_keys_max:
                return
            runs.pop()
            merged = list(dict.fromkeys(sorted(older.keys + newer.keys)))
            runs[-1] = _Run(newer.last, merged)
            self._size += len(merged) - together

    def _forget(self) -> None:
        """Forget the oldest run, or the oldest interval where that is older."""
        runs, intervals = self._runs, self._intervals
        if intervals and (not runs or intervals[0][0] < runs[0].last):
            self.low_water = max(self.low_water, intervals.popleft()[0])
            self._size -= 1
            return
        last, keys = runs.popleft()
        written = self._written
        for key in keys:
            if written.get(key, TIMESTAMP_MAX) <= last:
                del written[key]
        self._size -= len(keys)
        self.low_water = max(self.low_water, last)

    def overwritten(
        self, read_keys: set[bytes], read_intervals: list[KeyInterval], since: Timestamp
    ) -> Overwritten | None:
        """Something read that was written after `since`, which is at or above the mark."""
        if self.newest <= since:
            return None
        written = self._written
        for key in read_keys:
            winner = written.get(key)
            if winner is not None and winner > since:
                # Sets have no order of their own; the same history names the same key.
                first = min(one for one in read_keys if written.get(one, 0) > since)
                return Overwritten(first, written[first])
        for last, written_at, interval in reversed(self._intervals):
            if last <= since:
                break
            hit = None
            if written_at > since:
                hit = first_read_in(interval, read_keys, read_intervals)
            if hit is not None:
                return Overwritten(hit, written_at)
        if read_intervals and self._fresh:
            self._sort_fresh()
        for read in read_intervals:
            overwritten = self._written_in(read, since)
            if overwritten is not None:
                return overwritten
        return None

    def _written_in(self, read: KeyInterval, since: Timestamp) -> Overwritten | None:
        written = self._written
        for last, keys in reversed(self._runs):
            if last <= since:
                break
            # Of a run that was merged across `since` the older keys are passed over.
            for place in range(bisect_left(keys, read.begin), len(keys)):
                key = keys[place]
                if key >= read.end:
                    break
                # Gone is one that an older run took along: a resolved intent, written below it.
                winner = written.get(key, 0)
                if winner > since:
                    return Overwritten(key, winner)
        return None

    def touches(self, interval: KeyInterval, since: Timestamp) -> bool:
        """Whether anything in `interval` was written after `since`, or may have been."""
        if since < self.low_water:
            return True
        return self.overwritten(set(), [interval], since) is not None


def first_read_in(
    written: KeyInterval, read_keys: Collection[bytes], read_intervals: Collection[KeyInterval]
) -> bytes | None:
    """A key (or begin of an overlap) that was read and lies in a written interval."""
    begin, end = written
    keys = [key for key in read_keys if begin <= key < end]
    if keys:
        return min(keys)
    for read in read_intervals:
        if begin < read.end and read.begin < end:
            return max(begin, read.begin)
    return None
