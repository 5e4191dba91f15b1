"""The near cache of a client of a real cluster: never stale, and rarely empty."""

from __future__ import annotations

import asyncio
import os

import pytest

from fastness.client import AsyncTransaction
from fastness.client.cluster import ClusterClient, Verdict
from fastness.errors import Conflict, DatabaseClosed, TransactionClosed
from fastness.testing.simulation import Rates
from fastness.transactions import TransactionState
from tests.client.cluster.clusters import Scene, play

KEYS = [b"%ckey" % letter for letter in b"aehmtz"]


def messages(db: ClusterClient) -> int:
    """How many calls the client has made."""
    return db.core.calls.number


def test_a_hit_sends_nothing() -> None:
    """Values, absences and pages are served without a message, also several at once."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(cache=True)
        await db.set(b"a", b"1")
        assert [await db.get(b"a"), await db.get(b"b")] == [b"1", None]
        first = await db.scan(b"", b"\xff")
        before = messages(db)
        assert [await db.get(b"a"), await db.get(b"b")] == [b"1", None]
        assert await db.get_many([b"a", b"b", b"a"]) == [b"1", None, b"1"]
        assert await db.scan(b"", b"\xff") == first
        async with db.transaction() as tx:
            assert await tx.get(b"a") == b"1"
            assert (await tx.scan(b"", b"\xff")).entries == first.entries
        assert messages(db) == before
        assert await db.get(b"a", cache=False) == b"1"
        assert messages(db) == before + 1
        assert db.counts.cache.hits > 0

    play(scenario)


def test_a_write_elsewhere_is_seen_at_once() -> None:
    """Once another client's commit is acknowledged, no cached value, absence or page is served."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(cache=True), scene.client()
        for number in range(20):
            value = b"%d" % number
            key = KEYS[number % len(KEYS)]
            assert await db.get(b"late" + value) is None
            await other.set(key, value)
            assert await db.get(key) == value
            assert dict((await db.scan(b"", b"\xff")).entries)[key] == value
            await other.set(b"late" + value, b"now")
            assert await db.get(b"late" + value) == b"now"
            assert (b"late" + value, b"now") in (await db.scan(b"", b"\xff")).entries
        await other.delete_range(b"", b"\xff")
        assert await db.get_many(KEYS) == [None] * len(KEYS)
        assert (await db.scan(b"", b"\xff")).entries == []
        assert db.counts.cache.invalidations > 20

    play(scenario)


def test_own_writes_are_seen_at_once() -> None:
    """A client that caches reads what it wrote, in one range or in several."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(cache=True)

        async def write(tx: AsyncTransaction, value: bytes) -> None:
            for key in KEYS:
                tx.set(key, value)

        for number in range(10):
            value = b"%d" % number
            await db.run(write, value)
            assert await db.get_many(KEYS) == [value] * len(KEYS)
            await db.set(KEYS[0], b"own")
            assert await db.get(KEYS[0]) == b"own"
            await db.delete_range(b"a", b"b")
            assert await db.get(KEYS[0]) is None

    play(scenario)


def test_hits_of_one_transaction_belong_together() -> None:
    """A cached value that is overwritten before the next read makes the attempt start again."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(cache=True), scene.client()
        await other.run(set_all, b"1")
        await db.get_many(KEYS)
        tx = db.transaction(read_only=True)
        assert await tx.get(KEYS[0]) == b"1"
        await other.run(set_all, b"2")
        with pytest.raises(Conflict, match="cached value"):
            await tx.get(KEYS[-1])
        assert tx.state is TransactionState.FAILED
        with pytest.raises(TransactionClosed):
            await tx.get(KEYS[0])

        async def read(tx: AsyncTransaction) -> set[bytes | None]:
            return {await tx.get(key) for key in KEYS}

        assert await db.run(read) == {b"2"}

    play(scenario)


async def set_all(tx: AsyncTransaction, value: bytes) -> None:
    """Write every key."""
    for key in KEYS:
        tx.set(key, value)


def test_a_writer_that_used_the_cache_is_validated() -> None:
    """What it read from the cache must still be true at its commit, in every range."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(cache=True), scene.client()
        await other.run(set_all, b"1")
        await db.get_many(KEYS)
        tx = db.transaction()
        assert await tx.get(KEYS[0]) == b"1"
        tx.set(KEYS[-1], b"mine")
        await other.set(KEYS[0], b"2")
        with pytest.raises(Conflict):
            await tx.commit()
        assert await db.get(KEYS[-1]) == b"1"

        async def again(tx: AsyncTransaction) -> None:
            tx.set(KEYS[-1], await tx.get(KEYS[0]) or b"")

        await db.run(again)
        assert await db.get(KEYS[-1]) == b"2"

    play(scenario)


def test_an_entry_serves_older_snapshots_only_from_its_own_time_on() -> None:
    """A snapshot drawn before a commit does not see it in the cache."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(cache=True), scene.client()
        await other.run(set_all, b"1")
        tx = db.transaction(read_only=True)
        assert await tx.get(KEYS[0], cache=False) == b"1"
        await other.run(set_all, b"2")
        assert await db.get_many(KEYS) == [b"2"] * len(KEYS)
        assert await tx.get_many(KEYS) == [b"1"] * len(KEYS)
        assert {value for _, value in await tx.scan(b"", b"\xff")} == {b"1"}
        past = db.transaction(at=tx.read_timestamp)
        assert await past.get_many(KEYS) == [b"1"] * len(KEYS)

    play(scenario)


