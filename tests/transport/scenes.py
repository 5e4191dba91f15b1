"""Servers and clients on real sockets, on either event loop, closed whatever happens."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import uvloop

from fastness.errors import FastnessError, Unauthenticated
from fastness.limits import Limits
from fastness.runtime.process import Address
from fastness.transport import (
    Grant,
    Listener,
    NetworkProcess,
    Peer,
    Role,
    TcpPlace,
    bind,
    node_address,
)
from fastness.transport.framing import CONTROL, LENGTH_MAX, control_frame
from fastness.wire.handshake import Control, Hello, decode_control, encode_control
from fastness.wire.messages import Refusal

LIMITS = replace(Limits(), handshake_ms=20_000, keepalive_ms=60_000)
"""Patient: on a busy machine nothing runs out by itself."""

TOKEN = "open sesame"  # noqa: S105 - of tests alone
CERTIFICATES = Path(__file__).parent / "certificates"
PATIENCE_S = 60.0

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def authenticate(credential: str, _peer: Peer) -> Grant:
    """One token is good; `node` and `admin` before it give those roles."""
    role, _, token = credential.rpartition(":")
    if token != TOKEN:
        raise Unauthenticated("this token is unknown: get another")
    return Grant(Role(role) if role else Role.READ_WRITE, b"tenant/", token=role or "plain")


class Scene:
    """The processes of one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[tuple[str, str]] = []
        self._processes: list[NetworkProcess] = []

    def note(self, address: Address, event: str) -> None:
        """Keep a line of somebody's story."""
        self.notes.append((address, event))

    def server(
        self,
        where: str = "127.0.0.1:0",
        *,
        limits: Limits = LIMITS,
        tls: ssl.SSLContext | None = None,
        **options: Any,  # noqa: ANN401 - handed through
    ) -> tuple[NetworkProcess, Listener]:
        """A server that answers every frame with itself."""
        listener = bind(where)
        process = NetworkProcess(
            node_address(listener.place), limits=limits, note=self.note, **options
        )
        self._processes.append(process)
        process.listen(process.send)
        process.serve(listener, authenticate=authenticate, tls=tls)
        return process, listener

    def client(
        self,
        credential: str = TOKEN,
        *,
        limits: Limits = LIMITS,
        **options: Any,  # noqa: ANN401 - handed through
    ) -> NetworkProcess:
        """A process that only dials."""
        process = NetworkProcess(limits=limits, credential=credential, note=self.note, **options)
        self._processes.append(process)
        return process

    def unix(self) -> str:
        """The address of a Unix socket that is not there yet."""
        return f"unix:{self.folder}/socket"

    async def close(self) -> None:
        """End everything."""
        for process in reversed(self._processes):
            await process.close()


def play(
    scenario: Callable[[Scene], Awaitable[None]], folder: Path, *, loop: str = "asyncio"
) -> None:
    """Run a scenario on a real loop; every process is closed afterwards."""

    async def main() -> None:
        scene = Scene(folder)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await scenario(scene)
        finally:
            await scene.close()

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


async def until(condition: Callable[[], object], what: str = "what was waited for") -> None:
    """Let the loop go on until something holds; the scene's patience bounds it."""
    pause_s = 0.0005
    while not condition():
        await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=pause_s)
        pause_s = min(0.02, pause_s * 2)
    assert condition(), what


async def echoed(process: NetworkProcess, to: Address, frame: bytes) -> tuple[Address, bytes]:
    """What a server answers a frame with."""
    answer: asyncio.Future[tuple[Address, bytes]] = process.future()

    def receive(sender: Address, data: bytes) -> None:
        if not answer.done():
            answer.set_result((sender, data))

    process.listen(receive)
    process.send(to, frame)
    return await answer


async def failure(process: NetworkProcess, to: Address) -> FastnessError:
    """Why an address cannot be reached."""
    try:
        reached = await process.reach(to)
    except FastnessError as error:
        return error
    raise AssertionError(f"{to} was reached as {reached}")


class Raw:
    """A peer made of nothing but a socket, to say what no peer of ours would."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def dial(cls, listener: Listener) -> Raw:
        """A connection on which nothing was said."""
        place = listener.place
        family = socket.AF_INET if isinstance(place, TcpPlace) else socket.AF_UNIX
        line = socket.socket(family, socket.SOCK_STREAM)
        line.settimeout(0)
        name = tuple(place) if isinstance(place, TcpPlace) else place.path
        await asyncio.get_running_loop().sock_connect(line, name)
        return cls(line)

    async def say(self, data: bytes) -> None:
        """Send bytes; that the other side has gone is for `rest` to notice."""
        with suppress(ConnectionError):
            await self._loop.sock_sendall(self._line, data)

    async def hello(self, hello: Hello) -> Control:
        """Begin properly, and hear the answer."""
        await self.say(control_frame(encode_control(hello)))
        return await self.control()

    async def exactly(self, size: int) -> bytes:
        """So many bytes."""
        data = b""
        while len(data) < size:
            more = await self._loop.sock_recv(self._line, size - len(data))
            if not more:
                raise EOFError(f"the connection ended after {data!r}")
            data += more
        return data

    async def frame(self) -> tuple[bool, bytes]:
        """The next frame, and whether it is one of the transport."""
        head = int.from_bytes(await self.exactly(4), "big")
        return bool(head & CONTROL), await self.exactly(head & LENGTH_MAX)

    async def control(self) -> Control:
        """The next frame, which must be one of the transport."""
        is_control, payload = await self.frame()
        assert is_control, payload
        return decode_control(payload)

    async def refusal(self) -> Refusal:
        """The next frame, which must be a refusal."""
        found = await self.control()
        assert isinstance(found, Refusal), found
        return found

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        data = b""
        try:
            while more := await self._loop.sock_recv(self._line, 65_536):
                data += more
        except ConnectionError:
            return data
        return data

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def hello(**changes: Any) -> Hello:  # noqa: ANN401 - any field
    """A Hello that would be welcome anywhere, but for these changes."""
    good = Hello("fastness", [1], "client/" + "ab" * 16, TOKEN, "127.0.0.1:1")
    fields = {name: getattr(good, name) for name in good.__struct_fields__}
    return Hello(**{**fields, **changes})
