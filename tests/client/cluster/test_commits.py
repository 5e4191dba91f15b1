"""Commits that lose answers, meet splits and merges, are cancelled, or find nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fastness.client import AsyncTransaction
from fastness.client.cluster import ClusterClient
from fastness.encoding.counters import decode
from fastness.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidEncoding,
    InvalidOption,
    MaybeCommitted,
    Overloaded,
    Unreachable,
)
from fastness.ranges.identity import transaction_id
from fastness.testing.simulation import Rates
from tests.client.cluster.clusters import Scene, play
from tests.node.clusters import LIMITS

COUNTERS = (b"a", b"g", b"p", b"z")
ROUGH = Rates(drop=0.03, duplicate=0.05, delay=0.05, delay_ms_max=600.0)


async def count_up(db: ClusterClient, rounds: int) -> int:
    """Add 1 to every counter so often, blindly; how often it happened by all that is known."""
    happened = 0

    async def add(tx: AsyncTransaction) -> None:
        for key in COUNTERS:
            tx.add(key, 1)

    for turn in range(rounds):
        try:
            if turn % 2:
                await db.run(add)
            else:
                # Each in a commit of its own: one range, one message.
                for key in COUNTERS:
                    await db.add(key, 1)
            happened += 1
        except MaybeCommitted as error:
            happened += await db.outcome(error.transaction_id) is not None
    return happened


@pytest.mark.parametrize("seed", range(6))
def test_blind_additions_happen_once(seed: int) -> None:
    """Frames are lost, late and repeated: every counter ends at what was acknowledged."""

    async def scenario(scene: Scene) -> None:
        clients = [scene.client() for _ in range(3)]
        await clients[0].get(b"a")
        scene.world.network.set_frame_rates(ROUGH)
        happened = await asyncio.gather(*[count_up(db, 12) for db in clients])
        scene.world.network.set_frame_rates(Rates())
        found = await clients[0].get_many(COUNTERS)
        assert [decode(value or b"") for value in found] == [sum(happened)] * len(COUNTERS)
        assert all(not len(db.core.commits) for db in clients)

    play(scenario, seed=seed)


@pytest.mark.parametrize("seed", range(4))
def test_ranges_split_and_merge_under_commits(seed: int) -> None:
    """Stale maps are corrected, commits go from one range to several and back, each once."""

    async def scenario(scene: Scene) -> None:
        clients = [scene.client() for _ in range(2)]
        working = [asyncio.ensure_future(count_up(db, 30)) for db in clients]
        for key in (b"b", b"p5", b"g"):
            await scene.split(key)
        await scene.merge(b"a")
        happened = [await one for one in working]
        found = await clients[0].get_many(COUNTERS)
        assert [decode(value or b"") for value in found] == [sum(happened)] * len(COUNTERS)

    play(scenario, seed=seed, nodes=1)


@pytest.mark.parametrize("seed", range(3))
def test_money_is_conserved_while_nodes_crash(seed: int) -> None:
    """Transfers over ranges, readers of snapshots, and crashes of leaseholders and the oracle."""
    accounts = [b"%cacct" % letter for letter in b"acfhkmpsvz"]

    async def transfer(tx: AsyncTransaction, source: bytes, target: bytes) -> None:
        left, right = await tx.get_many([source, target])
        tx.set(source, b"%d" % (int(left or b"100") - 1))
        tx.set(target, b"%d" % (int(right or b"100") + 1))

    async def scenario(scene: Scene) -> None:
        world = scene.world

        async def move(db: ClusterClient, number: int) -> None:
            random = world.stream(f"mover {number}")
            for _ in range(40):
                try:
                    await db.run(transfer, *random.sample(accounts, 2))
                except MaybeCommitted as error:
                    await db.outcome(error.transaction_id)

        async def look(db: ClusterClient) -> None:
            for _ in range(40):
                async with db.transaction(read_only=True) as tx:
                    found = await tx.get_many(accounts)
                assert sum(int(value or b"100") for value in found) == 100 * len(accounts)

        db = scene.client(limits=replace(LIMITS, operation_ms=30_000))
        working = [asyncio.ensure_future(move(db, number)) for number in range(4)]
        working.append(asyncio.ensure_future(look(scene.client(limits=db.limits))))
        for name in scene.cluster.names[:2]:
            await world.sleep(300)
            world.crash(name)
            await world.sleep(2_500)
            world.restart(name)
        for task in working:
            await task

    play(scenario, seed=seed)


def test_a_cancelled_commit_tells_later_how_it_ended() -> None:
    """Waiting ends, the commit goes on; its id resolves it, here and from another client."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(), scene.client()
        await db.get(b"a")
        for keys in ((b"a",), (b"a", b"z")):
            tx = db.transaction()
            assert tx.id == b""
            for key in keys:
                tx.set(key, b"1")
            await db.now()
            task = asyncio.ensure_future(tx.commit())
            await asyncio.sleep(0)
            assert tx.id
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            committed = await db.outcome(tx.id)
            assert committed is not None
            assert await other.outcome(tx.id) == committed
            assert await db.get(keys[-1]) == b"1"

    play(scenario)


