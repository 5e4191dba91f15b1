"""Processes inside one real process: the real event loop, the real clocks, an in-memory network.

The second implementation of `Process` that needs no socket: it embeds a whole cluster in one
program, and runs the code the simulator runs under the event loop that production runs. Frames
arrive in the order they were sent and are not lost, unless their receiver is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from fastness.errors import InvalidOption
from fastness.runtime.clock import Clock, SystemClock
from fastness.runtime.process import Address

T = TypeVar("T")

Receive = Callable[[Address, bytes], object]
SECONDS_PER_MILLISECOND = 1e-3


class LocalNetwork:
    """The processes of one program, by address. Used from the thread of one running loop."""

    def __init__(
        self, *, note: Callable[[Address, str], None] = lambda _address, _event: None
    ) -> None:
        """`note(address, event)` gets the lines of every process's story."""
        self.note = note
        self._processes: dict[Address, LocalProcess] = {}

    def process(self, address: Address, *, clock: Clock | None = None) -> LocalProcess:
        """A new process; `InvalidOption` if its address is in use. Close it in the end.

        Called inside a running event loop, which is the one it will live on.
        """
        if address in self._processes:
            raise InvalidOption(f"address {address!r} is in use: a restarted process has a new one")
        process = LocalProcess(self, address, clock if clock is not None else SystemClock())
        self._processes[address] = process
        return process

    def deliver(self, sender: Address, to: Address, frame: bytes) -> None:
        """Hand a frame to whoever listens at an address by now."""
        process = self._processes.get(to)
        if process is not None:
            process.arrive(sender, frame)

    def forget(self, address: Address) -> None:
        """Nobody is at the address any more; `LocalProcess.close` calls it."""
        self._processes.pop(address, None)

    async def close(self) -> None:
        """Close every process, the newest first."""
        for process in reversed(list(self._processes.values())):
            await process.close()


class LocalProcess:
    """A `Process` on the running event loop; see there for what its calls promise."""

    def __init__(self, network: LocalNetwork, address: Address, clock: Clock) -> None:
        """Made by `LocalNetwork.process`."""
        self.address = address
        self.clock = clock
        self.random = Random()
        self._network = network
        self._loop = asyncio.get_running_loop()
        self._receive: Receive | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._timers: dict[_LocalTimer, None] = {}
        self._closed = False

    def listen(self, receive: Receive) -> None:
        """Hand every frame that arrives to `receive(sender, frame)`, from now on."""
        self._receive = receive

    def send(self, to: Address, frame: bytes) -> None:
        """Send a frame. It arrives unless nobody is there by then."""
        if not self._closed:
            self._loop.call_soon(self._network.deliver, self.address, to, frame)

    def call_later(
        self, milliseconds: float, callback: Callable[..., object], *args: object
    ) -> _LocalTimer:
        """Call back after this much time, unless the process is closed before."""
        return _LocalTimer(self, milliseconds, callback, args)

    def future(self) -> asyncio.Future[Any]:
        """A future of the loop this process runs on."""
        return self._loop.create_future()

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run a coroutine as a task that ends, cancelled, with the process at the latest."""
        task = self._loop.create_task(coroutine, name=f"{self.address} {name}")
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        if self._closed:
            task.cancel()
        return task

    def note(self, event: str) -> None:
        """A line of the process's story."""
        self._network.note(self.address, event)

    def arrive(self, sender: Address, frame: bytes) -> None:
        """A frame from the network."""
        if self._receive is not None:
            self._receive(sender, frame)

    async def close(self) -> None:
        """Leave the network, cancel the timers and the tasks, and wait for those to end.

        Not to be called by a task of the process itself, which would wait for its own end.
        """
        self._closed = True
        self._receive = None
        self._network.forget(self.address)
        for timer in list(self._timers):
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def schedule(self, milliseconds: float, timer: _LocalTimer) -> asyncio.TimerHandle | None:
        """Have a timer run and keep it until then; `None` where the process is closed."""
        if self._closed:
            return None
        self._timers[timer] = None
        return self._loop.call_later(milliseconds * SECONDS_PER_MILLISECOND, timer.run)

    def forget_timer(self, timer: _LocalTimer) -> None:
        """A timer has run, or never will."""
        self._timers.pop(timer, None)


class _LocalTimer:
    """A callback still to come; its process cancels it at its end."""

    __slots__ = ("_args", "_callback", "_handle", "_process")

    def __init__(
        self,
        process: LocalProcess,
        milliseconds: float,
        callback: Callable[..., object],
        args: tuple[object, ...],
    ) -> None:
        self._process = process
        self._callback = callback
        self._args = args
        self._handle = process.schedule(milliseconds, self)

    def run(self) -> None:
        """Its time has come."""
        self._process.forget_timer(self)
        self._callback(*self._args)

    def cancel(self) -> None:
        """Let it not come. Harmless once it has."""
        self._process.forget_timer(self)
        if self._handle is not None:
            self._handle.cancel()
