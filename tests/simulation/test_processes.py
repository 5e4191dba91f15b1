"""Processes: clocks of their own, and crashes and pauses that strike between any two steps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from fastness.runtime.process import Process
from fastness.testing.simulation import ProcessCrashed, SimulatedProcess, World

MS = 1_000_000


@pytest.fixture
def world() -> Iterator[World]:
    """A world where nothing goes wrong."""
    with World(2) as world:
        yield world


def recorded(process: SimulatedProcess) -> list[tuple[float, bytes]]:
    """What arrives at a process, and when by virtual time, from now on."""
    arrived: list[tuple[float, bytes]] = []
    process.listen(
        lambda _sender, frame: arrived.append((process.agenda.now / MS, frame)),
    )
    return arrived


def test_it_is_a_process(world: World) -> None:
    """It has all that `runtime.process.Process` promises."""
    process: Process = world.process("one")
    assert process.address == "one"


def test_each_clock_has_its_own_rate(world: World) -> None:
    """Boot clocks drift by at most one per cent, each by its own, and never sink."""

    async def main() -> None:
        processes = [world.process(f"process {number}") for number in range(20)]
        starts = [process.clock.boot_ns() for process in processes]
        await world.sleep(100_000)
        rates = [
            (process.clock.boot_ns() - start) / (100_000 * MS)
            for process, start in zip(processes, starts, strict=True)
        ]
        assert all(0.99 <= rate <= 1.01 for rate in rates)
        assert len({round(rate, 5) for rate in rates}) > 15
        assert max(rates) - min(rates) > 0.005

    world.run(main())


def test_timers_run_by_the_clock_of_their_process(world: World) -> None:
    """When a timer comes, exactly its time has passed on its process's own boot clock."""
    passed: list[int] = []

    async def main() -> None:
        for number in range(10):
            process = world.process(f"process {number}")
            before = process.clock.boot_ns()
            process.call_later(
                1_000.0,
                lambda clock=process.clock, before=before: passed.append(clock.boot_ns() - before),
            )
        await world.sleep(2_000)

    world.run(main())
    assert len(passed) == 10
    assert all(0 <= elapsed - 1_000 * MS < 100 for elapsed in passed)


def test_asyncio_runs_by_the_clock_of_its_process(world: World) -> None:
    """A timeout in a process's task ends by that process's boot clock."""
    process = world.process("one")

    async def wait() -> int:
        before = process.clock.boot_ns()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await asyncio.Event().wait()
        return process.clock.boot_ns() - before

    async def main() -> int:
        return await process.spawn(wait(), name="wait")

    assert process.clock.rate_ppm != 0
    assert 0 <= world.run(main()) - 10_000 * MS < 10_000
    assert world.now_ms != 10_000.0


def test_a_wall_clock_jumps(world: World) -> None:
    """It is set forward and back; the boot clock does not notice."""
    clock = world.process("one").clock
    wall, boot = clock.wall_ms(), clock.boot_ns()
    clock.jump_wall(-5_000)
    assert (clock.wall_ms(), clock.boot_ns()) == (wall - 5_000, boot)
    clock.jump_wall(7_000)
    assert (clock.wall_ms(), clock.boot_ns()) == (wall + 2_000, boot)


def test_a_restarted_process_has_another_address_and_the_same_clocks(world: World) -> None:
    """What was sent to the dead one does not reach the new one; the machine is the same."""
    lives: list[str] = []

    async def main() -> None:
        first = world.start("node", lambda process: lives.append(process.address))
        sender = world.process("sender")
        sender.send("node", b"for the first")
        second = world.restart("node")
        arrived = recorded(second)
        sender.send("node", b"for the first, again")
        sender.send("node#2", b"for the second")
        await world.sleep(100)
        assert [frame for _time, frame in arrived] == [b"for the second"]
        assert first.clock.rate_ppm == second.clock.rate_ppm
        assert not first.alive
        assert world.process("node") is second

    world.run(main())
    assert lives == ["node", "node#2"]


