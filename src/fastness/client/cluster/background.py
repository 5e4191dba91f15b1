"""What a client does besides answering calls: tasks on its loop, or threads that drive.

A blocking client reads its socket only while somebody waits for something. Whoever holds leases
must answer notices at any time, or the writers of what it holds would wait for them: there a
thread waits, and thereby reads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
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


class Threads:
    """In threads beside a blocking client. They end when its calls are closed."""

    def __init__(self, drive: Drive) -> None:
        self._drive = drive
        self._threads: list[Thread] = []

    def start(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        """Drive it in a thread of its own."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = Thread(
            target=self._drive,
            args=(_logged(coroutine, name),),
            name=f"fastness-{name}",
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            if thread is not current_thread():
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
