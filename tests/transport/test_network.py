"""Processes over real sockets: who is reached, as whom, and what happens when they go."""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from fastness.errors import (
    AddressUnavailable,
    DatabaseClosed,
    InvalidOption,
    Overloaded,
    PermissionDenied,
    ProtocolMismatch,
    Unauthenticated,
    Unreachable,
)
from fastness.transport import (
    NODE_GRANT,
    Grant,
    NetworkProcess,
    Role,
    bind,
    client_address,
    node_address,
    seed_of,
)
from fastness.transport.network import FRAMES_AT_ONCE
from tests.runtime.conformance import LoopedProcessConformance, Play, Scenario, Stage
from tests.transport.scenes import (
    LIMITS,
    LOOPS,
    TOKEN,
    Scene,
    authenticate,
    echoed,
    failure,
    play,
    until,
)


@pytest.fixture(params=sorted(LOOPS))
def loop(request: pytest.FixtureRequest) -> str:
    """Each event loop."""
    return str(request.param)


@pytest.fixture(params=["tcp", "unix"])
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of socket."""
    return str(request.param)


class TestNetworkProcess(LoopedProcessConformance):
    """It is a process like any other, over each kind of socket and on each loop."""

    @pytest.fixture
    def play(self, tmp_path: Path, loop: str, kind: str) -> Play:
        """A client and a server."""

        def played(scenario: Scenario) -> None:
            async def whole(scene: Scene) -> None:
                server, _listener = scene.server(scene.unix() if kind == "unix" else "127.0.0.1:0")
                client = scene.client()
                await client.reach(server.address)
                await scenario(Stage(client, server, scene.notes))

            play(whole, tmp_path, loop=loop)

        return played


def test_a_seed_leads_to_whoever_is_there(tmp_path: Path, loop: str, kind: str) -> None:
    """It answers under its full address, and both names lead to the one connection."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server(scene.unix() if kind == "unix" else "127.0.0.1:0")
        client = scene.client(agent="a test")
        seed = str(listener.place)
        assert await echoed(client, seed, b"one") == (server.address, b"one")
        assert await echoed(client, server.address, b"two") == (server.address, b"two")
        assert await client.reach(seed) == await client.reach(server.address) == server.address
        assert seed_of(server.address) == seed
        welcome = client.welcome_of(seed)
        assert welcome is not None
        assert (welcome.role, welcome.prefix, welcome.token) == ("read-write", b"tenant/", "plain")
        (session,) = server.sessions()
        assert (session.address, session.agent) == (client.address, "a test")
        assert (server.counts.connections, client.counts.connections) == (1, 1)
        assert (server.counts.unauthenticated, server.counts.opened) == (0, 1)

    play(scenario, tmp_path, loop=loop)


def test_two_names_of_a_server_share_a_connection(tmp_path: Path) -> None:
    """Whoever turns out to be connected already is not connected twice."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server()
        server.serve(scene.unix(), authenticate=authenticate)
        client = scene.client()
        first = await client.reach(str(listener.place))
        assert await client.reach(scene.unix()) == first
        assert await echoed(client, scene.unix(), b"again") == (server.address, b"again")
        await until(lambda: server.counts.connections == 1)
        assert await echoed(client, first, b"still") == (server.address, b"still")

    play(scenario, tmp_path)


def test_a_grant_is_known_by_the_address(tmp_path: Path) -> None:
    """While its holder is connected; the process itself may do anything."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client(f"admin:{TOKEN}")
        assert server.grant_of(client.address) is None
        await client.reach(server.address)
        assert server.grant_of(client.address) == Grant(Role.ADMIN, b"tenant/", "admin")
        assert server.grant_of(server.address) == client.grant_of(server.address) == NODE_GRANT
        await client.close()
        await until(lambda: server.grant_of(client.address) is None)

    play(scenario, tmp_path)


