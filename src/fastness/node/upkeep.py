"""Pruning in the background: old versions go, in small steps, below horizons that only rise.

The horizon of a range follows the time of the oracle, not of any clock here: the highest
timestamp known to be issued, less the retention. It stays below the range's closed timestamp,
so that whoever follows changes is not overtaken, but passes the range's last commit: what has
expired since goes, though nobody commits. The leaseholder refuses reads below it before the store
removes anything. It is not raised while the range changes its shape: the child of a split begins
with the horizon its parent had when the split was written, and a step sent later, for the parent
of before, would reach into the child.
"""

from __future__ import annotations

import asyncio

from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import FastnessError
from fastness.hosting.remote import StorePrune
from fastness.node.held import HeldRanges
from fastness.node.shell import RangeShell
from fastness.node.site import Site
from fastness.node.waiting import pause, settle


class Upkeep:
    """See the module's page."""

    __slots__ = ("_held", "_site")

    def __init__(self, site: Site, held: HeldRanges) -> None:
        self._site = site
        self._held = held

    async def run(self) -> None:
        """Prune every range held, again and again."""
        while True:
            await pause(self._site.process, self._site.limits.prune_every_ms)
            if self._held:
                # Where nobody commits nothing else tells how the oracle's time goes on.
                self._site.draws.observe()
            for shell in self._held:
                await self._prune(shell)

    def _horizon(self, shell: RangeShell) -> Timestamp:
        retained = from_milliseconds(self._site.limits.retention_ms)
        return min(self._site.post.issued - retained, shell.leaseholder.closed - 1)

    async def _prune(self, shell: RangeShell) -> None:
        site, limits = self._site, self._site.limits
        if shell.closed or not shell.allowed or shell.leaseholder.paused:
            return
        if shell.range_id in self._held.busy:
            # A move follows the changes.
            return
        horizon = self._horizon(shell)
        if horizon > shell.leaseholder.prune_horizon:
            shell.leaseholder.raise_horizon(horizon)
        horizon = shell.leaseholder.prune_horizon
        removed = limits.prune_step_keys
        while horizon > 0 and removed >= limits.prune_step_keys:
            removed = await self._step(shell, horizon)
            site.counts.rows_pruned += removed
            await pause(site.process, limits.prune_pause_ms)

    async def _step(self, shell: RangeShell, horizon: Timestamp) -> int:
        """One step; how many rows went, 0 where the range is gone or the store did not answer."""
        if shell.closed:
            return 0
        site, shape = self._site, shell.shape
        future: asyncio.Future[int | FastnessError] = site.process.future()
        store = site.stores[shell.store_name]
        interval = (shape.begin, shape.end)
        request = StorePrune(
            shell.range_id, shell.lease.epoch, interval, horizon, site.limits.prune_step_keys
        )
        store.prune(request, lambda answer: settle(future, answer))
        answer = await future
        if isinstance(answer, FastnessError):
            shell.note(f"not pruned: {answer}")
            return 0
        return answer
