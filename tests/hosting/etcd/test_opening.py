"""Reaching a cluster: TLS, users, versions, and what each mistake is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fastness.errors import (
    FastnessError,
    InvalidOption,
    PermissionDenied,
    ProtocolMismatch,
    Unauthenticated,
    Unreachable,
)
from fastness.hosting.etcd.versions import require_usable
from fastness.laptop import web
from fastness.laptop.daemon import Daemon, running
from fastness.laptop.etcd import etcd_places
from fastness.laptop.ports import HOST, free_port, listening
from fastness.laptop.programs import etcd_program
from fastness.limits import Limits
from fastness.placement.coordinator import CLUSTER, Entry, Put
from fastness.runtime.local import LocalNetwork
from tests.hosting.etcd.scenes import Scene
from tests.servers.etcd import EtcdCluster, etcd_cluster

CERTIFICATES = Path(__file__).parents[2] / "transport" / "certificates"

ROOT, SECRET = "rootpw", "pw"
"""Passwords of users that live as long as a test."""

IMPATIENT = Limits(handshake_ms=1_000)


def refusal(url: str, kind: type[FastnessError]) -> str:
    """What somebody who opens this is told."""

    async def nothing() -> None:
        raise AssertionError(f"{url} was opened")

    with pytest.raises(kind) as refused:
        Scene(url, "a", IMPATIENT).run(nothing)
    return str(refused.value)


def test_versions() -> None:
    """Too old, too new, those that lose writes unless everything may be lost, and the others."""
    for version in ("3.3.27", "2.3.8", "4.0.0", "", "nonsense"):
        with pytest.raises(ProtocolMismatch, match=r"run 3\.4"):
            require_usable(version, "place", throwaway=True)
    for version in ("3.5.0", "3.5.1", "3.5.5"):
        with pytest.raises(ProtocolMismatch, match="lose acknowledged writes"):
            require_usable(version, "place", throwaway=False)
        require_usable(version, "place", throwaway=True)
    for version in ("3.4.0", "3.4.23", "3.5.6", "3.6.1"):
        require_usable(version, "place", throwaway=False)


def test_nobody_there() -> None:
    """Every member is named, with the reason."""
    port = free_port()
    told = refusal(f"etcd://{HOST}:{port}/x", Unreachable)
    assert f"{HOST}:{port}" in told
    assert "refused" in told


def test_somebody_else_is_there() -> None:
    """A server that speaks HTTP and is no etcd, and one that says nothing."""

    async def main(answer: bytes) -> str:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(answer)
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        network = LocalNetwork()
        scene = Scene(f"etcd://{HOST}:{port}/x", limits=IMPATIENT)
        try:
            with pytest.raises(Unreachable) as refused:
                await scene.open(network.process("a"))
        finally:
            await network.close()
            server.close()
            await server.wait_closed()
        return str(refused.value)

    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno!\n"
    assert "--enable-grpc-gateway" in asyncio.run(main(page))
    assert "does not answer as etcd does" in asyncio.run(main(b"SSH-2.0\r\n\r\n"))
    other = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    assert "does not answer as etcd does" in asyncio.run(main(other))
    assert "no answer within 1.0 s" in asyncio.run(main(b""))


@pytest.mark.process
def test_members_of_two_clusters_are_not_one(etcd: EtcdCluster, tmp_path: Path) -> None:
    """A URL that names both is refused, whichever answers first."""
    with etcd_cluster(tmp_path) as other:
        url = f"etcd://{etcd.places},{other.places}/x?throwaway=on"
        assert "name members of one cluster only" in refusal(url, ProtocolMismatch)


@pytest.mark.process
def test_two_clusters_lie_side_by_side_only(etcd: EtcdCluster) -> None:
    """A prefix above or below that of another cluster is refused; one beside it is not."""

    async def found(scene: Scene) -> None:
        assert await scene.reached("a").write({}, [Put(CLUSTER, b"its record")])

    middle = Scene(etcd.url("one/two"), "a")
    middle.run(partial(found, middle))
    assert "'one/two'" in refusal(etcd.url("one"), InvalidOption)
    assert "'one/two'" in refusal(etcd.url("one/two/three"), InvalidOption)
    for beside in ("one/tw", "one/two-3", "one/three", "two"):
        scene = Scene(etcd.url(beside), "a")
        scene.run(partial(found, scene))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The place of a member that speaks TLS and wants to see certificates."""
    (place,) = etcd_places(tmp_path_factory.mktemp("secure"), 1)
    url = place.client_url.replace("http", "https")
    command: list[str | Path] = [
        etcd_program(),
        *("--name", "secure", "--data-dir", place.folder / "member"),
        *("--listen-client-urls", url, "--advertise-client-urls", url),
        *("--listen-peer-urls", place.peer_url, "--initial-advertise-peer-urls", place.peer_url),
        *("--initial-cluster", f"secure={place.peer_url}", "--log-level", "error"),
        *("--cert-file", CERTIFICATES / "server.pem", "--key-file", CERTIFICATES / "server.key"),
        *("--trusted-ca-file", CERTIFICATES / "authority.pem", "--client-cert-auth"),
    ]
    is_ready = listening(place.client_port)
    with running(Daemon("secure", command, place.folder, is_ready=is_ready)):
        yield f"{HOST}:{place.client_port}"


