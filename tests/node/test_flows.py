"""Split, merge, transfer and drain, on real nodes: done, refused, and broken off half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest

from fastness.placement.cluster_view import decode_descriptor, encode_descriptor, range_key
from fastness.placement.coordinator import Put
from fastness.placement.descriptors import Descriptor, require_cover
from fastness.ranges.requests import Done
from fastness.testing.simulation import World
from fastness.testing.simulation.coordinator import COORDINATOR
from fastness.wire.messages import Body, Drain, MergeRange, SplitRange, TransferLease
from tests.node.clusters import LIMITS, STORE, Asker, Cluster, refused

KEYS = (b"a", b"h", b"m", b"z")


async def done(client: Asker, to: str, body: Body) -> None:
    """Ask until it is done, or known not to be."""
    answer = await client.ask(to, body, patience_ms=5_000)
    assert isinstance(answer, Done), answer


async def ready(client: Asker) -> None:
    """Let every range commit, which is when it may be split, merged or handed over."""
    for key in KEYS:
        await client.write(key, b"0")


def run(world: World, scenario: Coroutine[Any, Any, None]) -> None:
    """Let a scenario come to its end."""
    world.run(scenario)


async def check_all(client: Asker, value: bytes) -> None:
    """Every key has this value, and the map covers every key."""
    for key in KEYS:
        assert await client.read(key) == value
    require_cover((await client.map()).descriptors)


def test_a_split_serves_both_children() -> None:
    """Both halves read what was there and commit at once; old maps are corrected."""
    with World(seed=1) as world:
        cluster = Cluster(world)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            place = await client.holder_of(b"h")
            await done(client, place.holder, SplitRange(place.range_id, place.generation, b"h"))
            while (await client.holder_of(b"a")).generation == place.generation:
                await client.pause(20)
            left, right = await client.holder_of(b"a"), await client.holder_of(b"h")
            assert (left.begin, left.end, right.begin, right.end) == (
                place.begin, b"h", b"h", place.end,
            )  # fmt: skip
            assert left.generation == right.generation > place.generation
            await check_all(client, b"0")
            began = world.now_ms
            for key in KEYS:
                await client.write(key, b"1")
            assert world.now_ms - began < LIMITS.lease_ms
            await check_all(client, b"1")
            again = await client.ask(
                place.holder, SplitRange(place.range_id, place.generation, b"h")
            )
            assert refused(again) == "range_moved"

        run(world, scenario())


def test_a_merge_serves_the_union() -> None:
    """Neighbours on one node become one range; commits go on at once."""
    with World(seed=2) as world:
        cluster = Cluster(world, nodes=1, splits=(b"h",))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            place = await client.holder_of(b"a")
            await done(client, place.holder, MergeRange(place.range_id, place.generation))
            while (await client.holder_of(b"a")).generation == place.generation:
                await client.pause(20)
            merged = await client.holder_of(b"z")
            assert merged.range_id == place.range_id
            assert (merged.begin, merged.generation) == (place.begin, place.generation + 1)
            await check_all(client, b"0")
            for key in KEYS:
                await client.write(key, b"1")
            await check_all(client, b"1")

        run(world, scenario())


def test_a_merge_needs_both_on_one_node() -> None:
    """A neighbour elsewhere is refused with what to do; after a transfer it merges."""
    with World(seed=3) as world:
        cluster = Cluster(world, nodes=2, splits=(b"h",))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            left, right = await client.holder_of(b"a"), await client.holder_of(b"z")
            assert left.holder != right.holder
            merge = MergeRange(left.range_id, left.generation)
            assert refused(await client.ask(left.holder, merge)) == "invalid_option"
            move = TransferLease(right.range_id, right.generation, left.holder)
            await done(client, right.holder, move)
            while (await client.holder_of(b"z")).holder != left.holder:
                await client.pause(20)
            await check_all(client, b"0")
            await done(client, left.holder, merge)
            await check_all(client, b"0")

        run(world, scenario())


def test_a_transfer_waits_for_nobody() -> None:
    """After a release the next holder commits at once: nobody waits out a lease."""
    with World(seed=4) as world:
        cluster = Cluster(world, nodes=3)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            place = await client.holder_of(b"a")
            for to in sorted(set(cluster.addresses()) - {place.holder}):
                place = await client.holder_of(b"a")
                began = world.now_ms
                move = TransferLease(place.range_id, place.generation, to)
                await done(client, place.holder, move)
                await client.write(b"a", to.encode())
                assert (await client.holder_of(b"a")).holder == to
                assert world.now_ms - began < LIMITS.lease_ms / 2
            assert refused(await client.ask(to, TransferLease(1, 1, "nobody"))) == "invalid_option"

        run(world, scenario())


def test_a_drain_hands_everything_over() -> None:
    """A drained node holds nothing, its session is gone, and the others serve at once."""
    with World(seed=5) as world:
        cluster = Cluster(world, nodes=3, splits=(b"h", b"m"))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            leaving = (await client.map()).oracle
            began = world.now_ms
            await done(client, leaving, Drain())
            node = cluster.node(leaving)
            assert not node.leaseholders
            assert not node.is_oracle
            assert f"nodes/{leaving}" not in world.coordinator.snapshot()
            for key in KEYS:
                await client.write(key, b"1")
            assert world.now_ms - began < 2 * LIMITS.lease_ms
            await check_all(client, b"1")
            assert (await client.map()).oracle != leaving

        run(world, scenario())


def test_a_merge_that_loses_a_range_lets_the_other_go() -> None:
    """The left range is taken away while the right one still comes to rest: that one goes on."""
    with World(seed=12) as world:
        cluster = Cluster(world, nodes=1, splits=(b"h",))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            left, right = await client.holder_of(b"a"), await client.holder_of(b"h")
            world.start("node-spare", cluster.start_node)
            cut = world.network.cut([left.holder], [STORE])
            writing = asyncio.ensure_future(client.write(b"m", b"1"))
            resting = cluster.node(right.holder).leaseholders[right.range_id]
            while not resting.range.writing:
                await client.pause(1)
            client.send(left.holder, MergeRange(left.range_id, left.generation))
            while not resting.paused:
                await client.pause(1)
            await disown(world, left)
            while left.range_id in cluster.node(left.holder).leaseholders:
                await client.pause(1)
            cut.heal()
            healed = world.now_ms
            await writing
            for key in KEYS:
                await client.write(key, b"2")
            assert world.now_ms - healed < 6 * LIMITS.lease_ms
            await check_all(client, b"2")

        run(world, scenario())


async def disown(world: World, place: Descriptor, **changed: object) -> None:
    """Write by hand that nobody holds a range, and what else is to be different."""
    coordinator = world.coordinator_for(world.process("hand"))
    key = range_key(place.range_id)
    _, entries = await coordinator.read(key)
    found = decode_descriptor(entries[key].value)
    free = encode_descriptor(msgspec.structs.replace(found, holder="", session=0, **changed))
    assert await coordinator.write({key: entries[key].revision}, [Put(key, free)])


@pytest.mark.parametrize("what", ["split", "merge"])
@pytest.mark.parametrize("crash", [True, False])
def test_a_flip_that_was_cut_off_is_completed(what: str, crash: bool) -> None:
    """The store changed shape, the coordinator did not hear of it: the next holder sees to it."""
    with World(seed=f"{what} {crash}") as world:
        cluster = Cluster(world, nodes=1, splits=(b"h",) if what == "merge" else ())

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            world.start("node-spare", cluster.start_node)
            place = await client.holder_of(b"a")
            leaseholder = cluster.node(place.holder).leaseholders[place.range_id]
            body: Body = (
                SplitRange(place.range_id, place.generation, b"h")
                if what == "split"
                else MergeRange(place.range_id, place.generation)
            )
            client.send(place.holder, body)
            while not leaseholder.paused:
                await client.pause(0.1)
            cut = world.network.cut([place.holder], [COORDINATOR])
            while leaseholder.shape.generation == place.generation:
                await client.pause(0.1)
            if crash:
                world.crash(place.holder)
            await client.pause(2 * LIMITS.lease_ms)
            cut.heal()
            await check_all(client, b"0")
            for key in KEYS:
                await client.write(key, b"1")
            await check_all(client, b"1")
            descriptors = (await client.map()).descriptors
            assert len(descriptors) == (2 if what == "split" else 1)
            completed = sum(node.counts.flips_completed for node in cluster.nodes.values())
            assert completed == 1

        run(world, scenario())


def test_a_range_its_store_knows_nothing_of_is_not_served_empty() -> None:
    """One of a later generation has left its shape there, unless the store was set back."""
    with World(seed=15) as world:
        cluster = Cluster(world, nodes=1)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await client.write(b"a", b"1")
            place = await client.holder_of(b"a")
            node = cluster.node(place.holder)
            await disown(world, place, generation=place.generation + 1)
            while not node.counts.opens_failed:
                await client.pause(10)
            assert not node.leaseholders
            await disown(world, place, generation=place.generation)
            assert await client.read(b"a") == b"1"

        run(world, scenario())


def test_flows_are_refused_where_they_make_no_sense() -> None:
    """Keys outside, neighbours that are none, other generations, ranges held elsewhere."""
    with World(seed=9) as world:
        cluster = Cluster(world, nodes=2)

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            place = await client.holder_of(b"a")
            (other,) = set(cluster.addresses()) - {place.holder}
            cases: list[tuple[str, Body, str]] = [
                (place.holder, SplitRange(place.range_id, place.generation, b""), "invalid_option"),
                (place.holder, MergeRange(place.range_id, place.generation), "invalid_option"),
                (place.holder, SplitRange(place.range_id, 7, b"h"), "range_moved"),
                (other, SplitRange(place.range_id, place.generation, b"h"), "range_moved"),
                (other, TransferLease(77, 1, other), "range_moved"),
            ]
            for to, body, code in cases:
                assert refused(await client.ask(to, body)) == code
            await check_all(client, b"0")

        run(world, scenario())


@pytest.mark.parametrize("seed", range(4))
def test_shapes_change_under_load(seed: int) -> None:
    """Splits, merges and moves, with crashes between them, lose and hide nothing."""
    with World(seed=f"shapes {seed}") as world:
        cluster = Cluster(world, nodes=3, splits=(b"h",))
        random = world.stream("shapes")

        async def reshape() -> None:
            client = Asker(world, "operator-2", cluster.addresses)
            for _ in range(25):
                await client.pause(random.uniform(10, 400))
                places = (await client.map()).descriptors
                place = random.choice(places)
                to = random.choice(cluster.addresses())
                key = random.choice([b"b", b"e", b"k", b"p", b"x"])
                bodies: list[Body] = [
                    SplitRange(place.range_id, place.generation, key),
                    MergeRange(place.range_id, place.generation),
                    TransferLease(place.range_id, place.generation, to),
                ]
                await client.ask(place.holder, random.choice(bodies), patience_ms=3_000)
                if random.random() < 0.1:
                    world.restart(cluster.name_of(to))

        async def scenario() -> None:
            await cluster.start()
            client = cluster.client
            await ready(client)
            task = client.process.spawn(reshape(), name="reshape")
            number = 0
            while not task.done():
                number += 1
                for key in KEYS:
                    await client.write(key, b"%d" % number)
                    assert await client.read(key) == b"%d" % number
            await check_all(client, b"%d" % number)
            counts = [node.counts for node in cluster.nodes.values()]
            assert sum(one.splits for one in counts) > 0
            assert sum(one.transfers for one in counts) > 0

        run(world, scenario())
