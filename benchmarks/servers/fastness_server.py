"""`fastness serve` in a child process, as a user starts it: nothing is tuned for the run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fastness.invariants import present
from fastness.laptop.daemon import Daemon, running
from fastness.laptop.ports import HOST
from fastness.laptop.programs import importable


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """What the server announced, as far as it is of interest here."""

    urls: list[str]
    admin: str
    pid: int

    @property
    def url(self) -> str:
        """For clients."""
        return self.urls[0]


@contextmanager
def fastness_server(directory: Path, database: Path | None = None) -> Iterator[Serving]:
    """A server of a fresh database, or of the one at `database`."""
    anywhere = ("--listen", f"{HOST}:0", "--admin", f"{HOST}:0")
    command: list[str | Path] = [
        *(sys.executable, "-m", "fastness.cli", "serve"),
        (database or directory / "database").resolve(),
        *(*anywhere, "--json", "--set", "log.level=error"),
    ]
    log = directory / "log"
    log.unlink(missing_ok=True)
    server = Daemon(
        "fastness",
        command,
        directory,
        is_ready=lambda: _announced(log) is not None,
        environment=importable(),
    )
    with running(server):
        yield present(_announced(log), "a server that is ready has said so")


def _announced(log: Path) -> Serving | None:
    """What it printed once it was ready; lines of its log may stand around it."""
    for line in log.read_bytes().splitlines(keepends=True):
        if line.startswith(b'{"directory"') and line.endswith(b"\n"):
            return msgspec.json.decode(line, type=Serving)
    return None
