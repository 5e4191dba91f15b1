"""Who the gateway of a real server lets in, to what, and how often; over TLS too."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
from pathlib import Path

import pytest

from fastness.runtime import SystemClock
from fastness.server.token_file import revoke_token
from fastness.wire.handshake import Role
from tests.server.gateways import Caller, calling, gateway
from tests.server.processes import failing, issued, play, until
from tests.transport.scenes import CERTIFICATES

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def test_tokens(tmp_path: Path) -> None:
    """Nobody comes in without a token that is known; the description of the gateway is public."""
    tokens = tmp_path / "tokens.json"
    token = issued(tokens, "writer")
    with gateway(tmp_path / "data", "--tokens", tokens) as server:
        with calling(server) as stranger:
            answer = stranger.ask("GET", "/now")
            assert (answer.status, answer.document["error"]) == (401, "unauthenticated")
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert stranger.ask("GET", "/openapi.json").document["openapi"] == "3.1.0"
        for wrong in (token[:-1] + ("A" if token[-1] != "A" else "B"), "x", "fastness__"):
            with calling(server, token=wrong) as stranger:
                assert stranger.refused("GET", "/now") == (401, "unauthenticated")
        with calling(server, token=token) as caller:
            caller.done("PUT", "/keys/a", {"value": "1"})
            assert caller.value("a") == "1"
            # Names are of no matter where a token is shown: no page of a stranger's has one.
            assert caller.ask("GET", "/now", headers={"Host": "db.example.org"}).status == 200
        usage = server.get("/status").document["tokens"]
        assert usage[0]["name"] == "writer"
        assert usage[0]["operations"] >= 2


def test_roles(tmp_path: Path) -> None:
    """Who may only read is refused by the node itself, and nothing is written."""
    tokens = tmp_path / "tokens.json"
    reader = issued(tokens, "reader", role=Role.READ_ONLY)
    writer = issued(tokens, "writer")
    with gateway(tmp_path / "data", "--tokens", tokens) as server:
        with calling(server, token=writer) as caller:
            caller.done("PUT", "/keys/a", {"value": "1"})
        with calling(server, token=reader) as caller:
            assert caller.value("a") == "1"
            assert caller.refused("PUT", "/keys/a", {"value": "2"}) == (403, "permission_denied")
            assert caller.refused("DELETE", "/keys/a") == (403, "permission_denied")
            assert caller.value("a") == "1"


def test_key_spaces(tmp_path: Path) -> None:
    """Each token's keys, records and ids are its own; none reaches beyond them."""
    tokens = tmp_path / "tokens.json"
    spaces = {
        name: issued(tokens, name, key_space=name.encode() + b"/") for name in ("red", "blue")
    }
    everything = issued(tokens, "all")
    with gateway(tmp_path / "data", "--tokens", tokens) as server:
        for name, token in spaces.items():
            with calling(server, token=token) as caller:
                set_name = {"op": "set", "key": "name", "value": name}
                assert caller.commit(set_name, id="same id")["repeated"] is False
        for name, token in spaces.items():
            with calling(server, token=token) as caller:
                found = caller.done("POST", "/scan", {})["entries"]
                assert [(one["key"], one["value"]) for one in found] == [("name", name)]
        with calling(server, token=everything) as caller:
            found = caller.done("POST", "/scan", {"limit": 10})["entries"]
            assert {one["key"] for one in found if isinstance(one["key"], str)} >= {
                "blue/name",
                "red/name",
            }


def test_rates(tmp_path: Path) -> None:
    """A token that has used up its rate is told when to come back, at once; others go on."""
    tokens = tmp_path / "tokens.json"
    slow = issued(tokens, "slow", operations_per_second=1)
    other = issued(tokens, "other")
    with gateway(tmp_path / "data", "--tokens", tokens) as server:
        with calling(server, token=slow) as caller:
            answer = caller.ask("GET", "/now")
            while answer.status == 200:
                answer = caller.ask("POST", "/read", {"keys": ["a", "b", "c"]})
            assert (answer.status, answer.document["error"]) == (429, "rate_limited")
            assert answer.document["retry_after_ms"] > 0
            assert int(answer.headers["retry-after"]) >= 1
        with calling(server, token=other) as caller:
            caller.done("GET", "/now")


