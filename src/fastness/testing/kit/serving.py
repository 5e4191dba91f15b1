"""A real server process for tests: started as a user starts it, on what is free, and ended by pid.

It serves memory unless told otherwise, so it is as fast as a server can be and leaves nothing.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from fastness.errors import DeadlineExceeded, Unreachable

START_SECONDS = 60.0
"""How long it may take to begin: machines that run tests are busy."""
STOP_SECONDS = 15.0
"""How long it may take to end by SIGTERM, before SIGKILL."""


def command(*words: object) -> list[str]:
    """The command line of `fastness`, of this interpreter."""
    return [sys.executable, "-m", "fastness.cli", *map(str, words)]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a server runs in: what can be imported here, and no settings of the tester's own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FASTNESS_") or name == "FASTNESS_EXPENSIVE_CHECKS"
    }
    return {**inherited, "PYTHONPATH": os.pathsep.join(sys.path), **(extra or {})}


class ServerProcess:
    """One run of `fastness serve` at a Unix socket in a folder of its own.

    In a session of its own, so that Ctrl-C in the terminal ends the tests first, which then end
    it. Should nobody do that, the end of this process does.
    """

    def __init__(self, served: str = "memory:", *words: str) -> None:
        """What to serve (a directory, or "memory:"), and further words of the command line."""
        self._served = served
        self._words = words
        # The path of a socket must be short, which pytest's own folders are not everywhere.
        self._folder = Path(tempfile.mkdtemp(prefix="fastness-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients reach it: `fastness.open(url)`."""
        return f"fastness+unix://{self._folder / 's'}"

    @property
    def log_path(self) -> Path:
        """Where it writes its log; gone when it has ended."""
        return self._folder / "log"

    @property
    def pid(self) -> int:
        """Its process, 0 where it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> Self:
        """Begin to serve; returns once it does. Raises what it told where it cannot."""
        line = command(
            *("serve", self._served, "--unix", self._folder / "s", "--listen", "127.0.0.1:0"),
            *("--admin", "", "--json", *self._words),
        )
        atexit.register(self.stop)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                line,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )
        try:
            self._await_word(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def _await_word(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until it says that it serves."""
        pipe = process.stdout
        if pipe is None or not select.select([pipe], [], [], START_SECONDS)[0]:
            raise DeadlineExceeded(
                f"the server for tests was not ready after {START_SECONDS:.0f} s: "
                f"{self._last_words()}"
            )
        line = pipe.readline()
        if not line:
            raise Unreachable(
                f"the server for tests ended with {process.wait(STOP_SECONDS)}: "
                f"{self._last_words()}"
            )
        json.loads(line)

    def _last_words(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")[-2_000:]

    def stop(self) -> None:
        """End it, and remove its folder. Idempotent."""
        process = self._process
        if process is not None:
            with process:
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)
        # Last, so that whoever interrupts this has it done at the end of the process.
        atexit.unregister(self.stop)


__all__ = ["ServerProcess", "command", "environment"]
