"""The memory store: for tests, simulation and `memory:` databases.

The same rows as on disk, in four dictionaries, each with its keys in order. Durability is
played: `crash` gives the store that would be found after a power failure, without what no
`sync` had covered. Writers and multi-row readers share one lock; a point read of the newest
version is a plain `dict.get`.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import DatabaseClosed, FastnessError, InvalidOption, StoreUnavailable
from fastness.storage.contract import Batch, Change, Damage, Item, RangeState, StoreSize
from fastness.storage.failures import from_os_error
from fastness.storage.faults import Faults, Step, no_faults
from fastness.storage.layout import (
    RangeRow,
    Table,
    decode_range_id,
    decode_range_value,
    mark_row,
    range_row,
    range_value,
)
from fastness.storage.planning import advanced, opened, plan
from fastness.storage.pruning import PrunePlace, prune_step
from fastness.storage.reading import cell_at, changes_between, scan_at
from fastness.storage.sorted_keys import SortedKeys
from fastness.storage.verification import Verification

Put = tuple[Table, bytes, bytes | None]
"""A row to write; `None` removes it."""


class _Tables:
    """Four ordered tables, and what undoes every write that no sync has covered."""

    def __init__(self) -> None:
        self.rows: dict[Table, dict[bytes, bytes]] = {table: {} for table in Table}
        self.order: dict[Table, SortedKeys] = {table: SortedKeys() for table in Table}
        self.unsynced: list[list[Put]] = []

    def get(self, table: Table, row: bytes) -> bytes | None:
        return self.rows[table].get(row)

    def rows_in(self, table: Table, interval: KeyInterval, limit: int, reverse: bool) -> list[Item]:
        order, values = self.order[table], self.rows[table]
        keys = (order.descending if reverse else order.ascending)(*interval)
        return [(key, values[key]) for key in islice(keys, limit)]

    def write(self, puts: list[Put]) -> None:
        """Write rows in the order given, remembering how to take them back."""
        self.unsynced.append([self._put(*put) for put in puts])

    def survivor(self, kept: int) -> _Tables:
        """A copy in which only the first `kept` unsynced writes took place."""
        copy = _Tables()
        for table in Table:
            copy.rows[table] = dict(self.rows[table])
        for undo in reversed(self.unsynced[kept:]):
            for table, row, value in reversed(undo):
                if value is None:
                    del copy.rows[table][row]
                else:
                    copy.rows[table][row] = value
        for table in Table:
            for row in sorted(copy.rows[table]):
                copy.order[table].add(row)
        return copy

    def _put(self, table: Table, row: bytes, value: bytes | None) -> Put:
        old = self.rows[table].get(row)
        if value is not None:
            self.rows[table][row] = value
            if old is None:
                self.order[table].add(row)
        elif old is not None:
            del self.rows[table][row]
            self.order[table].remove(row)
        return table, row, old


class _MemoryView:
    """A sight of the tables, consistent while the store's lock is held."""

    def __init__(self, tables: _Tables) -> None:
        self._tables = tables

    def get(self, table: Table, row: bytes) -> bytes | None:
        return self._tables.get(table, row)

    def rows(
        self, table: Table, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        return self._tables.rows_in(table, interval, limit=limit, reverse=reverse)


class MemoryStore:
    """A `Store` in memory; see `fastness.storage.contract` for what each call promises."""

    newest: Callable[[bytes], bytes | None]

    def __init__(self, *, identity: str | None = None, faults: Faults = no_faults) -> None:
        """An empty store. `identity` is drawn at random unless given (simulation gives it)."""
        self._identity = identity or secrets.token_hex(16)
        self._faults = faults
        self._lock = threading.RLock()
        self._adopt(_Tables())

    def _adopt(self, tables: _Tables) -> None:
        self._tables = tables
        self._view = _MemoryView(tables)
        self._refusal: FastnessError | None = None
        self._places: dict[int, PrunePlace] = {}
        self._ranges = {
            decode_range_id(row): decode_range_value(value)
            for row, value in tables.rows[Table.STATE].items()
            if row.startswith(b"r")
        }
        self._applied = max((row.applied for row in self._ranges.values()), default=0)
        self.newest = tables.rows[Table.NEWEST].get

    def crash(self, *, kept: int = 0, faults: Faults | None = None) -> MemoryStore:
        """The store found after a power failure now; this one is closed.

        Of the writes since the last completed sync the first `kept` survive: a disk may have
        written a beginning of what it was never told to make durable, never a later part
        without an earlier one.
        """
        with self._lock:
            found = MemoryStore(identity=self._identity, faults=faults or self._faults)
            found._adopt(self._tables.survivor(kept))
            found._tables.unsynced.clear()
            self._refuse(StoreUnavailable("the store lost its power: reopen it"))
            return found

    @property
    def unsynced_writes(self) -> int:
        """How many writes a crash now could lose."""
        return len(self._tables.unsynced)

    @property
    def identity(self) -> str:
        """The random id this store was created with (32 hexadecimal digits)."""
        return self._identity

    @property
    def applied(self) -> Timestamp:
        """The highest commit timestamp ever applied, over all ranges."""
        return self._applied

    def open_range(self, range_id: int, epoch: int) -> RangeState:
        """Open a range at `epoch`, durably; `Fenced` unless it is above every earlier one."""
        with self._lock:
            self._check()
            row = opened(self._row(range_id), range_id, epoch)
            self._record_range(range_id, row)
            return RangeState(range_id, epoch, row.batch_number, row.applied, row.prune_horizon)

    def range_epoch(self, range_id: int) -> int:
        """The highest epoch opened for a range, 0 for none."""
        self._check()
        return self._row(range_id).epoch

    def get(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell of the version newest at `at`, expired or not; `None` if absent then."""
        with self._lock:
            self._check()
            return cell_at(self._view, key, at)

    def get_many(self, keys: Sequence[bytes], at: Timestamp) -> list[bytes | None]:
        """As `get` for each key, in the order asked."""
        with self._lock:
            self._check()
            return [cell_at(self._view, key, at) for key in keys]

    def scan(
        self, interval: KeyInterval, *, at: Timestamp, limit: int, reverse: bool = False
    ) -> list[Item]:
        """The first `limit` keys of the interval present at `at`, with their cells."""
        with self._lock:
            self._check()
            if at >= self._applied:
                return self._tables.rows_in(Table.NEWEST, interval, limit=limit, reverse=reverse)
            return scan_at(self._view, interval, at, limit=limit, reverse=reverse)

    def scan_newest(
        self, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        """As `scan` of the newest versions, from one consistent view of the store."""
        with self._lock:
            self._check()
            return self._tables.rows_in(Table.NEWEST, interval, limit=limit, reverse=reverse)

    def apply(self, batch: Batch) -> None:
        """Write a batch atomically; visible at once, durable after the next `sync`."""
        with self._lock:
            self._check()
            row = advanced(self._row(batch.range_id), batch)
            rows = plan(batch, row, self.newest, self._live_keys)
            # History comes first: a reader that takes no lock and finds a newer version in
            # the newest table must find the one before it in history.
            puts: list[Put] = [(Table.HISTORY, *item) for item in rows.history]
            puts += [(Table.NEWEST, key, cell) for key, cell in rows.newest.items()]
            puts += [(Table.LOG, *item) for item in rows.log]
            puts += [(Table.STATE, *item) for item in rows.state]
            self._write(puts, Step.APPLY_BEGIN, Step.APPLY_END)
            self._ranges[batch.range_id] = row
            self._applied = max(self._applied, row.applied)

    def sync(self) -> None:
        """Make every applied batch durable."""
        with self._lock:
            self._check()
            covered = len(self._tables.unsynced)
        self._step(Step.SYNC_BEGIN)
        with self._lock:
            self._check()
            del self._tables.unsynced[:covered]
        self._step(Step.SYNC_END)

    def state(self, name: str) -> bytes | None:
        """A mark written by a batch's `marks` or by `record`."""
        self._check()
        return self._tables.get(Table.STATE, mark_row(name))

    def record(self, marks: dict[str, bytes | None]) -> None:
        """Write marks atomically and durably (`None` removes one)."""
        with self._lock:
            self._check()
            self._record([(Table.STATE, mark_row(name), value) for name, value in marks.items()])

    def changes(self, after: Timestamp, up_to: Timestamp, limit: int) -> list[Change]:
        """The first `limit` commits in (after, up_to], in commit order."""
        with self._lock:
            self._check()
            kept_from = max((row.prune_horizon for row in self._ranges.values()), default=0)
            return changes_between(self._view, after, up_to, limit, kept_from)

    def prune(self, range_id: int, horizon: Timestamp, limit: int) -> int:
        """Remove up to `limit` rows no reader at or above `horizon` needs; returns how many."""
        with self._lock:
            self._check()
            row = self._row(range_id)
            horizon = max(horizon, row.prune_horizon)
            if horizon > row.prune_horizon:
                self._record_range(range_id, replace(row, prune_horizon=horizon))
            place = self._places.get(range_id, PrunePlace())
            step = prune_step(self._view, range_id, horizon, limit, place)
            puts: list[Put] = [(table, key, None) for table, key in step.rows]
            self._write(puts, Step.PRUNE_BEGIN, Step.PRUNE_END)
            self._places[range_id] = step.place
            return len(step.rows)

    def prune_horizon(self, range_id: int) -> Timestamp:
        """The highest horizon ever given to `prune` for this range."""
        self._check()
        return self._row(range_id).prune_horizon

    def size(self) -> StoreSize:
        """Exact counts, and the bytes of all rows; nothing is on a disk."""
        with self._lock:
            self._check()
            tables = self._tables.rows
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
        with self._lock:
            self._check()
            return Verification(self._view, progress).run()

    def close(self) -> None:
        """Forget everything. Idempotent."""
        self._refuse(DatabaseClosed("this store was closed: open the database again"))

    def _row(self, range_id: int) -> RangeRow:
        return self._ranges.get(range_id, RangeRow())

    def _live_keys(self, interval: KeyInterval) -> list[bytes]:
        return list(self._tables.order[Table.NEWEST].ascending(*interval))

    def _record_range(self, range_id: int, row: RangeRow) -> None:
        self._record([(Table.STATE, range_row(range_id), range_value(row))])
        self._ranges[range_id] = row

    def _record(self, puts: list[Put]) -> None:
        """Write state rows durably, and with them everything written before."""
        self._write(puts, Step.RECORD_BEGIN, Step.RECORD_WRITTEN)
        self.sync()

    def _write(self, puts: list[Put], before: Step, after: Step) -> None:
        self._step(before)
        self._tables.write(puts)
        self._step(after)

    def _step(self, step: Step) -> None:
        try:
            self._faults(step)
        except BaseException as error:
            # What a failed write left behind must never be shown: the store closes itself.
            self._refuse(StoreUnavailable(f"the store closed itself, as {step} failed ({error})"))
            if isinstance(error, OSError):
                raise from_os_error(error, step) from error
            raise

    def _refuse(self, refusal: FastnessError) -> None:
        if self._refusal is not None:
            return
        self._refusal = refusal
        self.newest = self._refuse_newest

    def _refuse_newest(self, _key: bytes) -> bytes | None:
        self._check()
        return None

    def _check(self) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(*self._refusal.args)
