"""A batch that was sent to the store and whose fate is not known yet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.storage.contract import Batch, CommittedWrites


class UnderWay:
    """What a batch changes, should it take place, and from which timestamps on."""

    __slots__ = ("_sorted", "batch", "erased", "firsts", "sequence")

    def __init__(self, batch: Batch, sequence: int) -> None:
        self.batch = batch
        self.sequence = sequence
        """Its place among all batches of its home."""
        self.firsts: dict[bytes, Timestamp] = {}
        """Each key written, and the lowest timestamp at which."""
        self.erased: list[tuple[KeyInterval, Timestamp]] = []
        self._sorted: list[bytes] | None = None
        for commit in self.commits():
            self.erased += [(interval, commit.timestamp) for interval in commit.erased]
            for key in commit.writes:
                self.firsts.setdefault(key, commit.timestamp)

    def commits(self) -> list[CommittedWrites]:
        """Its commits, in the order of their timestamps."""
        batch = self.batch
        if not batch.resolved:
            return batch.commits
        return sorted(batch.commits + batch.resolved, key=lambda commit: commit.timestamp)

    @property
    def last(self) -> Timestamp:
        """The highest timestamp of its commits, 0 where it has none."""
        return max((commit.timestamp for commit in self.commits()), default=0)

    def changes(self, key: bytes, at: Timestamp) -> bool:
        """Whether a reader of `key` at `at` sees something else if it takes place."""
        first = self.firsts.get(key)
        if first is not None and first <= at:
            return True
        return bool(self.erased) and any(
            since <= at and begin <= key < end for (begin, end), since in self.erased
        )

    def changes_in(self, begin: bytes, end: bytes, at: Timestamp) -> bool:
        """The same of a reader of [begin, end)."""
        if any(since <= at and one < end and begin < other for (one, other), since in self.erased):
            return True
        return any(self.firsts[key] <= at for key in self._inside(begin, end))

    def _inside(self, begin: bytes, end: bytes) -> Iterator[bytes]:
        if self._sorted is None:
            self._sorted = sorted(self.firsts)
        for place in range(bisect_left(self._sorted, begin), len(self._sorted)):
            key = self._sorted[place]
            if key >= end:
                return
            yield key
