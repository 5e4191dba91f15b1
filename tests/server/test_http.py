"""The HTTP server: what it answers, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus

import pytest

from fastness.errors import PermissionDenied, RateLimited, Unauthenticated
from fastness.limits import Limits
from fastness.server import http
from fastness.server.http import HttpServer, Request, Response, json_response, listen_http
from fastness.transport.addresses import TcpPlace
from tests.server.processes import until

Scenario = Callable[["Dialer"], Awaitable[None]]


class Dialer:
    """Speaks raw HTTP to a server whose answers tell what was asked."""

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection."""
        assert isinstance(self.server.place, TcpPlace)
        return await asyncio.open_connection("127.0.0.1", self.server.place.port)

    async def say(self, text: bytes, *, closing: bool = True) -> bytes:
        """Everything that is answered until the other side closes."""
        reader, writer = await self.open()
        writer.write(text)
        if closing:
            writer.write_eof()
        answered = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answered

    async def is_left(self, text: bytes) -> bool:
        """Whether the other side closes without an answer."""
        try:
            return not await self.say(text, closing=False)
        except ConnectionError:
            return True


async def answer(request: Request) -> Response:
    """Say what was asked, or fail as the path says."""
    if request.path == "/limited":
        raise RateLimited("too fast", retry_after_ms=1_500)
    if request.path == "/denied":
        raise PermissionDenied("not you")
    if request.path == "/unknown":
        raise Unauthenticated("who are you")
    if request.path == "/broken":
        raise ZeroDivisionError
    return json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "bearer": request.bearer,
            "body": len(request.body),
            "is_local": request.peer.is_local,
        }
    )


def serving(scenario: Scenario, **limits: int) -> None:
    """Run a scenario against a server on a free port."""

    async def run() -> None:
        server = await listen_http("127.0.0.1:0", answer, limits=replace(Limits(), **limits))
        try:
            async with asyncio.timeout(60):
                await scenario(Dialer(server))
        finally:
            await server.close()
        assert not server.connections
        assert server.held_bytes == 0

    asyncio.run(run())


def test_requests_of_one_connection_are_answered_in_order() -> None:
    """Pipelined requests get their answers one after the other, the last ends the connection."""

    async def scenario(dialer: Dialer) -> None:
        answered = await dialer.say(
            b"GET /a?x=1&y= HTTP/1.1\r\nhost: h\r\nAuthorization: Bearer t\r\n\r\n"
            b"POST /b%20c HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc"
            b"GET /d HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"
        )
        assert answered.count(b"HTTP/1.1 200 OK\r\n") == 3
        assert b'"path":"/a","query":{"x":"1","y":""},"bearer":"t","body":0' in answered
        assert b'"method":"POST","path":"/b c","query":{},"bearer":"","body":3' in answered
        assert answered.index(b"/a") < answered.index(b"/b c") < answered.index(b'"/d"')
        assert b'"is_local":true' in answered

    serving(scenario)


def test_a_head_has_no_body() -> None:
    """HEAD gets the head alone, with the length the body would have."""

    async def scenario(dialer: Dialer) -> None:
        answered = await dialer.say(b"HEAD /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert answered.endswith(b"\r\n\r\n")
        assert b"content-length: 0" not in answered.lower()

    serving(scenario)


def test_errors_by_their_status() -> None:
    """Errors of the taxonomy have their status, their document and their headers."""

    async def scenario(dialer: Dialer) -> None:
        for path, status, words in (
            (b"/limited", 429, (b"retry-after: 2", b'"retry_after_ms":1500')),
            (b"/denied", 403, (b'"error":"permission_denied"',)),
            (b"/unknown", 401, (b"www-authenticate: bearer",)),
            (b"/broken", 500, (b'"error":"internal"',)),
        ):
            answered = await dialer.say(b"GET %s HTTP/1.1\r\nhost: h\r\n\r\n" % path)
            assert answered.startswith(b"HTTP/1.1 %d " % status)
            assert all(word in answered.lower() for word in words)

    serving(scenario)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 garbage\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/x.y\r\nhost: h\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: x\r\n\r\n", 400),
        (
            b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: gzip\r\n\r\n",
            501,
        ),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"y" * (http.HEAD_BYTES_MAX + 1), 431),
    ],
    ids=["tls", "no host", "version", "length", "encoding", "long head"],
)
def test_what_is_no_request(text: bytes, status: int) -> None:
    """Bytes that are no request are refused with the reason, and the connection ends."""

    async def scenario(dialer: Dialer) -> None:
        answered = await dialer.say(text, closing=False)
        assert answered.startswith(b"HTTP/1.1 %d " % status)
        assert b"this is no HTTP/1.1 request" in answered

    serving(scenario)


def test_bodies_are_bounded() -> None:
    """A body beyond the limit is refused as it comes, announced or in chunks."""

    async def scenario(dialer: Dialer) -> None:
        for text in (
            b"content-length: 11\r\n\r\n" + b"x" * 11,
            b"transfer-encoding: chunked\r\n\r\nb\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n",
        ):
            answered = await dialer.say(b"POST / HTTP/1.1\r\nhost: h\r\n" + text)
            assert answered.startswith(b"HTTP/1.1 413 ")
            assert b'"error":"limit_exceeded"' in answered

    serving(scenario, http_body_bytes=10)


