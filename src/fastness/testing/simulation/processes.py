"""Simulated processes: `runtime.Process` in virtual time, to be crashed and paused at any step.

A crash is a power cut for the process alone: its timers, frames to come and tasks are gone at
that instant, and whatever clean-up code still runs (a `finally`) has no effect on anybody. The
process that is started in its place has another address, `node-3#2`: nothing that was meant for
the dead one can reach it.

A pause is a SIGSTOP, a long garbage collection or a suspended machine: nothing runs, frames
queue up, clocks go on. Both may strike between any two steps, also in the middle of a callback
(see `events`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from fastness.testing.simulation.clocks import SimulatedClock
from fastness.testing.simulation.events import Actor, ScheduledCall
from fastness.testing.simulation.failures import ProcessCrashed
from fastness.testing.simulation.loop import SimulatedLoop
from fastness.testing.simulation.network import FrameLink, Network

T = TypeVar("T")

Receive = Callable[[str, bytes], object]


class SimulatedProcess(Actor):
    """A process of a simulated world; see `runtime.process.Process` for what its calls promise.

    `name` is that of its place (`node-3`), `address` names this one run of it (`node-3#2`).
    """

    __slots__ = (
        "_crashed",
        "_links",
        "_loop",
        "_network",
        "_receive",
        "_virtual_per_ms",
        "address",
        "clock",
        "random",
    )

    clock: SimulatedClock

    def __init__(
        self, *, loop: SimulatedLoop, network: Network, name: str, address: str, random: Random
    ) -> None:
        """Made by `World.process` and `World.start`."""
        super().__init__(loop.agenda, name)
        self.address = address
        self.random = random
        self._loop = loop
        self._network = network
        self._links: dict[str, FrameLink] = {}
        self._receive: Receive | None = None
        self._crashed: list[Callable[[], object]] = []
        self.set_clock(SimulatedClock(self))
        network.attach(self)

    def set_clock(self, clock: SimulatedClock) -> None:
        """Give it a clock; before anything runs in it."""
        self.clock = clock
        self._virtual_per_ms = clock.virtual_per_ms()

    # What the code under test calls.

    def listen(self, receive: Receive) -> None:
        """Hand every frame that arrives to `receive(sender, frame)`, from now on."""
        self._receive = receive

    def send(self, to: str, frame: bytes) -> None:
        """Send a frame, best effort: lost, late, twice or out of order; never raises."""
        self.budget -= 1
        if self.budget < 0:
            self.interrupted()
            if not self.alive:
                return
        link = self._links.get(to)
        if link is None:
            link = self._network.link(self, to)
            if link is None:
                return
            self._links[to] = link
        link.carry(frame)

    def call_later(
        self,
        milliseconds: float,
        callback: Callable[..., object],
        *args: object,
    ) -> ScheduledCall:
        """Call back after this much time of this process's own boot clock."""
        call = ScheduledCall(callback, args, self.context)
        if self.alive:
            agenda = self.agenda
            now = max(agenda.now, self.busy_until)
            agenda.call_at(now + int(milliseconds * self._virtual_per_ms) + 2, self, call)
        return call

    def future(self) -> asyncio.Future[Any]:
        """A future of the world's loop."""
        return self._loop.create_future()

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run a coroutine as a task of this process. It ends with it, as `ProcessCrashed`."""
        task = self._loop.create_task(
            coroutine, name=f"{self.address} {name}", context=self.context.copy()
        )
        if not self.alive:
            self._loop.abandon(self, task, self._crash_error())
        return task

    def note(self, event: str) -> None:
        """A line of the process's story."""
        if self.alive:
            self.agenda.trace.note(self.now, self.address, event)

    # What the world and tests call.

    def crash(self) -> None:
        """Die now: see the module's page. Harmless for one that is dead."""
        if not self.alive:
            return
        self.note("crashed")
        self.end()
        self._loop.end_tasks(self, self._crash_error())
        crashed, self._crashed = self._crashed, []
        for callback in crashed:
            self.agenda.at(self.agenda.now, self.agenda.root, callback)

    def on_crash(self, callback: Callable[[], object]) -> None:
        """Have the world call back when this process dies."""
        self._crashed.append(callback)

    def arrive(self, sender: str, frame: bytes) -> None:
        """A frame from the network."""
        if self._receive is not None:
            self._receive(sender, frame)

    def boot_ns(self) -> int:
        """Its boot clock."""
        return self.clock.boot_ns()

    def virtual_time(self, boot_seconds: float) -> int:
        """The virtual time (nanoseconds) at which its boot clock will have reached this."""
        return self.clock.virtual_time(boot_seconds)

    def _crash_error(self) -> ProcessCrashed:
        return ProcessCrashed(f"{self.address} died while the task ran: it may have done its work")
