"""Reads of many tasks in few frames: who travels with whom, and what happens to the others."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace

import pytest

from fastness.client.cluster import ClusterClient
from fastness.errors import FastnessError, Unreachable
from fastness.testing.simulation import Rates
from tests.client.cluster.clusters import Scene, play
from tests.node.clusters import LIMITS

KEYS = [b"key %03d" % number for number in range(100)]


async def at_once(client: ClusterClient, work: Sequence[Awaitable[bytes | None]]) -> list[object]:
    """What each comes to, all begun in one turn; errors instead of values."""

    async def one(awaitable: Awaitable[bytes | None]) -> object:
        try:
            return await awaitable
        except FastnessError as error:
            return error

    process = client.core.calls.process
    tasks = [process.spawn(one(awaitable), name="read") for awaitable in work]
    return [await task for task in tasks]


async def filled(scene: Scene) -> ClusterClient:
    """A client of a database that has every key."""
    client = scene.client()
    async with client.transaction() as tx:
        for key in KEYS:
            tx.set(key, key.upper())
    return client


def requests(scene: Scene) -> int:
    """What all nodes were asked so far."""
    return sum(node.counts.requests for node in scene.cluster.nodes.values())


def test_reads_of_one_turn_travel_together() -> None:
    """The first leaves at once, the others in one frame; each gets its own answer."""

    async def scenario(scene: Scene) -> None:
        client = await filled(scene)
        before = requests(scene)
        found = await at_once(client, [client.get(key) for key in [*KEYS, b"key absent"]])
        assert found == [*(key.upper() for key in KEYS), None]
        assert requests(scene) == before + 2

    play(scenario)


def test_a_frame_takes_no_more_than_its_limit() -> None:
    """What is beyond it goes in the next."""

    async def scenario(scene: Scene) -> None:
        await filled(scene)
        client = scene.client(replace(LIMITS, read_keys=10))
        await client.get(KEYS[0])
        before = requests(scene)
        found = await at_once(client, [client.get(key) for key in KEYS])
        assert found == [key.upper() for key in KEYS]
        assert requests(scene) == before + 1 + 10

    play(scenario)


def test_transactions_of_one_snapshot_read_together() -> None:
    """Those that share a timestamp share the frame as well."""

    async def scenario(scene: Scene) -> None:
        client = await filled(scene)

        async def read(key: bytes) -> bytes | None:
            async with client.transaction(read_only=True) as tx:
                return await tx.get(key)

        before = requests(scene)
        found = await at_once(client, [read(key) for key in KEYS])
        assert found == [key.upper() for key in KEYS]
        assert requests(scene) <= before + 4

    play(scenario)


def test_ranges_that_moved_are_found_again() -> None:
    """A frame that went to the wrong place is corrected, and every read answered."""

    async def scenario(scene: Scene) -> None:
        client = await filled(scene)
        await scene.split(b"key 050")
        found = await at_once(client, [client.get(key) for key in KEYS])
        assert found == [key.upper() for key in KEYS]
        found = await at_once(client, [client.get(key) for key in KEYS])
        assert found == [key.upper() for key in KEYS]

    play(scenario)


def test_lost_frames_are_sent_again() -> None:
    """However many frames the network loses, each read is answered."""

    async def scenario(scene: Scene) -> None:
        client = await filled(scene)
        scene.world.network.set_frame_rates(Rates(drop=0.2, duplicate=0.2))
        for _ in range(5):
            found = await at_once(client, [client.get(key) for key in KEYS])
            assert found == [key.upper() for key in KEYS]

    play(scenario)


@pytest.mark.parametrize("others", [0, 9])
def test_nobody_answers(others: int) -> None:
    """Every reader is told so, each by an error of its own."""

    async def scenario(scene: Scene) -> None:
        await filled(scene)
        client = scene.client(replace(LIMITS, operation_ms=500))
        await client.get(KEYS[0])
        for address in scene.cluster.addresses():
            scene.world.crash(scene.name_of(address))
        found = await at_once(client, [client.get(key) for key in KEYS[: others + 1]])
        assert [type(one) for one in found] == [Unreachable] * (others + 1)
        assert len({id(one) for one in found}) == others + 1

    play(scenario)


def test_a_hot_key_slows_nobody_else_down() -> None:
    """Readers of other keys are answered while one that is written all the time waits its turn."""

    async def scenario(scene: Scene) -> None:
        client = await filled(scene)
        hot, writing = KEYS[50], True
        writer = scene.client()

        async def write() -> None:
            while writing:
                await writer.set(hot, hot.upper())

        process = writer.core.calls.process
        tasks = [process.spawn(write(), name="write") for _ in range(4)]
        for _ in range(20):
            found = await at_once(client, [client.get(key) for key in KEYS])
            assert found == [key.upper() for key in KEYS]
        writing = False
        for task in tasks:
            await task

    play(scenario)
