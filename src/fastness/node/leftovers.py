"""Removes what moves leave behind: a target given up, or the source of one that has ended.

A range's record says where such rows are (`ranges.shape.Elsewhere`), written before there are any.
Whoever holds the range removes them, however often it takes::

    raise the epoch in the record -> open the leftover at it -> drop its rows, step by step
      -> close it for good -> remove the record

The raised epoch fences every step of an earlier try, the mover's own included; once the leftover
is closed none can come at all, so the interval may be used there again. A leftover that cannot be
opened at an epoch never used is closed: an answer was lost. Meanwhile the range is neither split,
merged nor moved, so that the record has one holder; it is served as ever.
"""

from __future__ import annotations

from msgspec.structs import replace

from fastness.errors import FastnessError, Fenced
from fastness.hosting.remote import StoreDrop
from fastness.node.carrying import StoreAsker
from fastness.node.held import HeldRanges
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.node.waiting import pause
from fastness.ranges.shape import MOVED, MOVING, decode_elsewhere, encode_record
from fastness.storage.contract import EPOCH_MAX


class Leftovers:
    """See the module's page."""

    __slots__ = ("_asker", "_held", "_site")

    def __init__(self, site: Site, held: HeldRanges) -> None:
        self._site = site
        self._held = held
        self._asker = StoreAsker(site)

    async def run(self) -> None:
        """Look, again and again."""
        while True:
            await pause(self._site.process, self._site.limits.poll_ms)
            for shell in self._held:
                for name in (MOVING, MOVED):
                    await self._look(shell, name)

    async def _look(self, shell: RangeShell, name: bytes) -> None:
        if (
            shell.closed
            or not shell.allowed
            or shell.range_id in self._held.busy
            or name not in shell.leaseholder.records
        ):
            return
        try:
            await self._remove(shell, name)
        except FastnessError as error:
            shell.note(f"what a move left behind is not removed yet: {error}")

    async def _remove(self, shell: RangeShell, name: bytes) -> None:
        found = decode_elsewhere(shell.leaseholder.records[name])
        store = self._site.stores.get(found.store)
        if store is None:
            shell.note(f"store {found.store!r} is not open here: what a move left there stays")
            return
        found = replace(found, epoch=found.epoch + 1)
        await shell.recorded({name: encode_record(found)})
        try:
            await self._asker.opened(store, found.range_id, found.epoch)
        except Fenced:
            # Closed already, and the answer to that was lost.
            await shell.recorded({name: None})
            return
        interval = (shell.shape.begin, shell.shape.end)
        limit = self._site.limits.prune_step_keys
        await self._asker.cleared(store, StoreDrop(found.range_id, found.epoch, interval, limit))
        await self._asker.opened(store, found.range_id, EPOCH_MAX)
        await shell.recorded({name: None})
        self._site.counts.leftovers_removed += 1
        shell.note(f"nothing is left of range {found.range_id} in store {found.store!r}")
