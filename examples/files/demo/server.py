"""The server of the demo: `fastness serve`, as anybody starts it, killed and started again.

It serves the database that was loaded, at ports of this machine that were free, which it keeps
over its deaths, so that clients find it again. Its log goes to a folder that ends with it.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import ProxyHandler, build_opener

import msgspec

from examples.files.demo.metrics import Metrics
from fastness.invariants import present
from fastness.runtime.interrupts import InterruptsDeferred

START_S_MAX = 60.0
STOP_S_MAX = 30.0
SCRAPE_S_MAX = 10.0
ANY_PORT = "127.0.0.1:0"
LOG_SHOWN = 2000


class ServerFailed(Exception):
    """The server did not begin, or did not end, as it should; its last words are in the message."""


class _Told(msgspec.Struct):
    """What a server prints once it serves, of which more is said than is needed here."""

    urls: list[str]
    admin: str


class Server:
    """A server process, one after the other; none is left when the context ends."""

    def __init__(self, database: Path) -> None:
        """Of the database in this directory, which nobody else has open."""
        self._database = database
        self._folder = tempfile.TemporaryDirectory(prefix="fastness-demo-")
        self._log = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._listen = self._admin = ANY_PORT
        self.url = ""
        """Where clients reach it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def start(self) -> float:
        """Start a process and wait until it serves; how many seconds that took."""
        began = time.perf_counter()
        line = [sys.executable, "-m", "fastness.cli", "serve", str(self._database), "--json"]
        # An interrupt in between would leave a process that nobody knows of.
        with self._log.open("ab") as log, InterruptsDeferred():
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                [*line, "--listen", self._listen, "--admin", self._admin],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the demo, which ends its children itself.
            )
        told = self._first_word(self._process)
        self.url = told.urls[0]
        self._listen = self.url.partition("//")[2]
        self._admin = told.admin.partition("//")[2]
        return time.perf_counter() - began

    def _first_word(self, process: subprocess.Popen[bytes]) -> _Told:
        pipe = present(process.stdout, "stdout=PIPE gives a pipe")
        line = b""
        if select.select([pipe], [], [], START_S_MAX)[0]:
            line = pipe.readline()
        if not line:
            raise ServerFailed(f"the server did not begin to serve: {self._last_words()}")
        return msgspec.json.decode(line, type=_Told)

    def metrics(self) -> Metrics:
        """What it has counted since it started."""
        open_url = build_opener(ProxyHandler({})).open
        with open_url(f"http://{self._admin}/metrics", timeout=SCRAPE_S_MAX) as answer:
            return Metrics.of(answer.read().decode())

    def kill(self) -> None:
        """SIGKILL: it can neither finish nor say anything more."""
        process = present(self._process, "a server that is killed was started")
        with process:
            process.kill()

    def drain(self) -> None:
        """SIGTERM, and wait until it has ended well."""
        process = present(self._process, "a server that is drained was started")
        process.terminate()
        try:
            code = process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            code = None
        if code != 0:
            raise ServerFailed(f"the server ended by SIGTERM with {code}: {self._last_words()}")

    def _end(self) -> None:
        """Whatever state it is in: no process and no folder is left."""
        if self._process is not None:
            with self._process as process:
                process.kill()
        with contextlib.suppress(OSError):
            self._folder.cleanup()

    def _last_words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-LOG_SHOWN:]


def environment() -> dict[str, str]:
    """What children run in: what can be imported here, and no settings of the user's own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FASTNESS_")}
    return {**own, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
