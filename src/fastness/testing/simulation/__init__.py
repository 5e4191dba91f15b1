"""A simulated world: whole clusters on virtual time, with every fault a seed can draw.

Code written against `fastness.runtime.process.Process`, and ordinary asyncio code, runs here
unchanged, thousands of times faster than for real, and exactly the same again for the same seed::

    from fastness.testing.simulation import World

    def start_echo(process):
        process.listen(lambda sender, frame: process.send(sender, frame))

    async def scenario(world):
        client = world.process("client")
        heard = client.future()
        client.listen(lambda sender, frame: heard.done() or heard.set_result(frame))
        client.send("echo", b"hello")
        return await heard

    with World(seed=7) as world:
        world.start("echo", start_echo)
        assert world.run(scenario(world)) == b"hello"

| name | what it is |
|---|---|
| `World` | everything below, made from one seed |
| `SimulatedProcess` | a process to crash and to pause at any step; its clocks are its own |
| `SimulatedCoordinator`, `CoordinatorServer` | what etcd is to a cluster, from near and far |
| `SimulatedStore`, `SimulatedStoreClient` | a replicated durable home, from near and far |
| `Network`, `Rates`, `Cut` | delays, losses, duplicates, damage and partitions |
| `FaultPlan`, `Swarm`, `KINDS` | what goes wrong in a seed, and who sees to it |
| `SimulatedLoop` | the asyncio event loop in virtual time |
| `Deadlock`, `OutOfTime`, `RefusedInSimulation`, `UnretrievedError` | the program is wrong |
| `ProcessCrashed` | whose task was awaited died |
"""

from __future__ import annotations

from fastness.testing.simulation.clocks import SimulatedClock
from fastness.testing.simulation.coordinator import CoordinatorServer, SimulatedCoordinator
from fastness.testing.simulation.failures import (
    Deadlock,
    OutOfTime,
    ProcessCrashed,
    RefusedInSimulation,
    UnretrievedError,
)
from fastness.testing.simulation.faults import KINDS, FaultPlan
from fastness.testing.simulation.loop import SimulatedLoop
from fastness.testing.simulation.network import Cut, Network, Rates
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.store_clients import SimulatedStoreClient
from fastness.testing.simulation.stores import SimulatedStore, StoreRates
from fastness.testing.simulation.swarm import Swarm
from fastness.testing.simulation.world import World

__all__ = [
    "KINDS",
    "CoordinatorServer",
    "Cut",
    "Deadlock",
    "FaultPlan",
    "Network",
    "OutOfTime",
    "ProcessCrashed",
    "Rates",
    "RefusedInSimulation",
    "SimulatedClock",
    "SimulatedCoordinator",
    "SimulatedLoop",
    "SimulatedProcess",
    "SimulatedStore",
    "SimulatedStoreClient",
    "StoreRates",
    "Swarm",
    "UnretrievedError",
    "World",
]
