"""A server that is killed at a step of its store: `python -m tests.node.crashing`.

Arguments: the directory, the step, and at which of its occurrences to die. Sixteen tasks raise
counters, each its own and all of them one together. Each line printed acknowledges something:
"own TASK VALUE TIMESTAMP", "all TIMESTAMP" for one more of the shared one, "drawn TIMESTAMP".
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from fastness.client.cluster import ClusterClient
from fastness.limits import Limits
from fastness.node import ServerNode
from fastness.runtime.local import LocalNetwork
from fastness.storage import RocksStore, Step
from tests.storage.crashing import Killer, acknowledge

TASKS = 16


async def work(client: ClusterClient, task: int) -> None:
    """Raise counters for ever."""
    value = 0
    while True:
        value += 1
        async with client.transaction() as tx:
            assert int(await tx.get(b"own %d" % task) or b"0") == value - 1
            tx.set(b"own %d" % task, b"%d" % value)
        acknowledge(f"own {task} {value} {tx.commit_timestamp}")
        acknowledge(f"all {await client.add(b'all', 1)}")
        acknowledge(f"drawn {await client.now()}")


async def main(path: Path, step: Step, occurrence: int) -> None:
    """Serve until killed."""
    network = LocalNetwork()
    limits = Limits(ceiling_ms=50)
    store = RocksStore.open(path, limits=limits, faults=Killer(step, occurrence))
    async with ServerNode(network.process("server#1"), store, limits) as server:
        client = ClusterClient(network.process("client/1"), [server.address], limits)
        await asyncio.gather(*(work(client, task) for task in range(TASKS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Step(sys.argv[2]), int(sys.argv[3])))
