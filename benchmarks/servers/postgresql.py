"""PostgreSQL with its defaults: `fsync` and `synchronous_commit` are on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import Server
from fastness.laptop.daemon import running
from fastness.laptop.postgres import new_postgres


@contextmanager
def postgresql(directory: Path) -> Iterator[Server]:
    """A fresh cluster, which trusts whoever connects from this machine."""
    server = new_postgres(directory / "postgresql")
    with running(server.daemon) as daemon:
        yield Server(server.port, daemon.pid)
