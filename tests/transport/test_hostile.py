"""Peers that break the rules, say nothing, do not read, or are gone: each is bounded.

They speak over plain sockets, since no process of ours would.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.errors import Draining, FastnessError, InvalidEncoding, ProtocolMismatch, Unreachable
from fastness.transport import Listener, NetworkProcess, TcpPlace
from fastness.transport.framing import CONTROL, control_frame, message_frame
from fastness.wire.handshake import (
    HANDSHAKE_BYTES_MAX,
    Ping,
    Pong,
    Welcome,
    encode_control,
)
from fastness.wire.messages import Refusal, decode_frame
from tests.transport.scenes import (
    LIMITS,
    LOOPS,
    TOKEN,
    Raw,
    Scene,
    echoed,
    failure,
    hello,
    play,
    until,
)
from tests.transport.threads import Echoes

FRAME_MAX = 1_000

Attack = Callable[[Raw, NetworkProcess], Awaitable[None]]


async def healthy(scene: Scene, server: NetworkProcess) -> None:
    """Others are served as if nothing had happened."""
    client = scene.client(limits=replace(LIMITS, frame_bytes=FRAME_MAX))
    assert await echoed(client, server.address, b"fine") == (server.address, b"fine")
    await client.close()


def attack(folder: Path, scenario: Attack, *, limits: dict[str, int] | None = None) -> None:
    """Run an attack over a connection of its own; the server must then be as before."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(
            limits=replace(LIMITS, frame_bytes=FRAME_MAX, **(limits or {}))
        )
        with await Raw.dial(listener) as raw:
            await scenario(raw, server)
            await until(lambda: server.counts.connections == 0)
        await healthy(scene, server)
        assert server.counts.unauthenticated == 0

    play(whole, folder)


def begun(**changes: object) -> bytes:
    """A Hello, but for these changes."""
    return control_frame(encode_control(hello(**changes)))


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"\0\0\0\5hello",
        b"\xff" * 100,
        (CONTROL | (HANDSHAKE_BYTES_MAX + 1)).to_bytes(4, "big"),
        control_frame(b""),
        control_frame(b"\xc1"),
        control_frame(b"\x91\x5a"),
        control_frame(b"\x92\x5d\x01"),
        control_frame(encode_control(Ping(1))),
        begun(magic="slowness"),
        begun(magic=""),
    ],
    ids=lambda said: said[:12].hex(),
)
def test_what_is_no_handshake_is_refused(tmp_path: Path, said: bytes) -> None:
    """With the error that says so, and the end of the connection."""

    async def scenario(raw: Raw, server: NetworkProcess) -> None:
        await raw.say(said)
        refusal = await raw.refusal()
        assert refusal.code in {"invalid_encoding", "limit_exceeded"}
        assert await raw.rest() == b""
        assert server.counts.malformed + server.counts.oversized == 1
        assert server.counts.frames_in == 0

    attack(tmp_path, scenario)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"versions": []}, "protocol_mismatch"),
        ({"versions": [0, 2, 1 << 40]}, "protocol_mismatch"),
        ({"credential": "wrong"}, "unauthenticated"),
        ({"address": ""}, "invalid_option"),
        ({"address": "somebody"}, "invalid_option"),
        ({"address": "client/a\nb"}, "invalid_option"),
        ({"address": "client/a b"}, "invalid_option"),
        ({"address": "client/\u00e9"}, "invalid_option"),
        ({"address": "client/" + "x" * 1_000}, "invalid_option"),
        ({"address": "127.0.0.1:1#0011"}, "permission_denied"),
        ({"wanted": "127.0.0.1:1#0011"}, "unreachable"),
    ],
    ids=str,
)
def test_a_handshake_that_is_not_welcome(
    tmp_path: Path, changes: dict[str, object], code: str
) -> None:
    """By the code of the error, and the end of the connection."""

    async def scenario(raw: Raw, _server: NetworkProcess) -> None:
        await raw.say(begun(**changes))
        assert (await raw.refusal()).code == code
        assert await raw.rest() == b""

    attack(tmp_path, scenario)


def test_nothing_is_read_before_the_handshake(tmp_path: Path) -> None:
    """A message that follows a bad Hello is never delivered."""

    async def scenario(raw: Raw, server: NetworkProcess) -> None:
        heard: list[bytes] = []
        server.listen(lambda _sender, frame: heard.append(frame))
        await raw.say(begun(credential="wrong") + message_frame(b"do it"))
        assert (await raw.refusal()).code == "unauthenticated"
        assert await raw.rest() == b""
        assert heard == []
        server.listen(server.send)

    attack(tmp_path, scenario)


