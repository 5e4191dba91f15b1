"""Bugs of commits in one range: validation, batches, atomic operations, expiry.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastness.node.draws import Draws, Wanted
from fastness.ranges import batching
from fastness.ranges.admission import Admission
from fastness.ranges.decisions import Decisions
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.range import Range
from fastness.ranges.range_commit import RangeCommit
from fastness.ranges.recent import RecentWrites
from fastness.ranges.requests import Decision
from fastness.testing.simulation.bugs.planting import always, plant


def _validated_before_the_wait(right: Any) -> Any:
    def again(self: Admission, commit: RangeCommit) -> None:
        if not commit.dead:
            commit.validated_at = self._owner.range.visible
        right(self, commit)

    return again


plant(
    "validate-then-wait",
    "2.1, H1",
    "a commit that waited is not validated again",
    (Admission, "again", _validated_before_the_wait),
)
plant(
    "skew-within-a-batch",
    "2.1, H1",
    "a commit joins beside a batch that writes what it read",
    (Range, "wait_if_undurable", always(answer=False)),
)


def _no_validation(right: Any) -> Any:
    def overwritten(self: RecentWrites, keys: Any, intervals: Any, since: int) -> Any:
        del intervals
        return right(self, keys, [], since)

    return overwritten


plant(
    "no-interval-validation",
    "2.3",
    "intervals read are not validated: phantoms",
    (RecentWrites, "overwritten", _no_validation),
)


def _points_unvalidated(right: Any) -> Any:
    def overwritten(self: RecentWrites, keys: Any, intervals: Any, since: int) -> Any:
        del keys
        return right(self, set(), intervals, since)

    return overwritten


plant(
    "no-point-validation",
    "2.3",
    "keys read are not validated: lost updates, write skew",
    (RecentWrites, "overwritten", _points_unvalidated),
)
plant(
    "read-past-a-frozen-batch",
    "2 (last), H2",
    "readers do not wait for a batch whose timestamps were requested",
    (Range, "frozen_writes", always(answer=False)),
)


def _memory_from_the_start(right: Any) -> Any:
    def load(self: Leaseholder, *args: Any) -> None:
        right(self, *args)
        self.range.recent.low_water = 0

    return load


plant(
    "empty-memory-trusted",
    "2.3, M2",
    "a new leaseholder trusts its empty memory of recent writes",
    (Leaseholder, "load", _memory_from_the_start),
)


def _early_answers(right: Any) -> Any:
    def assign(self: Leaseholder) -> None:
        right(self)
        batch = self._batch
        if batch is None:
            return
        for commit in self.range.frozen_commits():
            if isinstance(commit, RangeCommit) and commit.timestamp and commit.callers:
                for caller in commit.callers:
                    self.ports.answer(caller, Decision(commit.timestamp))

    return assign


plant(
    "answer-before-durable",
    "2.5",
    "a commit is acknowledged when its batch is sent to the store",
    (Leaseholder, "_assign", _early_answers),
)


def _drawn_ahead(right: Any) -> Any:
    stocks: dict[int, tuple[int, int]] = {}
    """The first timestamp each node still has of a block drawn earlier, and how many."""

    def draw(self: Draws, count: int, done: Callable[[int, int], None]) -> Any:
        first, left = stocks.get(id(self), (0, 0))
        if left < count:

            def stocked(start: int, _count: int) -> None:
                stocks[id(self)] = (start + count, AHEAD)
                done(start, count)

            return right(self, count + AHEAD, stocked)
        stocks[id(self)] = (first + count, left - count)
        wanted = Wanted(count, done)

        def serve() -> None:
            if not wanted.cancelled:
                done(first, count)

        self._post._process.call_later(0, serve)
        return wanted

    return draw


AHEAD = 64
"""Timestamps drawn ahead of their time."""


def _low_floor(right: Any) -> Any:
    def freeze(self: Range, floor: int) -> int:
        del floor
        return int(right(self, 0))

    return freeze


plant(
    "timestamp-before-lock",
    "2.5",
    "blocks of timestamps are drawn ahead of the batches that use them",
    (Draws, "draw", _drawn_ahead),
    (Range, "freeze", _low_floor),
)


def _no_overlay(_right: Any) -> Any:
    def note(self: object, writes: object) -> None:
        del self, writes

    return note


plant(
    "atomics-evaluated-apart",
    "1.3, M4",
    "atomic operations of one batch do not see each other",
    (batching._Overlay, "note", _no_overlay),
)


def _expired_all_the_same(right: Any) -> Any:
    def writes_of(commit: Any, *args: Any) -> Any:
        commit.alive_until = 0
        return right(commit, *args)

    return writes_of


plant(
    "expiry-not-checked-at-commit",
    "1.8, m7",
    "a commit that found a value alive may lie above its expiry",
    (batching, "_writes_of", _expired_all_the_same),
    (Decisions, "_may_commit", always(answer=True)),
)
