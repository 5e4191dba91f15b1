"""Frames that certainly were not sent: whoever wants to know is told, and why."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from fastness.errors import FastnessError, LimitExceeded, Unauthenticated, Unreachable
from fastness.transport import client_address
from fastness.transport.blocking import BlockingProcess
from tests.transport.scenes import LIMITS, Scene, play, until


class Heard(NamedTuple):
    """What was told once."""

    frames: list[bytes]
    reason: FastnessError


def nobody() -> str:
    """A place where nobody listens."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{line.getsockname()[1]}"


def test_nobody_is_there(tmp_path: Path) -> None:
    """Frames that waited for a connection which is not opened."""

    async def scenario(scene: Scene) -> None:
        heard: list[Heard] = []
        client = scene.client()
        client.undelivered = lambda frames, reason: heard.append(Heard(frames, reason))
        where = nobody()
        client.send(where, b"one")
        client.send(where, b"two")
        assert not heard
        await until(lambda: heard)
        ((frames, reason),) = heard
        assert frames == [b"one", b"two"]
        assert isinstance(reason, Unreachable)

    play(scenario, tmp_path)


def test_the_token_is_wrong(tmp_path: Path) -> None:
    """The reason is that of the handshake, which no patience changes."""

    async def scenario(scene: Scene) -> None:
        heard: list[Heard] = []
        _server, listener = scene.server()
        client = scene.client("wrong")
        client.undelivered = lambda frames, reason: heard.append(Heard(frames, reason))
        client.send(str(listener.place), b"one")
        await until(lambda: heard)
        assert isinstance(heard[0].reason, Unauthenticated)

    play(scenario, tmp_path)


def test_a_frame_that_is_too_long(tmp_path: Path) -> None:
    """What the other side would not take is not sent to it."""

    async def scenario(scene: Scene) -> None:
        heard: list[Heard] = []
        server, listener = scene.server(limits=replace(LIMITS, frame_bytes=100))
        client = scene.client()
        client.undelivered = lambda frames, reason: heard.append(Heard(frames, reason))
        await client.reach(str(listener.place))
        client.send(server.address, b"x" * 101)
        await until(lambda: heard)
        assert isinstance(heard[0].reason, LimitExceeded)
        assert "frame_bytes" in str(heard[0].reason)

    play(scenario, tmp_path)


def test_the_connection_ends_before_the_turn_is_over(tmp_path: Path) -> None:
    """What waited for the end of the turn never left."""

    async def scenario(scene: Scene) -> None:
        heard: list[Heard] = []
        server, listener = scene.server()
        client = scene.client()
        await client.reach(str(listener.place))
        server.undelivered = lambda frames, reason: heard.append(Heard(frames, reason))
        server.send(client.address, b"late")
        server.review(lambda _grant, _peer: Unreachable("enough"))
        await until(lambda: client.counts.closed)
        assert not heard
        server.send(client.address, b"later")
        await until(lambda: heard)
        assert heard == [Heard([b"later"], heard[0].reason)]

    play(scenario, tmp_path)


def test_threads_are_told_too() -> None:
    """A blocking process tells whoever pumps."""
    where = nobody()
    process = BlockingProcess(limits=LIMITS)
    try:
        told: asyncio.Future[Heard] = process.future()
        process.undelivered = lambda frames, reason: told.set_result(Heard(frames, reason))

        async def send() -> Heard:
            process.send(where, b"one")
            return await told

        frames, reason = process.drive(send())
        assert frames == [b"one"]
        assert isinstance(reason, Unreachable)
    finally:
        process.close()


def test_to_a_client(tmp_path: Path) -> None:
    """A client without a connection cannot be dialed."""

    async def scenario(scene: Scene) -> None:
        heard: list[Heard] = []
        server, _listener = scene.server()
        server.undelivered = lambda frames, reason: heard.append(Heard(frames, reason))
        server.send(client_address(), b"one")
        await until(lambda: heard)
        assert heard[0].frames == [b"one"]

    play(scenario, tmp_path)
