"""What was written lately, in memory: validation without asking the store.

Holds the keys and intervals of applied batches back to a low-water mark. At or above the mark
it answers exactly; below it the store must be asked. A new leaseholder starts with the mark
at the highest timestamp it found in the store (CONSISTENCY, section 2.3).

Read timestamps never fall inside a batch's block of commit timestamps (a block is drawn at
once), so a whole batch is either before a read or after it.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.commit import OpenBatch


class Overwritten(NamedTuple):
    """A read that is no longer true: the key, and the commit that overtook it."""

    key: bytes
    winner: Timestamp


class RecentWrites:
    """An index of recent writes, bounded by a number of keys."""

    __slots__ = ("_batches", "_keys_max", "_size", "_written", "low_water", "newest")

    def __init__(self, *, low_water: Timestamp, keys_max: int) -> None:
        self.low_water = low_water
        self.newest = low_water
        """The highest commit timestamp applied."""
        self._keys_max = keys_max
        self._written: dict[bytes, Timestamp] = {}
        self._batches: deque[tuple[Timestamp, OpenBatch]] = deque()
        self._size = 0

    def add(self, batch: OpenBatch, last: Timestamp) -> None:
        """Remember a batch whose highest commit timestamp is `last`."""
        self._written.update(dict.fromkeys(batch.keys, last))
        self._batches.append((last, batch))
        self._size += len(batch.keys) + len(batch.intervals) + 1
        self.newest = last
        while self._size > self._keys_max:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        last, batch = self._batches.popleft()
        written = self._written
        for key in batch.keys:
            if written.get(key) == last:
                del written[key]
        self._size -= len(batch.keys) + len(batch.intervals) + 1
        self.low_water = last

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
                return Overwritten(key, winner)
        return self._overwritten_interval(read_keys, read_intervals, since)

    def _overwritten_interval(
        self, read_keys: set[bytes], read_intervals: list[KeyInterval], since: Timestamp
    ) -> Overwritten | None:
        for last, batch in reversed(self._batches):
            if last <= since:
                break
            if read_intervals or batch.intervals:
                # The keys read were checked above; only intervals are left to compare.
                key = batch.overlaps(read_keys if batch.intervals else set(), read_intervals)
                if key is not None:
                    return Overwritten(key, last)
        return None

    def touches(self, interval: KeyInterval, since: Timestamp) -> bool:
        """Whether anything in `interval` was written after `since`, or may have been."""
        if since < self.low_water:
            return True
        return self._overwritten_interval(set(), [interval], since) is not None
