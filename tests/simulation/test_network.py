"""The network: late, reordered, lost, twice, damaged and cut, and healed in the end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import pytest

from fastness.errors import InvalidEncoding, ProtocolMismatch
from fastness.testing.simulation import Rates, SimulatedProcess, World
from fastness.testing.simulation.frames import damaged
from fastness.wire.messages import CALL, Draw, decode_frame, encode_frame

FRAMES = 1_000


@pytest.fixture
def world() -> Iterator[World]:
    """A world where nothing goes wrong yet."""
    with World(3) as world:
        yield world


def sent(world: World, rates: Rates, *, frames: int = FRAMES) -> list[tuple[float, int]]:
    """Send numbered frames from `a` to `b`, all at once; when and in which order they arrive."""
    arrived: list[tuple[float, int]] = []

    async def main() -> None:
        world.process("b").listen(
            lambda _sender, frame: arrived.append((world.now_ms, int.from_bytes(frame)))
        )
        world.network.set_frame_rates(rates)
        for number in range(frames):
            world.process("a").send("b", number.to_bytes(2))
        await world.sleep(60_000)

    world.run(main())
    return arrived


def test_frames_take_their_time_and_overtake_each_other(world: World) -> None:
    """Most need 0.2 to 1 ms, a few far longer; all arrive, in another order."""
    arrived = sent(world, Rates())
    times = sorted(time for time, _number in arrived)
    assert sorted(number for _time, number in arrived) == list(range(FRAMES))
    assert [number for _time, number in arrived] != list(range(FRAMES))
    assert 0.1 < times[FRAMES // 2] < 1.0
    assert 1.5 < times[-1] < 200.0
    assert not world.counts


def test_links_differ(world: World) -> None:
    """Some pairs of processes are further apart than others."""
    first: dict[str, float] = {}

    def arrive(name: str, _sender: str, _frame: bytes) -> None:
        first.setdefault(name, world.now_ms)

    async def main() -> None:
        for number in range(12):
            receiver = world.process(f"receiver {number}")
            receiver.listen(partial(arrive, receiver.name))
            for _ in range(50):
                world.process("a").send(receiver.address, b"")
        await world.sleep(1_000)

    world.run(main())
    assert len({round(time, 3) for time in first.values()}) > 4


def test_frames_are_dropped(world: World) -> None:
    """About as many as the rate says, and counted."""
    arrived = sent(world, Rates(drop=0.3))
    assert 600 < len(arrived) < 800
    assert world.counts == {"frame drop": FRAMES - len(arrived)}


def test_frames_are_duplicated(world: World) -> None:
    """The second copy may come long after the first."""
    arrived = sent(world, Rates(duplicate=0.3))
    assert len(arrived) == FRAMES + world.counts["frame duplicate"]
    assert 200 < world.counts["frame duplicate"] < 400
    assert {number for _time, number in arrived} == set(range(FRAMES))


def test_frames_are_held_up(world: World) -> None:
    """Past every timeout, up to the longest that was asked for."""
    arrived = sent(world, Rates(delay=0.3, delay_ms_max=5_000.0))
    assert len(arrived) == FRAMES
    late = [time for time, _number in arrived if time > 100.0]
    assert len(late) > 50
    assert max(late) > 2_000.0


def test_damaged_frames_are_refused_by_the_decoder() -> None:
    """Whatever is done to a frame of this package, its receiver can tell."""
    random = Random(4)
    frame = encode_frame(CALL, 7, 12345, Draw(3))
    refusals: set[type[Exception]] = set()
    for _ in range(500):
        with pytest.raises((InvalidEncoding, ProtocolMismatch)) as refused:
            decode_frame(damaged(frame, random))
        refusals.add(refused.type)
    assert refusals == {InvalidEncoding, ProtocolMismatch}


@pytest.mark.parametrize("frame", [b"", b"x", b"another protocol"])
def test_any_frame_can_be_damaged(frame: bytes) -> None:
    """Frames of other protocols, empty ones too, come out different."""
    random = Random(5)
    assert all(damaged(frame, random) != frame for _ in range(50))


def test_frames_are_damaged_on_their_way(world: World) -> None:
    """As often as the rate says."""
    received: list[bytes] = []
    frame = encode_frame(CALL, 7, 12345, Draw(3))

    async def main() -> None:
        world.process("b").listen(lambda _sender, frame: received.append(frame))
        world.network.set_frame_rates(Rates(corrupt=0.3))
        for _ in range(FRAMES):
            world.process("a").send("b", frame)
        await world.sleep(1_000)

    world.run(main())
    assert len(received) == FRAMES
    assert sum(one != frame for one in received) == world.counts["frame corrupt"] > 200


def hellos(world: World, processes: list[SimulatedProcess]) -> list[tuple[str, str]]:
    """Everybody sends to everybody; who hears whom."""
    heard: list[tuple[str, str]] = []

    def hear(name: str, sender: str, _frame: bytes) -> None:
        heard.append((sender.partition("#")[0], name))

    async def main() -> None:
        for process in processes:
            process.listen(partial(hear, process.name))
        for process in processes:
            for other in processes:
                process.send(other.address, b"hello")
        await world.sleep(1_000)

    world.run(main())
    return sorted(heard)


def test_a_cut_is_one_way_and_heals(world: World) -> None:
    """Nothing passes from one side to the other, all else does; two cuts need two healings."""
    processes = [world.process(name) for name in "abc"]
    everybody = sorted((one.name, other.name) for one in processes for other in processes)
    assert hellos(world, processes) == everybody
    cut = world.network.cut(["a"], ["b", "c"])
    expected = [way for way in everybody if way not in (("a", "b"), ("a", "c"))]
    assert hellos(world, processes) == expected
    again = world.network.cut(["a"], ["b"])
    cut.heal()
    cut.heal()
    assert hellos(world, processes) == [way for way in everybody if way != ("a", "b")]
    again.heal()
    assert hellos(world, processes) == everybody


def test_a_restarted_process_stays_cut_off(world: World) -> None:
    """Names are cut, not addresses."""
    world.start("a", lambda _process: None)
    other = world.process("b")
    world.network.cut(["a"], ["b"])
    world.network.cut(["b"], ["a"])
    second = world.restart("a")
    assert hellos(world, [second, other]) == [("a", "a"), ("b", "b")]


def test_healing_ends_everything(world: World) -> None:
    """Cuts, rates and slowness are gone, and a cut that is healed later changes nothing."""
    processes = [world.process(name) for name in "abc"]
    before = world.network.cut(["a"], ["b"])
    world.network.set_frame_rates(Rates(drop=1.0))
    world.network.slow_down("c", 1_000.0)
    assert hellos(world, processes) == [(name, name) for name in "abc"]
    world.network.heal()
    later = world.network.cut(["a"], ["c"])
    before.heal()
    later.heal()
    assert len(hellos(world, processes)) == 9


def test_a_slow_process_is_slow_both_ways(world: World) -> None:
    """Everything from and to it takes many times as long, as usual again afterwards."""

    def times() -> list[float]:
        begun, seen = world.now_ms, list[float]()

        async def main() -> None:
            world.process("a").listen(lambda _sender, _frame: seen.append(world.now_ms - begun))
            world.process("b").listen(lambda _sender, _frame: seen.append(world.now_ms - begun))
            for _ in range(20):
                world.process("a").send("b", b"")
                world.process("b").send("a", b"")
            await world.sleep(60_000)

        world.run(main())
        return sorted(seen)

    usual = times()[20]
    world.network.slow_down("b", 100.0)
    assert times()[0] > 20 * usual
    world.network.slow_down("b", 1.0)
    assert times()[20] < 2 * usual


def test_frames_to_nobody_vanish(world: World) -> None:
    """Until somebody lives at the address."""
    arrived: list[bytes] = []

    async def main() -> None:
        world.process("a").send("b", b"too early")
        await world.sleep(100)
        world.process("b").listen(lambda _sender, frame: arrived.append(frame))
        world.process("a").send("b", b"in time")
        await world.sleep(100)
        world.crash("b")
        world.process("a").send("b", b"too late")
        await world.sleep(100)

    world.run(main())
    assert arrived == [b"in time"]
    assert world.counts["frame to nobody"] == 1
