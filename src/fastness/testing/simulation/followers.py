"""Follows the change logs of a running cluster up to closed timestamps, as a feed would.

A closed timestamp promises that no commit at or below it can still appear. The follower asks
the leaseholders now and then, reads what the store's log has gained up to the lowest of them, and
keeps the pages: at the end, together, they must be the log (`check_pages`).

It looks from outside, at what the leaseholders say and at what the primary has, and only while
every range of a store has a holder whose lease is running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import SnapshotTooOld
from fastness.node import Node
from fastness.ranges.leaseholder import Leaseholder
from fastness.testing.change_log import LogPage
from fastness.testing.simulation.stores import SimulatedStore


class Follower:
    """Follows the logs of all stores of a cluster."""

    def __init__(
        self,
        stores: Callable[[], Iterable[SimulatedStore]],
        nodes: Callable[[], Iterable[Node]],
        ranges: Iterable[tuple[bytes, bytes, str]],
    ) -> None:
        """`ranges` are those of the beginning: a key stays in the store it is in."""
        self._stores = stores
        self._nodes = nodes
        self._store_of = {begin: store for begin, _, store in sorted(ranges)}
        self._positions: dict[str, int] = {}
        self.pages: list[LogPage] = []

    def look(self) -> None:
        """Read what has been closed since the last look."""
        holders = self._holders()
        if holders is None:
            return
        for store in self._stores():
            mine = [one.closed for one in holders if self._lies_in(one) == store.name]
            if mine:
                self._read(store, min(mine))

    def _read(self, store: SimulatedStore, closed: int) -> None:
        after = self._positions.get(store.name, 0)
        if closed <= after:
            return
        self._positions[store.name] = closed
        if not after:
            # Nothing below the first position is claimed to be there still.
            return
        try:
            changes = store.home.changes(after, closed, 1 << 30)
        except SnapshotTooOld:
            return
        found: dict[int, dict[bytes, bytes | None]] = {}
        for one in changes:
            # Parts of one transaction in two ranges are two entries of one timestamp.
            found.setdefault(one.timestamp, {}).update(one.writes)
        self.pages.append(LogPage(store.name, after, closed, tuple(found.items())))

    def _lies_in(self, holder: Leaseholder) -> str:
        begin = max(one for one in self._store_of if one <= holder.shape.begin)
        return self._store_of[begin]

    def _holders(self) -> list[Leaseholder] | None:
        """The leaseholders of all ranges, `None` unless each range has exactly one."""
        holders = [
            holder
            for node in self._nodes()
            for holder in node.leaseholders.values()
            if holder.ports.lease_left_ms() > 0
        ]
        holders.sort(key=lambda one: one.shape.begin)
        reached = b""
        for holder in holders:
            if holder.shape.begin != reached:
                return None
            reached = holder.shape.end
        return holders if reached == SYSTEM_END else None