def test_whoever_sends_too_much_hears_why() -> None:
    """A refusal reaches a sender that goes on sending: its connection is not reset under it."""

    async def scenario(dialer: Dialer) -> None:
        reader, writer = await dialer.open()
        writer.write(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(100):
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
        for _ in range(100):
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    serving(scenario, http_body_bytes=1024)


def test_a_body_announced_too_long_is_never_asked_for() -> None:
    """Whoever asks before sending is told no, and sends nothing."""

    async def scenario(dialer: Dialer) -> None:
        answered = await dialer.say(
            b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 11\r\n\r\n",
            closing=False,
        )
        assert answered.startswith(b"HTTP/1.1 413 ")

    serving(scenario, http_body_bytes=10)


def test_bodies_together_are_bounded() -> None:
    """While others hold all the memory there is for bodies, requests are told to come back."""

    async def scenario(dialer: Dialer) -> None:
        reader, writer = await dialer.open()
        writer.write(b"POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\n" + b"x" * 30)
        await until(lambda: dialer.server.held_bytes == 30)
        refused = await dialer.say(
            b"POST /b HTTP/1.1\r\nhost: h\r\ncontent-length: 20\r\n\r\n" + b"x" * 20
        )
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1\r\n" in refused
        writer.close()
        await writer.wait_closed()
        del reader
        await until(lambda: not dialer.server.held_bytes)
        served = await dialer.say(b"GET /c HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert served.startswith(b"HTTP/1.1 200 ")

    serving(scenario, http_bodies_bytes=40)


def test_who_hangs_up_is_noticed() -> None:
    """An answer that takes its time learns that nothing more will come, before it is done."""
    noticed = asyncio.Event()

    async def patiently(request: Request) -> Response:
        await request.hung_up.wait()
        noticed.set()
        return Response(HTTPStatus.OK, b"late", "text/plain")

    async def run() -> None:
        server = await listen_http("127.0.0.1:0", patiently)
        reader, writer = await Dialer(server).open()
        writer.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        await writer.drain()
        writer.write_eof()
        await noticed.wait()
        assert (await reader.read()).endswith(b"late")
        writer.close()
        await writer.wait_closed()
        await server.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_requests_ahead_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one request is answered, no more of the others is taken in than a little."""
    monkeypatch.setattr(http, "AHEAD_BYTES_MAX", 1_000)
    begun, let_go = asyncio.Event(), asyncio.Event()

    async def slowly(request: Request) -> Response:
        begun.set()
        await let_go.wait()
        return Response(HTTPStatus.OK, request.path.encode(), "text/plain")

    async def run() -> None:
        server = await listen_http("127.0.0.1:0", slowly)
        reader, writer = await Dialer(server).open()
        writer.write(b"GET /first HTTP/1.1\r\nhost: h\r\n\r\n")
        await begun.wait()
        pad = b"x" * 10_000
        for _ in range(2_000):
            writer.write(b"GET /next HTTP/1.1\r\nhost: h\r\nx: %s\r\n\r\n" % pad)
        # Twenty megabytes: more than the system keeps, so most of it is still here.
        assert isinstance(writer.transport, asyncio.WriteTransport)
        assert writer.transport.get_write_buffer_size() > 5_000_000
        let_go.set()
        for _ in range(2_000):
            await reader.readuntil(b"/next")
        writer.close()
        await writer.wait_closed()
        await server.close()
        assert server.requests == 2_001

    asyncio.run(asyncio.wait_for(run(), 120))


def test_targets_that_are_no_path() -> None:
    """A target that cannot be read is refused, and harms nobody else."""

    async def scenario(dialer: Dialer) -> None:
        answered = await dialer.say(b"GET //[ HTTP/1.1\r\nhost: h\r\n\r\n", closing=False)
        assert answered.startswith(b"HTTP/1.1 400 ")

    serving(scenario)


def test_connections_are_bounded() -> None:
    """One connection too many is closed at once; those that are there go on."""

    async def scenario(dialer: Dialer) -> None:
        reader, writer = await dialer.open()
        writer.write(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert await dialer.is_left(b"GET /b HTTP/1.1\r\nhost: h\r\n\r\n")
        writer.write(b"GET /c HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert b'"path":"/c"' in await reader.read()
        writer.close()
        await writer.wait_closed()

    serving(scenario, http_connections=1)


def test_who_says_nothing_is_left() -> None:
    """A connection without a request does not stay for ever."""

    async def scenario(dialer: Dialer) -> None:
        assert await dialer.is_left(b"GET / HT")

    serving(scenario, http_idle_ms=10)


def test_closing_waits_for_nobody_who_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that asks for much and takes nothing is ended with the server."""
    monkeypatch.setattr(http, "CLOSING_SECONDS", 0.05)

    async def much(_request: Request) -> Response:
        return Response(HTTPStatus.OK, b"x" * 50_000_000, "text/plain")

    async def run() -> None:
        server = await listen_http("127.0.0.1:0", much)
        reader, writer = await Dialer(server).open()
        writer.write(b"GET /much HTTP/1.1\r\nhost: h\r\n\r\n" * 2)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await server.close()
        assert server.requests == 1
        assert not server.connections
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_closing_waits_for_the_answer_under_way() -> None:
    """What was asked before the end is still answered."""
    reached, let_go = asyncio.Event(), asyncio.Event()

    async def slowly(request: Request) -> Response:
        reached.set()
        await let_go.wait()
        return Response(HTTPStatus.OK, request.path.encode(), "text/plain")

    async def run() -> None:
        server = await listen_http("127.0.0.1:0", slowly)
        reader, writer = await Dialer(server).open()
        writer.write(b"GET /late HTTP/1.1\r\nhost: h\r\n\r\n")
        await reached.wait()
        closing = asyncio.create_task(server.close())
        await asyncio.sleep(0)
        let_go.set()
        assert (await reader.readuntil(b"/late")).startswith(b"HTTP/1.1 200 OK")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        await closing

    asyncio.run(asyncio.wait_for(run(), 60))
