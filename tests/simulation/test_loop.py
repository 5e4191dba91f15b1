"""The event loop in virtual time: ordinary asyncio code runs on it, and nothing leaves it."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from fastness.testing.simulation import (
    Deadlock,
    OutOfTime,
    RefusedInSimulation,
    UnretrievedError,
    World,
)


@pytest.fixture
def world() -> Iterator[World]:
    """A world where nothing goes wrong."""
    with World(1) as world:
        yield world


async def after(world: World, milliseconds: float, result: int) -> int:
    """An answer that takes its time."""
    await world.sleep(milliseconds)
    return result


async def fail_after(world: World, milliseconds: float) -> None:
    """A failure that takes its time."""
    await world.sleep(milliseconds)
    raise LookupError("failed as it should")


def test_time_jumps(world: World) -> None:
    """A wait of a thousand hours is over at once, and the clock shows it."""

    async def main() -> tuple[float, float]:
        before = asyncio.get_running_loop().time()
        await world.sleep(3_600_000.0)
        return before, asyncio.get_running_loop().time()

    before, later = world.run(main())
    assert later - before == pytest.approx(3_600.0)
    assert world.now_ms == pytest.approx(3_600_000.0)


def test_timers_come_in_order(world: World) -> None:
    """The earlier first, ties in the order asked, cancelled ones never."""
    seen: list[str] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(0.002, seen.append, "two")
        loop.call_later(0.001, seen.append, "one")
        when = loop.time() + 0.003
        for name in ("first", "second", "third"):
            handle = loop.call_at(when, seen.append, name)
            assert handle.when() == when
            if name == "second":
                handle.cancel()
                assert handle.cancelled()
        loop.call_soon(seen.append, "now").cancel()
        loop.call_soon_threadsafe(seen.append, "soon")
        await world.sleep(5)

    world.run(main())
    assert seen == ["soon", "one", "two", "first", "third"]


def test_gather_keeps_the_order_of_its_arguments(world: World) -> None:
    """Results stand where they were asked for, whichever came first."""

    async def main() -> list[int]:
        return await asyncio.gather(*(after(world, 10 - place, place) for place in range(10)))

    assert world.run(main()) == list(range(10))


def test_a_task_group_cancels_its_other_tasks(world: World) -> None:
    """One failure ends the group at once, and arrives as its error."""
    others: list[asyncio.Task[int]] = []

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            others.extend(tasks.create_task(after(world, 1000, 0)) for _ in range(3))
            tasks.create_task(fail_after(world, 1))

    with pytest.raises(ExceptionGroup) as caught:
        world.run(main())
    assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert all(task.cancelled() for task in others)
    assert world.now_ms == pytest.approx(1.0)


def test_a_timeout_strikes_in_time(world: World) -> None:
    """`timeout` and `wait_for` end a wait when they said, and not before."""

    async def main() -> int:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.25):
                await world.sleep(1000)
        assert world.now_ms == pytest.approx(250.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), 0.25)
        async with asyncio.timeout(0.25):
            return await after(world, 249, 7)

    assert world.run(main()) == 7
    assert world.now_ms == pytest.approx(749.0)


def test_a_cancelled_task_cleans_up(world: World) -> None:
    """Cancelling arrives at the await, and clean-up may still wait."""
    story: list[str] = []

    async def careful() -> None:
        try:
            await world.sleep(1000)
        finally:
            await world.sleep(1)
            story.append("cleaned up")

    async def main() -> None:
        task = asyncio.create_task(careful())
        await world.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    world.run(main())
    assert story == ["cleaned up"]
    assert world.now_ms == pytest.approx(2.0)


def test_events_queues_and_locks_hand_over(world: World) -> None:
    """What asyncio offers to wait on works between tasks."""
    seen: list[int] = []

    async def produce(queue: asyncio.Queue[int], ready: asyncio.Event) -> None:
        for number in range(5):
            await queue.put(number)
            await world.sleep(1)
        ready.set()

    async def consume(queue: asyncio.Queue[int], lock: asyncio.Lock) -> None:
        while True:
            async with lock:
                seen.append(await queue.get())
            queue.task_done()

    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue(maxsize=1)
        ready, lock = asyncio.Event(), asyncio.Lock()
        consumers = [asyncio.create_task(consume(queue, lock)) for _ in range(3)]
        await asyncio.gather(produce(queue, ready), ready.wait())
        await queue.join()
        for consumer in consumers:
            consumer.cancel()
        done, pending = await asyncio.wait(consumers)
        assert (len(done), len(pending)) == (3, 0)

    world.run(main())
    assert seen == list(range(5))


def test_context_variables_belong_to_tasks(world: World) -> None:
    """A task sees what its creator had set, and its own changes stay its own."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def change() -> tuple[str, str]:
        before = variable.get()
        variable.set("task")
        await world.sleep(1)
        return before, variable.get()

    async def main() -> tuple[str, str, str]:
        variable.set("main")
        return *(await asyncio.create_task(change())), variable.get()

    assert world.run(main()) == ("main", "task", "main")


def test_an_asynchronous_generator_is_closed(world: World) -> None:
    """Leaving an `async for` early still runs the generator's clean-up when it is closed."""
    story: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            for number in range(10):
                await world.sleep(1)
                yield number
        finally:
            story.append("closed")

    async def main() -> None:
        source = numbers()
        async for number in source:
            if number == 2:
                break
        await source.aclose()  # type: ignore[attr-defined]  # a generator, by its other name

    world.run(main())
    assert story == ["closed"]


