"""Many ranges at once: claimed together, opened side by side, divided between nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fastness.errors import StoreUnavailable
from fastness.node.waiting import Turns, pause
from fastness.testing.simulation import SimulatedProcess, World
from tests.node.clusters import Cluster

RANGES = 90
"""As many as one bootstrap writes, nearly."""

SPLITS = tuple(bytes([number]) for number in range(1, RANGES))


async def until(process: SimulatedProcess, holds: Callable[[], bool]) -> None:
    """Let the world go on until something is so."""
    while not holds():
        await pause(process, 10)


def test_nodes_that_start_together_divide_what_there_is() -> None:
    """Three nodes come to hold a third each, by a handful of writes."""
    with World(seed=11) as world:
        cluster = Cluster(world, splits=SPLITS)

        def held() -> list[int]:
            return [len(node.leaseholders) for node in cluster.nodes.values()]

        async def scenario() -> None:
            await cluster.start()
            await until(cluster.client.process, lambda: sum(held()) == RANGES)
            assert min(held()) > RANGES // 6
            claims_lost = sum(node.counts.claims_lost for node in cluster.nodes.values())
            assert claims_lost <= RANGES // 10

        world.run(scenario())


def test_what_a_dead_node_held_is_divided() -> None:
    """Those that live take it over once its session has ended."""
    with World(seed=12) as world:
        cluster = Cluster(world, splits=SPLITS)

        async def scenario() -> None:
            await cluster.start()
            process = cluster.client.process
            nodes = cluster.nodes
            await until(
                process, lambda: sum(len(one.leaseholders) for one in nodes.values()) == RANGES
            )
            address, dead = max(nodes.items(), key=lambda one: len(one[1].leaseholders))
            before = {other: len(one.leaseholders) for other, one in nodes.items()}
            world.crash(cluster.name_of(address))
            living = {other: one for other, one in nodes.items() if one is not dead}
            await until(
                process, lambda: sum(len(one.leaseholders) for one in living.values()) == RANGES
            )
            assert all(len(one.leaseholders) > before[other] for other, one in living.items())
            assert sum(one.counts.takeovers for one in living.values()) >= before[address]

        world.run(scenario())


def test_a_drained_node_divides_what_it_held() -> None:
    """Everything is released by it, and taken by the others in equal parts, without a takeover."""
    with World(seed=14) as world:
        cluster = Cluster(world, splits=SPLITS)

        async def scenario() -> None:
            await cluster.start()
            process, nodes = cluster.client.process, cluster.nodes
            await until(
                process, lambda: sum(len(one.leaseholders) for one in nodes.values()) == RANGES
            )
            address, leaving = max(nodes.items(), key=lambda one: len(one[1].leaseholders))
            held = len(leaving.leaseholders)
            task = world.process(cluster.name_of(address)).spawn(leaving.drain(), name="drain")
            await task
            assert not leaving.leaseholders
            assert leaving.counts.transfers == held
            staying = [one for one in nodes.values() if one is not leaving]
            await until(process, lambda: sum(len(one.leaseholders) for one in staying) == RANGES)
            assert sum(one.counts.takeovers for one in staying) == 0
            shares = [len(one.leaseholders) for one in staying]
            assert max(shares) - min(shares) <= RANGES // 6

        world.run(scenario())


def test_turns_are_bounded_and_given_in_order() -> None:
    """No more than so many at a time; the others in the order they came, but for who has left."""
    with World(seed=13) as world:
        process = world.process("node")

        async def scenario() -> None:
            turns = Turns(process, 2)
            began: list[int] = []
            release = process.future()

            async def work(number: int) -> None:
                async with turns:
                    began.append(number)
                    await asyncio.shield(release)

            tasks = [process.spawn(work(number), name=f"work {number}") for number in range(5)]
            await pause(process, 10)
            assert began == [0, 1]
            tasks[2].cancel()
            await pause(process, 10)
            release.set_result(None)
            await pause(process, 10)
            assert began == [0, 1, 3, 4]
            async with turns:
                with pytest.raises(StoreUnavailable):
                    async with turns:
                        raise StoreUnavailable("what fails inside gives its turn back")
                async with turns:
                    pass

        task = process.spawn(scenario(), name="scenario")

        async def run() -> None:
            await task

        world.run(run())