def test_the_newest_connection_of_a_client_is_used(tmp_path: Path) -> None:
    """An older one is a spare: it is used again when the newer one ends."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        older = scene.client()
        newer = scene.client()
        newer.address = older.address
        assert await echoed(older, server.address, b"1") == (server.address, b"1")
        assert await echoed(newer, server.address, b"2") == (server.address, b"2")
        await newer.close()
        await until(lambda: server.counts.connections == 1)
        assert await echoed(older, server.address, b"3") == (server.address, b"3")

    play(scenario, tmp_path)


@pytest.mark.parametrize(
    ("credential", "address", "expected"),
    [
        ("wrong", "", Unauthenticated),
        ("", "", Unauthenticated),
        (TOKEN, "127.0.0.1:1#00", PermissionDenied),
        (TOKEN, "127.0.0.1:1", InvalidOption),
        (TOKEN, "client/" + "x" * 400, InvalidOption),
    ],
)
def test_who_may_not_come_in_is_told_why(
    tmp_path: Path, credential: str, address: str, expected: type[Exception]
) -> None:
    """With the typed error, at `reach` and by `reason`; what was sent is dropped."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client(credential)
        client.address = address or client.address
        assert client.reason(server.address) is None
        client.send(server.address, b"lost")
        error = await failure(client, server.address)
        assert type(error) is expected, error
        assert client.reason(server.address) is error
        assert (client.counts.undeliverable, client.counts.failed_dials) == (1, 1)
        assert (server.counts.refused_handshakes, server.counts.frames_in) == (1, 0)
        await until(lambda: server.counts.connections == 0)

    play(scenario, tmp_path)


def test_an_address_belongs_to_its_token(tmp_path: Path) -> None:
    """Another token cannot take over what is sent to a client."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        victim, thief = scene.client(), scene.client(f"admin:{TOKEN}")
        thief.address = victim.address
        await victim.reach(server.address)
        assert isinstance(await failure(thief, server.address), PermissionDenied)
        assert await echoed(victim, server.address, b"mine") == (server.address, b"mine")

    play(scenario, tmp_path)


def test_nodes_reach_each_other(tmp_path: Path) -> None:
    """Either may dial; the other then uses the same connection."""

    async def scenario(scene: Scene) -> None:
        one, _ = scene.server(credential=f"node:{TOKEN}")
        other, _ = scene.server(scene.unix(), credential=f"node:{TOKEN}")
        assert await echoed(one, other.address, b"ping") == (other.address, b"ping")
        one.listen(one.send)
        assert await echoed(other, one.address, b"pong") == (one.address, b"pong")
        assert (one.counts.dialed, other.counts.dialed) == (1, 0)
        assert other.grant_of(one.address) == Grant(Role.NODE, b"tenant/", "node")

    play(scenario, tmp_path)


def test_frames_for_the_dead_never_reach_its_successor(tmp_path: Path, kind: str) -> None:
    """The seed leads to the new process; the old full address leads nowhere."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server(scene.unix() if kind == "unix" else "127.0.0.1:0")
        client = scene.client()
        seed = str(listener.place)
        old = await client.reach(seed)
        await server.close()
        await until(lambda: client.counts.connections == 0)
        reached: list[bytes] = []
        successor, _listener = scene.server(seed)

        def receive(sender: str, frame: bytes) -> None:
            reached.append(frame)
            successor.send(sender, frame)

        successor.listen(receive)
        client.send(old, b"for the dead")
        error = await failure(client, old)
        assert isinstance(error, Unreachable)
        assert "is gone" in str(error)
        assert await echoed(client, seed, b"for anybody") == (successor.address, b"for anybody")
        client.send(old, b"for the dead")
        await failure(client, old)
        assert await client.reach(seed) == successor.address != old
        assert reached == [b"for anybody"]

    play(scenario, tmp_path)


def test_a_lost_peer_is_dialed_again_when_there_is_something_to_send(tmp_path: Path) -> None:
    """After pauses that grow; what could not be sent meanwhile is lost."""

    async def scenario(scene: Scene) -> None:
        listener = bind("127.0.0.1:0")
        seed = str(listener.place)
        listener.close()
        client = scene.client()
        client.send(seed, b"to nobody")
        assert isinstance(await failure(client, seed), Unreachable)
        assert isinstance(await failure(client, seed), Unreachable)
        server, _listener = scene.server(seed)
        assert await echoed(client, seed, b"to somebody") == (server.address, b"to somebody")
        assert client.reason(seed) is None
        assert (client.counts.failed_dials, client.counts.undeliverable) == (2, 1)

    play(scenario, tmp_path)


