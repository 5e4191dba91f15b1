"""The gateway of a real server under kills, drains, floods and callers that mean harm."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.server.gateways import Caller, calling, gateway
from tests.server.processes import (
    PATIENCE_SECONDS,
    ServerProcess,
    issued,
    play,
    serving,
    until,
)

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

KILLS = 2
CALLERS = 3


@contextmanager
def raw(server: ServerProcess) -> Iterator[socket.socket]:
    """A connection that sends what it likes."""
    place = urlsplit(server.told["gateway"])
    with socket.create_connection(
        (str(place.hostname), place.port or 0), timeout=PATIENCE_SECONDS
    ) as line:
        yield line


@pytest.fixture(scope="module", name="patient")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server for all who do no more than ask."""
    with gateway(tmp_path_factory.mktemp("patient") / "data") as server:
        yield server


def everything(line: socket.socket) -> bytes:
    """What is answered until the other side closes."""
    answered = b""
    while part := line.recv(65536):
        answered += part
    return answered


class Sender:
    """Sends transactions by ids of their own until each is answered, whatever happens."""

    def __init__(self, url: str, name: str) -> None:
        self.done: list[str] = []
        self.stopping = threading.Event()
        self._url = url
        self._name = name
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        number = 0
        while not self.stopping.is_set():
            identity = f"{self._name}-{number}"
            self._send(identity)
            self.done.append(identity)
            number += 1

    def _send(self, identity: str) -> None:
        operations = [
            {"op": "add", "key": "sum", "amount": 1},
            {"op": "add", "key": f"by/{identity}", "amount": 1},
        ]
        while True:
            caller = Caller(self._url)
            try:
                body = {"id": identity, "operations": operations}
                answer = caller.ask("POST", "/transaction", body)
            except (OSError, http.client.HTTPException):
                continue
            finally:
                caller.close()
            if answer.status == 200:
                return
            document = answer.document
            assert document["retryable"] or document["maybe_committed"], answer


def _all_reached(goals: list[tuple[Sender, int]]) -> bool:
    return all(len(one.done) > at for one, at in goals)


def test_each_id_counts_once_through_kills(tmp_path: Path) -> None:
    """Through kills in the middle of commits, again and again, each id is applied exactly once."""
    directory = tmp_path / "data"
    words: tuple[str, ...] = ()
    senders: list[Sender] = []
    for _ in range(KILLS):
        with gateway(directory, *words, served=str(directory)) as server:
            url = server.told["gateway"]
            words = ("--gateway", url.removeprefix("http://"))
            if not senders:
                senders = [Sender(url, f"s{at}") for at in range(CALLERS)]
                for one in senders:
                    one.thread.start()
            goals = [(one, len(one.done) + 5) for one in senders]
            play(until(partial(_all_reached, goals)))
            assert server.end(signal.SIGKILL) != 0
    with gateway(directory, *words, served=str(directory)) as server, calling(server) as caller:
        for one in senders:
            one.stopping.set()
        for one in senders:
            one.thread.join()
        done = [identity for one in senders for identity in one.done]
        assert len(done) > KILLS * CALLERS * 5
        shown = caller.done("GET", "/keys/sum?show_value=counter")
        assert shown["value"] == {"counter": len(done)}
        scan: dict[str, Any] = {"prefix": "by/", "show_values": "counter", "limit": 100_000}
        counted = {
            one["key"]: one["value"] for one in caller.done("POST", "/scan", scan)["entries"]
        }
        assert counted == {f"by/{identity}": {"counter": 1} for identity in done}


def test_draining(tmp_path: Path) -> None:
    """SIGTERM lets who waits for a change go with an answer, then ends; the next start has all."""
    directory = tmp_path / "data"
    told: list[Any] = []
    with gateway(directory, served=str(directory)) as server, calling(server) as caller:
        caller.done("PUT", "/keys/a", {"value": "1"})
        asked = {"keys": ["b"], "seen": caller.done("GET", "/now")["timestamp"]}
        asked["timeout_ms"] = 60_000

        def wait() -> None:
            with calling(server) as other:
                answer = other.ask("POST", "/watch", asked)
                told.append((answer.status, answer.document, answer.headers["connection"]))

        thread = threading.Thread(target=wait)
        thread.start()

        async def scenario() -> None:
            await until(lambda: server.metric("fastness_cache_entries") > 0)

        play(scenario())
        assert server.end() == 0
        thread.join()
    assert told == [(200, {"changed": []}, "close")]
    with gateway(directory, served=str(directory)) as server, calling(server) as caller:
        assert caller.value("a") == "1"


