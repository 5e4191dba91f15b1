"""Connections cut at random, servers restarted at random: every call is answered in the end."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fastness.errors import Overloaded, Unreachable
from fastness.runtime.process import Address
from fastness.transport import NetworkProcess
from tests.transport.scenes import LIMITS, LOOPS, Scene, play, until
from tests.transport.test_tls import client_tls, server_tls
from tests.transport.threads import Echoes

CALLS = 120
CLIENTS = 6
SIZES = (0, 10, 1_000, 150_000)
HURRIED = replace(LIMITS, keepalive_ms=500, reconnect_ms=20)


class Cutter:
    """Ends connections of a server in the middle of its work, and now and then the server."""

    def __init__(self, scene: Scene, random: Random, where: str, **options: Any) -> None:  # noqa: ANN401 - handed through
        self._scene = scene
        self._random = random
        self._options = options
        self.restarts = 0
        self._start(where)

    def _start(self, where: str) -> None:
        self.server, listener = self._scene.server(where, limits=HURRIED, **self._options)
        self.seed: Address = str(listener.place)
        self.server.listen(self._receive)

    def _receive(self, sender: Address, frame: bytes) -> None:
        server = self.server
        server.send(sender, frame)
        chance = self._random.random()
        if chance < 0.02:
            error = Overloaded("cut off")
            server.review(lambda _grant, _peer: error if self._random.random() < 0.3 else None)
        elif chance < 0.04:
            line = self._random.choice(server._switchboard.lines)  # noqa: SLF001 - as a network does
            line.abort(Unreachable("cut off"))

    async def restart(self) -> None:
        """End the server, and start another in its place."""
        self.restarts += 1
        old = self.server
        await old.close()
        assert (old.counts.connections, old.counts.unauthenticated) == (0, 0)
        self._start(self.seed)


async def work(process: NetworkProcess, seed: Address, random: Random) -> None:
    """So many calls, each repeated until it is answered by itself."""
    waiting: dict[bytes, asyncio.Future[bytes]] = {}

    def receive(_sender: Address, frame: bytes) -> None:
        future = waiting.get(frame[:8])
        if future is not None and not future.done():
            future.set_result(frame[8:])

    process.listen(receive)
    for number in range(CALLS):
        name, payload = number.to_bytes(8, "big"), random.randbytes(random.choice(SIZES))
        future = waiting[name] = process.future()
        while not future.done():
            process.send(seed, name + payload)
            await asyncio.wait([future], timeout=0.1)
        assert waiting.pop(name).result() == payload


@pytest.mark.parametrize("loop", sorted(LOOPS))
@pytest.mark.parametrize("kind", ["tcp", "unix", "tls"])
@pytest.mark.parametrize("seed", [1, 2])
def test_every_call_is_answered_in_the_end(tmp_path: Path, loop: str, kind: str, seed: int) -> None:
    """By the right answer, and nothing is left open afterwards, nor told to the loop."""
    told: list[dict[str, Any]] = []

    async def scenario(scene: Scene) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _loop, context: told.append(context)
        )
        random = Random(seed)
        where = scene.unix() if kind == "unix" else "127.0.0.1:0"
        cutter = Cutter(scene, random, where, tls=server_tls() if kind == "tls" else None)
        tls = client_tls() if kind == "tls" else None
        clients = [scene.client(limits=HURRIED, tls=tls) for _ in range(CLIENTS)]
        workers = [asyncio.create_task(work(one, cutter.seed, random)) for one in clients]
        for _ in range(2):
            counts = cutter.server.counts
            due = CALLS * CLIENTS // 4
            await until(lambda: counts.frames_in > due or all_done(workers))  # noqa: B023 - awaited
            await cutter.restart()
        await asyncio.gather(*workers)
        assert cutter.restarts == 2
        for one in clients:
            await one.close()
            assert one.counts.connections == 0
        await until(lambda: cutter.server.counts.connections == 0)

    play(scenario, tmp_path, loop=loop)
    assert told == []


def all_done(tasks: list[asyncio.Task[None]]) -> bool:
    """Whether all of these have ended."""
    return all(one.done() for one in tasks)


@pytest.mark.parametrize("kind", ["unix", "tls"])
def test_threads_get_their_answers_through_cuts(tmp_path: Path, kind: str) -> None:
    """From one process they share."""
    random = Random(3)
    failed: list[BaseException] = []
    scene = Scene(tmp_path)
    ready: list[tuple[Cutter, asyncio.AbstractEventLoop, asyncio.Event]] = []
    started = threading.Event()

    async def serve() -> None:
        tls = server_tls() if kind == "tls" else None
        where = "127.0.0.1:0" if tls else scene.unix()
        ending = asyncio.Event()
        cutter = Cutter(scene, random, where, tls=tls)
        ready.append((cutter, asyncio.get_running_loop(), ending))
        started.set()
        await ending.wait()
        await scene.close()

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    assert started.wait(60)
    cutter, loop, ending = ready[0]
    with Echoes(cutter.seed, limits=HURRIED, tls=client_tls() if kind == "tls" else None) as echoes:

        def calls() -> None:
            try:
                for number in range(CALLS):
                    payload = b"%d" % number
                    while echoes.process.drive(echoes.ask_within(payload, 100)) != payload:
                        pass
            except BaseException as error:  # noqa: BLE001 - told to the test
                failed.append(error)

        threads = [threading.Thread(target=calls) for _ in range(3)]
        for thread in threads:
            thread.start()
        asyncio.run_coroutine_threadsafe(cutter.restart(), loop).result(60)
        for thread in threads:
            thread.join(100)
    loop.call_soon_threadsafe(ending.set)
    server.join(60)
    assert failed == []
