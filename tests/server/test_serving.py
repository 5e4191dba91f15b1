"""A real server: it serves, tells how it is, drains, and is there again after it was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import fastness
from fastness import AsyncDatabase
from fastness.errors import DeadlineExceeded, FastnessError
from fastness.testing import ListAppendWorkload, run_workload_async
from tests.server.processes import (
    LIMITS,
    PATIENCE_SECONDS,
    ServerProcess,
    connected,
    play,
    serving,
    until,
    until_turned,
)

KILLS = 3

Body = Callable[[Any], Awaitable[None]]
"""Of a transaction of a workload."""

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def test_serving_tcp_and_a_unix_socket(tmp_path: Path) -> None:
    """Clients of both see each other's commits; SIGTERM ends with 0, and leaves a database."""
    unix = tmp_path / "socket"
    with serving(tmp_path / "data", "--unix", unix) as server:

        async def scenario() -> None:
            async with (
                connected(server) as tcp,
                connected(server, url=server.told["urls"][1]) as local,
            ):
                await tcp.set(b"greeting", b"hello")
                assert await local.get(b"greeting") == b"hello"

        play(scenario())
        assert server.told["connect"] == f'fastness.open("{server.told["urls"][0]}")'
        assert unix.stat().st_mode & 0o777 == 0o600
        assert server.end() == 0
        assert [line["event"] for line in server.log if line["event"] in {"ready", "stopped"}] == [
            "ready",
            "stopped",
        ]
        assert server.events("stopped")[0]["drained"] is True
    assert not unix.exists()
    with fastness.open(f"file:{tmp_path / 'data'}") as database:
        assert database.get(b"greeting") == b"hello"


def test_what_an_operator_asks(tmp_path: Path) -> None:
    """Health, readiness, figures and status, while clients work."""
    with serving(tmp_path / "data", "--set", "log.slow_ms=1") as server:

        async def scenario() -> None:
            async with connected(server) as client:
                for number in range(20):
                    await client.set(b"k%d" % number, b"v")
                    assert await client.get(b"k%d" % number) == b"v"
                await asyncio.to_thread(_look, server)

        play(scenario())


def _look(server: ServerProcess) -> None:
    assert server.get("/healthz").document == {"status": "ok"}
    assert server.get("/readyz").document == {"status": "ready"}
    assert server.get("/nothing").status == 404
    assert server.get("/status", method="POST").status == 405
    assert server.metric('fastness_request_seconds_count{request="commit"}') >= 20
    assert server.metric('fastness_request_seconds_count{request="read"}') >= 20
    assert server.metric("fastness_store_sync_seconds_count") >= 20
    assert server.metric('fastness_token_connections{token="everybody"}') == 1
    assert server.metric("fastness_transport_connections") == 1
    assert server.metric("fastness_ready") == 1
    status = server.get("/status").document
    assert status["status"] == "ready"
    assert status["sessions"][0]["agent"].startswith("fastness")
    assert status["tokens"][0]["requests"] >= 40
    (served,) = status["ranges"]
    assert served["begin"] == "b''"
    assert served["epoch"] >= 1
    assert served["lease_ms"] > 0
    assert (status["session"], status["oracle"]) == ("serving", True)
    assert [store["name"] for store in status["stores"]] == ["local"]
    assert status["store"]["newest_keys"] >= 20


def test_slow_requests_are_logged(tmp_path: Path) -> None:
    """A request above the threshold is a line with what it was."""
    with serving(tmp_path / "data", "--set", "log.slow_ms=1") as server:

        async def scenario() -> None:
            async with connected(server) as client:
                while not server.events("slow request"):
                    for _ in range(10):
                        await client.set(b"slow", os.urandom(500_000))

        play(scenario())
        (line, *_) = server.events("slow request")
        assert line["request"] == "commit"
        assert line["milliseconds"] >= 1
        assert line["first"] == "b'slow'"
        assert line["operations"] == 1


def test_serving_memory() -> None:
    """A database without a directory, for trying and for tests."""
    with TemporaryDirectory() as folder, serving(Path(folder) / "log", served="memory:") as server:

        async def scenario() -> None:
            async with connected(server) as client:
                await client.set(b"a", b"1")
                assert await client.get(b"a") == b"1"

        play(scenario())
        assert server.get("/status").document["directory"] == "memory:"
        assert server.end() == 0
        assert [path.name for path in Path(folder).iterdir()] == ["log.log"]


class Workers:
    """Clients that write as fast as they can until they fail or are told to stop."""

    def __init__(self) -> None:
        self.acknowledged: dict[bytes, bytes] = {}
        self.errors: list[FastnessError] = []
        self.is_over = False
        self.commits = 0

    async def work(self, client: AsyncDatabase, name: int) -> None:
        """Write keys of one's own, each time another value."""
        number = 0
        while not self.is_over:
            key, value = b"%d/%d" % (name, number % 50), b"%d" % number
            try:
                await client.set(key, value)
            except FastnessError as error:
                self.errors.append(error)
                return
            self.acknowledged[key] = value
            self.commits += 1
            number += 1

    def start(self, *clients: AsyncDatabase) -> list[asyncio.Task[None]]:
        """Four for each client."""
        return [
            asyncio.create_task(self.work(client, 4 * place + name))
            for place, client in enumerate(clients)
            for name in range(4)
        ]

    def require_kept(self, directory: Path) -> None:
        """Everything acknowledged is there."""
        with fastness.open(f"file:{directory}", read_only=True) as database:
            found = {key: database.get(key) for key in self.acknowledged}
        assert found == self.acknowledged


