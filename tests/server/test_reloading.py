"""SIGHUP: what changed is taken up, what cannot be is named, and a mistake changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from fastness.server.token_file import add_token
from fastness.server.tokens import issue
from fastness.wire.handshake import Role
from tests.server.processes import ServerProcess, connected, play, serving, until
from tests.transport.scenes import CERTIFICATES

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def reload(server: ServerProcess, name: str) -> dict[str, object]:
    """Send the signal; the line of the log that answers it."""
    before = len(server.events(name))
    server.send(signal.SIGHUP)
    play(until(lambda: len(server.events(name)) > before))
    return server.events(name)[-1]


def test_settings_are_taken_up(tmp_path: Path) -> None:
    """Reloadable ones hold at once; others are named; a mistake leaves all as it was."""
    path = tmp_path / "fastness.toml"
    path.write_text("[log]\nslow_ms = 0\n")
    with serving(tmp_path / "data", "--config", path) as server:

        async def scenario(holds: Callable[[], object]) -> None:
            async with connected(server) as client:
                while not holds():
                    await client.set(b"k", b"v" * 100_000)

        path.write_text("[log]\nslow_ms = 1\n[limits]\nlease_ms = 2000\n")
        assert reload(server, "reloaded")["needs_restart"] == "limits.lease_ms"
        play(scenario(lambda: server.events("slow request")))
        path.write_text("[log]\nslow_ms = -1\n")
        problem = str(reload(server, "not reloaded")["problem"])
        assert f"{path}:2: log.slow_ms=-1" in problem
        seen = len(server.events("slow request"))
        play(scenario(lambda: len(server.events("slow request")) > seen))
        assert server.end() == 0


def test_certificates_are_renewed(tmp_path: Path) -> None:
    """New connections get the new one, open ones go on; files that do not fit change nothing."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(CERTIFICATES / "server.pem", certificate)
    shutil.copy(CERTIFICATES / "server.key", key)
    words = ("--tls-cert", certificate, "--tls-key", key)
    options = f"tls=on&ca={CERTIFICATES / 'authority.pem'}"
    with serving(tmp_path / "data", *words) as server:
        place = ("127.0.0.1", int(server.port))
        before = ssl.get_server_certificate(place)

        async def scenario() -> None:
            async with connected(server, options=options) as client:
                shutil.copy(CERTIFICATES / "client.pem", certificate)
                problem = await asyncio.to_thread(reload, server, "not reloaded")
                assert "is not the key of tls.certificate" in str(problem["problem"])
                assert await asyncio.to_thread(ssl.get_server_certificate, place) == before
                shutil.copy(CERTIFICATES / "client.key", key)
                await asyncio.to_thread(reload, server, "reloaded")
                assert await asyncio.to_thread(ssl.get_server_certificate, place) != before
                await client.set(b"a", b"1")

        play(scenario())


def test_the_certificate_of_the_admin_pages_is_renewed(tmp_path: Path) -> None:
    """Admin pages that other machines reach show the new one too."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(CERTIFICATES / "server.pem", certificate)
    shutil.copy(CERTIFICATES / "server.key", key)
    words = ("--tls-cert", certificate, "--tls-key", key, "--admin", "0.0.0.0:0")
    with serving(tmp_path / "data", *words) as server:
        assert server.told["admin"].startswith("https://")
        place = ("127.0.0.1", int(server.told["admin"].rpartition(":")[2]))
        before = ssl.get_server_certificate(place)
        shutil.copy(CERTIFICATES / "client.pem", certificate)
        shutil.copy(CERTIFICATES / "client.key", key)
        reload(server, "reloaded")
        assert ssl.get_server_certificate(place) != before


def test_tokens_are_introduced(tmp_path: Path) -> None:
    """A server that had none and is given some ends the access of everybody without."""
    path, tokens = tmp_path / "fastness.toml", tmp_path / "tokens.json"
    path.write_text("")
    issued = issue(name="first", role=Role.READ_WRITE, now_ms=1)
    add_token(tokens, issued)
    with serving(tmp_path / "data", "--config", path) as server:

        async def scenario() -> None:
            async with connected(server) as client:
                await client.set(b"a", b"1")
                path.write_text(f'tokens = "{tokens}"\n')
                await asyncio.to_thread(reload, server, "reloaded")
                await until(lambda: server.events("access ended"))
            async with connected(server, token=issued.credential) as client:
                assert await client.get(b"a") == b"1"

        play(scenario())
