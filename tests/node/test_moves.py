"""Moves of ranges to other stores: done, given up, broken off anywhere, and tidied up after."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from fastness.errors import Fenced
from fastness.hosting.remote import StoreDrop
from fastness.node.carrying import Carrier
from fastness.placement.cluster_view import decode_descriptor
from fastness.placement.coordinator import RANGES
from fastness.ranges.requests import Done
from fastness.ranges.shape import MOVED, MOVING
from fastness.storage.contract import KeyVersions
from fastness.testing.simulation import World
from fastness.testing.simulation.places import check_places
from fastness.testing.simulation.stores import Answer, SimulatedStore
from fastness.wire.messages import Body, Drain, MoveRange, Refusal, SplitRange
from fastness.wire.reports import TIDYING
from tests.node.clusters import LIMITS, Cluster, refused

HERE, THERE = "store-a", "store-b"
KEYS = [b"%02d" % number for number in range(40)]


class Moving:
    """A cluster of one range and two stores, full of old and new versions."""

    def __init__(self, world: World, nodes: int = 2) -> None:
        self.world = world
        self.cluster = Cluster(world, nodes=nodes, stores=(HERE, THERE))
        self.client = self.cluster.client
        self.written: dict[bytes, bytes] = {}

    async def start(self) -> None:
        """Start, and write every key twice."""
        await self.cluster.start()
        for value in (b"1", b"2"):
            for key in KEYS:
                await self.write(key, value)

    async def write(self, key: bytes, value: bytes) -> None:
        """Write a key, and remember it."""
        await self.client.write(key, value)
        self.written[key] = value

    async def ask(self, store: str) -> Body | None:
        """Ask for a move."""
        place = await self.client.holder_of(KEYS[0])
        request = MoveRange(place.range_id, place.generation, store)
        return await self.client.ask(place.holder, request, patience_ms=20_000)

    async def move(self, store: str) -> None:
        """Ask for a move until the range is there."""
        while (await self.client.holder_of(KEYS[0])).store != store:
            await self.ask(store)
            await self.client.pause(50)

    def doing(self) -> list[str]:
        """What nodes tell is done to their ranges."""
        nodes = self.cluster.nodes.values()
        return [one.doing for node in nodes for one in node.report().ranges]

    async def tidied(self) -> None:
        """Wait until moves have left nothing behind; then nothing is anywhere it should not be."""
        nodes = self.cluster.nodes
        while any(
            MOVING in holder.records or MOVED in holder.records
            for address in self.cluster.addresses()
            for holder in nodes[address].leaseholders.values()
        ):
            await self.client.pause(50)
        snapshot = self.world.coordinator.snapshot()
        descriptors = [
            decode_descriptor(one) for key, one in snapshot.items() if key.startswith(RANGES)
        ]
        assert not check_places(self.world.stores(), descriptors)

    async def check(self) -> None:
        """Everything written is there, and can be written again."""
        for key, value in self.written.items():
            assert await self.client.read(key) == value
        await self.write(KEYS[3], b"more")
        assert await self.client.read(KEYS[3]) == b"more"


def run(world: World, scenario: Coroutine[Any, Any, None]) -> None:
    """Let a scenario come to its end."""
    world.run(scenario)


def test_a_range_moves_and_comes_back() -> None:
    """While it is written; old snapshots come along, and the source is emptied and closed."""
    with World(seed=21) as world:
        moving = Moving(world)

        async def write_on() -> None:
            for number in range(60):
                await moving.write(KEYS[number % len(KEYS)], b"%d" % number)

        async def scenario() -> None:
            await moving.start()
            before = moving.client.issued
            writing = asyncio.ensure_future(write_on())
            first = await moving.client.holder_of(KEYS[0])
            assert isinstance(await moving.ask(THERE), Done)
            assert moving.doing() == [TIDYING]
            await writing
            second = await moving.client.holder_of(KEYS[0])
            assert (second.store, second.generation) == (THERE, first.generation + 1)
            assert second.range_id != first.range_id
            assert await moving.client.read(KEYS[1], at=before) == b"2"
            await moving.check()
            await moving.tidied()
            assert moving.doing() == [""]
            assert isinstance(await moving.ask(THERE), Done)  # It is there already.
            await moving.move(HERE)
            await moving.check()
            await moving.tidied()
            assert await moving.client.read(KEYS[1], at=before) == b"2"
            assert sum(node.counts.moves for node in moving.cluster.nodes.values()) == 2

        run(world, scenario())


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30, 60])
@pytest.mark.parametrize("away", [True, False])
def test_a_move_broken_off_is_finished_or_undone(milliseconds: int, away: bool) -> None:
    """Its node dies, or wakes when another has taken over: nothing is lost, nothing is left."""
    with World(seed=f"broken off {milliseconds} {away}") as world:
        moving = Moving(world, nodes=3)

        async def scenario() -> None:
            await moving.start()
            place = await moving.client.holder_of(KEYS[0])
            body = MoveRange(place.range_id, place.generation, THERE)
            moving.client.send(place.holder, body)
            await moving.client.pause(milliseconds)
            if away:
                world.crash(place.holder)
                world.call_later(300, world.restart, place.holder)
            else:
                world.process(place.holder).pause(2 * LIMITS.lease_ms)
            await moving.client.pause(3 * LIMITS.lease_ms)
            await moving.check()
            await moving.tidied()
            await moving.move(THERE)
            await moving.check()
            await moving.tidied()

        run(world, scenario())


def test_a_store_that_cannot_be_reached_keeps_the_range_where_it_is() -> None:
    """The move is refused after some tries; the range is served all the while, and moves later."""
    with World(seed=22) as world:
        moving = Moving(world, nodes=1)

        async def scenario() -> None:
            await moving.start()
            place = await moving.client.holder_of(KEYS[0])
            cut = world.network.cut([place.holder], [THERE])
            asked = asyncio.ensure_future(moving.ask(THERE))
            await moving.client.pause(100)
            await moving.check()
            assert refused(await asked) == "unreachable"
            assert (await moving.client.holder_of(KEYS[0])).store == HERE
            split = SplitRange(place.range_id, place.generation, KEYS[5])
            assert refused(await moving.client.ask(place.holder, split)) == "overloaded"
            cut.heal()
            await moving.tidied()
            await moving.move(THERE)
            await moving.check()
            await moving.tidied()

        run(world, scenario())


def test_what_was_carried_wrongly_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is lost on the way shows in the digest: the range stays where it is."""
    right = Carrier._load  # noqa: SLF001 - a fault is planted on the way

    async def lossy(self: Carrier, keys: list[KeyVersions], born: Any) -> None:  # noqa: ANN401 - handed through
        await right(self, keys[1:], born)

    monkeypatch.setattr(Carrier, "_load", lossy)
    with World(seed=23) as world:
        moving = Moving(world, nodes=1)

        async def scenario() -> None:
            await moving.start()
            answer = await moving.ask(THERE)
            assert isinstance(answer, Refusal)
            assert answer.code == "store_damaged"
            assert "was not carried faithfully" in answer.message
            await moving.check()
            await moving.tidied()
            assert (await moving.client.holder_of(KEYS[0])).store == HERE

        run(world, scenario())


