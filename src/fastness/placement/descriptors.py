"""Range descriptors and the range map: who serves which keys, as the coordinator has it.

A descriptor lies under its own key of the coordinator and changes only by compare-and-set on
that key. Its generation rises when the interval changes (split, merge), its epoch when the
holder does. A node is alive while its session's key exists.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator

import msgspec

from fastness.encoding.intervals import SYSTEM_END, KeyInterval
from fastness.invariants import check


class Descriptor(msgspec.Struct, frozen=True, array_like=True):
    """One range: its interval, its generation, its store, and who holds its lease."""

    range_id: int
    begin: bytes
    end: bytes
    generation: int
    store: str
    epoch: int = 0
    holder: str = ""
    """The address of the node that serves it, empty while nobody does."""
    session: int = 0
    """The holder's coordinator session. The lease has ended when that session's key is gone."""
    released: bool = False
    """The holder itself ended its lease, after its last read: the next one need not wait."""

    @property
    def interval(self) -> KeyInterval:
        """The keys of the range."""
        return KeyInterval(self.begin, self.end)

    def within(self, interval: KeyInterval) -> Descriptor:
        """The same, clipped to an interval that it overlaps."""
        begin, end = max(self.begin, interval.begin), min(self.end, interval.end)
        return msgspec.structs.replace(self, begin=begin, end=end)


class OracleDescriptor(msgspec.Struct, frozen=True, array_like=True):
    """Who issues timestamps; a role under the same kind of lease as a range."""

    epoch: int = 0
    holder: str = ""
    session: int = 0
    released: bool = False


class RangeMap:
    """Descriptors by key, without overlaps; newer generations and epochs replace older ones."""

    __slots__ = ("_begins", "_by_begin")

    def __init__(self, descriptors: Iterable[Descriptor] = ()) -> None:
        self._by_begin: dict[bytes, Descriptor] = {}
        self._begins: list[bytes] = []
        for descriptor in descriptors:
            self.learn(descriptor)

    def __iter__(self) -> Iterator[Descriptor]:
        return (self._by_begin[begin] for begin in self._begins)

    def __len__(self) -> int:
        return len(self._begins)

    def learn(self, descriptor: Descriptor) -> bool:
        """Take a descriptor in unless something at least as new covers it; whether it was."""
        at = self._by_begin.get(descriptor.begin)
        if at is not None and at.end == descriptor.end:
            # Nearly always: the same interval again.
            if _order(at) >= _order(descriptor):
                return False
            self._by_begin[descriptor.begin] = descriptor
            return True
        overlapping = self.overlapping(descriptor.interval)
        for known in overlapping:
            if _order(known) >= _order(descriptor):
                return False
        for known in overlapping:
            del self._by_begin[known.begin]
        self._by_begin[descriptor.begin] = descriptor
        if overlapping:
            self._begins = sorted(self._by_begin)
        else:
            insort(self._begins, descriptor.begin)
        return True

    def holder_of(self, key: bytes) -> Descriptor | None:
        """The range that holds `key`, as far as is known."""
        place = bisect_right(self._begins, key) - 1
        if place < 0:
            return None
        descriptor = self._by_begin[self._begins[place]]
        return descriptor if key < descriptor.end else None

    def overlapping(self, interval: KeyInterval) -> list[Descriptor]:
        """The known ranges that share a key with `interval`, in key order."""
        place = max(0, bisect_right(self._begins, interval.begin) - 1)
        found: list[Descriptor] = []
        for begin in self._begins[place:]:
            if begin >= interval.end:
                break
            descriptor = self._by_begin[begin]
            if descriptor.end > interval.begin:
                found.append(descriptor)
        return found


def _order(descriptor: Descriptor) -> tuple[int, int, bool]:
    # The release is the last thing that an epoch writes.
    return (descriptor.generation, descriptor.epoch, descriptor.released)


def require_cover(descriptors: Iterable[Descriptor]) -> None:
    """Invariant: the descriptors cover every key exactly once."""
    begin = b""
    for descriptor in sorted(descriptors, key=lambda one: one.begin):
        check(
            descriptor.begin == begin,
            f"range {descriptor.range_id} begins at {descriptor.begin!r}, not at {begin!r}",
        )
        begin = descriptor.end
    check(begin == SYSTEM_END, f"the ranges end at {begin!r}, not at the end of the key space")
