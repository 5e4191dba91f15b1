"""Real server processes, started as a user starts them, and clients and raw requests to them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from email.message import Message
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import fastness
from fastness import AsyncDatabase
from fastness.limits import Limits
from fastness.runtime import SystemClock
from fastness.runtime.process import Address
from fastness.server.token_file import add_token
from fastness.server.tokens import Allowance, issue
from fastness.testing.kit.serving import command, environment
from fastness.transport.network import NetworkProcess
from fastness.wire.handshake import Role
from fastness.wire.messages import ANSWER, CALL, Body, decode_frame, encode_frame

PATIENCE_SECONDS = 90.0
"""How long anything may take before a test gives up: these machines are busy."""

LIMITS = replace(Limits(), operation_ms=30_000, commit_ms=30_000)
"""Of clients: they wait for a server that is being restarted."""

ANY_PORT = "127.0.0.1:0"


class Answered(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: Message
    text: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """It as JSON."""
        return json.loads(self.text)


class ServerProcess:
    """One run of `fastness serve`. Killed, if it still runs, when its block ends."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        """Made by `starting`."""
        self.process = process
        self.log_path = log

    @cached_property
    def told(self) -> dict[str, Any]:
        """What it said once it was ready; waits until then."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the server ended with {self.process.wait()}: {self.log_path.read_text()}"
        told: dict[str, Any] = json.loads(line)
        return told

    @property
    def seeds(self) -> list[Address]:
        """Its places, as clients dial them."""
        names = []
        for url in self.told["urls"]:
            scheme, _, rest = url.partition("://")
            names.append(f"unix:{rest}" if scheme == "fastness+unix" else rest)
        return names

    @property
    def port(self) -> str:
        """The port that was found free."""
        return self.seeds[0].rpartition(":")[2]

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, and wait for the exit code."""
        self.send(number)
        return self.process.wait(PATIENCE_SECONDS)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log so far."""
        text = self.log_path.read_text()
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        return [line for line in self.log if line["event"] == name]

    def get(self, path: str, *, token: str = "", method: str = "GET") -> Answered:
        """Ask the admin pages."""
        return get(self.told["admin"] + path, token=token, method=method)

    def metric(self, line: str) -> float:
        """The value of one series."""
        answer = self.get("/metrics")
        for found in answer.text.splitlines():
            name, _, value = found.rpartition(" ")
            if name == line:
                return float(value)
        raise AssertionError(f"no series {line}: {answer.status} {answer.text[:200]}")


def get(url: str, *, token: str = "", method: str = "GET") -> Answered:
    """Ask something over HTTP."""
    request = urllib.request.Request(url, method=method)  # noqa: S310 - http
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:  # noqa: S310 - http
            return Answered(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Answered(error.code, error.headers, error.read().decode())


@contextmanager
def serving(directory: Path, *words: object, **options: Any) -> Iterator[ServerProcess]:  # noqa: ANN401 - handed through
    """As `starting`, ready."""
    with starting(directory, *words, **options) as server:
        assert server.told["pid"] == server.process.pid
        yield server


@contextmanager
def starting(
    directory: Path,
    *words: object,
    listen: str = ANY_PORT,
    extra: Mapping[str, str] | None = None,
    served: str = "",
) -> Iterator[ServerProcess]:
    """A server over a directory, or over what `served` says, on free ports."""
    log = directory.with_name(f"{directory.name}.log")
    line = command(
        "serve", served or directory, "--listen", listen, "--admin", ANY_PORT, "--json", *words
    )
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=stderr, env=environment(extra)
        )
    with process:
        try:
            yield ServerProcess(process, log)
        finally:
            if process.poll() is None:
                process.kill()


def failing(*words: object, extra: Mapping[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """A server that must not start: its exit code, and the error it told."""
    ended = subprocess.run(
        command("serve", *words, "--json"),
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
        env=environment(extra),
    )
    assert ended.stdout == b""
    told: dict[str, Any] = json.loads(ended.stderr.splitlines()[-1])
    assert told["exit"] == ended.returncode
    return ended.returncode, told


@asynccontextmanager
async def connected(
    server: ServerProcess,
    *,
    token: str = "",
    limits: Limits = LIMITS,
    url: str = "",
    options: str = "",
) -> AsyncIterator[AsyncDatabase]:
    """A client of a server, over a connection of its own."""
    named = [f"token={token}"] if token else []
    query = "&".join([*named, options] if options else named)
    where = f"{url or server.told['urls'][0]}" + (f"?{query}" if query else "")
    async with await fastness.open_async(where, limits=limits) as database:
        yield database


class Asker:
    """Sends requests as they are, as a client could that keeps to no rules."""

    def __init__(self, process: NetworkProcess, node: Address) -> None:
        """Ask the node at an address."""
        self.process = process
        self.node = node
        self._number = 0
        self._open: dict[int, asyncio.Future[Body]] = {}
        process.listen(self._receive)

    def _receive(self, _sender: Address, data: bytes) -> None:
        frame = decode_frame(data)
        if frame.kind == ANSWER:
            self._open.pop(frame.number).set_result(frame.body)

    async def ask(self, body: Body) -> Body:
        """The answer to a request."""
        self._number += 1
        answer: asyncio.Future[Body] = self.process.future()
        self._open[self._number] = answer
        self.process.send(self.node, encode_frame(CALL, self._number, 0, body))
        return await answer


@asynccontextmanager
async def asking(server: ServerProcess, *, token: str = "") -> AsyncIterator[Asker]:
    """An `Asker` over a connection of its own."""
    process = NetworkProcess(limits=LIMITS, credential=token)
    try:
        node = await process.reach(server.seeds[0])
        yield Asker(process, node)
    finally:
        await process.close()


def play(scenario: Coroutine[Any, Any, None]) -> None:
    """Run a scenario on a loop of its own, with a bound."""

    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await scenario

    asyncio.run(bounded())


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; the scenario's own bound ends this."""
    while not holds():
        await until_turned()


async def until_turned() -> None:
    """Let everything else go on for a moment."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.02)


def issued(
    path: Path,
    name: str,
    *,
    role: Role = Role.READ_WRITE,
    key_space: bytes = b"",
    **limits: int,
) -> str:
    """A new token in a file."""
    token = issue(
        name=name,
        role=role,
        key_space=key_space,
        now_ms=SystemClock().wall_ms(),
        allowance=Allowance(**limits),
    )
    add_token(path, token)
    return token.credential
