"""TLS: who is trusted, what the other side of a mistake is told, and new certificates."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from fastness.errors import DatabaseClosed, InvalidOption, Unreachable
from fastness.transport import Grant, Peer
from tests.transport.scenes import (
    CERTIFICATES,
    LIMITS,
    LOOPS,
    Raw,
    Scene,
    authenticate,
    echoed,
    failure,
    play,
    until,
)
from tests.transport.threads import Echoes, server_thread


def server_tls(*, asks_clients: bool = False) -> ssl.SSLContext:
    """The server's side, which may want to see a certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / "server.pem", CERTIFICATES / "server.key")
    if asks_clients:
        context.load_verify_locations(CERTIFICATES / "authority.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_tls(authority: str = "authority", *, shows: bool = False) -> ssl.SSLContext:
    """The client's side, which trusts an authority."""
    context = ssl.create_default_context(cafile=CERTIFICATES / f"{authority}.pem")
    if shows:
        context.load_cert_chain(CERTIFICATES / "client.pem", CERTIFICATES / "client.key")
    return context


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    """Each event loop."""
    return str(request.param)


def test_frames_travel_encrypted(tmp_path: Path, loop: str) -> None:
    """Of any size, both ways; the server knows that they do."""
    peers: list[Peer] = []

    def watching(credential: str, peer: Peer) -> Grant:
        peers.append(peer)
        return authenticate(credential, peer)

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server()
        served = server.serve("127.0.0.1:0", authenticate=watching, tls=server_tls())
        client = scene.client(tls=client_tls())
        seed = str(served.place)
        for size in (0, 100, 3_000_000):
            assert await echoed(client, seed, b"x" * size) == (server.address, b"x" * size)
        assert [peer.is_encrypted for peer in peers] == [True]
        assert peers[0].is_local
        assert str(peers[0]).startswith("127.0.0.1:")
        assert listener.tls is None

    play(scenario, tmp_path, loop=loop)


@pytest.mark.parametrize("authority", ["stranger", ""])
def test_an_authority_that_is_not_trusted(tmp_path: Path, loop: str, authority: str) -> None:
    """The client says what is wrong and what to do; nothing was sent."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server(tls=server_tls())
        tls = client_tls(authority) if authority else ssl.create_default_context()
        error = await failure(scene.client(tls=tls), server.address)
        assert isinstance(error, InvalidOption), error
        assert "is not trusted" in str(error)
        await until(lambda: server.counts.connections == 0)
        assert (server.counts.refused_handshakes, server.counts.opened) == (1, 0)

    play(scenario, tmp_path, loop=loop)


def test_a_name_the_certificate_is_not_for(tmp_path: Path) -> None:
    """It is not trusted either."""

    async def scenario(scene: Scene) -> None:
        _server, listener = scene.server("0.0.0.0:0", tls=server_tls())
        _host, port = str(listener.place).split(":")
        error = await failure(scene.client(tls=client_tls()), f"127.0.0.2:{port}")
        assert isinstance(error, InvalidOption), error

    play(scenario, tmp_path)


def test_a_client_must_show_its_certificate_where_it_is_asked(tmp_path: Path, loop: str) -> None:
    """Whoever authenticates sees it."""
    seen: list[object] = []

    def watching(credential: str, peer: Peer) -> Grant:
        seen.append(peer.certificate and peer.certificate["subject"])
        return authenticate(credential, peer)

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        served = server.serve(
            "127.0.0.1:0", authenticate=watching, tls=server_tls(asks_clients=True)
        )
        seed = str(served.place)
        error = await failure(scene.client(tls=client_tls()), seed)
        assert isinstance(error, Unreachable), error
        client = scene.client(tls=client_tls(shows=True))
        assert await client.reach(seed) == server.address
        assert seen == [((("commonName", "client"),),)]

    play(scenario, tmp_path, loop=loop)


def test_plain_text_to_a_port_with_tls(tmp_path: Path, loop: str) -> None:
    """The client is not left waiting; the server counts it and goes on."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server(tls=server_tls())
        error = await failure(scene.client(), server.address)
        assert isinstance(error, Unreachable), error
        assert "does it want TLS (tls=on)?" in str(error)
        await until(lambda: server.counts.connections == 0)
        assert server.counts.refused_handshakes == 1
        client = scene.client(tls=client_tls())
        assert await client.reach(server.address) == server.address

    play(scenario, tmp_path, loop=loop)


def test_tls_to_a_port_without(tmp_path: Path, loop: str) -> None:
    """The client says so, the server counts it as malformed."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        error = await failure(scene.client(tls=client_tls()), server.address)
        assert isinstance(error, Unreachable), error
        assert "TLS" in str(error)
        await until(lambda: server.counts.malformed == 1)

    play(scenario, tmp_path, loop=loop)


def test_a_new_certificate_is_for_new_connections(tmp_path: Path, loop: str) -> None:
    """Those that are open go on; no connection is refused meanwhile."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server(tls=server_tls())
        before = scene.client(tls=client_tls())
        await before.reach(server.address)
        listener.tls = server_tls(asks_clients=True)
        assert await echoed(before, server.address, b"on") == (server.address, b"on")
        assert isinstance(
            await failure(scene.client(tls=client_tls()), server.address), Unreachable
        )
        after = scene.client(tls=client_tls(shows=True))
        assert await after.reach(server.address) == server.address

    play(scenario, tmp_path, loop=loop)


def test_silence_in_the_handshake_of_tls_is_bounded(tmp_path: Path, loop: str) -> None:
    """As silence after it is, by `handshake_ms`."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server(tls=server_tls(), limits=replace(LIMITS, handshake_ms=50))
        with await Raw.dial(listener) as silent:
            assert await silent.rest() == b""
        await until(lambda: server.counts.connections == 0)
        assert server.counts.unauthenticated == 0

    play(scenario, tmp_path, loop=loop)


def test_closing_says_goodbye_under_tls(tmp_path: Path, loop: str) -> None:
    """What was sent before arrives, and the client knows that it is over."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server(tls=server_tls())
        client = scene.client(tls=client_tls())
        await client.reach(server.address)
        arrived: list[bytes] = []
        client.listen(lambda _sender, frame: arrived.append(frame))
        for _ in range(10):
            server.send(client.address, b"x" * 10_000)
        await asyncio.sleep(0)
        await server.close()
        await until(lambda: client.counts.connections == 0)
        assert len(arrived) == 10

    play(scenario, tmp_path, loop=loop)


def test_a_client_that_blocks_speaks_tls(tmp_path: Path) -> None:
    """Large frames, trust, and mistakes alike."""
    with server_thread(tmp_path, "127.0.0.1:0", tls=server_tls()) as server:
        with Echoes(server.seed, tls=client_tls()) as client:
            for size in (0, 100, 3_000_000):
                assert client(b"x" * size) == b"x" * size
            server.restart()
            assert client(b"found again") == b"found again"
        with (
            Echoes(server.seed, tls=client_tls("stranger")) as client,
            pytest.raises(InvalidOption, match="is not trusted"),
        ):
            client.process.drive(client.process.reach(server.seed))
    with (
        server_thread(tmp_path, "127.0.0.1:0") as server,
        Echoes(server.seed, tls=client_tls()) as client,
        pytest.raises(Unreachable, match="TLS"),
    ):
        client.process.drive(client.process.reach(server.seed))
    with (
        server_thread(tmp_path, "127.0.0.1:0", tls=server_tls()) as server,
        Echoes(server.seed) as client,
        pytest.raises(Unreachable, match=r"does it want TLS \(tls=on\)\?"),
    ):
        client.process.drive(client.process.reach(server.seed))


def test_a_forked_child_says_nothing_on_its_parents_line(tmp_path: Path) -> None:
    """Not even that it closes it: TLS goes on where the parent left off."""
    with (
        server_thread(tmp_path, "127.0.0.1:0", tls=server_tls()) as server,
        Echoes(server.seed, tls=client_tls()) as client,
    ):
        assert client(b"before") == b"before"
        child = os.fork()
        if child == 0:
            with suppress(DatabaseClosed):
                client(b"in the child")
                os._exit(1)
            client.process.close()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client(b"after") == b"after"
        assert client.process.counts.opened == 1
