"""Bugs of moves of ranges to other stores.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from fastness.hosting.remote import StoreDrop
from fastness.node import flows
from fastness.node.carrying import Carrier, StoreAsker
from fastness.node.leftovers import Leftovers
from fastness.ranges import shape
from fastness.storage import base
from fastness.storage.contract import EPOCH_MAX, Load
from fastness.testing.simulation.bugs.planting import plant
from fastness.testing.simulation.stores import SimulatedStore

LATE_NS = 100_000_000


def _nothing_more(right: Any) -> Any:
    async def carry(self: Carrier, up_to: int) -> int:
        if self._shell.leaseholder.paused:
            return 0
        count: int = await right(self, up_to)
        return count

    return carry


plant(
    "move-leaves-the-last-changes",
    "5.8",
    "what is committed after the last pass before the pause is not carried",
    (Carrier, "_carry", _nothing_more),
)


def _one_lost(right: Any) -> Any:
    async def load(self: Carrier, keys: Any, born: Any) -> None:
        await right(self, keys[:-1] if len(keys) > 1 else keys, born)

    return load


async def _believed(_self: Carrier) -> None:
    """Compare nothing."""


plant(
    "move-flips-unverified",
    "5.8",
    "a key of each portion is lost on the way, and no digests are compared",
    (Carrier, "_load", _one_lost),
    (Carrier, "_verify", lambda _right: _believed),
)


def _without(*kinds: bytes) -> Any:
    def make(right: Any) -> Any:
        def moved(records: Any, *rest: Any) -> Any:
            kept = right(records, *rest)
            return {name: data for name, data in kept.items() if name[:1] not in kinds}

        return moved

    return make


plant(
    "move-forgets-outcomes",
    "1.5, 5.8",
    "outcomes, and how far back they reach, are not carried",
    (flows, "moved_records", _without(shape.OUTCOMES, shape.HORIZON_RECORD)),
)
plant(
    "move-forgets-locks",
    "3.2, 5.8",
    "prepared transactions are not carried",
    (flows, "moved_records", _without(shape.INTENT)),
)
plant(
    "move-forgets-decisions",
    "3.4, 5.8",
    "decisions that participants have still to be told of are not carried",
    (flows, "moved_records", _without(shape.VERDICT, shape.OUTCOMES)),
)


def _left_lying(_right: Any) -> Any:
    async def remove(_self: Leftovers, shell: Any, name: bytes) -> None:
        await shell.recorded({name: None})

    return remove


plant(
    "move-leaves-its-source",
    "5.5, 5.8",
    "nothing is removed of the source of a move, or of a target that was given up",
    (Leftovers, "_remove", _left_lying),
)


def _never_closed(right: Any) -> Any:
    async def opened(self: Any, store: Any, range_id: int, epoch: int) -> Any:
        if epoch != EPOCH_MAX:
            return await right(self, store, range_id, epoch)
        return None

    return opened


plant(
    "move-source-not-closed",
    "5.5",
    "the source of a move is emptied, but may still be written",
    (StoreAsker, "opened", _never_closed),
)


def _any_load(right: Any) -> Any:
    def loaded(row: Any, load: Any) -> Any:
        if load.epoch != row.epoch or load.number != row.batch_number + 1:
            return row
        return right(row, load)

    return loaded


async def _nothing_cleared(_self: StoreAsker, _store: Any, _drop: Any) -> None:
    """Leave everything as it is."""


plant(
    "move-into-old-rows",
    "5.8",
    "sources are closed, not emptied, and moved into again without being cleared or compared",
    (StoreAsker, "cleared", lambda _right: _nothing_cleared),
    (Carrier, "_verify", lambda _right: _believed),
)


def _not_of_loads(right: Any) -> Any:
    def refuse(self: SimulatedStore, late: Any) -> None:
        if not isinstance(late, Load):
            right(self, late)

    return refuse


def _loaded_again(right: Any) -> Any:
    def late(self: SimulatedStore, load: Load) -> None:
        if self.home.range_epoch(load.range_id) != EPOCH_MAX:
            right(self, lambda _answer: None, load)

    def again(self: SimulatedStore, answer: Any, load: Load) -> None:
        right(self, answer, load)
        self.after(LATE_NS, late, self, load)

    return again


plant(
    "late-loads-land",
    "5.2, 5.8",
    "a load that was given up, is a deposed mover's, or comes again late is not fenced",
    (base, "loaded", _any_load),
    (SimulatedStore, "_refuse_late", _not_of_loads),
    (SimulatedStore, "load", _loaded_again),
)


def _again_and_unfenced(right: Any) -> Any:
    def late(self: SimulatedStore, request: StoreDrop) -> None:
        epoch = self.home.range_epoch(request.range_id)
        if epoch != EPOCH_MAX:
            right(self, lambda _answer: None, replace(request, epoch=epoch))

    def drop(self: SimulatedStore, answer: Any, request: StoreDrop) -> None:
        right(self, answer, request)
        self.after(LATE_NS, late, self, request)

    return drop


plant(
    "late-drops-land",
    "5.8",
    "a drop that comes again late is carried out, whatever the epoch of the range",
    (SimulatedStore, "drop", _again_and_unfenced),
)
