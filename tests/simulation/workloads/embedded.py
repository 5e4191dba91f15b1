"""Run workloads of the simulated cluster on an embedded database: the same face, no cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

import fastness
from fastness.errors import FastnessError
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase
from fastness.testing.simulation.workloads import SimulatedWorkload

CLIENTS = 6


async def run_together(
    workloads: Sequence[SimulatedWorkload], *, seed: int, actions: int
) -> Ledger:
    """Let six clients of each workload act so often, all in one database; what they recorded."""
    ledger = Ledger()
    async with await fastness.open_async("memory:") as database:
        recorded = RecordedDatabase(database, ledger, 0)
        for workload in workloads:
            await workload.prepare(recorded)
        async with asyncio.TaskGroup() as tasks:
            number = 1
            for workload in workloads:
                for _ in range(CLIENTS):
                    client = RecordedDatabase(database, ledger, number)
                    random = Random(f"{seed} {number}")
                    tasks.create_task(_act(workload, client, random, actions))
                    number += 1
        for workload in workloads:
            await workload.conclude(recorded)
    return ledger


async def _act(
    workload: SimulatedWorkload, client: RecordedDatabase, random: Random, actions: int
) -> None:
    for _ in range(actions):
        try:
            await workload.act(client, random)
        except FastnessError:
            continue
        await asyncio.sleep(0)
