"""What a simulated store keeps, across power failures: a memory store that can be told more of."""

from __future__ import annotations

from typing import Self

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import StoreUnavailable
from fastness.storage.contract import Change
from fastness.storage.memory import MemoryStore
from fastness.storage.reading import EVERYTHING, changes_between


class Home(MemoryStore):
    """A memory store that tells what its ranges gave up, and fails over instead of crashing."""

    def given_up(self, range_id: int) -> int:
        """The highest number `settle` used up, 0 for none."""
        return self._row(range_id).skipped

    def logged(self, up_to: Timestamp = TIMESTAMP_MAX) -> list[Change]:
        """All that is left of the change log, whatever horizons say of it."""
        with self._view(EVERYTHING) as view:
            return changes_between(view, 0, up_to, 1 << 40, 0)

    def lose_power(self) -> None:
        """Refuse from now on; `copy` still answers what it kept."""
        self._refuse(StoreUnavailable("the primary was lost: ask the one in its place"))

    def copy(self, kept: int | None = None) -> Self:
        """Another store with the same rows, without the unsynced writes after the first `kept`."""
        found = type(self)(identity=self._identity)
        found._adopt(  # noqa: SLF001 - of its own class
            self._tables.survivor(self.unsynced_writes if kept is None else kept)
        )
        return found
