"""Redis, every write synced before it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers.processes import HOST, Server, free_port, listening, running
from benchmarks.servers.programs import redis_server, version_of


def redis_version() -> str:
    """Its version."""
    return version_of(redis_server(), r"v=(\d+\.\d+\.\d+)")


@contextmanager
def redis(directory: Path) -> Iterator[Server]:
    """A fresh server that keeps its log, and nothing else, below `directory`."""
    port = free_port()
    command: list[str | Path] = [
        redis_server(),
        *("--bind", HOST, "--port", str(port), "--dir", str(directory)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    ]
    with running(command, log=directory / "log", is_ready=listening(port)) as pid:
        yield Server(port, pid)
