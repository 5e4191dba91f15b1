"""What a client does besides answering calls: tasks on its loop, or beside a pump.

A blocking client reads its socket only while some thread waits for something. Whoever holds
leases must answer notices at any time, or the writers of what it holds would wait for them: so
while there is anything in the background, one thread more waits, and thereby reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from threading import Thread, current_thread
from typing import Any, Protocol

from fastness.client.cluster.calls import Calls
from fastness.client.cluster.driving import Drive
from fastness.errors import DatabaseClosed, FastnessError
from fastness.runtime.process import Process

_log = logging.getLogger("fastness.client")


class Background(Protocol):
    """Runs coroutines that nobody waits for."""

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run it to its end."""
        ...


class Tasks:
    """On the loop of an asynchronous client."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._tasks: dict[asyncio.Task[None], None] = {}

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run it as a task."""
        task = self._process.spawn(_logged(coroutine, name), name=name)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)

    async def stop(self) -> None:
        """Cancel what still runs, and wait for its end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class PumpedProcess(Process, Protocol):
    """A process without a loop: what is spawned on it runs while somebody drives."""

    @property
    def drive(self) -> Drive:
        """Runs a coroutine in the calling thread."""
        ...

    def close(self) -> None:
        """Hang up. From any thread."""
        ...


class Pumped:
    """Beside a blocking client: in whichever thread waits, and in one more while there is any."""

    def __init__(self, process: PumpedProcess) -> None:
        self._process = process
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._idle: asyncio.Future[None] | None = None
        self._thread: Thread | None = None

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Run it as a task of the process, and see to it that somebody waits."""
        task = self._process.spawn(_logged(coroutine, name), name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        if self._thread is None:
            self._thread = Thread(target=self._run, name="fastness-pump", daemon=True)
            self._thread.start()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if not self._tasks and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _run(self) -> None:
        with suppress(DatabaseClosed):
            self._process.drive(self._pump())

    async def _pump(self) -> None:
        while self._tasks:
            self._idle = self._process.future()
            await self._idle
        # Nobody else runs between the look and this: a later start begins another thread.
        self._thread = None

    async def stop(self) -> None:
        """Cancel what still runs, and wait for its end."""
        for task in list(self._tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def join(self) -> None:
        """Wait for the thread, which ends with the last task."""
        thread = self._thread
        if thread is not None and thread is not current_thread():
            thread.join()


async def _logged(coroutine: Coroutine[Any, Any, None], name: str) -> None:
    try:
        await coroutine
    except DatabaseClosed:
        return
    except FastnessError as error:
        _log.error("%s ended: %s", name, error)


class Sleep:
    """A pause by the process's own clock, which can be ended, and ends when the client closes."""

    __slots__ = ("_calls", "_timer", "_waiter")

    def __init__(self, calls: Calls, milliseconds: float) -> None:
        self._calls = calls
        self._waiter: asyncio.Future[None] = calls.process.future()
        self._timer = calls.process.call_later(milliseconds, self.end)
        calls.sleeping[self] = None
        if calls.is_closed:
            self.end()

    async def over(self) -> None:
        """Wait for its end."""
        try:
            await self._waiter
        finally:
            self._timer.cancel()
            self._calls.sleeping.pop(self, None)

    def end(self) -> None:
        """End it now."""
        if not self._waiter.done():
            self._waiter.set_result(None)