def test_what_follows_a_good_hello_at_once_is_heard(tmp_path: Path) -> None:
    """A client need not wait for the welcome before it sends."""

    async def scenario(raw: Raw, _server: NetworkProcess) -> None:
        await raw.say(begun() + message_frame(b"one") + message_frame(b"two"))
        assert isinstance(await raw.control(), Welcome)
        assert [await raw.frame() for _ in range(2)] == [(False, b"one"), (False, b"two")]
        raw.close()

    attack(tmp_path, scenario)


def test_a_frame_that_is_too_long_ends_the_connection(tmp_path: Path) -> None:
    """At its length already: not a byte of it is waited for."""

    async def scenario(raw: Raw, server: NetworkProcess) -> None:
        assert isinstance(await raw.hello(hello()), Welcome)
        await raw.say((FRAME_MAX + 1).to_bytes(4, "big"))
        assert (await raw.refusal()).code == "limit_exceeded"
        assert await raw.rest() == b""
        assert server.counts.oversized == 1

    attack(tmp_path, scenario)


def test_a_frame_of_the_greatest_length_is_taken(tmp_path: Path) -> None:
    """However it is cut."""

    async def scenario(raw: Raw, _server: NetworkProcess) -> None:
        welcome = await raw.hello(hello())
        assert isinstance(welcome, Welcome)
        assert welcome.frame_bytes == FRAME_MAX
        whole = message_frame(b"x" * FRAME_MAX)
        for place in range(0, len(whole), 7):
            await raw.say(whole[place : place + 7])
        assert await raw.frame() == (False, b"x" * FRAME_MAX)
        raw.close()

    attack(tmp_path, scenario)


def test_a_frame_cut_short_by_the_end_is_counted(tmp_path: Path) -> None:
    """And not delivered."""

    async def scenario(raw: Raw, server: NetworkProcess) -> None:
        await raw.hello(hello())
        await raw.say(message_frame(b"truncated")[:-1])
        await until(lambda: server.counts.bytes_in > 50)
        raw.close()
        await until(lambda: server.counts.malformed == 1)
        assert server.counts.frames_in == 0

    attack(tmp_path, scenario)


@pytest.mark.parametrize(
    "said", [begun(), control_frame(b"\xc1"), control_frame(b"\x92\x63\x01")], ids=repr
)
def test_what_no_open_connection_sends_ends_it(tmp_path: Path, said: bytes) -> None:
    """A second Hello, garbage, or a frame of the transport nobody knows."""

    async def scenario(raw: Raw, server: NetworkProcess) -> None:
        await raw.hello(hello())
        await raw.say(said)
        assert (await raw.refusal()).code == "invalid_encoding"
        assert await raw.rest() == b""
        assert server.counts.malformed == 1

    attack(tmp_path, scenario)