def test_whoever_waits_for_a_peer_that_is_lost_is_told(tmp_path: Path) -> None:
    """Once for each name it was sent to by, and not of one that is connected otherwise."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server()
        client, twin = scene.client(), scene.client()
        lost: list[str] = []
        client.lost = lost.append
        server.lost = lost.append
        seed = str(listener.place)
        await client.reach(seed)
        twin.address = client.address
        await twin.reach(seed)
        await twin.close()
        await until(lambda: server.counts.connections == 1)
        assert lost == []
        server.lost = None
        await server.close()
        await until(lambda: len(lost) == 2)
        assert lost == [server.address, seed]

    play(scenario, tmp_path)


def test_what_waits_for_a_dial_is_bounded(tmp_path: Path) -> None:
    """Beyond `connection_write_bytes` it is dropped."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client(limits=replace(LIMITS, connection_write_bytes=1_000))
        for _ in range(5):
            client.send(server.address, b"x" * 400)
        assert client.counts.undeliverable == 3
        await client.reach(server.address)
        await until(lambda: server.counts.frames_in == 2)

    play(scenario, tmp_path)


def test_frames_of_one_turn_leave_in_few_writes(tmp_path: Path, loop: str) -> None:
    """So many in each, before the turn is over, and what is left at its end; in their order."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client()
        await client.reach(server.address)
        batches: list[int] = []
        deliver = server.deliver

        class Watching(NetworkProcess):
            def deliver(self, sender: str, messages: list[bytes]) -> None:
                batches.append(len(messages))
                deliver(sender, messages)

        server.__class__ = Watching
        arrived: list[bytes] = []
        client.listen(lambda _sender, frame: arrived.append(frame))
        before = client.counts.frames_out
        for number in range(100):
            client.send(server.address, b"%d" % number)
        assert client.counts.frames_out - before == 100 // FRAMES_AT_ONCE * FRAMES_AT_ONCE
        await until(lambda: len(arrived) == 100)
        assert sum(batches) == 100
        assert len(batches) <= 100 // FRAMES_AT_ONCE + 1
        assert arrived == [b"%d" % number for number in range(100)]

    play(scenario, tmp_path, loop=loop)


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """Also a Unix socket somebody listens at, or a file in its place."""
    taken = bind("127.0.0.1:0")
    socket_taken = bind(f"unix:{tmp_path}/taken")
    (tmp_path / "file").write_text("not a socket")
    try:
        for where, told in (
            (str(taken.place), "the port is taken"),
            (f"unix:{tmp_path}/taken", "choose another path"),
            (f"unix:{tmp_path}/file", "choose another path"),
            (f"unix:{tmp_path}/missing/socket", "name a path in a folder that is there"),
            ("203.0.113.1:1", "name an address of this machine"),
            ("no.such.host.invalid:1", "name an address of this machine"),
        ):
            with pytest.raises(AddressUnavailable, match=rf"cannot listen at {where}: .*{told}"):
                bind(where)
    finally:
        taken.close()
        socket_taken.close()
    assert not (tmp_path / "taken").exists()
    assert (tmp_path / "file").read_text() == "not a socket"


def test_a_socket_left_behind_is_replaced(tmp_path: Path) -> None:
    """By whoever listens next, and a listener removes only its own file."""
    where = f"unix:{tmp_path}/socket"
    left_behind = bind(where)
    left_behind.socket.close()
    successor = bind(where)
    left_behind.close()
    assert (tmp_path / "socket").exists()
    assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600
    successor.close()
    successor.close()
    assert not (tmp_path / "socket").exists()


def test_a_closed_process_reaches_nobody(tmp_path: Path) -> None:
    """Whoever waits when it is closed, or comes later, is told so."""

    async def scenario(scene: Scene) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            seed = f"127.0.0.1:{silent.getsockname()[1]}"
            client = scene.client()
            waiting = asyncio.ensure_future(failure(client, seed))
            await until(lambda: client.counts.dialed == 1)
            await client.close()
            assert isinstance(await waiting, DatabaseClosed)
            assert isinstance(await failure(client, seed), DatabaseClosed)

    play(scenario, tmp_path)


def test_roles_of_addresses_are_kept_apart(tmp_path: Path) -> None:
    """A client cannot serve, and a server cannot go by a seed or a client's address."""

    async def scenario(scene: Scene) -> None:
        with pytest.raises(InvalidOption, match="is a client"):
            scene.client().serve("127.0.0.1:0", authenticate=lambda _c, _p: NODE_GRANT)
        for address in ("127.0.0.1:80", client_address()):
            with pytest.raises(InvalidOption, match="names no node"):
                NetworkProcess(address)

    play(scenario, tmp_path)