def test_draining_with_clients_at_work(tmp_path: Path) -> None:
    """Clients of a server that is drained are told that nothing was done, and lose nothing."""
    limits = replace(LIMITS, operation_ms=1_000, commit_ms=1_000, retry_ms=1_000)
    workers = Workers()
    with serving(tmp_path / "data") as server:

        async def scenario() -> None:
            async with (
                connected(server, limits=limits) as one,
                connected(server, limits=limits) as other,
            ):
                working = workers.start(one, other)
                await until(lambda: workers.commits > 200)
                server.send(signal.SIGTERM)
                await asyncio.gather(*working)

        play(scenario())
        assert server.process.wait(PATIENCE_SECONDS) == 0
        assert server.events("stopped")[0]["drained"] is True
    assert len(workers.errors) == 8
    for error in workers.errors:
        assert error.retryable or isinstance(error, DeadlineExceeded), error
    workers.require_kept(tmp_path / "data")


def test_restarting_with_clients_at_work(tmp_path: Path) -> None:
    """Clients of a server that is drained and started again notice a pause, and no error."""
    workers = Workers()
    directory = tmp_path / "data"
    with ExitStack() as servers:
        server = servers.enter_context(serving(directory))
        place = f"127.0.0.1:{server.port}"

        async def scenario() -> None:
            async with connected(server) as one, connected(server) as other:
                working = workers.start(one, other)
                await until(lambda: workers.commits > 200)
                assert await asyncio.to_thread(server.end) == 0
                await asyncio.to_thread(servers.enter_context, serving(directory, listen=place))
                before = workers.commits
                await until(lambda: workers.commits > before + 200)
                workers.is_over = True
                await asyncio.gather(*working)

        play(scenario())
    assert workers.errors == []
    workers.require_kept(directory)


def test_killed_in_the_middle_of_commits(tmp_path: Path) -> None:
    """Killed and started again, thrice: the clients wait it out, each commit counts once."""
    workload = ListAppendWorkload(seed=4, processes=8, transactions=60)
    directory = tmp_path / "data"
    with ExitStack() as servers:
        server = servers.enter_context(serving(directory))
        play(_work_and_kill(workload, server, servers, directory))


async def _work_and_kill(
    workload: ListAppendWorkload, server: ServerProcess, servers: ExitStack, directory: Path
) -> None:
    place = f"127.0.0.1:{server.port}"
    acknowledged = 0
    async with connected(server) as client:

        async def transact(body: Body) -> None:
            nonlocal acknowledged
            await client.run(body)
            acknowledged += 1

        working = asyncio.create_task(run_workload_async(workload, transact))
        for kill in range(1, KILLS + 1):
            while acknowledged < kill * 80 and not working.done():
                await until_turned()
            await asyncio.to_thread(server.end, signal.SIGKILL)
            assert server.process.returncode == -signal.SIGKILL
            again = serving(directory, listen=place)
            server = await asyncio.to_thread(servers.enter_context, again)
        history = await working
    report = workload.check(history)
    report.require_ok()
    assert acknowledged > KILLS * 80


def test_told_twice_to_stop(tmp_path: Path) -> None:
    """A second signal ends a drain at once, with the code of one who was terminated."""
    with serving(tmp_path / "data") as server:

        async def scenario() -> None:
            async with connected(server) as client:
                await client.set(b"kept", b"1")

        play(scenario())
        # Both are there when it wakes.
        for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGINT, signal.SIGCONT):
            server.send(number)
        assert server.process.wait(PATIENCE_SECONDS) == 143
        assert server.events("stopped")[0]["drained"] is False
    with fastness.open(f"file:{tmp_path / 'data'}") as database:
        assert database.get(b"kept") == b"1"


def test_word_to_systemd(tmp_path: Path) -> None:
    """Ready, alive, reloading, ready again, stopping."""
    place = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(str(place))
        line.settimeout(PATIENCE_SECONDS)
        extra = {"NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "200000"}
        with serving(tmp_path / "data", extra=extra) as server:
            heard = [line.recv(1_000) for _ in range(4)]
            assert b"WATCHDOG=1" in heard
            ready = [one for one in heard if one.startswith(b"READY=1\n")]
            assert str(tmp_path / "data").encode() in ready[0]
            server.send(signal.SIGHUP)
            _hear(line, b"RELOADING=1\nMONOTONIC_USEC=")
            _hear(line, b"READY=1\n")
            server.send(signal.SIGTERM)
            _hear(line, b"STOPPING=1\n")
            assert server.process.wait(PATIENCE_SECONDS) == 0


def _hear(line: socket.socket, begin: bytes) -> None:
    """Until such a notification comes."""
    while not line.recv(1_000).startswith(begin):
        pass
