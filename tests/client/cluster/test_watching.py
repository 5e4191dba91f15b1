"""Watches of a cluster's client: every change is told, whatever fails meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from fastness.client.cluster import ClusterClient
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import (
    DatabaseClosed,
    DeadlineExceeded,
    FastnessError,
    InvalidKey,
    InvalidTimestamp,
    Overloaded,
    Retryable,
    Unreachable,
)
from fastness.hosting import Watch
from fastness.testing.simulation import Rates
from tests.client.cluster.clusters import Scene, play
from tests.node.clusters import LIMITS

PATIENCE_MS = 5_000
KEYS = (b"a", b"e", b"p", b"z")


async def told(scene: Scene, watch: Watch) -> bool:
    """Whether a watch fires before patience ends."""
    waited = 0
    while not watch.fired and waited < PATIENCE_MS:
        await scene.world.sleep(10)
        waited += 10
    return watch.fired


async def quiet(scene: Scene, *watches: Watch) -> bool:
    """Whether none of them fires for longer than a cache lease lasts."""
    await scene.world.sleep(3 * LIMITS.cache_lease_ms)
    return not any(watch.fired for watch in watches)


def test_a_write_elsewhere_is_told_once_it_is_durable() -> None:
    """Sets, deletions and intervals, of keys that are there and of others, in every range."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as other:
            await other.set(b"a", b"1")
            watches = [await db.watch(key) for key in (b"a", b"b", b"m", b"z")]
            bystander = await db.watch(b"c")
            assert await quiet(scene, *watches, bystander)
            assert (await db.stat()).watches == 5
            await other.delete(b"a")
            await other.set(b"b", b"1")
            await other.add(b"m", 1)
            await other.set(b"y", b"1")
            for watch in watches[:3]:
                assert await told(scene, watch)
                await watch.wait_async()
            assert not watches[3].fired
            await other.set(b"z", b"1")
            again = await db.watch(b"z")
            await other.delete_range(b"y", b"zz")
            assert await told(scene, watches[3])
            assert await told(scene, again)
            assert await db.get(b"z") is None
            assert not bystander.fired
            assert (await db.stat()).watches == 1

    play(scenario)


def test_a_write_of_the_same_client_is_told() -> None:
    """Its own leaseholder does not tell it: it knows itself."""

    async def scenario(scene: Scene) -> None:
        async with scene.client(cache=True) as db:
            watch, other = await db.watch(b"a"), await db.watch(b"b")
            await db.set(b"a", b"1")
            assert await told(scene, watch)
            assert await quiet(scene, other)
            failing = db.transaction()
            await failing.get(b"a")
            failing.set(b"b", b"1")
            await db.set(b"a", b"2")
            with pytest.raises(Exception, match="overw"):
                await failing.commit()
            assert await quiet(scene, other)

    play(scenario)


def test_a_change_since_the_version_seen_is_told_at_once() -> None:
    """Compared at registration: what was written between the read and the watch is not missed."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as other:
            seen = await other.set(b"a", b"1")
            assert not (await db.watch(b"a", seen=seen)).fired
            assert (await db.watch(b"a", seen=seen - 1)).fired
            there = await db.now()
            await other.delete(b"a")
            assert (await db.watch(b"a", seen=there)).fired
            gone = await db.now()
            assert not (await db.watch(b"a", seen=gone)).fired
            assert not (await db.watch(b"never", seen=gone)).fired

    play(scenario)


def test_a_change_while_nobody_could_tell_is_told_afterwards() -> None:
    """Leases lapse while the client is cut off; it looks again as soon as it can."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as other:
            changed, kept = await db.watch(b"a"), await db.watch(b"z")
            names, network = ["app-1"], scene.world.network
            cuts = (
                network.cut(names, scene.cluster.names),
                network.cut(scene.cluster.names, names),
            )
            await other.set(b"a", b"1")
            await scene.world.sleep(3 * LIMITS.cache_lease_ms)
            assert not changed.fired
            with pytest.raises(Unreachable):
                await db.watch(b"m")
            for cut in cuts:
                cut.heal()
            assert await told(scene, changed)
            assert await quiet(scene, kept)
            await other.set(b"z", b"1")
            assert await told(scene, kept)

    play(scenario, limits=replace(LIMITS, operation_ms=1_000))


def test_watches_survive_crashes_splits_and_merges() -> None:
    """Another node tells, of another range; nothing fires for that alone."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as other:
            watches = [await db.watch(key) for key in (b"a", b"c", b"p", b"z")]
            await scene.split(b"b")
            await scene.merge(b"a")
            holder = await scene.cluster.client.holder_of(b"p")
            scene.world.crash(scene.name_of(holder.holder))
            assert await quiet(scene, *watches)
            for number, key in enumerate((b"a", b"c", b"p", b"z")):
                assert not watches[number].fired
                await other.set(key, b"1")
                assert await told(scene, watches[number])

    play(scenario)


def test_an_expired_value_that_vanishes_was_not_written() -> None:
    """Nobody writes when a value expires: no watch fires, also when its lease lapsed."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db:
            soon = await db.now() + from_milliseconds(100)
            await db.set(b"a", b"brief", expires_at=soon)
            watch = await db.watch(b"a")
            assert await quiet(scene, watch)
            await db.set(b"a", b"again")
            assert await told(scene, watch)

    play(scenario)


