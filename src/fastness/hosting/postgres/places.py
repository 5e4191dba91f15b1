"""How far pruning has walked in each range: remembered here, and lost at a restart.

That only costs time: the walk then begins again, over what is still there. It also begins again
where a range has more keys to answer for, and where a batch left it something behind its place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.hosting.remote import StorePrune
from fastness.storage.contract import Batch

PRUNE = f"SELECT * FROM fastness.prune({', '.join(f'${n}' for n in range(1, 12))})"  # noqa: S608 - numbers


class Place(NamedTuple):
    """How far the walk of one range has come."""

    interval: KeyInterval
    reached: Timestamp = 0
    """The commit whose log entry was the last one done with,"""
    reached_range: int = -1
    """and the range that wrote it."""
    seen_gone: Timestamp = 0
    """The last version looked at of those that have expired: from when on it shows nothing,"""
    seen_key: bytes = b""
    seen_tag: bytes = b""
    """and where it is."""


class Places:
    """The places of all ranges that were pruned here."""

    def __init__(self) -> None:
        self._places: dict[int, Place] = {}

    def arguments(self, request: StorePrune) -> list[object]:
        """What `fastness.prune` is called with for one step."""
        interval = KeyInterval(*request.interval)
        place = self._places.get(request.range_id)
        if place is None or (
            interval.begin < place.interval.begin or interval.end > place.interval.end
        ):
            place = Place(interval)
        self._places[request.range_id] = place = place._replace(interval=interval)
        return [
            request.range_id,
            request.epoch,
            *interval,
            request.horizon,
            request.limit,
            *place[1:],
        ]

    def stepped(self, range_id: int, row: Any) -> None:  # noqa: ANN401 - asyncpg has no types
        """Note how far a step came."""
        place = self._places.get(range_id)
        if place is not None:
            self._places[range_id] = Place(
                place.interval,
                row["reached"],
                row["reached_range"],
                row["seen_gone"],
                row["seen_key"],
                row["seen_tag"],
            )

    def applied(self, batch: Batch) -> None:
        """Walk again where a batch left something behind a place."""
        place = self._places.get(batch.range_id)
        if place is not None and any(
            one.timestamp <= max(place.reached, place.seen_gone) for one in batch.resolved
        ):
            del self._places[batch.range_id]
        for range_id, _epoch in batch.absorbs:
            self._places.pop(range_id, None)

    def forget(self, range_id: int) -> None:
        """Walk a range from its beginning again: others may have written there meanwhile."""
        self._places.pop(range_id, None)
