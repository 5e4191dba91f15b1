"""Every key of an interval as it is remembered: from one scan, kept up to date since.

::

    keys, cells     the newest versions, all that there are in [begin, end), in order
    undone          the changes since, the latest last: when, which key, what it was before

What was there at an older timestamp follows by taking back the changes above it. Nothing is known
from before `since`, where the scan was made, or up to where changes were forgotten.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from fastness.encoding.timestamps import Timestamp
from fastness.hosting.remembering.pool import Held
from fastness.hosting.remembering.versions import UNKNOWN, Cell, Unknown
from fastness.storage.cells import timestamp_of
from fastness.storage.contract import Item

if TYPE_CHECKING:
    from fastness.hosting.remembering.home import Home

OVERHEAD_BYTES: Final = 600
ITEM_BYTES: Final = 120
"""About what a stretch, and a key in one, cost beside their bytes."""
UNDONE_MAX: Final = 64
"""Changes of one stretch that can be taken back."""


class Stretch(Held):
    """See the module's page."""

    __slots__ = ("begin", "cells", "changed", "end", "home", "keys", "since", "undone")

    def __init__(
        self, home: Home, begin: bytes, end: bytes, items: list[Item], since: Timestamp
    ) -> None:
        size = OVERHEAD_BYTES + len(begin) + len(end)
        super().__init__(
            home, size + sum([ITEM_BYTES + len(key) + len(cell) for key, cell in items])
        )
        self.home = home
        self.begin = begin
        self.end = end
        self.keys = [key for key, _cell in items]
        self.cells = [cell for _key, cell in items]
        self.since = since
        self.changed = since
        """The highest timestamp of a change that can be taken back."""
        self.undone: list[tuple[Timestamp, bytes, Cell]] = []

    # ------------------------------------------------------------------ reading

    def part(
        self, begin: bytes, end: bytes, at: Timestamp, *, limit: int, reverse: bool
    ) -> list[Item]:
        """The first entries in [begin, end) as of `at`, which is at or above `since`."""
        low, high = bisect_left(self.keys, begin), bisect_left(self.keys, end)
        if at < self.changed:
            items = self._before(low, high, begin, end, at)
            if reverse:
                items.reverse()
            return items[:limit]
        if reverse:
            low = max(low, high - limit)
            items = list(zip(self.keys[low:high], self.cells[low:high], strict=True))
            items.reverse()
            return items
        high = min(high, low + limit)
        return list(zip(self.keys[low:high], self.cells[low:high], strict=True))

    def _before(self, low: int, high: int, begin: bytes, end: bytes, at: Timestamp) -> list[Item]:
        found = dict(zip(self.keys[low:high], self.cells[low:high], strict=True))
        for changed, key, before in reversed(self.undone):
            if changed > at and begin <= key < end:
                if before is None:
                    found.pop(key, None)
                else:
                    found[key] = before
        return sorted(found.items())

    def cell(self, key: bytes, at: Timestamp) -> Cell | Unknown:
        """The cell of a key of the interval as of `at`."""
        if at < self.since:
            return UNKNOWN
        place = bisect_left(self.keys, key)
        present = place < len(self.keys) and self.keys[place] == key
        cell = self.cells[place] if present else None
        if at < self.changed:
            for changed, one, before in reversed(self.undone):
                if changed > at and one == key:
                    cell = before
        return cell

    # ------------------------------------------------------------------ changing

    def write(self, key: bytes, at: Timestamp, cell: Cell) -> int:
        """A commit gave a key of the interval this cell; how many bytes that adds."""
        keys, cells = self.keys, self.cells
        place = bisect_left(keys, key)
        present = place < len(keys) and keys[place] == key
        before = cells[place] if present else None
        if cell is None:
            if before is None:
                return 0
            del keys[place], cells[place]
            added = -ITEM_BYTES - len(key) - len(before)
        elif before is not None:
            cells[place] = cell
            added = len(cell) - len(before)
        else:
            keys.insert(place, key)
            cells.insert(place, cell)
            added = ITEM_BYTES + len(key) + len(cell)
        # Whoever reads at or above `since` sees what was resolved late below it.
        if at > self.since:
            added += self._remember(at, key, before)
        return added

    def erase(self, begin: bytes, end: bytes, at: Timestamp) -> int:
        """A commit deleted [begin, end), but for what lies above it; bytes added (below 0)."""
        low, high = bisect_left(self.keys, begin), bisect_left(self.keys, end)
        gone = [
            key
            for key, cell in zip(self.keys[low:high], self.cells[low:high], strict=True)
            if timestamp_of(cell) < at
        ]
        return sum([self.write(key, at, None) for key in gone])

    def _remember(self, at: Timestamp, key: bytes, before: Cell) -> int:
        self.undone.append((at, key, before))
        self.changed = max(self.changed, at)
        added = ITEM_BYTES + (0 if before is None else len(before))
        if len(self.undone) > UNDONE_MAX:
            added -= self._forget(UNDONE_MAX // 2)
        return added

    def _forget(self, count: int) -> int:
        """Let the oldest changes stand for good; how many bytes that frees."""
        freed = 0
        for at, _key, before in self.undone[:count]:
            self.since = max(self.since, at)
            freed += ITEM_BYTES + (0 if before is None else len(before))
        del self.undone[:count]
        self.changed = max([self.since, *(at for at, _key, _before in self.undone)])
        return freed

    def shrink(self) -> int:
        """Let every change stand for good."""
        return self._forget(len(self.undone))

    def leave(self) -> None:
        """Have the home forget the interval."""
        self.home.forget_stretch(self)
