"""A server in a thread of its own, for clients that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from fastness.runtime.process import Address
from fastness.transport import BlockingProcess, Listener, NetworkProcess
from tests.transport.scenes import LIMITS, TOKEN, Scene

T = TypeVar("T")


@dataclass
class ServerThread:
    """A server that echoes, unless told otherwise."""

    scene: Scene
    loop: asyncio.AbstractEventLoop
    process: NetworkProcess
    listener: Listener
    options: dict[str, Any]

    @property
    def seed(self) -> Address:
        """Where it is."""
        return str(self.listener.place)

    def call(self, action: Callable[[], T]) -> T:
        """Do something in its thread."""

        async def act() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(act(), self.loop).result(60)

    def restart(self) -> None:
        """End it, and start its successor at the same place."""

        async def again() -> None:
            await self.process.close()
            self.process, self.listener = self.scene.server(self.seed, **self.options)

        asyncio.run_coroutine_threadsafe(again(), self.loop).result(60)


@contextmanager
def server_thread(folder: Path, where: str = "", **options: Any) -> Iterator[ServerThread]:  # noqa: ANN401 - handed through
    """A server for as long as the context lasts."""
    scene = Scene(folder)
    started: list[ServerThread] = []
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ending = asyncio.Event()
        stop.append(lambda: loop.call_soon_threadsafe(ending.set))
        process, listener = scene.server(where or scene.unix(), **options)
        started.append(ServerThread(scene, loop, process, listener, options))
        ready.set()
        await ending.wait()
        await scene.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="server")
    thread.start()
    assert ready.wait(60)
    try:
        yield started[0]
    finally:
        stop[0]()
        thread.join(60)


class Echoes:
    """Calls of a blocking client whose server echoes: each gets its own answer back."""

    def __init__(self, seed: Address, **options: Any) -> None:  # noqa: ANN401 - handed through
        options = {"limits": LIMITS, "credential": TOKEN, **options}
        self.process = BlockingProcess(**options)
        self.seed = seed
        self._open: dict[bytes, asyncio.Future[bytes]] = {}
        self._number = 0
        self.process.listen(self._receive)

    def _receive(self, _sender: Address, frame: bytes) -> None:
        future = self._open.pop(frame[:8], None)
        if future is not None and not future.done():
            future.set_result(frame[8:])

    async def ask(self, payload: bytes) -> bytes:
        """Send a call, and await its answer."""
        self._number += 1
        number = self._number.to_bytes(8, "big")
        future = self._open[number] = self.process.future()
        self.process.send(self.seed, number + payload)
        answer: bytes = await future
        return answer

    async def ask_within(self, payload: bytes, milliseconds: float) -> bytes | None:
        """The same, for so long at most."""
        answer = self.process.spawn(self.ask(payload), name="ask")
        timer = self.process.call_later(milliseconds, answer.cancel)
        try:
            return await answer
        except asyncio.CancelledError:
            return None
        finally:
            timer.cancel()

    def __call__(self, payload: bytes) -> bytes:
        """A call that blocks."""
        return self.process.drive(self.ask(payload))

    def __enter__(self) -> Echoes:  # noqa: PYI034 - it is not derived from
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.close()
