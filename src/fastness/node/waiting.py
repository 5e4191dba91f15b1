"""Waiting in the coroutines of a node: for a while, and for something no longer than a while."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastness.errors import Unreachable
from fastness.runtime.process import Process

T = TypeVar("T")


def settle(future: asyncio.Future[T], result: T) -> None:
    """Give a future its result, unless it has one or nobody waits any more."""
    if not future.done():
        future.set_result(result)


def fail(future: asyncio.Future[T], error: BaseException) -> None:
    """Let a future fail, unless it is done."""
    if not future.done():
        future.set_exception(error)


async def pause(process: Process, milliseconds: float) -> None:
    """Do nothing for a while of the process's own clock."""
    future = process.future()
    timer = process.call_later(milliseconds, settle, future, None)
    try:
        await future
    finally:
        timer.cancel()


async def within(
    process: Process, work: Coroutine[Any, Any, T], milliseconds: float, *, name: str
) -> T:
    """What `work` returns or raises; `Unreachable` if it takes longer than this."""
    task = process.spawn(work, name=name)
    task.add_done_callback(_seen)
    late: list[bool] = []
    timer = process.call_later(milliseconds, _stop, task, late)
    try:
        return await task
    except asyncio.CancelledError:
        if late:
            raise Unreachable(f"{name}: no answer within {milliseconds:.0f} ms") from None
        raise
    finally:
        timer.cancel()


def _stop(task: asyncio.Task[Any], late: list[bool]) -> None:
    late.append(True)
    task.cancel()


def _seen(task: asyncio.Task[Any]) -> None:
    # An error that arrives when the waiter was cancelled in the same turn is nobody's affair.
    if not task.cancelled():
        task.exception()


class Turns:
    """Lets so many coroutines at a time do something; the others wait in the order they came."""

    __slots__ = ("_free", "_process", "_queue")

    def __init__(self, process: Process, count: int) -> None:
        self._process = process
        self._free = count
        self._queue: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = self._process.future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Give a turn to whoever still waits for one."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