def test_tokens_take_turns(tmp_path: Path) -> None:
    """More tokens than clients are kept for are served all the same, one after the other."""
    tokens = tmp_path / "tokens.json"
    known = [issued(tokens, f"t{at}", key_space=f"{at}/".encode()) for at in range(4)]
    words = ("--tokens", tokens, "--set", "limits.http_clients=2")
    with gateway(tmp_path / "data", *words) as server:
        for turn in range(2):
            for at, token in enumerate(known):
                with calling(server, token=token) as caller:
                    if turn:
                        assert caller.value("mine") == str(at)
                    caller.done("PUT", "/keys/mine", {"value": str(at)})


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"GET /v1/now HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/now HTTP/1.1\r\nhost: localhost\r\nhost: evil\r\n\r\n", 400),
        (b"POST /v1/read HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n", 413),
        (
            b"PUT / HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET /v1/keys/%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n", 404),
        (b"GET /v1/keys/" + b"k" * 9_000 + b" HTTP/1.0\r\nhost: localhost\r\n\r\n", 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
    ids=["no host", "two hosts", "too long", "two lengths", "escape", "long key", "tls", "http 2"],
)
def test_requests_that_are_wrong(patient: ServerProcess, text: bytes, status: int) -> None:
    """Each is refused with its status, and the server goes on."""
    with raw(patient) as line:
        line.sendall(text)
        answered = everything(line)
    assert answered.startswith(b"HTTP/1.1 %d " % status), answered[:200]
    with calling(patient) as caller:
        assert caller.value("none") is None


def test_pipelined_requests_wait_for_their_turn(patient: ServerProcess) -> None:
    """Many requests sent at once over one connection are answered in order, one at a time."""
    with calling(patient) as caller:
        count = 200
        body = json.dumps({"operations": [{"op": "append", "key": "a", "value": "x"}]}).encode()
        request = (
            b"POST /v1/transaction HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        )
        last = b"GET /v1/keys/a HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        with raw(patient) as line:
            line.sendall(request * count + last)
            answered = everything(line)
        assert answered.count(b"HTTP/1.1 200 OK") == count + 1
        assert b'"value":"%s"' % (b"x" * count) in answered.rpartition(b"HTTP/1.1")[2]
        assert caller.value("a") == "x" * count


def test_too_many_connections(tmp_path: Path) -> None:
    """Connections beyond the limit are closed; those there are go on, and others come after."""
    with gateway(tmp_path / "data", "--set", "limits.http_connections=2") as server:
        with calling(server) as first, calling(server) as second:
            assert first.value("a") is None
            assert second.value("a") is None
            with raw(server) as third, suppress(ConnectionError):
                assert everything(third) == b""
            assert first.value("a") is None
        with calling(server) as later:
            play(until(lambda: _is_served(later)))


def _is_served(caller: Caller) -> bool:
    try:
        return caller.ask("GET", "/now").status == 200
    except (OSError, http.client.HTTPException):
        caller.close()
        return False


def test_who_hangs_up_leaves_nothing(tmp_path: Path) -> None:
    """A caller that waits for a change and goes away takes its watch along."""
    words = ("--set", "limits.watches=1")
    with gateway(tmp_path / "data", *words) as server, calling(server) as caller:
        seen = caller.done("GET", "/now")["timestamp"]
        asked = {"keys": ["a"], "seen": seen, "timeout_ms": 60_000}
        body = json.dumps(asked).encode()

        def status() -> int:
            return caller.ask("POST", "/watch", {**asked, "timeout_ms": 1}).status

        with raw(server) as line:
            line.sendall(
                b"POST /v1/watch HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%s" % (len(body), body)
            )
            # Before it is there, another one would keep it out.
            play(until(lambda: server.metric("fastness_cache_entries") > 0))
            assert status() == 503
        play(until(lambda: status() == 200))


def test_no_gateway_unless_asked_for(tmp_path: Path) -> None:
    """Nothing listens for HTTP where nobody wants it."""
    with serving(tmp_path / "data", served="memory:") as server:
        assert server.told["gateway"] == ""
