"""The locks of prepared transactions: exclusive on what they write, shared on what they read.

A holder keeps its locks from the instant it is admitted until the decision is applied, whatever
deadlines say; they are reloaded from its intent after a takeover. One-range commits take no
locks here: they are validated at the instant they join a batch, and hold nothing before.

Versionstamped keys lock the whole interval their stamp may take; such locks admit each other,
since no two stamps are alike, and nothing else (CONSISTENCY, section 3.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.invariants import check
from fastness.ranges.identity import TransactionId
from fastness.ranges.intents import (
    Intent,
    stamped_intervals,
    written_intervals,
    written_keys,
)
from fastness.storage.sorted_keys import SortedKeys

Priority = tuple[Timestamp, bytes]
"""First-attempt timestamp and id: the lower goes first; ids leave no ties."""


class Footprint(Protocol):
    """What a request reads and writes, as far as locks care."""

    @property
    def read_keys(self) -> Iterable[bytes]:
        """Single keys read."""
        ...

    @property
    def read_intervals(self) -> Iterable[KeyInterval]:
        """Intervals read."""
        ...

    @property
    def lock_keys(self) -> Iterable[bytes]:
        """Single keys written."""
        ...

    @property
    def lock_intervals(self) -> Iterable[KeyInterval]:
        """Intervals erased or declared."""
        ...

    @property
    def stamp_intervals(self) -> Iterable[KeyInterval]:
        """Intervals that versionstamped keys may lie in."""
        ...


class Holder:
    """One prepared transaction in one range."""

    __slots__ = (
        "_released",
        "durable",
        "intent",
        "read_intervals",
        "stamp_intervals",
        "timestamp",
        "write_intervals",
    )

    def __init__(self, intent: Intent, *, durable: bool) -> None:
        self.intent = intent
        self.durable = durable
        """Whether the intent is in the store: only then is anything promised."""
        self.timestamp: Timestamp | None = None
        """The decision once it is known (0: aborted) and being applied."""
        self.read_intervals = [KeyInterval(*one) for one in intent.read_intervals]
        self.write_intervals = written_intervals(intent)
        self.stamp_intervals = stamped_intervals(intent)
        self._released: list[Callable[[], None]] = []

    @property
    def identity(self) -> TransactionId:
        """The transaction's id."""
        return self.intent.id

    @property
    def priority(self) -> Priority:
        """Who goes first."""
        return (self.intent.priority, self.intent.id)

    @property
    def floor(self) -> Timestamp:
        """The commit timestamp will be above it: readers at or below it read on."""
        return self.intent.floor

    @property
    def decided(self) -> bool:
        """Whether its end is known and only needs to be applied."""
        return self.timestamp is not None

    @property
    def is_wide(self) -> bool:
        """Whether it locks intervals."""
        return bool(self.read_intervals or self.write_intervals or self.stamp_intervals)

    def when_released(self, wake: Callable[[], None]) -> None:
        """Call back once the locks are gone."""
        self._released.append(wake)

    def release(self) -> list[Callable[[], None]]:
        """Whoever waited for it, in the order they came."""
        waiting, self._released = self._released, []
        return waiting

    @property
    def waited_for(self) -> bool:
        """Whether anybody waits for it."""
        return bool(self._released)