@pytest.mark.process
def test_tls_with_certificates_of_both(secure: str) -> None:
    """All that a node does, watches included."""
    scene = Scene(
        f"etcd://{secure}/x?throwaway=on&ca={CERTIFICATES / 'authority.pem'}"
        f"&cert={CERTIFICATES / 'client.pem'}&key={CERTIFICATES / 'client.key'}",
        "ab",
    )

    async def scenario() -> None:
        heard: list[str] = []
        scene.reached("b").watch("", lambda: heard.append("b"))
        session = await scene.reached("a").open_session(5_000)
        revision = await scene.reached("a").write({}, [Put("k", b"v", session)])
        assert await scene.reached("a").keep_alive(session)
        assert (await scene.reached("b").read(""))[1] == {"k": Entry(b"v", revision or 0)}

        async def is_heard() -> bool:
            return bool(heard)

        await scene.until(is_heard)

    scene.run(scenario)


@pytest.mark.process
def test_tls_mistakes_are_told(secure: str) -> None:
    """Plain to a TLS port, a CA that did not sign, no certificate of ours."""
    assert "tls=on" in refusal(f"etcd://{secure}/x?throwaway=on", Unreachable)
    stranger, authority = CERTIFICATES / "stranger.pem", CERTIFICATES / "authority.pem"
    assert "not trusted" in refusal(f"etcd://{secure}/x?ca={stranger}", Unreachable)
    told = refusal(f"etcd://{secure}/x?ca={authority}", Unreachable)
    assert "certificate" in told


def administer(cluster: EtcdCluster, path: str, **request: object) -> None:
    """One request of an etcd administrator."""
    port = cluster.members[0].place.client_port
    answer = web.ask(port, path, body=json.dumps(request).encode())
    assert answer is not None
    assert answer.status == 200, answer.body


@pytest.mark.process
def test_users(tmp_path: Path) -> None:
    """A user's token is got, and got again; each mistake is told, and no password."""
    with etcd_cluster(tmp_path) as cluster:
        places = cluster.places
        # Authentication that is off refuses users.
        told = refusal(f"etcd://{places}/mine?throwaway=on&user=u&password=pw", Unauthenticated)
        assert "authentication is off" in told
        administer(cluster, "/v3/auth/user/add", name="root", password=ROOT)
        administer(cluster, "/v3/auth/role/add", name="root")
        administer(cluster, "/v3/auth/user/grant", user="root", role="root")
        administer(cluster, "/v3/auth/user/add", name="u", password=SECRET)
        administer(cluster, "/v3/auth/role/add", name="mine")
        permission = {"permType": "READWRITE", "key": "bWluZS8=", "range_end": "bWluZTA="}
        administer(cluster, "/v3/auth/role/grant", name="mine", perm=permission)
        administer(cluster, "/v3/auth/user/grant", user="u", role="mine")
        administer(cluster, "/v3/auth/enable")
        told = refusal(f"etcd://{places}/mine?throwaway=on", Unauthenticated)
        assert "user=" in told
        told = refusal(f"etcd://{places}/mine?throwaway=on&user=u&password=wrong", Unauthenticated)
        assert "correct user=" in told
        assert "wrong" not in told
        told = refusal(f"etcd://{places}/other?throwaway=on&user=u&password=pw", PermissionDenied)
        assert "grant-permission" in told
        scene = Scene(f"etcd://{places}/mine?throwaway=on&user=u&password=pw", "ab")

        async def scenario() -> None:
            coordinator = scene.reached("a")
            heard: list[str] = []
            scene.reached("b").watch("", lambda: heard.append("b"))
            session = await coordinator.open_session(20_000)
            await coordinator.write({}, [Put("k", b"1", session)])
            assert await coordinator.keep_alive(session)
            # A restart forgets every token.
            cluster.kill()
            cluster.start()
            await scene.surely(lambda: coordinator.write({}, [Put("k", b"2", session)]))
            _revision, entries = await scene.surely(lambda: scene.reached("b").read("k"))
            assert entries["k"].value == b"2"
            heard.clear()
            await coordinator.write({}, [Put("k", b"3", session)])

            async def is_heard() -> bool:
                return bool(heard)

            await scene.until(is_heard)
            await coordinator.end_session(session)

        scene.run(scenario)


def test_files_that_are_missing_are_named(tmp_path: Path) -> None:
    """Before anybody is dialed."""
    told = refusal(f"etcd://{HOST}:1/x?ca={tmp_path / 'gone.pem'}", InvalidOption)
    assert "gone.pem" in told
