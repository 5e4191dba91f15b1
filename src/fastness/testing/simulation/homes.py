"""What a simulated store keeps, across power failures: a memory store that can be told more of."""

from __future__ import annotations

from typing import Self

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import StoreUnavailable
from fastness.storage.contract import Change
from fastness.storage.layout import Table, log_entry, split_history_row
from fastness.storage.memory import MemoryStore
from fastness.storage.reading import EVERYTHING, changes_between, stream


class Home(MemoryStore):
    """A memory store that tells what its ranges gave up, and fails over instead of crashing."""

    def given_up(self, range_id: int) -> int:
        """The highest number `settle` used up, 0 for none."""
        return self._row(range_id).skipped

    def logged(self, up_to: Timestamp = TIMESTAMP_MAX) -> list[Change]:
        """All that is left of the change log, whatever horizons say of it."""
        with self._view(EVERYTHING) as view:
            return changes_between(view, 0, up_to, 1 << 40, 0)

    def epochs(self) -> dict[int, int]:
        """Every range that was ever opened, and the highest epoch it was opened at."""
        return {range_id: row.epoch for range_id, row in self._ranges.items()}

    def every_key(self) -> set[bytes]:
        """Every key of which there is a version, or a word in the log."""
        with self._view(EVERYTHING) as view:
            keys = {key for key, _cell in stream(view, Table.NEWEST, EVERYTHING)}
            keys |= {
                split_history_row(row)[0] for row, _ in stream(view, Table.HISTORY, EVERYTHING)
            }
            logged = stream(view, Table.LOG, EVERYTHING)
            return keys.union(*(log_entry(row, value).keys for row, value in logged))

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
