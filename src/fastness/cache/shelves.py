"""Intervals that may overlap, found by a key or an interval in them.

They lie on shelves: on one shelf no two of them overlap, so it is an ordered list and a bisection
finds the few that a key or interval touches. A new one goes to the first shelf where it has
room. Listings of many folders overlap nowhere and fill one shelf; the depth of the overlap
is the number of shelves.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Generic, TypeVar

from fastness.encoding.intervals import KeyInterval

T = TypeVar("T")

SHELVES_MAX = 64
"""An interval that would need one more overlaps 64 others at one key: it is not taken in."""


class _Shelf(Generic[T]):
    """Intervals without overlap, in order."""

    __slots__ = ("begins", "held")

    def __init__(self) -> None:
        self.begins: list[bytes] = []
        self.held: dict[bytes, tuple[bytes, T]] = {}

    def has_room(self, interval: KeyInterval) -> bool:
        at = bisect_right(self.begins, interval.begin)
        if at and self.held[self.begins[at - 1]][0] > interval.begin:
            return False
        return at == len(self.begins) or self.begins[at] >= interval.end

    def touching(self, begin: bytes, end: bytes) -> list[T]:
        """What shares a key with [begin, end)."""
        low = bisect_right(self.begins, begin)
        if low and self.held[self.begins[low - 1]][0] > begin:
            low -= 1
        return [self.held[one][1] for one in self.begins[low : bisect_left(self.begins, end, low)]]


class Shelves(Generic[T]):
    """Things by the interval they cover. Intervals are not empty."""

    __slots__ = ("_shelves",)

    def __init__(self) -> None:
        self._shelves: list[_Shelf[T]] = []

    def add(self, interval: KeyInterval, thing: T) -> bool:
        """Put it up; `False` where too many overlap there already."""
        for shelf in self._shelves:
            if shelf.has_room(interval):
                break
        else:
            if len(self._shelves) == SHELVES_MAX:
                return False
            shelf = _Shelf()
            self._shelves.append(shelf)
        insort(shelf.begins, interval.begin)
        shelf.held[interval.begin] = (interval.end, thing)
        return True

    def remove(self, interval: KeyInterval, thing: T) -> None:
        """Take it down, if it is there."""
        for shelf in self._shelves:
            held = shelf.held.get(interval.begin)
            if held is not None and held[1] is thing:
                del shelf.held[interval.begin]
                del shelf.begins[bisect_left(shelf.begins, interval.begin)]
                break
        while self._shelves and not self._shelves[-1].begins:
            self._shelves.pop()

    def touching(self, begin: bytes, end: bytes) -> list[T]:
        """What shares a key with [begin, end)."""
        found: list[T] = []
        for shelf in self._shelves:
            if shelf.begins:
                found += shelf.touching(begin, end)
        return found
