"""The moment a transaction reads at, where several of its reads are under way at once."""

from __future__ import annotations

import asyncio

from tests.client.cluster.clusters import Scene, play


def test_a_snapshot_is_not_older_than_what_a_read_beside_it_used() -> None:
    """One read waits for a timestamp, another is served by a newer entry of the cache.

    The timestamp was issued before the entry's commit, which also changed a third key: read at
    that timestamp it would not match.
    """

    async def scenario(scene: Scene) -> None:
        world, db, other = scene.world, scene.client(cache=True), scene.client()
        await other.set(b"a2", b"old")
        assert await db.get(b"a1") is None
        oracle = scene.cluster.node((await scene.cluster.client.map()).oracle)
        name = scene.name_of(db.core.calls.process.address)
        tx = db.transaction(read_only=True)
        issued = oracle.counts.draws
        world.network.slow_down(name, 100)
        waiting = asyncio.ensure_future(tx.get(b"a1", cache=False))
        while oracle.counts.draws == issued:
            await world.sleep(0.1)
        # The answer with the timestamp is long on its way; whatever is sent later is quicker.
        world.network.slow_down(name, 1)
        async with other.transaction() as both:
            both.set(b"a2", b"new")
            both.set(b"a3", b"new")
        assert await db.get(b"a2") == b"new"
        assert await tx.get(b"a2") == b"new"
        assert not waiting.done()
        await waiting
        assert await tx.get(b"a3", cache=False) == b"new"

    play(scenario)
