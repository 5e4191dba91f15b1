"""The lanes of batches: what waits goes off together, what fails is told apart."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from fastness.errors import DiskFull, FastnessError
from fastness.hosting.postgres.batches import (
    APPLY,
    arguments,
    bytes_of,
    check_order,
    refusals,
)
from fastness.hosting.postgres.failures import translated
from fastness.hosting.postgres.lanes import Lane, Lanes
from fastness.hosting.postgres.primary import Primary
from fastness.limits import Limits
from fastness.runtime.process import Process
from fastness.storage.contract import Batch

Done = Callable[[FastnessError | None], None]


class _Apply(NamedTuple):
    """A batch, and who waits for it."""

    batch: Batch
    done: Done

    @property
    def doing(self) -> str:
        """What is done, in an error."""
        return f"writing batch {self.batch.number} of range {self.batch.range_id}"


class BatchLanes:
    """Applies batches; `applied` hears of each before who sent it, `failed` names the errors."""

    def __init__(
        self,
        process: Process,
        primary: Primary,
        limits: Limits,
        *,
        applied: Callable[[Batch], None],
        failed: Callable[[Exception, str], FastnessError],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._primary = primary
        self._batch_bytes = limits.batch_bytes
        self._patience_s = limits.store_wait_ms / 1_000
        self._applied = applied
        self._failed = failed
        self._lanes = Lanes[_Apply](
            process,
            primary,
            name="batches",
            count=limits.store_writers,
            patience_s=self._patience_s,
            take=self._take,
            carry_out=self._carry_out,
            refuse=self._tell,
        )

    def put(self, batch: Batch, done: Done) -> None:
        """Have it applied, in another turn of the loop."""
        self._lanes.put(_Apply(batch, done))

    async def drained(self) -> None:
        """Wait until nothing waits or is under way."""
        await self._lanes.drained()

    async def close(self, error: FastnessError) -> None:
        """End the lanes; what is left is refused."""
        await self._lanes.close(error)

    def _tell(self, job: _Apply, answer: FastnessError | None) -> None:
        self._loop.call_soon(job.done, answer)

    def _take(self, waiting: deque[_Apply]) -> list[_Apply]:
        """Batches of different ranges, and not too much; one that reshapes ranges goes alone."""
        taken = [waiting.popleft()]
        ranges = {taken[0].batch.range_id}
        size = bytes_of(taken[0].batch)
        while waiting and not _reshapes(taken[-1].batch) and not _reshapes(waiting[0].batch):
            batch = waiting[0].batch
            size += bytes_of(batch)
            if batch.range_id in ranges or size > self._batch_bytes:
                break
            ranges.add(batch.range_id)
            taken.append(waiting.popleft())
        return taken

    async def _carry_out(self, lane: Lane, group: list[_Apply]) -> None:
        sound: list[_Apply] = []
        for job in group:
            try:
                check_order(job.batch)
                sound.append(job)
            except Exception as error:  # noqa: BLE001 - told to whoever sent it
                self._tell(job, self._failed(error, job.doing))
        if not sound:
            return
        batches = [job.batch for job in sound]
        try:
            refused = refusals(batches, await lane.fetch(APPLY, *arguments(batches)))
        except Exception as error:  # noqa: BLE001 - told to whoever sent it
            await self._not_applied(lane, sound, error)
            return
        if isinstance(self._primary.refusal, DiskFull):
            self._primary.refusal = None
        for place, job in enumerate(sound):
            why = refused.get(place)
            if why is None:
                self._applied(job.batch)
            self._tell(job, None if why is None else self._failed(why, job.doing))

    async def _not_applied(self, lane: Lane, group: list[_Apply], error: Exception) -> None:
        """Tell what became of batches whose statement failed.

        In doubt, all of them are. Otherwise nothing was written: each is tried by itself, so that
        one that cannot be written takes no other with it.
        """
        told = translated(error, "writing batches")
        if len(group) == 1 or (isinstance(told, FastnessError) and told.retryable):
            for job in group:
                self._tell(job, self._failed(error, job.doing))
            return
        for place, job in enumerate(group):
            try:
                await lane.ready(self._patience_s)
            except FastnessError as lost:
                for left in group[place:]:
                    self._tell(left, lost)
                return
            await self._carry_out(lane, [job])


def _reshapes(batch: Batch) -> bool:
    return bool(batch.splits or batch.absorbs)
