"""Lanes of one kind: several connections that share one queue, what waits going off together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from fastness.errors import DatabaseClosed, FastnessError
from fastness.hosting.postgres.primary import Lane, Primary
from fastness.runtime.process import Process

Job = TypeVar("Job")

Take = Callable[[deque[Job]], list[Job]]
"""Takes from what waits what is to go off together: something, if anything waits."""


class Lanes(Generic[Job]):
    """A queue, and lanes that empty it. What waits for a primary too long is told so."""

    def __init__(
        self,
        process: Process,
        primary: Primary,
        *,
        name: str,
        count: int,
        patience_s: float,
        take: Take[Job],
        carry_out: Callable[[Lane, list[Job]], Coroutine[Any, Any, None]],
        refuse: Callable[[Job, FastnessError], None],
    ) -> None:
        """`carry_out` answers every job it is given, and raises nothing; nor does `refuse`."""
        self._waiting: deque[Job] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._under_way = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self._patience_s = patience_s
        self._take = take
        self._carry_out = carry_out
        self._refuse = refuse
        self._process = process
        self._tasks = [
            process.spawn(self._run(primary.lane()), name=f"fastness store: {name} {number}")
            for number in range(count)
        ]

    def put(self, job: Job) -> None:
        """Have a lane carry it out, in another turn of the loop."""
        self._waiting.append(job)
        self._drained.clear()
        self._wake()

    @property
    def waiting(self) -> int:
        """How many jobs no lane has taken."""
        return len(self._waiting)

    async def drained(self) -> None:
        """Wait until nothing waits or is under way."""
        await self._drained.wait()

    async def close(self, error: FastnessError) -> None:
        """End the lanes; what is left is refused."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._refuse_all(error)

    def _wake(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def _run(self, lane: Lane) -> None:
        while True:
            if not self._waiting:
                idle = self._process.future()
                self._idle.append(idle)
                await idle
                continue
            try:
                await lane.ready(self._patience_s)
            except FastnessError as error:
                self._refuse_all(error)
                continue
            group = self._take(self._waiting) if self._waiting else []
            if self._waiting:
                self._wake()
            if group:
                self._under_way += 1
                try:
                    await self._carry_out(lane, group)
                except asyncio.CancelledError:
                    for job in group:
                        self._refuse(job, DatabaseClosed("the store was closed meanwhile"))
                    raise
                finally:
                    self._under_way -= 1
                    self._note_end()

    def _refuse_all(self, error: FastnessError) -> None:
        while self._waiting:
            self._refuse(self._waiting.popleft(), error)
        self._note_end()

    def _note_end(self) -> None:
        if not self._waiting and not self._under_way:
            self._drained.set()