def test_a_world_runs_again(world: World) -> None:
    """Between two runs time stands still, and what was under way goes on in the next."""

    async def main() -> asyncio.Task[int]:
        return asyncio.create_task(after(world, 10, 3))

    async def wait_for(task: asyncio.Task[int]) -> int:
        return await task

    task = world.run(main())
    assert world.now_ms == 0.0
    assert world.run(wait_for(task)) == 3
    assert world.now_ms == pytest.approx(10.0)


def test_nothing_left_to_run_is_a_deadlock(world: World) -> None:
    """Waiting for what nobody will do raises instead of hanging."""

    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="these tasks wait: world: main"):
        world.run(main())


@pytest.mark.parametrize("limits", [{"limit_ms": 1_000.0}, {"limit_steps": 50_000}])
def test_a_run_without_end_is_ended(limits: dict[str, Any]) -> None:
    """Virtual time and steps are bounded."""

    async def main(world: World) -> None:
        while True:
            await world.sleep(0.1)

    with World(1, **limits) as world, pytest.raises(OutOfTime):
        world.run(main(world))


def test_a_broken_invariant_ends_the_run_at_once(world: World) -> None:
    """An assertion that fails in any task is raised, though nobody awaits the task."""

    async def broken() -> None:
        assert world.now_ms < 0, "broken as it should be"

    async def main() -> None:
        task = asyncio.create_task(broken())
        await world.sleep(1000)
        await task

    with pytest.raises(AssertionError, match="broken as it should be"):
        world.run(main())
    assert world.now_ms == 0.0


def test_a_failed_callback_ends_the_run(world: World) -> None:
    """An error with nobody to raise to is raised by `run`."""

    def fail() -> None:
        raise KeyError("missing")

    async def main() -> None:
        asyncio.get_running_loop().call_later(0.5, fail)
        await world.sleep(1000)

    with pytest.raises(KeyError, match="missing"):
        world.run(main())
    assert world.now_ms == pytest.approx(500.0)


def test_an_error_nobody_looked_at_is_raised_in_the_end(world: World) -> None:
    """A task may fail long before somebody asks; if nobody ever does, the run fails."""

    async def main(*, ask: bool) -> None:
        task = asyncio.create_task(fail_after(world, 1))
        await world.sleep(10)
        if ask:
            with pytest.raises(LookupError):
                await task

    world.run(main(ask=True))
    with pytest.raises(UnretrievedError, match="failed as it should"):
        world.run(main(ask=False))


async def start_thread() -> None:
    """Reach for a thread."""
    await asyncio.to_thread(print)


async def connect() -> None:
    """Reach for a socket."""
    await asyncio.open_connection("localhost", 1)


async def run_process() -> None:
    """Reach for a process."""
    await asyncio.create_subprocess_exec("true")


async def watch_file() -> None:
    """Reach for a descriptor."""
    asyncio.get_running_loop().add_reader(0, print)


async def resolve() -> None:
    """Reach for the name service."""
    await asyncio.get_running_loop().getaddrinfo("localhost", 1, family=socket.AF_INET)


async def replace_tasks() -> None:
    """Reach for the loop's tasks."""
    asyncio.get_running_loop().set_task_factory(lambda _loop, coroutine: coroutine)


@pytest.mark.parametrize(
    "reach", [start_thread, connect, run_process, watch_file, resolve, replace_tasks]
)
def test_the_real_world_is_refused(
    world: World, reach: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Threads, sockets, processes and descriptors raise an error that says what to use."""
    with pytest.raises(RefusedInSimulation, match="Process"):
        world.run(reach())


def test_another_thread_is_refused(world: World) -> None:
    """A thread that calls back into the loop would make runs differ."""
    refusals: list[str] = []

    def intrude() -> None:
        try:
            world.loop.call_soon_threadsafe(print)
        except RefusedInSimulation as refusal:
            refusals.append(str(refusal))

    thread = threading.Thread(target=intrude)
    thread.start()
    thread.join()
    assert "another thread" in refusals[0]


def test_a_world_runs_in_no_other_loop(world: World) -> None:
    """Neither inside a running loop, nor twice, nor after it was closed."""

    async def idle() -> None:
        """Nothing."""

    async def nested() -> None:
        main = idle()
        with pytest.raises(RuntimeError, match="running"):
            world.run(main)
        main.close()

    asyncio.run(nested())
    world.run(nested())
    world.close()
    main = idle()
    with pytest.raises(RuntimeError, match="closed"):
        world.run(main)
    main.close()


def test_closing_leaves_nothing_behind() -> None:
    """Tasks that never ended, never began or resist their end leave no warning."""
    story: list[str] = []
    begun: list[asyncio.Task[Any]] = []

    async def stubborn(world: World) -> None:
        try:
            await world.sleep(1e9)
        finally:
            await world.sleep(1)
            story.append("not reached")

    async def main(world: World) -> None:
        begun.append(world.loop.create_task(stubborn(world)))
        await world.sleep(1)
        begun.append(world.loop.create_task(after(world, 1, 1)))

    with World(1) as world:
        world.run(main(world))
    assert any("resisted" in complaint for complaint in world.loop.complaints)
    begun.clear()
    del world
    gc.collect()
    assert not story


def test_garbage_collection_is_switched_on_again(world: World) -> None:
    """It is the world's while it runs, and as it was afterwards."""

    async def main() -> bool:
        await world.sleep(1)
        return gc.isenabled()

    assert not world.run(main())
    assert gc.isenabled()