def test_a_crash_ends_everything_at_once(world: World) -> None:
    """Timers, frames to come, callbacks and tasks of a dead process never happen."""
    story: list[str] = []
    tasks: list[asyncio.Task[None]] = []

    async def work(process: SimulatedProcess) -> None:
        tasks.append(process.spawn(tell_soon(process), name="inner"))
        await process.future()
        story.append("worked")

    async def tell_soon(process: SimulatedProcess) -> None:
        await world.sleep(10)
        story.append(f"{process.address} spoke")

    async def main() -> None:
        process, witness = world.process("one"), world.process("witness")
        heard = recorded(witness)
        recorded(process)
        process.call_later(10, story.append, "timer")
        task = process.spawn(work(process), name="work")
        witness.send("one", b"frame")
        await world.sleep(0)
        process.crash()
        process.crash()
        with pytest.raises(ProcessCrashed) as crashed:
            await task
        assert crashed.value.maybe_committed
        process.send("witness", b"from the dead")
        process.call_later(1, story.append, "timer of the dead")
        with pytest.raises(ProcessCrashed):
            await process.spawn(tell_soon(process), name="late")
        process.note("not heard")
        await world.sleep(100)
        assert not heard

    world.run(main())
    assert not story


def test_clean_up_after_a_crash_has_no_effect(world: World) -> None:
    """A `finally` runs, because Python must; what it sends, starts or schedules vanishes."""
    story: list[str] = []

    async def careful(process: SimulatedProcess) -> None:
        try:
            await process.future()
        finally:
            story.append("clean-up ran")
            process.send("witness", b"last words")
            process.call_later(1, story.append, "timer")
            world.loop.call_soon(story.append, "callback")
            process.spawn(careful(process), name="another").cancel()

    async def main() -> None:
        process, witness = world.process("one"), world.process("witness")
        heard = recorded(witness)
        task = process.spawn(careful(process), name="careful")
        await world.sleep(1)
        process.crash()
        assert task.done()
        await world.sleep(100)
        assert not heard

    world.run(main())
    assert story == ["clean-up ran"]


def test_a_task_group_of_a_dead_process_ends(world: World) -> None:
    """Nested tasks whose clean-up awaits each other are ended all the same."""

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(3):
                tasks.create_task(asyncio.Event().wait())

    async def main() -> None:
        process = world.process("one")
        task = process.spawn(group(), name="group")
        await world.sleep(1)
        process.crash()
        with pytest.raises(ProcessCrashed):
            await task

    world.run(main())
    assert all(name.startswith("world") for name in world.loop.pending())


def test_a_paused_process_does_nothing_and_catches_up_in_order(world: World) -> None:
    """Timers, frames and steps of tasks wait, then come in the order they were due."""
    story: list[str] = []

    async def steps() -> None:
        for number in range(3):
            story.append(f"step {number}")
            await asyncio.sleep(0)

    async def main() -> None:
        process, sender = world.process("one"), world.process("sender")
        process.listen(lambda _sender, frame: story.append(frame.decode()))
        sender.send("one", b"before")
        await world.sleep(50)
        process.call_later(20, story.append, "timer 20")
        process.call_later(30, story.append, "timer 30").cancel()
        process.call_later(80, story.append, "timer 80")
        process.pause(60)
        task = process.spawn(steps(), name="steps")
        await world.sleep(30)
        sender.send("one", b"during")
        await world.sleep(29)
        assert story == ["before"]
        await world.sleep(10)
        expected = ["before", "step 0", "timer 20", "during", "step 1", "step 2"]
        assert story == expected
        await world.sleep(50)
        assert story == [*expected, "timer 80"]
        await task

    world.run(main())


def test_a_process_is_stopped_until_it_is_resumed(world: World) -> None:
    """A pause without an end lasts until `resume`, and overlapping ones until the last ends."""
    ticks: list[float] = []

    async def main() -> None:
        process = world.process("one")
        process.call_later(1, lambda: ticks.append(world.now_ms))
        process.pause()
        await world.sleep(1_000)
        assert process.paused
        process.resume()
        process.resume()
        await world.sleep(0)
        assert ticks == [1_000.0]
        process.call_later(1, lambda: ticks.append(world.now_ms))
        process.pause(50)
        process.pause(100)
        process.pause(20)
        await world.sleep(500)
        assert ticks == [1_000.0, 1_100.0]

    world.run(main())


def test_boot_time_goes_on_during_a_pause(world: World) -> None:
    """A process that was stopped finds that time has passed."""

    async def main() -> int:
        process = world.process("one")
        before = process.clock.boot_ns()
        process.pause(1_000)
        await world.sleep(1_001)
        return process.clock.boot_ns() - before

    assert world.run(main()) > 980 * MS