def test_silent_dialers_are_hung_up_on(tmp_path: Path) -> None:
    """After `handshake_ms`, whether they said nothing or began to."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(limits=replace(LIMITS, handshake_ms=50))
        with await Raw.dial(listener) as silent, await Raw.dial(listener) as slow:
            await slow.say(begun()[:10])
            assert await silent.rest() == b""
            assert await slow.rest() == b""
        assert server.counts.silent_handshakes == 2
        await until(lambda: server.counts.connections == server.counts.unauthenticated == 0)

    play(whole, tmp_path)


def test_silent_dialers_keep_nobody_out(tmp_path: Path) -> None:
    """Beyond `connections_unauthenticated` the oldest of them makes room."""

    async def whole(scene: Scene) -> None:
        limits = replace(LIMITS, connections_unauthenticated=3)
        server, listener = scene.server(limits=limits)
        silent = [await Raw.dial(listener) for _ in range(3)]
        await until(lambda: server.counts.unauthenticated == 3)
        client = scene.client()
        assert await client.reach(server.address) == server.address
        assert await silent[0].rest() == b""
        assert (server.counts.silent_handshakes, server.counts.unauthenticated) == (1, 2)
        for one in silent:
            one.close()
        await until(lambda: server.counts.connections == 1)

    play(whole, tmp_path)


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_a_burst_of_dialers_leaves_nothing_behind(tmp_path: Path, loop: str) -> None:
    """Those that must make room before their line was set up are closed like the others."""

    async def whole(scene: Scene) -> None:
        limits = replace(LIMITS, connections_unauthenticated=1)
        server, listener = scene.server(scene.unix(), limits=limits)
        burst = [await Raw.dial(listener) for _ in range(30)]
        await until(lambda: server.counts.silent_handshakes == 29)
        await until(lambda: server.counts.connections == 1)
        for one in burst[:-1]:
            assert await one.rest() == b""
        for one in burst:
            one.close()
        await until(lambda: server.counts.connections == 0)

    play(whole, tmp_path, loop=loop)


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_want_of_file_descriptors_passes(tmp_path: Path, loop: str) -> None:
    """Whoever could not be accepted for want of them is, once there are some."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server()
        line = socket.socket()
        line.settimeout(0)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The lowest number that is free is the first that would be used.
        with open(os.devnull, "rb") as lowest:  # noqa: ASYNC230, PTH123 - for its number alone
            free = lowest.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
        try:
            assert isinstance(listener.place, TcpPlace)
            await asyncio.get_running_loop().sock_connect(line, tuple(listener.place))
            await until(lambda: server.counts.accept_errors > 0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        with Raw(line) as raw:
            assert isinstance(await raw.hello(hello()), Welcome)

    play(whole, tmp_path, loop=loop)


@pytest.mark.parametrize("loop", sorted(LOOPS))
def test_a_line_given_up_while_it_is_set_up_is_closed(tmp_path: Path, loop: str) -> None:
    """In whatever step of the loop that happens."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(scene.unix())
        for steps in range(6):
            with await Raw.dial(listener) as raw:
                while not server.counts.connections:  # noqa: ASYNC110 - step by step
                    await asyncio.sleep(0)
                for _ in range(steps):
                    await asyncio.sleep(0)
                for line in server._switchboard.lines:  # noqa: SLF001 - it is not open yet
                    line.abort(Unreachable("given up"))
                assert await raw.rest() == b""
            await until(lambda: server.counts.connections == 0)

    play(whole, tmp_path, loop=loop)


def test_a_peer_that_does_not_read_is_disconnected(tmp_path: Path) -> None:
    """When more waits for it than `connection_write_bytes`; its memory is bounded."""

    async def whole(scene: Scene) -> None:
        limit = 4_000_000
        server, listener = scene.server(limits=replace(LIMITS, connection_write_bytes=limit))
        with await Raw.dial(listener) as raw:
            await raw.hello(hello())
            sent = 0
            while server.counts.slow == 0:
                server.send(hello().address, b"x" * 100_000)
                sent += 100_000
                await asyncio.sleep(0)
            assert sent > limit
            await until(lambda: server.counts.connections == 0)
            assert server.grant_of(hello().address) is None
        assert server.counts.slow == 1

    play(whole, tmp_path)


def test_a_peer_that_asks_and_does_not_read_is_not_listened_to(tmp_path: Path) -> None:
    """It is heard again when it reads: nobody is cut off for being slow."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server()
        with await Raw.dial(listener) as raw:
            await raw.hello(hello())
            frame = message_frame(b"x" * 1_000_000)
            asking = asyncio.ensure_future(raw.say(frame * 30))
            await until(lambda: any(one.is_slow for one in server.sessions()))
            assert server.counts.frames_in < 30
            for _ in range(30):
                assert await raw.frame() == (False, b"x" * 1_000_000)
            await asking
        assert server.counts.slow == 0

    play(whole, tmp_path)


def test_a_peer_that_is_gone_is_noticed(tmp_path: Path) -> None:
    """One that answers no ping is given up after twice `keepalive_ms`."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(limits=replace(LIMITS, keepalive_ms=40))
        with await Raw.dial(listener) as raw:
            await raw.hello(hello())
            assert await raw.control() == Ping(1)
            await raw.rest()
            assert server.counts.dead == 1
        await until(lambda: server.counts.connections == 0)

    play(whole, tmp_path)


def test_a_peer_that_answers_is_kept(tmp_path: Path) -> None:
    """As is one that said it would not answer, and whoever pings is answered."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(limits=replace(LIMITS, keepalive_ms=20))
        client = scene.client(limits=replace(LIMITS, keepalive_ms=20))
        await client.reach(server.address)
        with await Raw.dial(listener) as quiet, await Raw.dial(listener) as raw:
            await quiet.hello(hello(answers_pings=False, address="client/quiet"))
            await raw.hello(hello())
            for number in range(1, 6):
                assert await raw.control() == Ping(number)
                await raw.say(control_frame(encode_control(Pong(number))))
            await raw.say(control_frame(encode_control(Ping(77))))
            while await raw.control() != Pong(77):
                pass
            assert server.counts.dead == 0
            assert {one.address for one in server.sessions()} >= {"client/quiet", client.address}

    play(whole, tmp_path)


class FakeServer:
    """A listener that answers a Hello with whatever it is told to."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.place = ""

    async def __aenter__(self) -> FakeServer:  # noqa: PYI034 - it is not derived from
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.place = f"{host}:{port}"
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10_000)
        writer.write(self.answer)
        writer.close()

    async def __aexit__(self, *_error: object) -> None:
        self._server.close()
        await self._server.wait_closed()


def welcome(**changes: object) -> bytes:
    """A Welcome that is right but for these changes."""
    good: dict[str, object] = {
        "version": 1,
        "address": "127.0.0.1:1#00",
        "role": "admin",
        "prefix": b"",
        "token": "",
        "frame_bytes": 1_000,
        "keepalive_ms": 1_000,
    }
    return control_frame(encode_control(Welcome(**{**good, **changes})))  # type: ignore[arg-type]  # by their names


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"", Unreachable),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", InvalidEncoding),
        (b"\x15\x03\x03\x00\x02\x02\x46", InvalidEncoding),
        (welcome(version=99), ProtocolMismatch),
        (welcome(address="client/me"), Unreachable),
        (welcome(address="127.0.0.1:1"), Unreachable),
        (control_frame(encode_control(Pong(1))), InvalidEncoding),
        (control_frame(encode_control(Refusal("invented", "no"))), FastnessError),
        (message_frame(b"too early"), InvalidEncoding),
        (welcome()[:-1], Unreachable),
        (welcome() + control_frame(encode_control(Refusal("draining", "bye"))), Draining),
    ],
    ids=lambda value: value.hex()[-40:] if isinstance(value, bytes) else None,
)
def test_a_server_that_breaks_the_rules_is_left(
    tmp_path: Path, answer: bytes, expected: type[Exception]
) -> None:
    """With an error that says what it did."""

    async def whole(scene: Scene) -> None:
        async with FakeServer(answer) as server:
            client = scene.client()
            error = await failure(client, server.place)
            assert type(error) is expected, error
            await until(lambda: client.counts.connections == 0)
            error = await asyncio.to_thread(blocking_failure, server.place)
            assert type(error) is expected, error

    play(whole, tmp_path)


def blocking_failure(place: str) -> FastnessError:
    """Why a client that blocks does not reach a place."""
    with Echoes(place) as client, pytest.raises(FastnessError) as caught:
        client.process.drive(client.process.reach(place))
    return caught.value


@settings(max_examples=150)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_frame_or_a_typed_error(data: bytes) -> None:
    """The decoder of messages never fails in another way."""
    try:
        assert decode_frame(data).version == 1
    except (InvalidEncoding, ProtocolMismatch):
        return


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_any_bytes_are_survived(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], opened: bool
) -> None:
    """Before and after the handshake; the server serves others all the same."""

    async def whole(scene: Scene) -> None:
        server, listener = scene.server(limits=replace(LIMITS, frame_bytes=FRAME_MAX))
        server.listen(server.send)
        await _throw(listener, pieces, opened=opened)
        await healthy(scene, server)

    play(whole, tmp_path_factory.mktemp("fuzz"))


async def _throw(listener: Listener, pieces: list[bytes], *, opened: bool) -> None:
    with await Raw.dial(listener) as raw:
        if opened:
            await raw.hello(hello())
        for piece in pieces:
            await raw.say(piece)


def test_tokens_are_never_in_the_story(tmp_path: Path) -> None:
    """Neither those that are wrong nor those that are right."""

    async def whole(scene: Scene) -> None:
        server, _listener = scene.server()
        await scene.client().reach(server.address)
        await failure(scene.client("a secret that is wrong"), server.address)
        assert scene.notes
        for _address, event in scene.notes:
            assert TOKEN not in event
            assert "a secret" not in event

    play(whole, tmp_path)