def test_asking_for_an_unknown_id_aborts_it() -> None:
    """An id nobody has seen is decided: it never commits. What is no id is refused."""

    async def scenario(scene: Scene) -> None:
        db = scene.client()
        birth = await db.now()
        assert await db.outcome(transaction_id(birth=birth, nonce=1, anchor=b"a")) is None
        with pytest.raises(InvalidOption):
            await db.outcome("a")  # type: ignore[arg-type]  # what a user may do
        with pytest.raises(InvalidEncoding):
            await db.outcome(b"short")

    play(scenario)


def test_nobody_there() -> None:
    """Without any node, reads are `Unreachable` and a commit that was never sent did not happen."""
    limits = replace(LIMITS, operation_ms=1_000, commit_ms=800, retry_ms=2_000)

    async def scenario(scene: Scene) -> None:
        fresh, known = scene.client(limits=limits), scene.client(limits=limits)
        await known.get(b"a")
        for name in scene.cluster.names:
            scene.world.crash(name)
        with pytest.raises(Unreachable):
            await fresh.get(b"a")
        with pytest.raises(Unreachable):
            await fresh.transaction().get(b"a")
        with pytest.raises(DeadlineExceeded):
            await fresh.set(b"a", b"1")
        tx = known.transaction()
        tx.set(b"a", b"1")
        with pytest.raises((MaybeCommitted, Unreachable)) as caught:
            await tx.commit()
        if isinstance(caught.value, MaybeCommitted):
            with pytest.raises(MaybeCommitted):
                await known.outcome(caught.value.transaction_id)
        await fresh.close()

    play(scenario)


def test_an_idle_client_commits_at_the_first_attempt() -> None:
    """After a long silence an id is not born from an old timestamp, which ranges have forgotten."""
    limits = replace(LIMITS, outcome_ms=2_000, prepare_ms=500)

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(limits=limits), scene.client(limits=limits)
        await db.set(b"a", b"1")
        for number in range(20):
            await scene.world.sleep(500)
            await other.set(b"b", b"%d" % number)
        tx = db.transaction()
        tx.set(b"a", b"2")
        await tx.commit()
        await scene.world.sleep(1_500)
        tx = db.transaction()
        tx.set(b"a", b"3")
        tx.set(b"z", b"3")
        await tx.commit()

    play(scenario, limits=limits)


def test_too_much_at_once_is_refused() -> None:
    """Beyond `calls_in_flight` calls are refused at once, retryably, and none is lost."""
    limits = replace(LIMITS, calls_in_flight=8, read_keys=1)

    async def scenario(scene: Scene) -> None:
        db = scene.client(limits=limits)
        await db.get(b"a")
        results = await asyncio.gather(
            *[db.get(b"%d" % number) for number in range(30)], return_exceptions=True
        )
        refused = [one for one in results if isinstance(one, Overloaded)]
        assert len(refused) == 22
        assert not len(db.core.calls)
        await asyncio.gather(*[db.set(b"%d" % number, b"1") for number in range(30)])
        assert len(await db.scan(b"", b"\xff")) == 30

    play(scenario)


def test_a_starving_transaction_gets_its_turn() -> None:
    """A long transaction that reads what others always write commits in the end."""
    keys = [b"%c" % letter for letter in b"agpz"]

    async def scenario(scene: Scene) -> None:
        db, others = scene.client(), scene.client()
        stopping: list[bool] = []
        conflicts = 0

        async def disturb() -> None:
            while not stopping:
                for key in keys:
                    await others.add(key, 1)

        async def slow(tx: AsyncTransaction) -> None:
            nonlocal conflicts
            conflicts += 1
            for key in keys:
                await tx.get(key)
                await scene.world.sleep(15)
            tx.set(b"b", b"done")

        disturbing = asyncio.ensure_future(disturb())
        await db.run(slow)
        stopping.append(True)
        await disturbing
        assert 3 < conflicts < 30

    play(scenario)


def test_a_hook_that_fails_does_not_run_it_twice() -> None:
    """An error after the commit is raised as it is, however retryable it claims to be."""

    async def scenario(scene: Scene) -> None:
        db = scene.client()

        def fails(_timestamp: int) -> None:
            raise Conflict("from a hook")

        async def add(tx: AsyncTransaction) -> None:
            tx.add(b"n", 1)
            tx.on_commit(fails)

        with pytest.raises(Conflict, match="from a hook"):
            await db.run(add)
        assert decode(await db.get(b"n") or b"") == 1

    play(scenario)


def test_the_same_seed_is_the_same_story() -> None:
    """Nothing the client does depends on anything but its process."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(cache=True)
        scene.world.network.set_frame_rates(ROUGH)
        await count_up(db, 6)
        await db.get_many(COUNTERS)

    assert play(scenario, seed=9) == play(scenario, seed=9)
