"""A node's dealings with the coordinator: bounded in time, and certain about its writes.

A write whose answer was lost may have happened, or may happen yet. `write_surely` repeats the
same compare-and-write until it knows: every write names a *witness*, a key that it puts and
whose value no other write could have given it. Revisions only rise, so once a comparison has
failed no earlier copy of the write can land any more, and the witness tells whether one did.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple, TypeVar

from fastness.errors import Unreachable
from fastness.limits import Limits
from fastness.node.counts import Counts
from fastness.node.waiting import pause, within
from fastness.placement.cluster_view import ClusterView
from fastness.placement.coordinator import Coordinator, Entry, Put
from fastness.placement.flips import Flip
from fastness.runtime.process import Process, Timer

T = TypeVar("T")

RETRY_MS = 50
"""Between two tries to reach somebody who does not answer."""


class Change(NamedTuple):
    """One compare-and-write, and the key that tells whether it was written."""

    compare: Mapping[str, int]
    puts: list[Put]
    witness: str
    deletes: tuple[str, ...] = ()

    def written(self, entry: Entry | None) -> bool:
        """Whether the witness, read back, has the value this write gives it."""
        return entry is not None and any(
            put.key == self.witness and put.value == entry.value for put in self.puts
        )


def change_of(flip: Flip) -> Change:
    """The write of a flip."""
    return Change(flip.compare, flip.writes(), flip.witness, flip.deletes())


class Coordination:
    """See the module's page."""

    __slots__ = ("_coordinator", "_counts", "_process", "_time_ms", "view")

    def __init__(
        self, process: Process, coordinator: Coordinator, limits: Limits, counts: Counts
    ) -> None:
        self.view = ClusterView()
        self._process = process
        self._coordinator = coordinator
        self._counts = counts
        self._time_ms = max(1, limits.lease_ms // 4)
        """An answer that takes longer is of little use to a lease."""

    def watch(self, changed: Callable[[], None]) -> Timer:
        """Be told that something changed; the view is refreshed by whoever is told."""
        return self._coordinator.watch("", changed)

    async def refresh(self) -> int:
        """Read everything into the view; when, by the boot clock, this was asked for."""
        while True:
            before_ns = self._process.clock.boot_ns()
            revision, entries = await self._bounded(self._coordinator.read(""), "read")
            # What this node wrote meanwhile is not unlearned: the next reading has it.
            if self.view.refreshed(revision, entries):
                return before_ns

    async def open_session(self, ttl_ms: int) -> int:
        """A new session."""
        return await self._bounded(self._coordinator.open_session(ttl_ms), "open session")

    async def keep_alive(self, session: int) -> bool:
        """Let a session live on; `False`: it has ended."""
        return await self._bounded(self._coordinator.keep_alive(session), "keep alive")

    async def end_session(self, session: int) -> None:
        """End a session."""
        await self._bounded(self._coordinator.end_session(session), "end session")

    async def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...] = ()
    ) -> int | None:
        """One try: the revision, `None` where a comparison failed, or `Unreachable`: in doubt."""
        return await self._bounded(self._coordinator.write(compare, puts, deletes), "write")

    async def write_surely(self, change: Change) -> int | None:
        """Write until it is known whether it was written: at which revision, or `None`."""
        doubtful = False
        while True:
            try:
                revision = await self.write(change.compare, change.puts, change.deletes)
            except Unreachable:
                doubtful = True
                await pause(self._process, RETRY_MS)
                continue
            if revision is not None or not doubtful:
                return revision
            entry = await self.read_surely(change.witness)
            return entry.revision if entry is not None and change.written(entry) else None

    async def read_surely(self, key: str) -> Entry | None:
        """One entry, however often it takes to be answered."""
        while True:
            try:
                _revision, entries = await self._bounded(self._coordinator.read(key), "read")
            except Unreachable:
                await pause(self._process, RETRY_MS)
            else:
                return entries.get(key)

    async def _bounded(self, call: Coroutine[Any, Any, T], what: str) -> T:
        try:
            return await within(self._process, call, self._time_ms, name=f"coordinator: {what}")
        except Unreachable:
            self._counts.coordinator_failures += 1
            raise
