"""Servers that must not start, or cannot: one line says why, and the exit code what to do."""

from __future__ import annotations

import signal
import socket
import ssl
from pathlib import Path

import pytest

import fastness
from fastness.errors import DirectoryHeld
from tests.cli.commands import failure
from tests.server.processes import (
    ANY_PORT,
    Answered,
    connected,
    failing,
    get,
    play,
    serving,
    starting,
)
from tests.transport.scenes import CERTIFICATES

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

SERVER = (CERTIFICATES / "server.pem", CERTIFICATES / "server.key")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """It says which, ends with 3, and creates no database."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        line.listen()
        place = f"127.0.0.1:{line.getsockname()[1]}"
        code, told = failing(tmp_path / "data", "--listen", place, "--admin", "")
        assert (code, told["error"]) == (3, "address_unavailable")
        assert place in told["message"]
        code, told = failing(tmp_path / "data", "--listen", ANY_PORT, "--admin", place)
        assert (code, told["error"]) == (3, "address_unavailable")
    assert not (tmp_path / "data" / "tables").exists() or code == 3


def test_a_directory_that_is_served_already(tmp_path: Path) -> None:
    """The second server names the first, and ends with 3; so does an embedded open."""
    with serving(tmp_path / "data") as server:
        code, told = failing(tmp_path / "data", "--listen", ANY_PORT, "--admin", "")
        assert (code, told["error"]) == (3, "directory_held")
        assert f"process {server.process.pid}" in told["message"]
        with pytest.raises(DirectoryHeld, match=f"process {server.process.pid}"):
            fastness.open(f"file:{tmp_path / 'data'}")


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        (("--listen", "nowhere"), "nowhere"),
        (("--listen", "0.0.0.0:0"), "anybody would have full access"),
        (("--tokens", "absent.json"), "there is no token file absent.json"),
        (("--tls-cert", "absent.pem", "--tls-key", "absent.pem"), "absent.pem cannot be read"),
        (("--tls-cert", SERVER[0]), "without tls.key"),
        (
            ("--tls-cert", SERVER[0], "--tls-key", CERTIFICATES / "client.key"),
            "is not the key of tls.certificate",
        ),
        (("--tls-cert", SERVER[1], "--tls-key", SERVER[1]), "no certificate and key in PEM"),
        (("--set", "limits.lease_ms=soon"), "limits.lease_ms='soon'"),
        (("--set", "nothing=1"), "'nothing' is no setting: 'fastness config show' lists"),
        (("--set", "log.slowms=1"), "did you mean log.slow_ms?"),
        (("--set", "log.slow_ms"), "write NAME=VALUE"),
        (("--set", "log.level=loud"), "choose debug, info, warning, error;"),
        (("--config", "absent.toml"), "absent.toml: cannot be read"),
    ],
)
def test_settings_that_will_not_do(tmp_path: Path, words: tuple[object, ...], told_of: str) -> None:
    """What is wrong is named, the code is 2, and nothing is created."""
    told = failure("serve", tmp_path / "data", *words)
    assert (told["exit"], told["error"]) == (2, "invalid_option")
    assert told_of in told["message"]
    assert not (tmp_path / "data").exists()


def test_a_foreign_directory(tmp_path: Path) -> None:
    """A directory of something else is left alone, with code 4."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "letter.txt").write_text("dear reader")
    code, told = failing(tmp_path / "data", "--listen", ANY_PORT, "--admin", "")
    assert (code, told["error"]) == (4, "foreign_store")


def test_told_to_stop_while_it_starts(tmp_path: Path) -> None:
    """A server that waits for cache leases its predecessor gave ends when it is told to."""
    words = ("--set", "limits.cache_lease_ms=29000")
    with serving(tmp_path / "data", *words) as server:

        async def scenario() -> None:
            async with connected(server, options="cache=on") as client:
                for _ in range(100):
                    await client.get(b"a")

        play(scenario())
        server.end(signal.SIGKILL)
    with starting(tmp_path / "data", *words) as server:
        # The log goes on where that of the first run ended.
        while len(listening := server.events("listening")) < 2:
            assert server.process.poll() is None
        answered: Answered = get(listening[-1]["admin"] + "/readyz")
        assert (answered.status, answered.document["status"]) == (503, "starting")
        assert server.end() == 0
        assert not server.events("ready")[1:]


def test_tls(tmp_path: Path) -> None:
    """Clients that trust the authority are served, others are not, nor those without TLS."""
    files = ("--tls-cert", SERVER[0], "--tls-key", SERVER[1])
    authority = f"tls=on&ca={CERTIFICATES / 'authority.pem'}"
    with serving(tmp_path / "data", *files) as server:

        async def scenario() -> None:
            async with connected(server, options=authority) as client:
                await client.set(b"a", b"1")
                assert await client.get(b"a") == b"1"
            for options in ("", f"tls=on&ca={CERTIFICATES / 'stranger.pem'}"):
                with pytest.raises(fastness.FastnessError):
                    async with connected(server, options=options):
                        pass

        play(scenario())
        assert server.told["tls"] is True
        assert server.told["connect"].endswith('?tls=on")')
        # A new certificate is taken up, and a broken one is not.
        before = _certificate(server.port)
        server.send(signal.SIGHUP)
        while not server.events("reloaded"):
            pass
        assert _certificate(server.port) == before


def test_admin_pages_beyond_this_machine(tmp_path: Path) -> None:
    """They speak TLS with the server's certificate, since tokens are shown to them."""
    words = ("--tls-cert", SERVER[0], "--tls-key", SERVER[1], "--admin", "0.0.0.0:0")
    with serving(tmp_path / "data", *words) as server:
        admin = server.told["admin"]
        assert admin.startswith("https://0.0.0.0:")
        context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
        place = ("127.0.0.1", int(admin.rpartition(":")[2]))
        with (
            socket.create_connection(place) as line,
            context.wrap_socket(line, server_hostname="127.0.0.1") as encrypted,
        ):
            encrypted.sendall(b"GET /readyz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
            assert encrypted.recv(15) == b"HTTP/1.1 200 OK"


def _certificate(port: str) -> str:
    return ssl.get_server_certificate(("127.0.0.1", int(port)))