def test_what_cleared_the_way_comes_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop of before the copy that arrives when the range is served there removes nothing."""
    right = SimulatedStore.drop
    asked: list[tuple[SimulatedStore, Answer, StoreDrop]] = []

    def drop(self: SimulatedStore, answer: Answer, request: StoreDrop) -> None:
        asked.append((self, answer, request))
        right(self, answer, request)

    monkeypatch.setattr(SimulatedStore, "drop", drop)
    with World(seed=27) as world:
        moving = Moving(world, nodes=1)

        async def scenario() -> None:
            await moving.start()
            assert isinstance(await moving.ask(THERE), Done)
            assert [store.name for store, _answer, _request in asked] == [THERE]
            await moving.tidied()
            for late in asked:
                with pytest.raises(Fenced):
                    right(*late)
            await moving.check()

        run(world, scenario())


def test_a_move_can_be_given_up() -> None:
    """By asking for the store where the range is; what was built is removed."""
    with World(seed=24) as world:
        moving = Moving(world, nodes=1)

        async def scenario() -> None:
            await moving.start()
            world.store(THERE).pause(400)
            asked = asyncio.ensure_future(moving.ask(THERE))
            await moving.client.pause(50)
            place = await moving.client.holder_of(KEYS[0])
            again = MoveRange(place.range_id, place.generation, THERE)
            assert refused(await moving.client.ask(place.holder, again)) == "overloaded"
            assert isinstance(await moving.ask(HERE), Done)
            answer = await asked
            assert isinstance(answer, Refusal)
            assert (answer.code, "given up" in answer.message) == ("invalid_option", True)
            await moving.check()
            await moving.tidied()

        run(world, scenario())


def test_a_drain_does_not_wait_for_a_move() -> None:
    """The move is given up, for the next holder to be asked for."""
    with World(seed=26) as world:
        moving = Moving(world)

        async def scenario() -> None:
            await moving.start()
            place = await moving.client.holder_of(KEYS[0])
            world.store(THERE).pause(400)
            asked = asyncio.ensure_future(moving.ask(THERE))
            await moving.client.pause(50)
            drained = await moving.client.ask(place.holder, Drain(), patience_ms=20_000)
            assert isinstance(drained, Done)
            assert refused(await asked) == "overloaded"
            assert (await moving.client.holder_of(KEYS[0])).holder != place.holder
            await moving.check()
            await moving.tidied()
            await moving.move(THERE)
            await moving.check()

        run(world, scenario())


def test_moves_are_refused_where_they_make_no_sense() -> None:
    """Stores nobody knows, other generations, ranges held elsewhere."""
    with World(seed=25) as world:
        moving = Moving(world)

        async def scenario() -> None:
            await moving.start()
            place = await moving.client.holder_of(KEYS[0])
            (other,) = set(moving.cluster.addresses()) - {place.holder}
            unknown = await moving.ask("store-c")
            assert isinstance(unknown, Refusal)
            assert unknown.code == "invalid_option"
            assert HERE in unknown.message
            for to, body in (
                (place.holder, MoveRange(place.range_id, 7, THERE)),
                (other, MoveRange(place.range_id, place.generation, THERE)),
                (place.holder, MoveRange(77, 1, THERE)),
            ):
                assert refused(await moving.client.ask(to, body)) == "range_moved"
            await moving.check()

        run(world, scenario())