def test_many_watches_cost_few_messages() -> None:
    """They are armed in batches, and kept by the leases they share."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as other:
            keys = [b"a%05d" % number for number in range(2_000)]
            watches = await asyncio.gather(*map(db.watch, keys))
            armed = db.core.calls.number
            assert armed < 30
            await scene.world.sleep(10 * LIMITS.cache_lease_ms)
            assert db.core.calls.number - armed < 60
            await other.set(keys[7], b"1")
            assert await told(scene, watches[7])
            assert sum(watch.fired for watch in watches) == 1

    play(scenario, nodes=1)


def test_more_watches_than_a_leaseholder_can_track() -> None:
    """It ends leases to make room: clients come back ever more slowly, and miss nothing."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db, scene.client() as rival, scene.client() as other:
            keys = [b"a%03d" % number for number in range(80)]
            watches = await asyncio.gather(*map(db.watch, keys))
            await asyncio.gather(*map(rival.watch, keys))
            await scene.world.sleep(2_000)
            before = db.core.calls.number + rival.core.calls.number
            await scene.world.sleep(10_000)
            assert db.core.calls.number + rival.core.calls.number - before < 100
            for number in (3, 70):
                await other.set(keys[number], b"1")
                assert await told(scene, watches[number])
            assert sum(watch.fired for watch in watches) == 2

    play(scenario, nodes=1, limits=replace(LIMITS, tracked_keys=100))


def test_an_idle_client_without_watches_sends_nothing() -> None:
    """The keeper ends with the last watch."""

    async def scenario(scene: Scene) -> None:
        async with scene.client() as db:
            watch = await db.watch(b"a")
            watch.cancel()
            watch.cancel()
            await db.set(b"a", b"1")
            await scene.world.sleep(2 * LIMITS.cache_lease_ms)
            before = db.core.calls.number
            await scene.world.sleep(10 * LIMITS.cache_lease_ms)
            assert db.core.calls.number == before
            assert not watch.fired
            assert (await db.stat()).watches == 0

    play(scenario)


def test_what_ends_a_client_ends_its_watches() -> None:
    """Whoever waits is told why; new ones are refused."""

    async def scenario(scene: Scene) -> None:
        db = scene.client()
        watch = await db.watch(b"a")
        waiting = asyncio.create_task(watch.wait_async())
        await scene.world.sleep(10)
        await db.close()
        with pytest.raises(DatabaseClosed):
            await waiting
        assert not watch.fired
        with pytest.raises(DatabaseClosed):
            await db.watch(b"a")

    play(scenario)


def test_misuse_of_watches() -> None:
    """Too many, and what is no key or no timestamp."""

    async def scenario(scene: Scene) -> None:
        limits = replace(LIMITS, watches=2)
        async with ClusterClient(
            scene.world.process("app"), scene.cluster.addresses(), limits
        ) as db:
            first = await db.watch(b"a")
            await db.watch(b"a")
            with pytest.raises(Overloaded, match="limit watches"):
                await db.watch(b"b")
            first.cancel()
            await db.watch(b"b")
            for mistake in ("a", None):
                with pytest.raises(InvalidKey):
                    await db.watch(mistake)  # type: ignore[arg-type]  # the mistake under test
            with pytest.raises(InvalidTimestamp):
                await db.watch(b"a", seen=-1)
            with pytest.raises(InvalidTimestamp, match="never issued"):
                await db.watch(b"a", seen=await db.now() + from_milliseconds(3_600_000))

    play(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_no_change_is_missed_over_a_rough_network(seed: int) -> None:
    """Frames get lost and nodes die: whoever looks again after each notice ends at the truth."""

    async def scenario(scene: Scene) -> None:
        world = scene.world
        watcher, writer = scene.client(cache=seed % 2 == 0), scene.client()
        last: dict[bytes, bytes] = {}

        async def write() -> None:
            random = world.stream("writer")
            for turn in range(60):
                key, value = random.choice(KEYS), b"%d" % turn
                with suppress(FastnessError):
                    await writer.set(key, value)
                await world.sleep(random.uniform(1, 60))
            world.network.heal()
            for key in KEYS:
                # Whatever became of those whose outcome is unknown, this one is the last.
                last[key] = b"last"
                while True:
                    with suppress(FastnessError):
                        await writer.set(key, last[key])
                        break

        async def follow(key: bytes) -> int:
            notices = 0
            while True:
                with suppress(Retryable, DeadlineExceeded):
                    seen = await watcher.now()
                    if await watcher.get(key) == b"last":
                        return notices
                    watch = await watcher.watch(key, seen=seen)
                    await watch.wait_async()
                    notices += 1

        async def crash() -> None:
            for name in scene.cluster.names[:2]:
                await world.sleep(500)
                world.restart(name)

        world.network.set_frame_rates(Rates(drop=0.02, duplicate=0.02, delay=0.02))
        async with asyncio.timeout(120):
            notices = await asyncio.gather(*map(follow, KEYS), write(), crash())
        assert sum(one or 0 for one in notices[: len(KEYS)]) > len(KEYS)

    play(scenario, seed=seed)