def test_leases_are_renewed_while_they_are_used() -> None:
    """Hits keep coming for longer than a lease lasts; unused, it lapses and all is asked anew."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(cache=True)
        await db.set(b"a", b"1")
        await db.get(b"a")
        misses = db.counts.cache.misses
        for _ in range(50):
            await scene.world.sleep(100)
            assert await db.get(b"a") == b"1"
        assert db.counts.cache.misses == misses
        await scene.world.sleep(3_000)
        assert await db.get(b"a") == b"1"
        assert db.counts.cache.misses == misses + 1
        assert db.counts.cache.lease_losses == 1

    play(scenario)


def test_a_client_that_is_cut_off_stops_serving() -> None:
    """A writer waits for the lease of a client that cannot be told and then serves nothing."""

    async def scenario(scene: Scene) -> None:
        db, other = scene.client(cache=True), scene.client()
        await other.set(b"a", b"1")
        assert await db.get(b"a") == b"1"
        world = scene.world
        names = [db.core.calls.process.address]
        cuts = [
            world.network.cut(names, scene.cluster.names),
            world.network.cut(scene.cluster.names, names),
        ]
        writing = asyncio.ensure_future(other.set(b"a", b"2"))
        hits = 0
        while not writing.done():
            hits += db.core.cached.find(b"a") is not None
            await world.sleep(20)
        assert hits > 10
        assert db.core.cached.find(b"a") is None
        for cut in cuts:
            cut.heal()
        assert await db.get(b"a") == b"2"

    play(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_audits_find_nothing_stale(seed: int) -> None:
    """While others write, over a rough network and failing nodes, every hit is the truth."""

    async def scenario(scene: Scene) -> None:
        world = scene.world
        readers = [scene.client(cache=True) for _ in range(2)]
        writers = [scene.client(cache=True), scene.client()]
        ended: list[bool] = []
        verdicts: dict[Verdict, int] = dict.fromkeys(Verdict, 0)

        async def write(db: ClusterClient, number: int) -> None:
            random = world.stream(f"writer {number}")
            for turn in range(60):
                try:
                    if turn % 5:
                        await db.set(random.choice(KEYS), b"%d.%d" % (number, turn))
                    else:
                        await db.run(set_all, b"%d.%d" % (number, turn))
                except Exception as error:
                    if not getattr(error, "retryable", False) and not hasattr(error, "code"):
                        raise
                await world.sleep(random.uniform(1, 30))
            ended.append(True)

        async def audit(db: ClusterClient, number: int) -> None:
            random = world.stream(f"reader {number}")
            while len(ended) < len(writers):
                key = random.choice(KEYS)
                await db.get(key)
                verdicts[(await db.audit(key)).verdict] += 1
                await db.scan(b"", b"\xff", limit=9)
                for one in await db.audit_scan(b"", b"\xff", limit=10):
                    verdicts[one.verdict] += 1

        async def crash() -> None:
            for name in scene.cluster.names[:2]:
                await world.sleep(400)
                world.restart(name)

        world.network.set_frame_rates(Rates(drop=0.01, duplicate=0.02, delay=0.02))
        tasks = [write(db, number) for number, db in enumerate(writers)]
        tasks += [audit(db, number) for number, db in enumerate(readers)]
        await asyncio.gather(*tasks, crash())
        assert not verdicts[Verdict.STALE]
        assert verdicts[Verdict.TRUE] > 20

    play(scenario, seed=seed)


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_no_cache() -> None:
    """What the parent cached is not served in a child, which cannot use the client at all."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(cache=True)
        await db.set(b"a", b"1")
        await db.get(b"a")
        assert db.core.cached.find(b"a") is not None
        child = os.fork()
        if not child:
            served = db.core.cached.find(b"a") is not None
            try:
                db.core.calls.require_open()
            except DatabaseClosed:
                os._exit(1 if served else 0)
            os._exit(2)
        _pid, status = os.waitpid(child, 0)  # noqa: ASYNC222 - the world stands still meanwhile
        assert os.waitstatus_to_exitcode(status) == 0
        assert db.core.cached.find(b"a") is not None

    play(scenario)
