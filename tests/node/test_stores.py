"""Stores that answer late, twice, from before, or not at all: what a node makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastness.encoding.timestamps import from_milliseconds
from fastness.ranges.requests import Done, Read
from fastness.testing.simulation import Rates, World
from fastness.testing.simulation.stores import StoreRates
from fastness.wire.messages import SplitRange
from tests.node.clusters import LIMITS, STORE, Cluster, refused


@pytest.mark.parametrize("seed", range(4))
def test_batches_in_doubt_are_settled(seed: int) -> None:
    """Answers of the store are lost, batches are refused: each commit happens once."""
    with World(seed=f"doubt {seed}") as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"0")
            world.network.set_call_rates(STORE, Rates(drop=0.1, delay=0.1))
            world.store(STORE).rates = StoreRates(refused=0.1, undurable=0.2)
            last = 0
            for number in range(30):
                last, earlier = await client.write(b"a", b"%d" % number), last
                assert last > earlier
                assert await client.read(b"a") == b"%d" % number
            counts = [node.counts for node in cluster.nodes.values()]
            assert sum(one.batches_in_doubt for one in counts) > 0
            assert sum(one.batches_lost for one in counts) > 0

        world.run(scenario())


def test_a_demoted_primary_is_not_believed() -> None:
    """Reads answered from before what was acknowledged are dropped and asked again."""
    with World(seed=2) as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"1")
            holder = (await client.holder_of(b"a")).holder
            world.store(STORE).fail_over(stale_ms=300, stale_for=frozenset({holder}))
            await client.write(b"a", b"2")
            assert await client.read(b"a") == b"2"
            assert cluster.node(holder).counts.stale_reads > 0

        world.run(scenario())


@pytest.mark.parametrize("doubtful", [False, True], ids=["answered", "in doubt"])
def test_a_store_that_lost_what_it_acknowledged_raises_an_alarm(doubtful: bool) -> None:
    """An asynchronous standby was promoted: the range is opened again with what is left."""
    with World(seed=3) as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client, store = cluster.client, world.store(STORE)
            await client.write(b"a", b"kept")
            behind = store.home.copy()
            for value in (b"lost", b"lost too"):
                await client.write(b"a", value)
            store.home = behind
            (node,) = cluster.nodes.values()
            assert node.counts.alarms == 0
            if doubtful:
                world.network.set_call_rates(STORE, Rates(drop=0.3))
            await client.write(b"b", b"1")
            world.network.set_call_rates(STORE, Rates())
            assert node.counts.alarms == 1
            assert [await client.read(key) for key in (b"a", b"b")] == [b"kept", b"1"]
            assert node.counts.alarms == 1

        world.run(scenario())


def test_a_primary_from_before_a_split_is_not_believed() -> None:
    """A range born since has no batch yet: an answer by somebody who never heard of it is old."""
    with World(seed=4) as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"z", b"1")
            place = await client.holder_of(b"z")
            stale_for = frozenset({place.holder.partition("#")[0]})
            world.store(STORE).fail_over(stale_ms=2_000, stale_for=stale_for)
            await client.write(b"z", b"2")
            split = SplitRange(place.range_id, place.generation, b"m")
            assert isinstance(await client.ask(place.holder, split, patience_ms=5_000), Done)
            while (await client.holder_of(b"z")).begin != b"m":
                await client.pause(20)
            before = cluster.node(place.holder).counts.stale_reads
            assert await client.read(b"z") == b"2"
            assert cluster.node(place.holder).counts.stale_reads > before

        world.run(scenario())


def test_nothing_is_pruned_into_a_child() -> None:
    """While a split is written the horizon of the parent stays: its child begins with that one."""
    limits = replace(LIMITS, retention_ms=1, prune_every_ms=2, prune_pause_ms=1)
    with World(seed=6) as world:
        cluster = Cluster(world, nodes=1, limits=limits)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            for letter in b"bcdefghijk":
                key = bytes([letter])
                for _version in range(3):
                    await client.write(key, b"0")
                place = await client.holder_of(key)
                split = SplitRange(place.range_id, place.generation, key)
                splitting = client.process.spawn(
                    client.ask(place.holder, split, patience_ms=5_000), name="split"
                )
                while not splitting.done():
                    await client.draw()
                assert isinstance(await splitting, Done)
            (node,) = cluster.nodes.values()
            home = world.store(STORE).home
            for range_id, leaseholder in node.leaseholders.items():
                assert home.prune_horizon(range_id) <= leaseholder.prune_horizon

        world.network.set_call_rates(STORE, Rates(delay=0.3, delay_ms_max=20))
        world.run(scenario())


def test_what_has_expired_is_removed_from_an_idle_range() -> None:
    """Nobody commits, the horizon passes the last commit, and latest reads go on."""
    limits = replace(LIMITS, retention_ms=300, prune_every_ms=100, prune_step_keys=3)
    with World(seed=4) as world:
        cluster = Cluster(world, nodes=1, limits=limits)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            home = world.store(STORE).home
            await client.write(b"a", b"stays")
            expires_at = await client.draw() + from_milliseconds(200)
            keys = [b"s%d" % number for number in range(10)]
            for key in keys:
                await client.write(key, b"session", expires_at=expires_at)
            assert await client.read(b"s1") == b"session"
            last = home.applied
            (leaseholder,) = cluster.node(cluster.addresses()[0]).leaseholders.values()
            while home.expired_pruned < 10:
                assert (home.expired_pruned == 0) or leaseholder.prune_horizon >= expires_at
                assert await client.read(b"a") == b"stays"
                await client.pause(20)
            assert await client.draw() - from_milliseconds(300) >= expires_at
            assert (home.applied, home.size().newest_keys) == (last, 1)
            assert await client.read(b"s1") is None
            assert await client.read(b"s1", at=await client.draw()) is None
            early = Read(leaseholder.range_id, 1, [b"s1"], at=expires_at - 1)
            address = cluster.addresses()[0]
            assert refused(await client.ask(address, early)) == "snapshot_too_old"
            assert home.verify() == []

        world.run(scenario())


def test_old_versions_are_pruned() -> None:
    """Versions below the retained window go; snapshots below it are refused, others complete."""
    limits = replace(LIMITS, retention_ms=500, prune_every_ms=200, prune_step_keys=3)
    with World(seed=3) as world:
        cluster = Cluster(world, nodes=1, limits=limits)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            first = await client.write(b"a", b"0")
            for number in range(20):
                await client.write(b"a", b"%d" % number)
            (node,) = cluster.nodes.values()
            rows = world.store(STORE).home.size().history_versions
            while node.counts.rows_pruned < 15:
                await client.draw()
                await client.pause(50)
            assert world.store(STORE).home.size().history_versions < rows
            (leaseholder,) = node.leaseholders.values()
            assert first < leaseholder.prune_horizon
            assert leaseholder.prune_horizon <= await client.draw() - from_milliseconds(500)
            assert await client.read(b"a") == b"19"
            recent = await client.draw() - from_milliseconds(200)
            assert await client.read(b"a", at=recent) == b"19"
            old = Read(leaseholder.range_id, 1, [b"a"], at=first)
            assert refused(await client.ask(node.address, old)) == "snapshot_too_old"

        world.run(scenario())