def test_a_revoked_token_ends_its_connections(tmp_path: Path) -> None:
    """`review` ends those it finds a reason for, and tells them."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        revoked, kept = scene.client(), scene.client(f"admin:{TOKEN}")
        for client in (revoked, kept):
            await client.reach(server.address)
        ended = server.review(
            lambda grant, _peer: None if grant.role is Role.ADMIN else Unauthenticated("revoked")
        )
        assert ended == 1
        await until(lambda: revoked.counts.connections == 0)
        assert await echoed(kept, server.address, b"still") == (server.address, b"still")

    play(scenario, tmp_path)


def test_closing_a_server_sends_what_is_under_way(tmp_path: Path, loop: str) -> None:
    """Answers given before it closed arrive."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client()
        await client.reach(server.address)
        arrived: list[bytes] = []
        client.listen(lambda _sender, frame: arrived.append(frame))
        for _ in range(50):
            server.send(client.address, b"x" * 10_000)
        await server.close()
        await until(lambda: client.counts.connections == 0)
        assert len(arrived) == 50

    play(scenario, tmp_path, loop=loop)


def test_a_listener_that_stops_keeps_its_connections(tmp_path: Path, loop: str) -> None:
    """Nobody new gets in; whoever is in goes on. Others still serve."""

    async def scenario(scene: Scene) -> None:
        server, listener = scene.server()
        client = scene.client()
        await client.reach(server.address)
        server.stop_listening(listener)
        server.stop_listening(listener)
        assert await echoed(client, server.address, b"on") == (server.address, b"on")
        assert isinstance(await failure(scene.client(), server.address), Unreachable)

    play(scenario, tmp_path, loop=loop)


def test_connections_are_bounded(tmp_path: Path) -> None:
    """One too many is refused with a retryable error, and there is room again later."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server(limits=replace(LIMITS, connections=2))
        first, second, third = (scene.client() for _ in range(3))
        await first.reach(server.address)
        await second.reach(server.address)
        assert isinstance(await failure(third, server.address), Overloaded)
        assert server.counts.refused_connections == 1
        await first.close()
        await until(lambda: server.counts.connections == 1)
        assert await third.reach(server.address) == server.address

    play(scenario, tmp_path)


def test_a_thousand_connections(tmp_path: Path, loop: str) -> None:
    """All open, all answered, all closed."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server(scene.unix())
        clients = [scene.client() for _ in range(1_000)]
        # In portions: no more than the system keeps in its queue of a Unix socket.
        for start in range(0, len(clients), 50):
            await asyncio.gather(
                *(one.reach(server.address) for one in clients[start : start + 50])
            )
        assert server.counts.connections == len(clients)
        answers = await asyncio.gather(
            *(echoed(one, server.address, one.address.encode()) for one in clients)
        )
        assert [frame for _sender, frame in answers] == [one.address.encode() for one in clients]

    play(scenario, tmp_path, loop=loop)


def test_a_version_nobody_speaks_is_refused(tmp_path: Path) -> None:
    """By the server, with the error that says which versions there are."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fastness.transport.network.PROTOCOLS", (98, 99))
            error = await failure(client, server.address)
        assert isinstance(error, ProtocolMismatch)
        assert "[98, 99]" in str(error)
        assert server.counts.malformed == 1

    play(scenario, tmp_path)


def test_addresses_made_for_nodes_differ_at_each_start() -> None:
    """The incarnation is random."""
    listener = bind("127.0.0.1:0")
    listener.close()
    assert node_address(listener.place) != node_address(listener.place)


def exit_code_of(child: int) -> int:
    """How a child ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_keeps_its_hands_off(tmp_path: Path) -> None:
    """It can send nothing over its parent's connections, which go on undisturbed."""

    async def scenario(scene: Scene) -> None:
        server, _listener = scene.server()
        client = scene.client()
        assert await echoed(client, server.address, b"before") == (server.address, b"before")
        child = os.fork()
        if child == 0:
            client.send(server.address, b"from the child")
            is_silent = client.welcome_of(server.address) is None and not client.sessions()
            os._exit(0 if is_silent else 1)
        assert exit_code_of(child) == 0
        assert await echoed(client, server.address, b"after") == (server.address, b"after")
        assert server.counts.frames_in == 2

    play(scenario, tmp_path)
