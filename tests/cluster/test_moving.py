"""Ranges of node processes moved between real PostgreSQL databases, while clients write."""

from __future__ import annotations

import asyncio
import signal
from typing import Any, NamedTuple

import pytest

from tests.cli.commands import failure, run
from tests.cluster.realm import Realm
from tests.cluster.test_nodes import BORDERS, KEYS, load_on
from tests.server.processes import play

pytestmark = pytest.mark.process


CARRIED = "fastness_node_keys_carried_total"


class Place(NamedTuple):
    """Where the range of a key is."""

    number: int
    store: str
    node: str


async def place_of(realm: Realm, key: str) -> Place:
    """Where the range of a key is now, once a node that lives serves it."""
    while True:
        told: Any = await asyncio.to_thread(realm.ask, "ranges")
        one = next(one for one in reversed(told["ranges"]) if one["begin"] <= key)
        if realm.nodes.get(one["node"]) is not None:
            return Place(one["range"], one["store"], one["node"])


def test_ranges_move_while_they_are_written(realm: Realm) -> None:
    """To the other store and back, with transactions over all ranges going on."""
    realm.found("one", "two", borders=BORDERS)
    realm.started("n1", "n2")

    async def scenario() -> None:
        async with load_on(realm) as load:
            await load.more()
            for key in KEYS:
                here = (await place_of(realm, key)).store
                for store in ({"one", "two"} - {here}).pop(), here:
                    number = (await place_of(realm, key)).number
                    told = await asyncio.to_thread(realm.ask, "move", number, store)
                    assert (told["range"], told["store"]) == (number, store)
                    assert (await place_of(realm, key))[:2] == (told["now"], store)
                    await load.more(3)

    play(scenario())
    for node in realm.nodes.values():
        assert node.metric("fastness_node_alarms_total") == 0
    where = ("--coordinator", realm.coordinator)
    told = failure("cluster", "move", "999", "one", *where)
    assert (told["exit"], "there is no range 999" in told["message"]) == (2, True)
    ranges: Any = realm.ask("ranges")["ranges"]
    told = failure("cluster", "move", str(ranges[0]["range"]), "x", *where)
    assert "no store is called 'x': choose from one, two" in told["message"]


def test_a_move_whose_node_is_killed_is_finished_by_the_command(realm: Realm) -> None:
    """What was built is removed, or goes into service; the command asks whoever holds the range."""
    realm.found("one", "two")
    realm.started("n1", "n2", "n3")

    async def scenario() -> None:
        async with load_on(realm) as load:
            for store in ("two", "one"):
                await load.more(3)
                place = await place_of(realm, "a")
                node = realm.nodes.pop(place.node)
                before = node.metric(CARRIED)
                asked = asyncio.to_thread(realm.ask, "move", place.number, store)
                moving = asyncio.create_task(asked)
                while await asyncio.to_thread(node.metric, CARRIED) == before:
                    pass  # The first keys have not arrived yet.
                await asyncio.to_thread(node.end, signal.SIGKILL)
                await moving
                assert (await place_of(realm, "a")).store == store
                await load.more(3)

    play(scenario())


def test_a_store_is_emptied_and_removed(realm: Realm) -> None:
    """Not before what a move left there is gone: a range with something left could not be split."""
    realm.found("one", "two")
    realm.started("n1")
    told: Any = realm.ask("ranges")["ranges"]
    (before,) = told
    (other,) = {"one", "two"} - {before["store"]}
    realm.ask("move", before["range"], other)
    words = ("cluster", "remove-store", before["store"], "--coordinator", realm.coordinator)
    while (removed := run(*words)).exit_code:
        assert "tidied up after" in removed.stderr
    assert realm.ask("split", "m")["split_at"] == "m"
