"""Reading from sights of the tables taken one after the other, as readers without locks do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.storage import Item
from fastness.storage.cells import plain
from fastness.storage.layout import Table, history_row, log_row, log_value
from fastness.storage.reading import RECENT_ENTRIES, scan_at
from tests.storage.homes import ALL_KEYS


class Sights:
    """Rows of each table as they were when it was looked at."""

    def __init__(self, rows: dict[Table, dict[bytes, bytes]]) -> None:
        self._rows = rows

    def get(self, table: Table, row: bytes) -> bytes | None:
        """What a row holds."""
        return self._rows[table].get(row)

    def pages(
        self, table: Table, interval: KeyInterval, *, size: int, reverse: bool = False
    ) -> Iterator[list[Item]]:
        """The rows of the interval by the page."""
        rows = [item for item in sorted(self._rows[table].items()) if interval.contains(item[0])]
        if reverse:
            rows.reverse()
        for begin in range(0, len(rows) + 1, size):
            yield rows[begin : begin + size]

    def seek(self, table: Table, interval: KeyInterval, *, reverse: bool = False) -> Item | None:
        """The first row of the interval, or its last."""
        page = next(self.pages(table, interval, size=1, reverse=reverse))
        return page[0] if page else None


def overwritten_meanwhile(commits: int) -> Sights:
    """A newest table seen before commits overwrote all of it, the log and history seen after."""
    keys = [b"%03d" % number for number in range(commits)]
    return Sights(
        {
            Table.NEWEST: {key: plain(5, key) for key in keys},
            Table.HISTORY: {history_row(key, 10 + n): plain(5, key) for n, key in enumerate(keys)},
            Table.LOG: {log_row(10 + n, 1): log_value([], [key], []) for n, key in enumerate(keys)},
        }
    )


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("commits", [1, 3, RECENT_ENTRIES + 5])
@pytest.mark.parametrize("limit", [1, 2, 3, 999])
def test_versions_that_move_between_two_looks_count_once(
    commits: int, limit: int, *, reverse: bool
) -> None:
    """A version seen in the newest table and, moved meanwhile, in the history is one version."""
    view = overwritten_meanwhile(commits)
    wanted = sorted((b"%03d" % n for n in range(commits)), reverse=reverse)[:limit]
    found = scan_at(view, ALL_KEYS, 7, limit=limit, reverse=reverse, applied=lambda: 999)
    assert [key for key, _cell in found] == wanted
    assert all(cell == plain(5, key) for key, cell in found)
