"""Follows the change logs of a running cluster up to closed timestamps, as a feed would.

A closed timestamp promises that no commit at or below it can still appear. The follower asks
the leaseholders now and then, reads what the store's log has gained up to the lowest of them, and
keeps the pages: at the end, together, they must be the log (`check_pages`).

It looks from outside, at what the leaseholders say and at what the primaries have, and only while
every key has a holder whose lease is running. Ranges come and go and move between stores; what is
followed is a *region*, an interval that one range was at the beginning, wherever its keys are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from fastness.encoding.intervals import SYSTEM_END, KeyInterval
from fastness.errors import SnapshotTooOld
from fastness.node import Node
from fastness.ranges.leaseholder import Leaseholder
from fastness.testing.change_log import Changes, LogPage
from fastness.testing.simulation.stores import SimulatedStore


class Follower:
    """Follows the logs of all stores of a cluster."""

    def __init__(
        self,
        stores: Callable[[], Iterable[SimulatedStore]],
        nodes: Callable[[], Iterable[Node]],
        ranges: Iterable[tuple[bytes, bytes, str]],
    ) -> None:
        """`ranges` are those of the beginning."""
        self._stores = stores
        self._nodes = nodes
        self.regions = {
            f"region {number}": KeyInterval(begin, end)
            for number, (begin, end, _store) in enumerate(ranges, 1)
        }
        self._positions: dict[str, int] = {}
        self.pages: list[LogPage] = []

    def look(self) -> None:
        """Read what has been closed since the last look."""
        holders = self._holders()
        if holders is None:
            return
        homes = {store.name: store for store in self._stores()}
        for name, region in self.regions.items():
            mine = [one for one in holders if one[0].shape.interval.overlaps(region)]
            closed = min(holder.closed for holder, _store in mine)
            parts = [(homes[store], holder.shape.interval) for holder, store in mine]
            self._read(name, region, parts, closed)

    def _read(
        self,
        name: str,
        region: KeyInterval,
        parts: list[tuple[SimulatedStore, KeyInterval]],
        closed: int,
    ) -> None:
        after = self._positions.get(name, 0)
        if closed <= after:
            return
        self._positions[name] = closed
        if not after:
            # Nothing below the first position is claimed to be there still.
            return
        found: dict[int, dict[bytes, bytes | None]] = {}
        for store, interval in parts:
            try:
                changes = store.home.changes(after, closed, 1 << 30)
            except SnapshotTooOld:
                return
            for one in changes:
                # Parts of one transaction in two ranges are two entries of one timestamp.
                writes = within(dict(one.writes), interval)
                if writes := within(writes, region):
                    found.setdefault(one.timestamp, {}).update(writes)
        self.pages.append(LogPage(name, after, closed, tuple(sorted(found.items()))))

    def by_region(self, log: Iterable[tuple[int, Changes]]) -> dict[str, dict[int, Changes]]:
        """The one log of all stores, parted by region, as the pages are."""
        parted: dict[str, dict[int, Changes]] = {name: {} for name in self.regions}
        for timestamp, changes in log:
            for name, region in self.regions.items():
                if writes := within(changes, region):
                    parted[name][timestamp] = writes
        return parted

    def _holders(self) -> list[tuple[Leaseholder, str]] | None:
        """The leaseholders of all ranges and their stores; `None` unless each has exactly one."""
        holders = [
            (holder, node.store_of(range_id))
            for node in self._nodes()
            for range_id, holder in node.leaseholders.items()
            if holder.ports.lease_left_ms() > 0
        ]
        holders.sort(key=lambda one: one[0].shape.begin)
        reached = b""
        for holder, _store in holders:
            if holder.shape.begin != reached:
                return None
            reached = holder.shape.end
        return holders if reached == SYSTEM_END else None


def within(
    changes: Mapping[bytes, bytes | None], interval: KeyInterval
) -> dict[bytes, bytes | None]:
    """What of a commit's changes lies in an interval."""
    return {key: value for key, value in changes.items() if interval.contains(key)}
