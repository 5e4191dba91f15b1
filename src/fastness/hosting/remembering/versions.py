"""One key as it is remembered: its newest version, and a few before it.

::

    older            begin         now
      [b0, b1) c0  [b1, begin) c1  [begin, ...) cell

Everything from the first begin on is known, nothing before it. `None` for a cell means that the
key was absent then, which is knowledge like any other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastness.encoding.timestamps import Timestamp
from fastness.hosting.remembering.pool import Held

if TYPE_CHECKING:
    from fastness.hosting.remembering.home import Home

OVERHEAD_BYTES: Final = 350
"""About what a key costs beside its bytes: objects, and its places in the tables."""
OLDER_BYTES: Final = 120
OLDER_MAX: Final = 4
"""Overwritten versions kept of one key: snapshots are seldom read that are further behind."""

Cell = bytes | None


class Unknown:
    """What a key was is not known here: ask the store."""

    __slots__ = ()


UNKNOWN: Final = Unknown()


class Versions(Held):
    """See the module's page."""

    __slots__ = ("begin", "cell", "home", "key", "older")

    def __init__(self, home: Home, key: bytes, begin: Timestamp, cell: Cell) -> None:
        super().__init__(home, OVERHEAD_BYTES + len(key) + _length(cell))
        self.home = home
        self.key = key
        self.begin = begin
        self.cell = cell
        self.older: list[tuple[Timestamp, Cell]] | None = None
        """Begin and cell of versions before, the oldest first."""

    def before(self, at: Timestamp) -> Cell | Unknown:
        """The version at a timestamp below `begin`, if it is known."""
        for begin, cell in reversed(self.older or ()):
            if begin <= at:
                return cell
        return UNKNOWN

    def overwrite(self, at: Timestamp, cell: Cell) -> int:
        """Another version begins at `at`, above `begin`; how many bytes that adds."""
        added = _length(cell)
        older = self.older
        if older is None:
            older = self.older = []
        older.append((self.begin, self.cell))
        added += OLDER_BYTES
        if len(older) > OLDER_MAX:
            added -= OLDER_BYTES + _length(older.pop(0)[1])
        self.begin, self.cell = at, cell
        return added

    def replace(self, cell: Cell) -> int:
        """The version that begins at `begin` is another, by the same commit; bytes added."""
        added = _length(cell) - _length(self.cell)
        self.cell = cell
        return added

    def shrink(self) -> int:
        """Forget the versions that were overwritten."""
        older, self.older = self.older, None
        return sum(OLDER_BYTES + _length(cell) for _begin, cell in older or ())

    def leave(self) -> None:
        """Have the home forget the key."""
        self.home.forget_key(self)


def _length(cell: Cell) -> int:
    return 0 if cell is None else len(cell)