class LockTable:
    """Every holder of one range, by what it locks."""

    __slots__ = ("_holders", "_read_order", "_readers", "_wide", "_write_order", "_writers")

    def __init__(self) -> None:
        self._holders: dict[TransactionId, Holder] = {}
        self._writers: dict[bytes, Holder] = {}
        self._readers: dict[bytes, dict[TransactionId, Holder]] = {}
        self._write_order = SortedKeys()
        self._read_order = SortedKeys()
        self._wide: dict[TransactionId, Holder] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def holders(self) -> list[Holder]:
        """All of them, oldest admission first."""
        return list(self._holders.values())

    def get(self, identity: TransactionId) -> Holder | None:
        """The holder of this id."""
        return self._holders.get(identity)

    def add(self, holder: Holder) -> None:
        """Let a holder lock all that its intent names."""
        check(holder.identity not in self._holders, "a transaction locked a range twice")
        self._holders[holder.identity] = holder
        for key in written_keys(holder.intent):
            other = self._writers.get(key)
            check(other is None or other is holder, f"{key!r} is write-locked twice")
            if other is None:
                self._writers[key] = holder
                self._write_order.add(key)
        for key in holder.intent.read_keys:
            readers = self._readers.get(key)
            if readers is None:
                readers = self._readers[key] = {}
                self._read_order.add(key)
            readers[holder.identity] = holder
        if holder.is_wide:
            self._wide[holder.identity] = holder

    def remove(self, holder: Holder) -> None:
        """Drop every lock of a holder; whoever waited is told by the caller."""
        check(
            self._holders.pop(holder.identity, None) is holder,
            "locks are dropped that nobody holds: a transaction was settled twice",
        )
        self._wide.pop(holder.identity, None)
        for key in written_keys(holder.intent):
            if self._writers.pop(key, None) is not None:
                self._write_order.remove(key)
        for key in holder.intent.read_keys:
            readers = self._readers.get(key)
            if (
                readers is not None
                and readers.pop(holder.identity, None) is not None
                and not readers
            ):
                del self._readers[key]
                self._read_order.remove(key)

    def conflicting(self, request: Footprint) -> list[Holder]:
        """Every holder whose locks the request must not pass, eldest first."""
        if not self._holders:
            return []
        found: dict[TransactionId, Holder] = {}
        self._conflicts_of_keys(request, found)
        self._conflicts_of_intervals(request, found)
        for holder in self._wide.values():
            if _meets(holder, request):
                found[holder.identity] = holder
        return sorted(found.values(), key=lambda holder: holder.priority)

    def _conflicts_of_keys(self, request: Footprint, found: dict[TransactionId, Holder]) -> None:
        writers, readers = self._writers, self._readers
        for key in request.read_keys:
            if key in writers:
                found[writers[key].identity] = writers[key]
        for key in request.lock_keys:
            if key in writers:
                found[writers[key].identity] = writers[key]
            if key in readers:
                found.update(readers[key])

    def _conflicts_of_intervals(
        self, request: Footprint, found: dict[TransactionId, Holder]
    ) -> None:
        for interval in request.read_intervals:
            self._writers_in(interval, found)
        for interval in (*request.lock_intervals, *request.stamp_intervals):
            self._writers_in(interval, found)
            for key in self._read_order.ascending(*interval):
                found.update(self._readers[key])

    def _writers_in(self, interval: KeyInterval, found: dict[TransactionId, Holder]) -> None:
        for key in self._write_order.ascending(*interval):
            holder = self._writers[key]
            found[holder.identity] = holder

    def blocking(
        self, keys: Iterable[bytes], interval: KeyInterval | None, above: Timestamp
    ) -> list[Holder]:
        """Holders that may yet write something of this at or below a reader's timestamp.

        `above` is the reader's timestamp: a holder whose floor is at or above it can only commit
        later, and stops nobody (CONSISTENCY, section 3.5).
        """
        if not self._holders:
            return []
        found: dict[TransactionId, Holder] = {}
        for key in keys:
            holder = self._writers.get(key)
            if holder is not None:
                found[holder.identity] = holder
            for wide in self._wide.values():
                if any(one.contains(key) for one in _written(wide)):
                    found[wide.identity] = wide
        if interval is not None:
            self._writers_in(interval, found)
            for wide in self._wide.values():
                if any(one.overlaps(interval) for one in _written(wide)):
                    found[wide.identity] = wide
        return [holder for holder in found.values() if holder.floor < above]


def _written(holder: Holder) -> list[KeyInterval]:
    return holder.write_intervals + holder.stamp_intervals


def _meets(holder: Holder, request: Footprint) -> bool:
    """Whether a holder's interval locks stand in the request's way."""
    written = _written(holder)
    if _touch(written, request.read_keys, request.read_intervals):
        return True
    if _touch(written, request.lock_keys, request.lock_intervals):
        return True
    if _touch(holder.write_intervals, (), request.stamp_intervals):
        return True
    if _touch(holder.read_intervals, request.lock_keys, request.lock_intervals):
        return True
    return _touch(holder.read_intervals, (), request.stamp_intervals)


def _touch(
    locked: list[KeyInterval], keys: Iterable[bytes], intervals: Iterable[KeyInterval]
) -> bool:
    return any(
        any(one.contains(key) for key in keys) or any(one.overlaps(other) for other in intervals)
        for one in locked
    )
