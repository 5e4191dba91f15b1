"""Timestamps are shared, one request at a time, and never older than whoever is given them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fastness.client.cluster.calls import Calls
from fastness.client.cluster.routing import Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.errors import Overloaded, Unreachable
from fastness.limits import Limits
from fastness.runtime.process import Address
from fastness.testing.simulation import SimulatedProcess, World
from fastness.wire.messages import (
    ANSWER,
    Body,
    Draw,
    Drawn,
    Frame,
    MapAnswer,
    MapRequest,
    Refusal,
    decode_frame,
    encode_frame,
)

LIMITS = replace(Limits(), call_ms=100, operation_ms=2_000)


class Oracle:
    """A node that issues timestamps, and nothing else; it may refuse or keep silent."""

    def __init__(self, process: SimulatedProcess) -> None:
        self.process = process
        self.issued = 1_000
        self.blocks: list[tuple[int, int]] = []
        self.silences = 0
        self.oracle: Address = process.address
        process.listen(self.receive)

    def receive(self, sender: Address, data: bytes) -> None:
        """Answer."""
        frame: Frame = decode_frame(data)
        body: Body
        if isinstance(frame.body, MapRequest):
            body = MapAnswer([], self.oracle, [self.process.address])
        elif not isinstance(frame.body, Draw):
            return
        elif self.silences:
            self.silences -= 1
            return
        elif self.oracle != self.process.address:
            body = Refusal("range_moved", "not here", oracle=self.oracle)
        else:
            body = Drawn(self.issued + 1, frame.body.count)
            self.blocks.append((self.issued + 1, frame.body.count))
            self.issued += frame.body.count
        self.process.send(sender, encode_frame(ANSWER, frame.number, self.issued, body))


class Scene:
    """An oracle, and a client's timestamps."""

    def __init__(self, world: World, limits: Limits = LIMITS) -> None:
        self.world = world
        self.oracle = Oracle(world.process("oracle"))
        calls = Calls(world.process("app"), limits)
        self.routes = Routes(calls, ["oracle"], limits)
        self.timestamps = Timestamps(calls, self.routes, limits)


def test_whoever_comes_later_gets_a_later_request() -> None:
    """A waiter that came while a request was out is served by the next one, all of them by one."""
    with World(seed=1) as world:
        scene = Scene(world)

        async def scenario() -> None:
            await scene.timestamps.read()
            before = scene.oracle.issued
            first = scene.timestamps.read()
            late = [scene.timestamps.read() for _ in range(5)]
            # The oracle moves on; whoever began before that must not hear of what was before.
            assert await first == before + 1
            scene.oracle.issued += 100
            (shared,) = set(await asyncio.gather(*late))
            assert shared > before + 1
            assert shared == scene.oracle.blocks[-1][0]
            assert len(scene.oracle.blocks) == 3

        world.run(scenario())


def test_every_commit_gets_its_own() -> None:
    """Readers of a block share its first timestamp, commits get one each above it."""
    with World(seed=1) as world:
        scene = Scene(world)

        async def scenario() -> None:
            await scene.timestamps.read()
            _out = scene.timestamps.read()
            readers = [scene.timestamps.read() for _ in range(3)]
            commits = [scene.timestamps.commit() for _ in range(4)]
            given = await asyncio.gather(*commits)
            (shared,) = set(await asyncio.gather(*readers))
            assert given == [shared + number for number in range(1, 5)]
            assert scene.oracle.blocks[-1][1] == 5

        world.run(scenario())


def test_a_lost_answer_is_asked_for_again() -> None:
    """After silence the request is sent anew, and then also serves those who came meanwhile."""
    with World(seed=1) as world:
        scene = Scene(world)

        async def scenario() -> None:
            await scene.timestamps.read()
            scene.oracle.silences = 2
            waiting = [scene.timestamps.read() for _ in range(3)]
            results = await asyncio.gather(*waiting)
            assert len(set(results)) == 1
            assert len(scene.oracle.blocks) == 2

        world.run(scenario())


def test_the_oracle_moves() -> None:
    """A refusal names the oracle's new place, which is asked at once."""
    with World(seed=1) as world:
        scene = Scene(world)
        other = Oracle(world.process("other"))
        other.issued = 5_000

        async def scenario() -> None:
            assert await scene.timestamps.read() == 1_001
            scene.oracle.oracle = "other"
            assert await scene.timestamps.read() == 5_001
            assert scene.routes.oracle == "other"

        world.run(scenario())


def test_no_oracle() -> None:
    """Without one, everybody who waits is told after a while; later it may work again."""
    with World(seed=1) as world:
        scene = Scene(world)

        async def scenario() -> None:
            scene.oracle.silences = 1 << 30
            waiting = [scene.timestamps.read(), scene.timestamps.commit()]
            for one in waiting:
                with pytest.raises(Unreachable, match="oracle"):
                    await one
            scene.oracle.silences = 0
            assert await scene.timestamps.read() > 0

        world.run(scenario())


def test_the_queue_is_bounded() -> None:
    """Too many who wait are refused, those who wait already are served."""
    with World(seed=1) as world:
        scene = Scene(world, replace(LIMITS, calls_in_flight=3))

        async def scenario() -> None:
            first = scene.timestamps.read()
            waiting = [scene.timestamps.read() for _ in range(3)]
            with pytest.raises(Overloaded):
                await scene.timestamps.read()
            await asyncio.gather(first, *waiting)

        world.run(scenario())
