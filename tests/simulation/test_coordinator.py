"""The coordinator: one order of writes, sessions that end on time, answers that may never come."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from fastness.errors import Unreachable
from fastness.placement.coordinator import Coordinator, Put
from fastness.testing.simulation import ProcessCrashed, Rates, SimulatedCoordinator, World
from tests.placement.coordinator_conformance import CoordinatorSuite, Surroundings

TTL_MS = 1_000


@pytest.fixture
def world() -> Iterator[World]:
    """A world where nothing goes wrong yet."""
    with World(5) as world:
        yield world


def reached(world: World, name: str, *, patience_ms: float = 500.0) -> SimulatedCoordinator:
    """The coordinator as a process of this name reaches it."""
    return world.coordinator_for(world.process(name), patience_ms=patience_ms)


class InWorld(Surroundings):
    """A world where nothing goes wrong."""

    def __init__(self, world: World) -> None:
        self._world = world

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it in the world."""
        self._world.run(scenario())

    def reached(self, name: str) -> SimulatedCoordinator:
        """From far away."""
        return reached(self._world, name)

    async def wait(self, milliseconds: float) -> None:
        """Virtual time."""
        await self._world.sleep(milliseconds)


class TestSimulatedCoordinator(CoordinatorSuite):
    """The contract, from far away."""

    @pytest.fixture
    def surroundings(self, world: World) -> Surroundings:
        """A world of its own."""
        return InWorld(world)


def test_it_is_a_coordinator(world: World) -> None:
    """It has all that `placement.coordinator.Coordinator` promises."""
    coordinator: Coordinator = reached(world, "a")
    assert isinstance(coordinator, SimulatedCoordinator)


def test_a_session_ends_with_its_keys_unless_kept_alive(world: World) -> None:
    """Kept alive it lives on; then it ends one TTL after the last time, and never before."""

    async def main() -> None:
        coordinator, witness = reached(world, "a"), reached(world, "b")
        session = await coordinator.open_session(TTL_MS)
        assert session != 0
        await coordinator.write({}, [Put("sessions/1", b"", session), Put("other", b"")])
        for _ in range(5):
            await world.sleep(TTL_MS * 0.8)
            assert await coordinator.keep_alive(session)
        last = world.now_ms
        while "sessions/1" in (await witness.read(""))[1]:
            await world.sleep(1)
        assert TTL_MS - 20 <= world.now_ms - last <= TTL_MS + 20
        assert not await coordinator.keep_alive(session)
        assert list((await witness.read(""))[1]) == ["other"]
        assert await coordinator.write({}, [Put("late", b"", session)]) is None

    world.run(main())
    assert world.counts["session expired"] == 1


def test_a_lost_answer_leaves_the_caller_in_doubt(world: World) -> None:
    """Cut off one way the request is carried out, the other way it is not: both `Unreachable`."""

    async def main() -> None:
        coordinator = reached(world, "a")
        there = world.network.cut(["a"], ["coordinator"])
        with pytest.raises(Unreachable, match="read again"):
            await coordinator.write({}, [Put("never arrives", b"")])
        there.heal()
        back = world.network.cut(["coordinator"], ["a"])
        with pytest.raises(Unreachable):
            await coordinator.write({}, [Put("arrives", b"")])
        back.heal()
        assert list((await coordinator.read(""))[1]) == ["arrives"]

    world.run(main())


def test_a_late_request_lands_after_everybody_went_on(world: World) -> None:
    """A write that was given up is carried out later, when others have read and written."""

    async def main() -> None:
        coordinator, other = reached(world, "a"), reached(world, "b")
        world.network.set_call_rates("coordinator", Rates(delay=1.0, delay_ms_max=60_000.0))
        given_up = 0
        for number in range(20):
            try:
                await coordinator.write({}, [Put(f"late {number:02}", b"")])
            except Unreachable:
                given_up += 1
        world.network.set_call_rates("coordinator", Rates())
        _revision, before = await other.read("late")
        await world.sleep(60_000)
        _revision, after = await other.read("late")
        assert given_up > 5
        assert len(before) < 20
        assert len(after) == 20

    world.run(main())


def test_a_stalled_coordinator_answers_nobody_then_everything(world: World) -> None:
    """What was asked meanwhile is carried out when it goes on, however long ago that was."""

    async def main() -> None:
        coordinator = reached(world, "a")
        world.coordinator.pause(5_000)
        with pytest.raises(Unreachable):
            await coordinator.write({}, [Put("a", b"")])
        assert world.coordinator.snapshot() == {}
        await world.sleep(5_000)
        assert world.coordinator.snapshot() == {"a": b""}

    world.run(main())


def test_a_restart_gives_sessions_their_time_again(world: World) -> None:
    """Another leader never ends a session early, even one that nobody could keep alive."""

    async def main() -> None:
        coordinator = reached(world, "a")
        session = await coordinator.open_session(TTL_MS)
        world.coordinator.pause()
        await world.sleep(5 * TTL_MS)
        world.coordinator.restart()
        await world.sleep(0.9 * TTL_MS)
        assert await coordinator.keep_alive(session)
        await world.sleep(2 * TTL_MS)
        assert not await coordinator.keep_alive(session)

    world.run(main())


def test_a_watcher_hears_of_changes_under_its_prefix(world: World) -> None:
    """Some time after a change, once or more; not of other keys, not after it was cancelled."""
    heard: list[str] = []

    async def main() -> None:
        coordinator, writer = reached(world, "a"), reached(world, "b")
        watch = coordinator.watch("ranges/", lambda: heard.append("ranges"))
        coordinator.watch("nodes/", lambda: heard.append("nodes"))
        session = await writer.open_session(TTL_MS)
        await writer.write({}, [Put("ranges/1", b"")])
        await world.sleep(50)
        assert heard == ["ranges"]
        await writer.write({}, [Put("nodes/1", b"", session)])
        await world.sleep(50)
        await writer.write({}, [], ("ranges/1",))
        await world.sleep(50)
        assert heard == ["ranges", "nodes", "ranges"]
        watch.cancel()
        await writer.write({}, [Put("ranges/1", b"")])
        await writer.end_session(session)
        await world.sleep(50)
        assert heard == ["ranges", "nodes", "ranges", "nodes"]
        world.crash("a")
        await writer.write({}, [Put("nodes/2", b"")])
        await world.sleep(50)

    world.run(main())
    assert heard == ["ranges", "nodes", "ranges", "nodes"]


def test_a_request_of_a_dead_process_is_never_sent(world: World) -> None:
    """A crash between two requests keeps the second from being carried out."""

    async def write_twice(coordinator: SimulatedCoordinator) -> None:
        await coordinator.write({}, [Put("first", b"")])
        world.process("a").strike_after(0, world.process("a").crash)
        await coordinator.write({}, [Put("second", b"")])

    async def main() -> None:
        task = world.process("a").spawn(write_twice(reached(world, "a")), name="write")
        with pytest.raises(ProcessCrashed):
            await task
        await world.sleep(1_000)

    world.run(main())
    assert world.coordinator.snapshot() == {"first": b""}
