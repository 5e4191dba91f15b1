"""A store far away, with what was lately read from it or written to it at hand.

::

    read_at_once --> all of it known? --> the answer, from memory
    read ----------> what is known, and the store is asked for the rest, which is then known
    apply ---------> the store, and into memory once it is durable (also where `settle` says so)
    open_range ----> the store; what was known of the range is forgotten

Ranges are remembered from their opening on (one that was carried here, from when that is finished),
until they are fenced or opened again. A range that was dropped without the store's knowledge (its
lease ran out, or it was transferred) is asked for by nobody until then; what it holds goes as room
is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Fenced
from fastness.hosting.portions import Room, fitting
from fastness.hosting.remembering.home import Home, covered
from fastness.hosting.remembering.pool import Pool
from fastness.hosting.remembering.under_way import UnderWay
from fastness.hosting.remembering.versions import Cell, Unknown
from fastness.hosting.remote import (
    RemoteStore,
    StoreAnswer,
    StoreDrop,
    StorePortion,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.runtime.process import Process
from fastness.storage.contract import Batch, Change, Item, Load, RangeState

SENT_KEYS = 4_096
"""Keys lately written that a range remembers, to know what it reads for the newest version."""


class _Tenure:
    """A range from its opening on; dropped, it hears no answer any more."""

    __slots__ = ("dropped", "epoch", "home", "horizon", "number", "under_way")

    def __init__(self, epoch: int, number: int, horizon: Timestamp, home: Home) -> None:
        self.epoch = epoch
        self.number = number
        """The last batch known to be decided."""
        self.horizon = horizon
        self.home = home
        self.under_way: dict[int, UnderWay] = {}
        """Batches by their numbers; their fate is not known."""
        self.dropped = False


class _Known(NamedTuple):
    """What memory has of a read."""

    cells: list[Cell | Unknown]
    entries: list[Item] | None
    """`None`: the scan is to be asked for."""
    missing: list[bytes]


class _Question(NamedTuple):
    """What the store is being asked for."""

    tenure: _Tenure
    number: int
    """The last batch decided when it was asked."""
    settled: int
    request: StoreRead
    known: _Known
    rest: StoreRead
    """What of the request is asked for."""


class RememberingStore:
    """A `RemoteStore`; see the module's page. `pool` may be shared by several of one node."""

    def __init__(self, store: RemoteStore, pool: Pool, process: Process) -> None:
        self._store = store
        self._pool = pool
        self._process = process
        self._tenures: dict[int, _Tenure] = {}
        self._homes: dict[Home, int] = {}
        """How many tenures each home has."""
        self._openings: dict[int, int] = {}
        """The epoch each range is being opened at."""

    @property
    def refusal(self) -> FastnessError | None:
        """Why no write succeeds for now, as far as is known."""
        return self._store.refusal

    # ------------------------------------------------------------------ reads

    def read_at_once(self, request: StoreRead) -> StoreAnswer | None:
        """The answer from memory, if all of it is there."""
        tenure = self._tenures.get(request.range_id)
        if tenure is None:
            return self._store.read_at_once(request)
        cell_of, at = tenure.home.cell, request.at
        cells: list[Cell] = []
        for key in request.keys:
            cell = cell_of(key, at)
            if isinstance(cell, Unknown):
                return self._store.read_at_once(request)
            cells.append(cell)
        entries: list[Item] = []
        if request.scan is not None:
            found = tenure.home.entries(request.scan, at)
            if found is None:
                return self._store.read_at_once(request)
            entries = found
        self._pool.counts.hits += 1
        if request.room is None:
            return StoreAnswer(cells, entries, tenure.number, tenure.horizon)
        return _within(request.room, StoreAnswer(cells, entries, tenure.number, tenure.horizon))

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """Read as of `request.at`, the store only where it must be asked.

        What memory has and what the store answers a moment later belong together: nothing is
        committed any more at or below a timestamp that is read at.
        """
        tenure = self._tenures.get(request.range_id)
        if tenure is None:
            self._store.read(request, done)
            return
        known = self._known(tenure, request)
        if not known.missing and known.entries is not None:
            self._pool.counts.hits += 1
            answer = _joined(request, known, StoreAnswer([], [], tenure.number, tenure.horizon))
            self._process.call_later(0.0, done, answer)
            return
        self._pool.counts.misses += 1
        scan = request.scan if known.entries is None else None
        rest = StoreRead(request.range_id, known.missing, request.at, scan)
        settled = tenure.home.settled(request.at)
        question = _Question(tenure, tenure.number, settled, request, known, rest)
        self._store.read(rest, lambda answer: done(self._answered(question, answer)))

    def _known(self, tenure: _Tenure, request: StoreRead) -> _Known:
        home, at = tenure.home, request.at
        cells = [home.cell(key, at) for key in request.keys]
        missing = [
            key for key, cell in zip(request.keys, cells, strict=True) if isinstance(cell, Unknown)
        ]
        entries: list[Item] | None = []
        if request.scan is not None:
            entries = home.entries(request.scan, at)
        # A key asked for twice is asked for once.
        return _Known(cells, entries, list(dict.fromkeys(missing)))

    def _answered(
        self, question: _Question, answer: StoreAnswer | FastnessError
    ) -> StoreAnswer | FastnessError:
        """Learn from what the store answered, and complete it."""
        if isinstance(answer, FastnessError):
            return answer
        tenure, rest = question.tenure, question.rest
        if not tenure.dropped:
            tenure.horizon = max(tenure.horizon, answer.prune_horizon)
            if answer.number >= question.number and rest.at >= answer.prune_horizon:
                self._learn(tenure.home, rest, answer, question.settled)
        return _joined(question.request, question.known, answer)

    def _learn(self, home: Home, rest: StoreRead, answer: StoreAnswer, settled: int) -> None:
        at = rest.at
        kept = True
        for key, cell in zip(rest.keys, answer.cells, strict=True):
            kept &= home.learn(key, cell, at, settled)
        if rest.scan is not None:
            begin, end = covered(rest.scan, answer.entries)
            items = answer.entries[::-1] if rest.scan.reverse else answer.entries
            kept &= home.learn_stretch(begin, end, items, at, settled)
        self._pool.counts.unfit += not kept

    # ------------------------------------------------------------------ batches

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Write a batch; it counts here once it is known to be durable."""
        tenure = self._tenures.get(batch.range_id)
        if tenure is None or tenure.epoch != batch.epoch:
            self._store.apply(batch, done)
            return
        tenure.under_way[batch.number] = tenure.home.send(batch)

        def applied(error: FastnessError | None) -> None:
            if error is None:
                self._decided(tenure, batch.number, took_place=True)
            elif isinstance(error, Fenced):
                self._drop(batch.range_id, tenure)
            # Anything else leaves it in doubt.
            done(error)

        self._store.apply(batch, applied)

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """Whether that batch was applied; if not, it never will be."""
        tenure = self._tenures.get(range_id)
        if tenure is None or tenure.epoch != epoch:
            self._store.settle(range_id, epoch, number, done)
            return

        def settled(answer: bool | FastnessError) -> None:
            if isinstance(answer, Fenced):
                self._drop(range_id, tenure)
            elif not isinstance(answer, FastnessError):
                self._decided(tenure, number, took_place=answer)
            done(answer)

        self._store.settle(range_id, epoch, number, settled)

    def _decided(self, tenure: _Tenure, number: int, *, took_place: bool) -> None:
        if tenure.dropped:
            return
        tenure.number = max(tenure.number, number)
        under_way = tenure.under_way.pop(number, None)
        if under_way is None:
            return
        batch = under_way.batch
        if not took_place:
            tenure.home.lost(under_way)
            return
        tenure.home.durable(under_way)
        if batch.absorbs:
            self._absorbed(tenure, batch)
        for born in batch.splits:
            child = _Tenure(born.epoch, 0, born.prune_horizon, tenure.home)
            self._hold(born.range_id, child)

    def _absorbed(self, tenure: _Tenure, batch: Batch) -> None:
        """The union begins anew, with a home above all that either half has committed."""
        halves = [self._tenures.get(range_id) for range_id, _epoch in batch.absorbs]
        applied = max((one.home.applied for one in (tenure, *halves) if one is not None), default=0)
        horizon = max((one.horizon for one in (tenure, *halves) if one is not None), default=0)
        for range_id, _epoch in batch.absorbs:
            half = self._tenures.get(range_id)
            if half is not None:
                self._drop(range_id, half)
        self._drop(batch.range_id, tenure)
        if None not in halves:
            union = _Tenure(batch.epoch, batch.number, horizon, self._home(applied))
            self._hold(batch.range_id, union)

    # ------------------------------------------------------------------ ranges

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """Open a range at `epoch`; nothing that was known of it is believed any more."""
        self._openings[range_id] = epoch
        self._forget(range_id)

        def opened(state: RangeState | FastnessError) -> None:
            if self._openings.get(range_id) == epoch:
                del self._openings[range_id]
                if isinstance(state, RangeState):
                    self._remember(state)
            done(state)

        self._store.open_range(range_id, epoch, opened)

    def _remember(self, state: RangeState) -> None:
        home = self._home(state.applied)
        tenure = _Tenure(state.epoch, state.batch_number, state.prune_horizon, home)
        self._hold(state.range_id, tenure)

    def _home(self, applied: Timestamp) -> Home:
        return Home(self._pool, applied=applied, keys_max=SENT_KEYS)

    def _hold(self, range_id: int, tenure: _Tenure) -> None:
        self._forget(range_id)
        self._tenures[range_id] = tenure
        self._homes[tenure.home] = self._homes.get(tenure.home, 0) + 1

    def _forget(self, range_id: int) -> None:
        tenure = self._tenures.get(range_id)
        if tenure is not None:
            self._drop(range_id, tenure)

    def _drop(self, range_id: int, tenure: _Tenure) -> None:
        """The range may be somebody else's, or another: nothing known of it is believed."""
        if tenure.dropped:
            return
        tenure.dropped = True
        del self._tenures[range_id]
        home = tenure.home
        self._homes[home] -= 1
        if not self._homes[home]:
            del self._homes[home]
            home.forget_all()
            return
        # Its siblings go on; what may yet become of its batches does not concern them.
        for under_way in tenure.under_way.values():
            home.lost(under_way)

    # ------------------------------------------------------------------ the rest

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """Prune one step; how many rows went."""
        tenure = self._tenures.get(request.range_id)

        def pruned(answer: int | FastnessError) -> None:
            if tenure is not None and not tenure.dropped:
                if isinstance(answer, Fenced):
                    self._drop(request.range_id, tenure)
                elif not isinstance(answer, FastnessError):
                    tenure.horizon = max(tenure.horizon, request.horizon)
            done(answer)

        self._store.prune(request, pruned)

    def versions(
        self, request: StoreSelection, done: Callable[[StorePortion | FastnessError], None]
    ) -> None:
        """The versions of some keys, to be carried to another store."""
        self._store.versions(request, done)

    def load(self, load: Load, done: Callable[[FastnessError | None], None]) -> None:
        """Write versions to a range being built: it is remembered once that is finished."""
        self._forget(load.range_id)

        def loaded(error: FastnessError | None) -> None:
            if error is None and load.born is not None:
                home = self._home(load.born.applied)
                self._hold(load.range_id, _Tenure(load.epoch, load.number, load.horizon, home))
            done(error)

        self._store.load(load, loaded)

    def drop(self, request: StoreDrop, done: Callable[[int | FastnessError], None]) -> None:
        """Remove the next rows of an interval, of which nothing is remembered from then on."""
        self._forget(request.range_id)
        self._store.drop(request, done)

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """The first `limit` commits in (after, up_to], in commit order."""
        self._store.changes(after, up_to, limit, done)


def _joined(request: StoreRead, known: _Known, answer: StoreAnswer) -> StoreAnswer:
    """What memory had, and what the store answered to the rest."""
    found = dict(zip(known.missing, answer.cells, strict=True))
    cells = [
        found[key] if isinstance(cell, Unknown) else cell
        for key, cell in zip(request.keys, known.cells, strict=True)
    ]
    entries = answer.entries if known.entries is None else known.entries
    return StoreAnswer(cells, entries, answer.number, answer.prune_horizon)


def _within(room: Room, answer: StoreAnswer) -> StoreAnswer:
    """The first of an answer that there is room for; one cell, and one entry, at least."""
    left = room.size
    cells = answer.cells
    for place, cell in enumerate(cells):
        left -= 0 if cell is None else len(cell)
        if left < 0:
            cells = cells[: max(1, place)]
            break
    entries = fitting(answer.entries[: room.entries], max(0, left), at_least=True)
    cut = len(entries) < len(answer.entries)
    return StoreAnswer(cells, entries, answer.number, answer.prune_horizon, cut)
