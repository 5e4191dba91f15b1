"""The memory store: for tests, simulation and `memory:` databases.

The same rows as on disk, in five dictionaries, each with its keys in order. Durability is
played: `crash` gives the store that would be found after a power failure, without what no
`sync` had covered. Writers and readers of several rows share one lock; a point read of the
newest version is a plain `dict.get`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from fastness.encoding.intervals import KeyInterval
from fastness.errors import InvalidOption, StoreUnavailable
from fastness.storage.base import RowStore
from fastness.storage.contract import Damage, Item, StoreSize
from fastness.storage.faults import Faults, no_faults
from fastness.storage.layout import (
    RANGE_ROWS,
    Put,
    Table,
    decode_range_id,
    decode_range_value,
)
from fastness.storage.planning import PlannedRows
from fastness.storage.reading import stream
from fastness.storage.sorted_keys import SortedKeys
from fastness.storage.verification import Verification


class _Tables:
    """Five ordered tables, and what undoes every write that no sync has covered."""

    def __init__(self) -> None:
        self.values: dict[Table, dict[bytes, bytes]] = {table: {} for table in Table}
        self.order: dict[Table, SortedKeys] = {table: SortedKeys() for table in Table}
        self.unsynced: list[list[Put]] = []

    def get(self, table: Table, row: bytes) -> bytes | None:
        """What a row holds."""
        return self.values[table].get(row)

    def pages(
        self, table: Table, interval: KeyInterval, *, size: int, reverse: bool = False
    ) -> Iterator[list[Item]]:
        """The rows of the interval by the page; nothing may be written meanwhile."""
        rows = self._rows(table, interval, reverse=reverse)
        while len(page := list(islice(rows, size))) == size:
            yield page
        yield page

    def seek(self, table: Table, interval: KeyInterval, *, reverse: bool = False) -> Item | None:
        """The first row of the interval, or its last."""
        return next(self._rows(table, interval, reverse=reverse), None)

    def write(self, puts: list[Put]) -> None:
        """Write rows in the order given, remembering how to take them back."""
        self.unsynced.append([self._put(*put) for put in puts])

    def survivor(self, kept: int) -> _Tables:
        """A copy in which only the first `kept` unsynced writes took place."""
        copy = _Tables()
        for table in Table:
            copy.values[table] = dict(self.values[table])
        for undo in reversed(self.unsynced[kept:]):
            for table, row, value in reversed(undo):
                if value is None:
                    copy.values[table].pop(row, None)
                else:
                    copy.values[table][row] = value
        for table in Table:
            for row in sorted(copy.values[table]):
                copy.order[table].add(row)
        return copy

    def _rows(self, table: Table, interval: KeyInterval, *, reverse: bool) -> Iterator[Item]:
        order, values = self.order[table], self.values[table]
        for key in (order.descending if reverse else order.ascending)(*interval):
            yield key, values[key]

    def _put(self, table: Table, row: bytes, value: bytes | None) -> Put:
        old = self.values[table].get(row)
        if value is not None:
            self.values[table][row] = value
            if old is None:
                self.order[table].add(row)
        elif old is not None:
            del self.values[table][row]
            self.order[table].remove(row)
        return table, row, old


class MemoryStore(RowStore):
    """A `Store` in memory; see `fastness.storage.contract` for what each call promises."""

    def __init__(self, *, identity: str | None = None, faults: Faults = no_faults) -> None:
        """An empty store. `identity` is drawn at random unless given (simulation gives it)."""
        super().__init__(identity=identity or secrets.token_hex(16), faults=faults)
        self._adopt(_Tables())

    def _adopt(self, tables: _Tables) -> None:
        self._tables = tables
        self._load_ranges(
            {
                decode_range_id(row): decode_range_value(value)
                for row, value in stream(tables, Table.STATE, RANGE_ROWS)
            }
        )
        self.newest = tables.values[Table.NEWEST].get

    def crash(self, *, kept: int = 0, faults: Faults | None = None) -> MemoryStore:
        """The store found after a power failure now; this one refuses from here on.

        Of the writes since the last completed sync the first `kept` survive: a disk may have
        written a beginning of what it was never told to make durable, never a later part
        without an earlier one.
        """
        with self._writing:
            found = MemoryStore(identity=self._identity, faults=faults or self._faults)
            found._adopt(self._tables.survivor(kept))
            self._refuse(StoreUnavailable("the store lost its power: reopen it"))
            return found

    @property
    def unsynced_writes(self) -> int:
        """How many writes a crash now could lose."""
        return len(self._tables.unsynced)

    def size(self) -> StoreSize:
        """Exact counts, and the bytes of all rows; nothing is on a disk."""
        with self._writing:
            self._check()
            tables = self._tables.values
            total = sum(len(k) + len(v) for rows in tables.values() for k, v in rows.items())
            return StoreSize(
                bytes_on_disk=total,
                newest_keys=len(tables[Table.NEWEST]),
                history_versions=len(tables[Table.HISTORY]),
                log_entries=len(tables[Table.LOG]),
            )

    def checkpoint(self, target: Path) -> None:
        """Refused: nothing of a memory store is on a disk."""
        raise InvalidOption(f"a memory store has no files to copy to {target}: export it instead")

    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Read everything, check order and that versions of a key do not overlap."""
        with self._writing:
            self._check()
            return Verification(self._tables, progress).run()

    @contextmanager
    def _view(self, _interval: KeyInterval) -> Iterator[_Tables]:
        with self._writing:
            self._check()
            yield self._tables

    def _write_batch(self, rows: PlannedRows) -> None:
        # History comes first: a reader that takes no lock and finds a newer version in the
        # newest table must find the one before it in history.
        puts: list[Put] = [(Table.HISTORY, *item) for item in rows.history]
        puts += [(Table.NEWEST, key, cell) for key, cell in rows.newest.items()]
        puts += [(Table.LOG, *item) for item in rows.log]
        puts += [(Table.STATE, *item) for item in rows.state]
        puts += [(Table.EXPIRY, *item) for item in rows.expiry]
        self._tables.write(puts)

    def _write_rows(self, puts: list[Put]) -> None:
        self._tables.write(puts)

    def _make_durable(self) -> None:
        self._tables.unsynced.clear()

    def _live_keys(self, interval: KeyInterval) -> Sequence[bytes]:
        return list(self._tables.order[Table.NEWEST].ascending(*interval))

    def _state_value(self, row: bytes) -> bytes | None:
        return self._tables.get(Table.STATE, row)

    def _close_newest(self) -> None:
        """Nothing to free: a copy of the bound call keeps its dictionary alive."""

    def _release(self, *, durably: bool) -> None:
        del durably
