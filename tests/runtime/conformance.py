"""What every `Process` on an event loop promises; the tests of each kind run these.

A `Stage` is two processes that can reach each other: `one` may send to `other` at once, and
`other` to `one` when it has heard of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import pytest

from fastness.runtime.clock import SystemClock
from fastness.runtime.process import Process


class Closable(Process, Protocol):
    """A process that can be closed."""

    async def close(self) -> None:
        """End it."""
        ...


class Stage(NamedTuple):
    """Two processes, and the lines of their stories."""

    one: Closable
    other: Closable
    notes: list[tuple[str, str]]


Scenario = Callable[[Stage], Awaitable[None]]
Play = Callable[[Scenario], None]
"""Runs a scenario on a real loop; every process is closed afterwards."""


def heard(process: Process, frames: int) -> asyncio.Future[list[tuple[str, bytes]]]:
    """The next frames that arrive at a process, with their senders."""
    complete: asyncio.Future[list[tuple[str, bytes]]] = process.future()
    arrived: list[tuple[str, bytes]] = []

    def receive(sender: str, frame: bytes) -> None:
        arrived.append((sender, frame))
        if len(arrived) == frames:
            complete.set_result(arrived)

    process.listen(receive)
    return complete


class LoopedProcessConformance:
    """To be derived from, with a fixture `play` that gives the kind under test."""

    def test_it_is_a_process(self, play: Play) -> None:
        """It has an address of its own, the clocks of the machine, and futures of the loop."""

        async def scenario(stage: Stage) -> None:
            assert stage.one.address != stage.other.address
            assert isinstance(stage.one.clock, SystemClock)
            assert stage.one.future().get_loop() is asyncio.get_running_loop()

        play(scenario)

    def test_frames_arrive_in_order_and_not_inside_send(self, play: Play) -> None:
        """Each once, as sent, under the address of the sender, after the call that sent it."""

        async def scenario(stage: Stage) -> None:
            one, other, _notes = stage
            arrived = heard(other, 3)
            for frame in (b"1", b"", b"3" * 100_000):
                one.send(other.address, frame)
            assert not arrived.done()
            mine = one.address
            assert await arrived == [(mine, b"1"), (mine, b""), (mine, b"3" * 100_000)]

        play(scenario)

    def test_whoever_was_heard_of_can_be_answered(self, play: Play) -> None:
        """Frames travel back, also those that are sent while others arrive."""

        async def scenario(stage: Stage) -> None:
            one, other, _notes = stage
            other.listen(lambda sender, frame: other.send(sender, frame + b"!"))
            arrived = heard(one, 2)
            one.send(other.address, b"a")
            one.send(other.address, b"b")
            assert await arrived == [(other.address, b"a!"), (other.address, b"b!")]

        play(scenario)

    def test_a_process_can_send_to_itself(self, play: Play) -> None:
        """Its frames take the way through the loop, too."""

        async def scenario(stage: Stage) -> None:
            arrived = heard(stage.one, 1)
            stage.one.send(stage.one.address, b"note")
            assert not arrived.done()
            assert await arrived == [(stage.one.address, b"note")]

        play(scenario)

    def test_what_is_sent_to_nobody_is_dropped(self, play: Play) -> None:
        """Without an error, whether or not anybody could ever be there."""

        async def scenario(stage: Stage) -> None:
            stage.one.send("client/nobody", b"lost")
            arrived = heard(stage.other, 1)
            stage.one.send(stage.other.address, b"found")
            assert len(await arrived) == 1

        play(scenario)

    def test_timers_come_once_and_can_be_cancelled(self, play: Play) -> None:
        """Neither a cancelled one nor one of a closed process comes."""

        async def scenario(stage: Stage) -> None:
            process, closed, _notes = stage
            came: list[str] = []
            last = process.future()
            process.call_later(0.0, came.append, "first")
            process.call_later(0.0, came.append, "cancelled").cancel()
            closed.call_later(3_600_000.0, came.append, "closed")
            await closed.close()
            closed.call_later(0.0, came.append, "closed before").cancel()
            timer = process.call_later(1.0, last.set_result, None)
            await last
            timer.cancel()
            assert came == ["first"]

        play(scenario)

    def test_closing_ends_tasks_and_what_arrives(self, play: Play) -> None:
        """Tasks are cancelled and awaited, frames no longer arrive or leave."""

        async def scenario(stage: Stage) -> None:
            process, witness, _notes = stage
            ended: list[str] = []

            async def wait() -> None:
                try:
                    await process.future()
                finally:
                    ended.append("cleaned up")

            task = process.spawn(wait(), name="wait")
            assert task.get_name() == f"{process.address} wait"
            await asyncio.sleep(0)
            reached = heard(witness, 1)
            process.send(witness.address, b"before")
            await reached
            silent = heard(process, 1)
            witness.send(process.address, b"too late")
            await process.close()
            await process.close()
            assert (ended, task.cancelled()) == (["cleaned up"], True)
            late = process.spawn(wait(), name="late")
            with pytest.raises(asyncio.CancelledError):
                await late
            unheard = heard(witness, 1)
            process.send(witness.address, b"from nobody")
            await asyncio.sleep(0)
            assert not silent.done()
            assert not unheard.done()

        play(scenario)

    def test_notes_go_where_they_are_to(self, play: Play) -> None:
        """With the address of the process."""

        async def scenario(stage: Stage) -> None:
            stage.one.note("began")
            assert (stage.one.address, "began") in stage.notes

        play(scenario)