def checked_then_answered(process: SimulatedProcess, story: list[int]) -> Callable[..., None]:
    """A handler as many are: looks at the clock, and answers if there is still time."""

    def handle(sender: str, _frame: bytes) -> None:
        story.append(process.clock.boot_ns())
        process.send(sender, b"first")
        story.append(process.clock.boot_ns())
        process.send(sender, b"second")

    return handle


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(0, "late, late"), (1, "late, late"), (2, "late, late"), (3, "soon, late"), (9, "soon, soon")],
)
def test_a_pause_strikes_in_the_middle_of_a_callback(
    world: World, steps: int, expected: str
) -> None:
    """Whatever a process sends after the point where it was stopped leaves when it goes on."""
    readings: list[int] = []

    async def main() -> str:
        process, client = world.process("one"), world.process("client")
        process.listen(checked_then_answered(process, readings))
        arrived = recorded(client)
        process.strike_after(steps, lambda: process.stall(1_000))
        client.send("one", b"question")
        await world.sleep(3_000)
        assert len(arrived) == 2
        times = {frame: "late" if time > 900 else "soon" for time, frame in arrived}
        return f"{times[b'first']}, {times[b'second']}"

    # The arrival is step 0, each reading of the clock and each frame sent is another.
    assert world.run(main()) == expected
    late = [reading - readings[0] > 900 * MS for reading in readings]
    assert late == [False, steps in (2, 3)]


@pytest.mark.parametrize(("steps", "expected"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (5, 2)])
def test_a_crash_strikes_in_the_middle_of_a_callback(
    world: World, steps: int, expected: int
) -> None:
    """What a process did before it died arrives, what it would have done after does not."""

    async def main() -> int:
        process, client = world.process("one"), world.process("client")
        process.listen(checked_then_answered(process, []))
        arrived = recorded(client)
        process.strike_after(steps, process.crash)
        client.send("one", b"question")
        await world.sleep(100)
        return len(arrived)

    assert world.run(main()) == expected


def test_a_task_that_dies_in_its_own_step_ends(world: World) -> None:
    """A crash may strike inside the running task: it ends at its next await."""
    story: list[str] = []

    async def suicidal(process: SimulatedProcess) -> None:
        process.strike_after(0, process.crash)
        process.clock.boot_ns()
        story.append("to the end of the step")
        await world.sleep(1)
        story.append("beyond it")

    async def main() -> None:
        process = world.process("one")
        with pytest.raises(ProcessCrashed):
            await process.spawn(suicidal(process), name="suicidal")

    world.run(main())
    assert story == ["to the end of the step"]


def test_a_pause_in_a_step_is_not_cut_short(world: World) -> None:
    """The process has seen its end on the clock: resuming it earlier would set the clock back."""
    readings: list[int] = []

    async def main() -> None:
        process = world.process("one")

        def look() -> None:
            readings.append(process.clock.boot_ns())
            process.call_later(1, look)

        process.strike_after(1, lambda: process.stall(1_000))
        process.call_later(1, look)
        await world.sleep(10)
        process.resume()
        process.pause()
        process.resume()
        await world.sleep(900)
        assert len(readings) == 1
        await world.sleep(900)

    world.run(main())
    assert len(readings) > 700
    assert readings == sorted(readings)


def test_a_strike_waits_while_its_process_is_stopped(world: World) -> None:
    """A strike comes due in the process's own steps, and can be called off."""
    struck: list[float] = []

    async def main() -> None:
        process = world.process("one")
        process.pause(100)
        process.strike_after(1, lambda: struck.append(world.now_ms))
        process.call_later(1, lambda: None)
        process.call_later(2, lambda: None)
        await world.sleep(200)
        assert struck == [100.0]
        process.strike_after(0, lambda: struck.append(world.now_ms))
        process.strike_never()
        process.call_later(1, lambda: None)
        await world.sleep(200)

    world.run(main())
    assert struck == [100.0]


def test_whoever_completes_a_future_the_waiter_goes_on_as_itself(world: World) -> None:
    """A task of one process that another wakes is still paused and killed with its own."""
    story: list[str] = []

    async def wait(shared: asyncio.Future[None]) -> None:
        await shared
        story.append("woken")

    async def main() -> None:
        one, other = world.process("one"), world.process("other")
        shared = one.future()
        task = one.spawn(wait(shared), name="wait")
        await world.sleep(0)
        one.pause(100)
        other.call_later(1, shared.set_result, None)
        await world.sleep(50)
        assert not story
        await world.sleep(60)
        assert story == ["woken"]
        await task

    world.run(main())
