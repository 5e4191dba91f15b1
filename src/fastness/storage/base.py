"""What every store that keeps rows does alike: fencing, steps, failures, reads at a timestamp.

An engine below it supplies four things: a consistent `View`, an atomic write of rows, a way
to make writes durable, and the live keys of an interval. Everything a caller can observe is
decided here, so that engines cannot drift apart.

Readers take no lock of this class. What makes that right:

* `_bound` is raised before a batch becomes visible, so it is at or above every commit
  timestamp any reader can meet. A reader looks at the newest table first and at `_bound`
  after: if `_bound` is at or below its timestamp, nothing it saw is newer, and no key it
  found absent was deleted above it.
* A batch moves versions from newest to history in one atomic write. A reader looks at newest
  first and at history after: a version that had already left newest is in history by then.
  One that leaves between is seen in both, which `scan_at` allows for. Pruning removes only
  versions no reader at or above its horizon sees anything of, from the newest table too.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import DatabaseClosed, FastnessError, StoreUnavailable
from fastness.invariants import InvariantViolation
from fastness.storage import cells
from fastness.storage.cells import timestamp_of
from fastness.storage.contract import (
    Batch,
    Change,
    Damage,
    Item,
    Load,
    Portion,
    RangeState,
    Selection,
    StoreSize,
)
from fastness.storage.failures import from_os_error
from fastness.storage.faults import Faults, Step
from fastness.storage.layout import (
    Put,
    RangeRow,
    Table,
    log_row,
    mark_row,
    range_row,
    range_value,
    record_row,
    record_rows,
    split_record_row,
)
from fastness.storage.moving import portion_of, rows_dropped, rows_loaded
from fastness.storage.planning import PlannedRows, plan, plan_late, plan_reshaping
from fastness.storage.pruning import PrunePlace, place_for, prune_step
from fastness.storage.range_rows import advanced, held, loaded, opened, reshaped, settled
from fastness.storage.reading import (
    EVERYTHING,
    View,
    changes_between,
    history_cell,
    scan_at,
    stream,
)

# Members of an enumeration are looked up by name slowly; these are passed at every commit.
APPLY_BEGIN, APPLY_END, SYNC_BEGIN, SYNC_END = (
    Step.APPLY_BEGIN,
    Step.APPLY_END,
    Step.SYNC_BEGIN,
    Step.SYNC_END,
)


class RowStore(ABC):
    """The engine-independent part of a `Store`; the contract's page says what calls promise."""

    newest: Callable[[bytes], bytes | None]

    def __init__(self, *, identity: str, faults: Faults) -> None:
        self._identity = identity
        self._faults = faults
        self._refusal: FastnessError | None = None
        self._ranges: dict[int, RangeRow] = {}
        self._places: dict[int, PrunePlace] = {}
        self.expired_pruned = 0
        """Expired versions that pruning has removed since the store was opened."""
        self._applied: Timestamp = 0
        self._bound: Timestamp = 0
        self._renew_locks()

    def _renew_locks(self) -> None:
        self._writing = threading.RLock()
        self._syncing = threading.Lock()

    def _load_ranges(self, ranges: dict[int, RangeRow]) -> None:
        self._ranges = ranges
        self._applied = max((row.applied for row in ranges.values()), default=0)
        self._bound = self._applied

    # What an engine supplies.

    @abstractmethod
    def _view(self, interval: KeyInterval) -> AbstractContextManager[View]:
        """A view of the versions of the keys in `interval`, and of all the other tables."""

    @abstractmethod
    def _write_batch(self, rows: PlannedRows) -> None:
        """Write rows atomically; history is visible no later than newest."""

    @abstractmethod
    def _write_rows(self, puts: list[Put]) -> None:
        """Write rows atomically."""

    @abstractmethod
    def _make_durable(self) -> None:
        """Make every row written before the call durable."""

    @abstractmethod
    def _live_keys(self, interval: KeyInterval) -> Sequence[bytes]:
        """The keys the newest table has in an interval, in order."""

    @abstractmethod
    def _state_value(self, row: bytes) -> bytes | None:
        """What a row of the state table holds."""

    @abstractmethod
    def _close_newest(self) -> None:
        """Make `newest` refuse from now on, copies of it included where that can be."""

    @abstractmethod
    def _release(self, *, durably: bool) -> None:
        """Free every resource; `durably` tells whether there is anything worth a sync."""

    def _translated(self, error: BaseException, doing: str) -> FastnessError:
        """An engine's error as one of ours."""
        if isinstance(error, FastnessError):
            return error
        if isinstance(error, OSError):
            return from_os_error(error, doing)
        return StoreUnavailable(f"{doing} failed ({error}): reopen the database")

    # The contract.

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
        with self._writing:
            self._check()
            row = opened(self._row(range_id), range_id, epoch)
            self._record_range(range_id, row)
            return RangeState(
                range_id,
                epoch,
                row.batch_number,
                row.applied,
                row.prune_horizon,
                self.range_records(range_id),
            )

    def range_epoch(self, range_id: int) -> int:
        """The highest epoch opened for a range, 0 for none."""
        self._check()
        return self._row(range_id).epoch

    def range_number(self, range_id: int) -> int:
        """The number of the batch a range used last, -1 for a range that was never opened."""
        self._check()
        row = self._row(range_id)
        return row.batch_number if row.epoch else -1

    def range_records(self, range_id: int) -> dict[bytes, bytes]:
        """The records of a range, by name, in order."""
        self._check()
        with self._view(EVERYTHING) as view:
            rows = stream(view, Table.STATE, record_rows(range_id))
            return {split_record_row(row)[1]: value for row, value in rows}

    def settle(self, range_id: int, epoch: int, number: int) -> bool:
        """Whether a batch whose answer was lost was applied; if not, it never can be."""
        with self._writing:
            self._check()
            before = self._row(range_id)
            row = settled(before, range_id, epoch, number)
            if row is before:
                self.sync()
            else:
                self._record_range(range_id, row)
            return number != row.skipped

    def get(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell of the version newest at `at`, expired or not; `None` if absent then."""
        try:
            cell = self.newest(key)
        except Exception as error:
            raise self.failure(error) from error
        return self._at(key, cell, at)

    def _at(self, key: bytes, cell: bytes | None, at: Timestamp) -> bytes | None:
        """The cell newest at `at`, where `cell` was found to be the newest of all."""
        if cell is not None and timestamp_of(cell) <= at:
            return cell
        # Only now: see the module's page for why the order matters.
        if cell is None and self._bound <= at:
            return None
        with self._view(KeyInterval(key, key + b"\x00")) as view:
            return history_cell(view, key, at)

    def get_many(self, keys: Sequence[bytes], at: Timestamp) -> list[bytes | None]:
        """As `get` for each key, in the order asked."""
        try:
            found = self._newest_many(keys)
        except Exception as error:
            raise self.failure(error) from error
        newer = cells.bound(at)
        for place, cell in enumerate(found):
            # Plain and not newer, nearly always: that is all `get` would look at.
            if cell is None or cell >= newer:
                found[place] = self._at(keys[place], cell, at)
        return found

    def _newest_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The newest cell of each key, in a list of the caller's own."""
        return list(map(self.newest, keys))

    def scan(
        self, interval: KeyInterval, *, at: Timestamp, limit: int, reverse: bool = False
    ) -> list[Item]:
        """The first `limit` keys of the interval present at `at`, with their cells."""
        self._check()
        if interval.begin >= interval.end or limit < 1:
            return []
        with self._view(interval) as view:
            return scan_at(
                view, interval, at, limit=limit, reverse=reverse, applied=lambda: self._bound
            )

    def scan_newest(
        self, interval: KeyInterval, *, limit: int, reverse: bool = False
    ) -> list[Item]:
        """As `scan` of the newest versions, from one consistent view of the store."""
        return self.scan(interval, at=TIMESTAMP_MAX, limit=limit, reverse=reverse)

    def apply(self, batch: Batch) -> None:
        """Write a batch atomically; visible at once, durable after the next `sync`."""
        with self._writing:
            self._check_writable()
            before = self._row(batch.range_id)
            row = advanced(before, batch)
            if batch.resolved or batch.splits or batch.absorbs or _is_late(batch, before):
                self._apply_late(batch, row)
                return
            try:
                rows = plan(batch, row, self.newest, self._live_keys)
            except Exception as error:
                raise self.failure(error) from error
            self._show(rows, row.applied)
            self._ranges[batch.range_id] = row

    def _apply_late(self, batch: Batch, row: RangeRow) -> None:
        """Apply what reaches below `applied` or beyond one range; rare, and slower."""
        changed = reshaped(row, batch, self._ranges)
        row = changed[batch.range_id]
        try:
            with self._view(EVERYTHING) as view:
                rows = plan_late(batch, row, self.newest, self._live_keys, view)
                plan_reshaping(batch, changed, rows, view)
        except InvariantViolation:
            raise
        except Exception as error:
            raise self.failure(error) from error
        self._show(rows, max(row.applied for row in changed.values()))
        self._ranges.update(changed)
        self._walk_again(batch)

    def _show(self, rows: PlannedRows, applied: Timestamp) -> None:
        """Write a batch's rows, the highest of whose timestamps is `applied` or below."""
        self._bound = max(self._bound, applied)
        self._perform(lambda: self._write_batch(rows), APPLY_BEGIN, APPLY_END)
        self._applied = max(self._applied, applied)

    def _walk_again(self, batch: Batch) -> None:
        """Have pruning come by again where a batch left it something behind its place.

        What a merge leaves there needs nothing here: pruning begins again when its interval grows.
        """
        place = self._places.get(batch.range_id)
        rows = (log_row(commit.timestamp, batch.range_id) for commit in batch.resolved)
        if place is not None and any(row <= place.row for row in rows):
            del self._places[batch.range_id]
        for range_id, _epoch in batch.absorbs:
            self._places.pop(range_id, None)

    def sync(self) -> None:
        """Make every applied batch durable."""
        with self._syncing:
            self._check()
            self._perform(self._make_durable, SYNC_BEGIN, SYNC_END)

    def state(self, name: str) -> bytes | None:
        """A mark written by a batch's `marks` or by `record`."""
        self._check()
        return self._state_value(mark_row(name))

    def record(self, marks: dict[str, bytes | None]) -> None:
        """Write marks atomically and durably (`None` removes one)."""
        with self._writing:
            self._check_writable()
            self._record([(Table.STATE, mark_row(name), value) for name, value in marks.items()])

    def changes(self, after: Timestamp, up_to: Timestamp, limit: int) -> list[Change]:
        """The first `limit` commits in (after, up_to], in commit order."""
        self._check()
        with self._view(EVERYTHING) as view:
            # A horizon raised after the view was taken removes nothing from the view.
            kept_from = max((row.prune_horizon for row in self._ranges.values()), default=0)
            return changes_between(view, after, up_to, limit, kept_from)

    def prune(
        self,
        range_id: int,
        interval: KeyInterval,
        horizon: Timestamp,
        limit: int,
        *,
        epoch: int | None = None,
    ) -> int:
        """One step of removing what no reader of `interval` at or above `horizon` needs."""
        with self._writing:
            self._check_writable()
            row = self._row(range_id)
            held(row, range_id, epoch, "pruning it")
            horizon = max(horizon, row.prune_horizon)
            place = place_for(self._places.get(range_id), interval)
            with self._view(EVERYTHING) as view:
                step = prune_step(view, horizon, limit, place)
            puts = list(step.rows)
            if horizon > row.prune_horizon:
                row = row._replace(prune_horizon=horizon)
                puts.append((Table.STATE, range_row(range_id), range_value(row)))
            # Before anything goes: whoever reads below the horizon looks at it after.
            self._ranges[range_id] = row
            if puts:
                self._perform(lambda: self._write_rows(puts), Step.PRUNE_BEGIN, Step.PRUNE_END)
            self._places[range_id] = step.place
            self.expired_pruned += step.expired
            return len(step.rows) + step.passed

    def versions(self, range_id: int, wanted: Selection) -> Portion:
        """The versions of a range's keys, to be carried to another store."""
        self._check()
        with self._view(wanted.interval) as view:
            return portion_of(view, wanted, self._row(range_id).prune_horizon)

    def load(self, load: Load) -> None:
        """Write versions of a range being built; visible at once, durable after the next `sync`."""
        with self._writing:
            self._check_writable()
            row = loaded(self._row(load.range_id), load)
            with self._view(EVERYTHING) as view:
                puts = rows_loaded(view, load.range_id, load.keys, load.horizon)
            puts.append((Table.STATE, range_row(load.range_id), range_value(row)))
            records = {} if load.born is None else load.born.records
            puts += [
                (Table.STATE, record_row(load.range_id, name), value)
                for name, value in records.items()
            ]
            self._bound = max(self._bound, row.applied)
            self._perform(lambda: self._write_rows(puts), Step.APPLY_BEGIN, Step.APPLY_END)
            self._applied = max(self._applied, row.applied)
            self._ranges[load.range_id] = row

    def drop(self, range_id: int, epoch: int, interval: KeyInterval, limit: int) -> int:
        """Remove every version of an interval's next keys, and what the log has of them."""
        with self._writing:
            self._check_writable()
            row = self._row(range_id)
            held(row, range_id, epoch, "dropping rows")
            with self._view(EVERYTHING) as view:
                puts = rows_dropped(view, interval, row.prune_horizon, limit)
            if puts:
                self._record(puts)
            return len(puts)

    def prune_horizon(self, range_id: int) -> Timestamp:
        """The highest horizon ever given to `prune` for this range."""
        self._check()
        return self._row(range_id).prune_horizon

    @abstractmethod
    def size(self) -> StoreSize:
        """Sizes now; counts may be estimates."""

    @abstractmethod
    def checkpoint(self, target: Path) -> None:
        """A consistent, durable copy at `target`, which must not exist. Writers go on."""

    @abstractmethod
    def verify(self, progress: Callable[[int], None] = lambda _done: None) -> list[Damage]:
        """Read everything, check checksums, order and that versions do not overlap."""

    def failure(self, error: Exception) -> FastnessError:
        """What an exception that `newest` let through means to the caller."""
        if self._refusal is not None:
            return _again(self._refusal)
        return self._translated(error, "reading the newest table")

    def close(self) -> None:
        """Sync, then release every resource. Idempotent."""
        with self._writing, self._syncing:
            healthy = self._refusal is None
            self._refuse(DatabaseClosed("this store was closed: open the database again"))
            self._release(durably=healthy)

    # Failing, and refusing after a failure.

    def _row(self, range_id: int) -> RangeRow:
        return self._ranges.get(range_id) or RangeRow()

    def _record_range(self, range_id: int, row: RangeRow) -> None:
        self._check_writable()
        self._record([(Table.STATE, range_row(range_id), range_value(row))])
        self._ranges[range_id] = row

    def _record(self, puts: list[Put]) -> None:
        """Write state rows durably, and with them everything written before."""
        self._perform(lambda: self._write_rows(puts), Step.RECORD_BEGIN, Step.RECORD_WRITTEN)
        self.sync()

    def _perform(self, write: Callable[[], None], before: Step, after: Step) -> None:
        """One write of the engine. If it fails the store closes itself.

        What a failed write left behind is unknown, so nothing is shown any more, not even
        batches applied before it that no sync had covered.
        """
        try:
            self._faults(before)
            write()
            self._faults(after)
        except BaseException as error:
            self._refuse(
                StoreUnavailable(
                    f"the store closed itself ({before}: {error}): reopen the database"
                )
            )
            if isinstance(error, Exception):
                raise self._translated(error, before.value) from error
            raise

    def _refuse(self, refusal: FastnessError) -> None:
        """Answer every further call with `refusal`; the first reason stays."""
        if self._refusal is None:
            self._refusal = refusal
            self._close_newest()
            self.newest = self._refuse_newest

    def _refuse_newest(self, _key: bytes) -> bytes | None:
        self._check()
        return None

    def _check(self) -> None:
        if self._refusal is not None:
            raise _again(self._refusal)

    def _check_writable(self) -> None:
        """Raise unless a write may be tried."""
        self._check()


def _is_late(batch: Batch, before: RangeRow) -> bool:
    """Whether a batch's commits lie below a resolved transaction; `before` is its range's row."""
    return bool(batch.commits) and batch.commits[0].timestamp <= before.applied


def _again(refusal: FastnessError) -> FastnessError:
    """A fresh copy of an error: one instance raised in two threads would mix tracebacks."""
    return type(refusal)(*refusal.args)
