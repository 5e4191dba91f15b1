"""A cluster of real nodes: serving, failing over, and what becomes of leases."""

from __future__ import annotations

import pytest

from fastness.client.cluster import ClusterClient
from fastness.client.transaction import AsyncTransaction
from fastness.placement.descriptors import require_cover
from fastness.testing.simulation import Rates, World
from fastness.testing.simulation.coordinator import COORDINATOR
from tests.node.clusters import LIMITS, Asker, Cluster


async def write_both(tx: AsyncTransaction, value: bytes) -> None:
    """Write in two ranges."""
    tx.set(b"a", value)
    tx.set(b"z", value)


def test_a_cluster_begins_to_serve() -> None:
    """Ranges and the oracle find holders; what is committed is read."""
    with World(seed=1) as world:
        cluster = Cluster(world, splits=(b"m",))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            first = await client.write(b"a", b"1")
            second = await client.write(b"z", b"2")
            assert first < second
            assert await client.read(b"a") == b"1"
            assert await client.read(b"z", at=await client.draw()) == b"2"
            assert await client.read(b"z", at=first) is None

        world.run(scenario())


def test_ranges_spread_over_nodes() -> None:
    """Nobody takes everything: who holds little is quicker to claim."""
    with World(seed=2) as world:
        cluster = Cluster(world, splits=tuple(b"abcde"[n : n + 1] for n in range(5)))

        async def scenario() -> None:
            await cluster.start()
            await cluster.client.write(b"a", b"1")
            held = [len(node.leaseholders) for node in cluster.nodes.values()]
            assert sum(held) == 6
            assert max(held) <= 3

        world.run(scenario())


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_is_survived(seed: int) -> None:
    """Ranges and oracle of a dead node are taken over; acknowledged commits are all there."""
    with World(seed=seed) as world:
        cluster = Cluster(world, splits=(b"g", b"p"))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            written = {key: await client.write(key, b"1") for key in (b"a", b"h", b"z")}
            last = max(written.values())
            oracle = (await client.map()).oracle
            world.crash(cluster.name_of(oracle))
            holder = (await client.holder_of(b"h")).holder
            if holder != oracle:
                world.crash(cluster.name_of(holder))
            began = world.now_ms
            for key in written:
                assert await client.read(key) == b"1"
                last, earlier = await client.write(key, b"2"), last
                assert last > earlier
            # One time to live until the session ends, one more until nobody can be reading.
            assert world.now_ms - began < 6 * LIMITS.lease_ms

        world.run(scenario())


def test_a_long_pause_loses_everything_and_no_read_is_stale() -> None:
    """A node that slept through its lease serves nothing old when it wakes."""
    with World(seed=5) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"1")
            holder = (await client.holder_of(b"a")).holder
            world.process(holder).pause(8 * LIMITS.lease_ms)
            await client.write(b"a", b"2")
            while cluster.node(holder).counts.sessions < 2:
                assert await client.read(b"a") == b"2"
                await client.pause(20)
            counts = cluster.node(holder).counts
            assert counts.sessions_lost == 1
            assert await client.read(b"a") == b"2"

        world.run(scenario())


def test_a_node_cut_off_stops_reading_when_its_lease_ends() -> None:
    """Without the coordinator a lease runs out by itself; another node takes over."""
    with World(seed=6) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"1")
            place = await client.holder_of(b"a")
            name = cluster.name_of(place.holder)
            world.network.cut([name], [COORDINATOR])
            # The one that is cut off goes on telling what it knew.
            others = [one for one in cluster.addresses() if one != place.holder]
            client = Asker(world, "another client", lambda: others)
            while (await client.holder_of(b"a")).holder == place.holder:
                await client.pause(20)
            await client.write(b"a", b"2")
            assert await client.read(b"a") == b"2"
            node = cluster.node(place.holder)
            # It may not have noticed, but it reads nothing.
            for leaseholder in node.leaseholders.values():
                assert leaseholder.ports.lease_left_ms() == 0
            world.network.heal()
            while node.counts.sessions < 2:
                await client.pause(50)
            assert node.leaseholders == {} or (await client.read(b"a")) == b"2"

        world.run(scenario())


def test_a_session_ended_by_hand_is_noticed() -> None:
    """A lease whose session was revoked at the coordinator is dropped, and claimed anew."""
    with World(seed=7) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"1")
            place = await client.holder_of(b"a")
            world.coordinator.end_session(place.session)
            while cluster.node(place.holder).counts.sessions_lost == 0:
                await client.pause(20)
            await client.write(b"a", b"2")
            assert (await client.holder_of(b"a")).epoch > place.epoch
            assert await client.read(b"a") == b"2"

        world.run(scenario())


@pytest.mark.parametrize("seed", range(6))
def test_chaos_ends_in_order(seed: int) -> None:
    """Crashes, pauses and bad lines: nothing acknowledged is lost, and afterwards all serves."""
    with World(seed=f"chaos {seed}") as world:
        cluster = Cluster(world, splits=(b"g", b"p"))
        random = world.stream("chaos")

        async def trouble() -> None:
            client = cluster.client
            for _ in range(12):
                await client.pause(random.uniform(500, 6_000))
                name = random.choice(cluster.names)
                kind = random.randrange(4)
                if kind == 0:
                    world.restart(name)
                elif kind == 1:
                    world.process(name).pause(random.uniform(1, 4_000))
                elif kind == 2:
                    world.coordinator.pause(random.uniform(1, 2_000))
                else:
                    world.store("store-a").fail_over(outage_ms=random.uniform(0, 500))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"0")
            world.network.set_frame_rates(
                Rates(drop=0.05, duplicate=0.05, delay=0.05, corrupt=0.05)
            )
            world.network.set_call_rates(COORDINATOR, Rates(drop=0.05, delay=0.05))
            world.network.set_call_rates("store-a", Rates(drop=0.02, delay=0.02))
            task = client.process.spawn(trouble(), name="trouble")
            number, last = 0, 0
            while not task.done():
                number += 1
                for key in (b"a", b"h", b"z"):
                    last, earlier = await client.write(key, b"%d" % number), last
                    assert last > earlier
                    assert await client.read(key) == b"%d" % number
            world.network.heal()
            world.store("store-a").heal()
            for key in (b"a", b"h", b"z"):
                assert await client.read(key) == b"%d" % number
            require_cover((await client.map()).descriptors)
            assert number >= 3

        world.run(scenario())


def test_a_resting_node_hardly_ticks_and_wakes_for_work() -> None:
    """While nothing is under way nothing can become overdue; a lost message is found all the same.

    A commit over two ranges leaves decisions to spread: they are spread although the network loses
    most of what is sent, which only ticks put right.
    """
    with World(seed=12) as world:
        cluster = Cluster(world, nodes=1, splits=(b"m",))

        async def scenario() -> None:
            await cluster.start()
            await cluster.client.map()
            (node,) = cluster.nodes.values()
            await world.sleep(2_000)
            before = node.counts.ticks
            await world.sleep(10_000)
            assert 10_000 / LIMITS.tick_ms / 12 < node.counts.ticks - before < 100
            client = ClusterClient(world.process("app"), cluster.addresses(), LIMITS)
            await client.get(b"a")
            world.network.set_frame_rates(Rates(drop=0.2))
            for number in range(20):
                await client.run(write_both, b"%d" % number)
            while any(one.undecided for one in node.leaseholders.values()):
                await world.sleep(20)
            world.network.set_frame_rates(Rates())
            assert await client.get(b"z") == b"19"
            await client.close()

        world.run(scenario())
