"""What every process on a real event loop has alike: timers, futures, tasks, clocks, its story.

How frames leave and arrive is left to the kinds: `LocalProcess` beside this, and
`transport.NetworkProcess`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, TypeVar

from fastness.runtime.clock import Clock, SystemClock
from fastness.runtime.process import Address

T = TypeVar("T")

Receive = Callable[[Address, bytes], object]
Note = Callable[[Address, str], None]
SECONDS_PER_MILLISECOND = 1e-3


class LoopedProcess:
    """The half of a `Process` that needs no network. Made inside a running event loop."""

    def __init__(self, address: Address, *, clock: Clock | None, note: Note | None) -> None:
        """Live on the running loop; `note(address, event)` gets the lines of its story."""
        self.address = address
        self.clock = clock if clock is not None else SystemClock()
        self.random = Random()
        self._note = note
        self._loop = asyncio.get_running_loop()
        self._receive: Receive | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._timers: dict[_LoopedTimer, None] = {}
        self._closed = False

    def listen(self, receive: Receive) -> None:
        """Hand every frame that arrives to `receive(sender, frame)`, from now on."""
        self._receive = receive

    def arrive(self, sender: Address, frame: bytes) -> None:
        """A frame from the network."""
        if self._receive is not None:
            self._receive(sender, frame)

    def call_later(
        self, milliseconds: float, callback: Callable[..., object], *args: object
    ) -> _LoopedTimer:
        """Call back after this much time, unless the process is closed before."""
        return _LoopedTimer(self, milliseconds, callback, args)

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
        if self._note is not None:
            self._note(self.address, event)

    async def end(self) -> None:
        """Cancel the timers and the tasks, wait for those to end, and begin none any more.

        Not to be called by a task of the process itself, which would wait for its own end.
        """
        self._closed = True
        self._receive = None
        for timer in list(self._timers):
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def schedule(self, milliseconds: float, timer: _LoopedTimer) -> asyncio.Handle | None:
        """Have a timer run and keep it until then; `None` where the process is closed."""
        if self._closed:
            return None
        self._timers[timer] = None
        if milliseconds <= 0:
            return self._loop.call_soon(timer.run)
        return self._loop.call_later(milliseconds * SECONDS_PER_MILLISECOND, timer.run)

    def forget_timer(self, timer: _LoopedTimer) -> None:
        """A timer has run, or never will."""
        self._timers.pop(timer, None)


class _LoopedTimer:
    """A callback still to come; its process cancels it at its end."""

    __slots__ = ("_args", "_callback", "_handle", "_process")

    def __init__(
        self,
        process: LoopedProcess,
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
