"""A client that may have few calls out at once, over many ranges."""

from __future__ import annotations

from dataclasses import replace

from tests.client.cluster.clusters import Scene, play
from tests.node.clusters import LIMITS

KEYS = [b"%c" % letter for letter in b"adehmtz"]


def test_more_ranges_than_calls_are_read_in_turns() -> None:
    """A read of all of them comes to its end, cached or not, and forgets every fill."""

    async def scenario(scene: Scene) -> None:
        db = scene.client(replace(LIMITS, calls_in_flight=2), cache=True)
        writer = scene.client()
        for key in KEYS:
            await writer.set(key, key)
        assert await db.get_many(KEYS, cache=False) == KEYS
        assert await db.get_many(KEYS) == KEYS
        assert not db.core.cached.near.fills_out

    play(scenario)
