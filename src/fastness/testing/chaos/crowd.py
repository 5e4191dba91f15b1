"""The clients: they act the workloads of the simulated cluster on the real one.

Each client is a connection of its own with a near cache, or without one; its tasks do one thing
after another. Errors of the taxonomy are what faults bring; anything else ends the run.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random

import fastness
from fastness import AsyncDatabase
from fastness.errors import FastnessError, UsageError
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase
from fastness.testing.simulation.workloads import WORKLOADS, SimulatedWorkload

AUDIT_S = 5.0
AUDIT_ENTRIES = 50
SETUP_ATTEMPTS_MAX = 20
SWITCH = 0.5
"""How often a task turns to another workload."""


Act = Callable[[RecordedDatabase], Awaitable[object]]


class Crowd:
    """All clients of a run."""

    def __init__(
        self, url: str, ledger: Ledger, *, seed: int, clients: int, tasks: int, pace_s: float
    ) -> None:
        """So many clients with so many tasks, each of which rests `pace_s` between two things."""
        self.ledger = ledger
        self.workloads: Sequence[SimulatedWorkload] = [
            kind(Random(f"{seed}/{kind.kind}")) for kind in WORKLOADS
        ]
        self.numbers = itertools.count(1)
        """For processes of the ledger."""
        self.errors: Counter[str] = Counter()
        """What tasks met, by code."""
        self.audited = 0
        self.stale = 0
        """Entries of near caches that audits found, and that should have been gone."""
        self._url = url
        self._seed = seed
        self._clients = clients
        self._tasks = tasks
        self._pace_s = pace_s
        self._stopping = asyncio.Event()

    def recorded(self, database: AsyncDatabase) -> RecordedDatabase:
        """A face of it for one task."""
        return RecordedDatabase(database, self.ledger, next(self.numbers))

    async def set_up(self, database: AsyncDatabase) -> None:
        """Write what the workloads begin with."""
        for workload in self.workloads:
            await self._again(workload.prepare, self.recorded(database))

    async def conclude(self, database: AsyncDatabase) -> None:
        """Look at what is left; every range must answer."""
        for workload in self.workloads:
            await self._again(workload.conclude, self.recorded(database))

    async def _again(self, act: Act, database: RecordedDatabase) -> None:
        for attempt in range(SETUP_ATTEMPTS_MAX):
            try:
                await act(database)
            except FastnessError:
                if attempt == SETUP_ATTEMPTS_MAX - 1:
                    raise
                await asyncio.sleep(1.0)
            else:
                return

    async def act(self) -> None:
        """Everybody acts until `stop`; returns once everybody has ended what was under way."""
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            for number in range(self._clients):
                cache = "on" if number % 2 == 0 else "off"
                database = await stack.enter_async_context(
                    await fastness.open_async(f"{self._url}?cache={cache}")
                )
                for task in range(self._tasks):
                    random = Random(f"{self._seed}/{number}/{task}")
                    tasks.create_task(self._work(self.recorded(database), random))
                if cache == "on":
                    tasks.create_task(self._audit(database))

    def stop(self) -> None:
        """Let everybody come to an end."""
        self._stopping.set()

    async def _work(self, database: RecordedDatabase, random: Random) -> None:
        workload = random.choice(self.workloads)
        while not await self._rest(random.expovariate(1.0) * self._pace_s):
            if random.random() < SWITCH:
                workload = random.choice(self.workloads)
            try:
                await workload.act(database, random)
            except UsageError:
                raise
            except FastnessError as error:
                self.errors[error.code] += 1

    async def _audit(self, database: AsyncDatabase) -> None:
        """Hold what a near cache serves against what its node says, now and then."""
        while not await self._rest(AUDIT_S):
            with suppress(FastnessError):
                found = await database.audit_cache(AUDIT_ENTRIES)
                self.audited += found.true + found.stale
                self.stale += found.stale

    async def _rest(self, seconds: float) -> bool:
        """Wait so long; whether it is time to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()
