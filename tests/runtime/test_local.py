"""The local network: the real event loop runs what the simulated one runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fastness.errors import InvalidOption
from fastness.runtime.clock import ManualClock, SystemClock
from fastness.runtime.local import LocalNetwork, LocalProcess
from fastness.runtime.process import Process


def run(scenario: Callable[[LocalNetwork], Awaitable[None]]) -> None:
    """Run a scenario with a network on a real loop; every process is closed afterwards."""

    async def main() -> None:
        network = LocalNetwork()
        try:
            await scenario(network)
        finally:
            await network.close()

    asyncio.run(main())


def heard(process: LocalProcess, frames: int) -> asyncio.Future[list[tuple[str, bytes]]]:
    """The next frames that arrive at a process, with their senders."""
    complete: asyncio.Future[list[tuple[str, bytes]]] = process.future()
    arrived: list[tuple[str, bytes]] = []

    def receive(sender: str, frame: bytes) -> None:
        arrived.append((sender, frame))
        if len(arrived) == frames:
            complete.set_result(arrived)

    process.listen(receive)
    return complete


def test_it_is_a_process() -> None:
    """It has all that `Process` promises, with the clocks of the machine or those given."""

    async def scenario(network: LocalNetwork) -> None:
        process: Process = network.process("a")
        assert process.address == "a"
        assert isinstance(process.clock, SystemClock)
        clock = ManualClock()
        assert network.process("b", clock=clock).clock is clock

    run(scenario)


def test_frames_arrive_in_order_and_not_inside_send() -> None:
    """Each once, as sent, after the call that sent it; also from a process to itself."""

    async def scenario(network: LocalNetwork) -> None:
        one, other = network.process("one"), network.process("other")
        arrived = heard(other, 3)
        for frame in (b"1", b"2"):
            one.send("other", frame)
        other.send("other", b"3")
        one.send("nobody", b"4")
        assert not arrived.done()
        assert await arrived == [("one", b"1"), ("one", b"2"), ("other", b"3")]

    run(scenario)


def test_timers_come_once_and_can_be_cancelled() -> None:
    """Neither a cancelled one nor one of a closed process comes."""

    async def scenario(network: LocalNetwork) -> None:
        process, closed = network.process("a"), network.process("b")
        came: list[str] = []
        last = process.future()
        process.call_later(0.0, came.append, "first")
        process.call_later(0.0, came.append, "cancelled").cancel()
        closed.call_later(0.0, came.append, "closed")
        await closed.close()
        closed.call_later(0.0, came.append, "closed before").cancel()
        timer = process.call_later(1.0, last.set_result, None)
        await last
        timer.cancel()
        assert came == ["first"]

    run(scenario)


def test_closing_ends_tasks_and_leaves_the_network() -> None:
    """Tasks are cancelled and awaited, frames no longer arrive or leave, the address is free."""

    async def scenario(network: LocalNetwork) -> None:
        process, witness = network.process("a"), network.process("witness")
        ended: list[str] = []

        async def wait() -> None:
            try:
                await process.future()
            finally:
                ended.append("cleaned up")

        task = process.spawn(wait(), name="wait")
        assert task.get_name() == "a wait"
        await asyncio.sleep(0)
        witness.send("a", b"too late")
        await process.close()
        await process.close()
        assert (ended, task.cancelled()) == (["cleaned up"], True)
        late = process.spawn(wait(), name="late")
        with pytest.raises(asyncio.CancelledError):
            await late
        process.send("witness", b"from nobody")
        again = network.process("a")
        arrived = heard(witness, 1)
        again.send("witness", b"from the next")
        assert await arrived == [("a", b"from the next")]

    run(scenario)


def test_an_address_is_used_once_at_a_time() -> None:
    """Two processes of one address would hear each other's frames."""

    async def scenario(network: LocalNetwork) -> None:
        network.process("a")
        with pytest.raises(InvalidOption, match="'a'"):
            network.process("a")

    run(scenario)


def test_notes_go_where_the_network_says() -> None:
    """With the address of the process; nowhere by default."""
    notes: list[tuple[str, str]] = []

    async def main() -> None:
        network = LocalNetwork(note=lambda address, event: notes.append((address, event)))
        network.process("a").note("began")
        await network.close()
        LocalNetwork().process("a").note("unheard")

    asyncio.run(main())
    assert notes == [("a", "began")]
