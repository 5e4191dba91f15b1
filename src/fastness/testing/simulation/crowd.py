"""The clients of a simulated cluster: processes with tasks that act out the workloads.

Each client process has one `ClusterClient`, with a near cache or without. It may crash and be
started again like any other; what its tasks were doing stays unknown until somebody asks.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random

from fastness.client.cluster import ClusterClient
from fastness.errors import FastnessError, InvalidEncoding, ProtocolMismatch, UsageError
from fastness.invariants import InvariantViolation
from fastness.ranges.identity import TransactionId
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.scenario import Scenario
from fastness.testing.simulation.workloads import SimulatedWorkload
from fastness.testing.simulation.world import World

OBSERVER = "client-1"
"""The client that only looks."""
PAUSE_MAX = 5.0
"""Of the pauses that one makes on average: whoever rests for too long seems to be stuck."""


class Crowd:
    """All client processes of a run."""

    def __init__(
        self,
        world: World,
        scenario: Scenario,
        workloads: Sequence[SimulatedWorkload],
        ledger: Ledger,
        nodes: Callable[[], list[str]],
    ) -> None:
        self.world = world
        self.scenario = scenario
        self.workloads = workloads
        self.ledger = ledger
        self.nodes = nodes
        self.clients: list[ClusterClient] = []
        """Every one that ever ran."""
        self.acting = 0
        """Tasks that have not ended, of processes that live."""
        self.stopping = False
        self._numbers = itertools.count(1)

    def commits_under_way(self) -> list[TransactionId]:
        """The ids of commits that tasks wait for, the oldest of each client first."""
        return [identity for client in self.clients for identity in client.core.commits.under_way]

    def begin(self) -> None:
        """Start every client process."""
        for number in range(self.scenario.clients):
            self.world.start(f"client-{number + 1}", self._start)

    def _start(self, process: SimulatedProcess) -> None:
        caching = self.world.stream(f"caching {process.name}").random() < 0.6
        client = ClusterClient(process, self.nodes(), self.scenario.limits, cache=caching)
        self.clients.append(client)
        tasks = 0 if self.stopping else self.scenario.tasks
        running = [tasks]
        self.acting += tasks

        def ended() -> None:
            running[0] -= 1
            self.acting -= 1

        def crashed() -> None:
            self.acting -= running[0]

        process.on_crash(crashed)
        for number in range(tasks):
            random = Random(f"{self.scenario.seed}/act/{process.address}/{number}")
            database = RecordedDatabase(client, self.ledger, next(self._numbers))
            # It ends with the process, or by itself once told to stop.
            acting = self._observe if process.name == OBSERVER else self._act
            _task = process.spawn(acting(database, random, ended), name=f"acts {number}")

    async def _observe(
        self, database: RecordedDatabase, random: Random, ended: Callable[[], None]
    ) -> None:
        """Look again and again, and change nothing.

        Whoever writes soon learns that a range has moved. Whoever only reads hears of it last:
        these clients would be the ones to be told old values by a node that was deposed.
        """
        pace_ms = min(self.scenario.pace_ms, 0.1 * self.scenario.limits.lease_ms)
        workloads = [one for one in self.workloads if one.observes] or self.workloads
        while not self.stopping:
            await asyncio.sleep(random.expovariate(1.0) * pace_ms * 0.6 / 1_000)
            with suppress(FastnessError):
                await random.choice(workloads).observe(database, random)
        ended()

    async def _act(
        self, database: RecordedDatabase, random: Random, ended: Callable[[], None]
    ) -> None:
        """One thing after another, in bursts and at leisure, until told to stop."""
        pace_s = self.scenario.pace_ms / 1_000
        damages = self.scenario.plan.intensity("corrupt") > 0.0
        workload = random.choice(self.workloads)
        while not self.stopping:
            if random.random() < 0.5:
                workload = random.choice(self.workloads)
            pause = min(random.expovariate(1.0), PAUSE_MAX) * random.choice((0.1, 0.5, 2.4))
            await asyncio.sleep(pause * pace_s)
            try:
                await workload.act(database, random)
            except UsageError as error:
                if damages and isinstance(error, ProtocolMismatch | InvalidEncoding):
                    # A frame was damaged on its way, and honestly refused.
                    continue
                raise InvariantViolation(f"{workload.kind} met an error of usage") from error
            except FastnessError:
                continue
        ended()
