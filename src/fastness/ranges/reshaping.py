"""Changes of shape: splitting a range off, and taking a neighbour in. Only while drained.

Each is one batch of the store: the records become those of the new shape, the child's row is
born or the neighbour's is closed for good, all or nothing. What lies in memory is then loaded
from the new records. The coordinator's descriptors follow afterwards; if nobody lives to write
them, whoever opens the range next finds the newer shape in the store and does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, InvalidKey, Overloaded
from fastness.invariants import check
from fastness.ranges.entries import Entry
from fastness.ranges.shape import (
    SHAPE_RECORD,
    Records,
    Shape,
    encode_record,
    merge_records,
    split_records,
)
from fastness.storage.contract import Inherited, RangeState

if TYPE_CHECKING:
    from fastness.ranges.leaseholder import Leaseholder


class Reshaping:
    """Splits and merges of one leaseholder's range."""

    def __init__(self, owner: Leaseholder) -> None:
        self._owner = owner

    def split(self, key: bytes, child_id: int, done: Callable[[RangeState, Shape], None]) -> None:
        """Give everything from `key` on to a new range, in one store batch; only while paused.

        `done` is handed what the child starts with. Raises `Overloaded` where a versionstamped
        write that is prepared may fall on either side.
        """
        self.require_drained()
        old = self._owner.shape
        if not old.begin < key < old.end:
            raise InvalidKey(f"{key!r} does not lie inside {old.interval}: nothing to split off")
        for holder in self._owner.locks.holders():
            if any(one.begin < key < one.end for one in holder.stamp_intervals):
                raise Overloaded(f"a versionstamped write is prepared around {key!r}: try later")
        generation = old.generation + 1
        left, right = split_records(self._owner.records, old, key)
        mine = Shape(self._owner.range_id, old.begin, key, generation, [], [(child_id, key)])
        child = Shape(child_id, key, old.end, generation)
        left[SHAPE_RECORD] = encode_record(mine)
        right[SHAPE_RECORD] = encode_record(child)
        applied = self._owner.range.visible

        def finish() -> None:
            self._reshape(mine, left, applied)
            born = RangeState(child_id, 1, 0, applied, self._owner.prune_horizon, right)
            done(born, child)

        entry = self._reshaping(left, finish)
        entry.splits.append(Inherited(child_id, 1, applied, self._owner.prune_horizon, right))
        self._owner.enter(entry)
        self._owner.pump()

    def absorb(self, other: Leaseholder, done: Callable[[], None]) -> None:
        """Take in the neighbour on the right, in one store batch; only while both are paused."""
        self.require_drained()
        Reshaping(other).require_drained()
        check(self._owner.shape.end == other.shape.begin, "only neighbours merge")
        generation = max(self._owner.shape.generation, other.shape.generation) + 1
        merged = merge_records(self._owner.records, other.records)
        shape = Shape(
            self._owner.range_id,
            self._owner.shape.begin,
            other.shape.end,
            generation,
            [other.range_id],
        )
        merged[SHAPE_RECORD] = encode_record(shape)
        applied = max(self._owner.range.visible, other.range.visible)

        def finish() -> None:
            self._owner.raise_horizon(other.prune_horizon)
            self._reshape(shape, merged, applied)
            done()

        entry = self._reshaping(merged, finish)
        entry.absorbs.append((other.range_id, other.epoch))
        self._owner.enter(entry)
        self._owner.pump()

    def require_drained(self) -> None:
        """Invariant: nothing is under way that a change of shape could tear apart."""
        check(self._owner.is_drained, f"range {self._owner.range_id} is not drained")

    def _reshaping(self, wanted: Records, finish: Callable[[], None]) -> Entry:
        """The entry that turns the records there are into those wanted."""
        changes: dict[bytes, bytes | None] = dict.fromkeys(
            name for name in self._owner.records if name not in wanted
        )
        changes.update(
            {name: data for name, data in wanted.items() if self._owner.records.get(name) != data}
        )

        def lost(_error: FastnessError) -> None:
            # The range goes on as it was; whoever asked for the change hears nothing and asks.
            self._owner.ports.note(f"range {self._owner.range_id} lost its change of shape")

        return Entry(records=changes, done=lambda: self._owner.ready.append(finish), lost=lost)

    def _reshape(self, shape: Shape, records: Records, applied: Timestamp) -> None:
        number = self._owner.range.batch_number
        recent = self._owner.range.recent
        grown = shape.end > self._owner.shape.end
        state = RangeState(
            self._owner.range_id,
            self._owner.epoch,
            number,
            applied,
            self._owner.prune_horizon,
            records,
        )
        self._owner.load(shape, state)
        if not grown:
            # What was written on the other side does no harm here.
            self._owner.range.recent = recent