def test_revoked_tokens(tmp_path: Path) -> None:
    """A token that is taken away ends with the next request, on connections that are open too."""
    tokens = tmp_path / "tokens.json"
    first, second = issued(tokens, "first"), issued(tokens, "second")
    with (
        gateway(tmp_path / "data", "--tokens", tokens) as server,
        calling(server, token=first) as gone,
        calling(server, token=second) as stays,
    ):
        gone.done("PUT", "/keys/a", {"value": "1"})
        revoke_token(tokens, "first", now_ms=SystemClock().wall_ms())

        async def scenario() -> None:
            await until(lambda: server.events("tokens reloaded"))

        play(scenario())
        assert gone.refused("GET", "/keys/a") == (401, "unauthenticated")
        assert stays.value("a") == "1"


def test_a_token_that_changed_its_role(tmp_path: Path) -> None:
    """A client that was opened for the old role is not used for the new one."""
    tokens = tmp_path / "tokens.json"
    token = issued(tokens, "changing")
    with (
        gateway(tmp_path / "data", "--tokens", tokens) as server,
        calling(server, token=token) as caller,
    ):
        caller.done("PUT", "/keys/a", {"value": "1"})
        text = tokens.read_text()
        assert text.count('"read-write"') == 1
        tokens.write_text(text.replace('"read-write"', '"read-only"'))

        async def scenario() -> None:
            await until(lambda: server.events("tokens reloaded"))

        play(scenario())
        assert caller.refused("PUT", "/keys/a", {"value": "2"}) == (403, "permission_denied")
        assert caller.value("a") == "1"


def test_what_a_browser_could_be_made_to_send(tmp_path: Path) -> None:
    """Without tokens a page of somebody else's must not write, nor come in by a name of its own."""
    with gateway(tmp_path / "data") as server, calling(server) as caller:
        body = b'{"operations": [{"op": "set", "key": "a", "value": "1"}]}'
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = caller.ask("POST", "/transaction", body, headers={"content-type": kind})
            assert answer.status == 415
        for name in ("evil.example.org", "127.0.0.1.evil.example.org", "localhost.evil.org:80", ""):
            answer = caller.ask("GET", "/now", headers={"Host": name})
            assert answer.status in {400, 403}, name
        assert caller.ask("OPTIONS", "/transaction").status == 405
        for name in ("localhost", "127.0.0.1:3280", "[::1]:3280", "LOCALHOST:1"):
            assert caller.ask("GET", "/now", headers={"Host": name}).status == 200
        assert caller.value("a") is None


def test_it_is_not_reached_from_elsewhere_without_tokens(tmp_path: Path) -> None:
    """A gateway beyond this machine needs a token file, like every other door."""
    code, told = failing(tmp_path / "data", "--port", 0, "--admin", "", "--gateway", "0.0.0.0:0")
    assert code == 2
    assert "gateway='0.0.0.0:0' is reached from other machines" in str(told)


def test_its_place_is_taken(tmp_path: Path) -> None:
    """A place that somebody else has is told before the server is ready, and nothing is left."""
    with gateway(tmp_path / "data") as server:
        place = server.told["gateway"].removeprefix("http://")
        code, told = failing(tmp_path / "other", "--port", 0, "--admin", "", "--gateway", place)
    assert (code, told["error"]) == (3, "address_unavailable")


def test_tls(tmp_path: Path) -> None:
    """With a certificate it speaks TLS alone, and takes up a new one as the other doors do."""
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    shutil.copy(CERTIFICATES / "server.pem", certificate)
    shutil.copy(CERTIFICATES / "server.key", key)
    words = ("--tls-cert", certificate, "--tls-key", key)
    trusting = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
    with gateway(tmp_path / "data", *words) as server:
        url = server.told["gateway"]
        assert url.startswith("https://127.0.0.1:")
        place = ("127.0.0.1", int(url.rpartition(":")[2]))
        before = ssl.get_server_certificate(place)
        with calling(server, tls=trusting) as caller:
            caller.done("PUT", "/keys/a", {"value": "1"})
            shutil.copy(CERTIFICATES / "client.pem", certificate)
            shutil.copy(CERTIFICATES / "client.key", key)
            server.send(signal.SIGHUP)

            async def scenario() -> None:
                await until(lambda: server.events("reloaded"))
                assert await asyncio.to_thread(ssl.get_server_certificate, place) != before

            play(scenario())
            assert caller.value("a") == "1"
        plain = Caller(url.replace("https", "http"))
        with pytest.raises(OSError, match=r"."):
            plain.ask("GET", "/now")
        plain.close()
