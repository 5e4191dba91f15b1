"""Lanes of one kind: several connections that share one queue, what waits going off together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.errors import DatabaseClosed, FastnessError, Unreachable
from fastness.hosting.postgres.failures import IN_DOUBT, is_lost
from fastness.hosting.postgres.primary import STALL_S, Primary
from fastness.runtime.process import Process

Job = TypeVar("Job")


class Lane:
    """One connection to whoever is primary, made anew when it is another; one call at a time."""

    __slots__ = ("_began", "_connection", "_generation", "_loop", "_primary", "_warnings")

    def __init__(self, primary: Primary) -> None:
        self._primary = primary
        primary.serve(self)
        self._loop = asyncio.get_running_loop()
        self._connection: Any = None
        self._generation = -1
        self._warnings: list[object] = []
        """Said while the statement is under way."""
        self._began: float | None = None

    async def fetch(self, statement: str, *args: object) -> list[Any]:
        """The rows of one statement, a transaction of its own: one round trip.

        `Unreachable` where it may or may not have been carried out.
        """
        primary = self._primary
        generation, connection = self._generation, self._connection
        if connection is None:
            raise Unreachable("the store's connections were dropped: nothing was sent")
        self._warnings.clear()
        self._began = self._loop.time()
        try:
            rows: list[Any] = await connection.fetch(statement, *args)
        except Exception as error:
            if is_lost(error) or self._warnings:
                primary.drop(generation, f"{type(error).__name__}: {error}")
                raise Unreachable(
                    f"the store's connection was lost ({error}): {IN_DOUBT}"
                ) from error
            raise
        finally:
            self._began = None
        if self._warnings:
            primary.drop(generation, f"it warned: {self._warnings[0]}")
            raise Unreachable(f"the store warned ({self._warnings[0]}): {IN_DOUBT}")
        if generation != primary.generation:
            raise Unreachable(f"the store's connections were dropped meanwhile: {IN_DOUBT}")
        return rows

    async def ready(self, patience_s: float) -> None:
        """Have a connection to the primary; `Unreachable` where there is none in time."""
        primary = self._primary
        generation = await primary.connected(patience_s)
        if self._connection is None or self._generation != generation:
            self.cut()
            self._began = self._loop.time()
            try:
                async with asyncio.timeout(patience_s):
                    connection = await primary.another_connection(generation)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                primary.look()
                raise Unreachable(f"the store could not be connected to: {error!r}") from error
            finally:
                self._began = None
            connection.add_log_listener(self._warned)
            self._connection, self._generation = connection, generation

    def is_stalled(self) -> bool:
        """Whether what is under way has been for long."""
        return self._began is not None and self._loop.time() - self._began > STALL_S

    def cut(self) -> None:
        """End the connection at once; the server is not told to stop."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    def _warned(self, _connection: object, message: object) -> None:
        self._warnings.append(message)


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
            process.spawn(self._run(Lane(primary)), name=f"fastness store: {name} {number}")
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
