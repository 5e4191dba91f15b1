"""PostgreSQL with its defaults: `fsync` and `synchronous_commit` are on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers.processes import HOST, Server, as_somebody, free_port, running
from benchmarks.servers.programs import Missing, postgresql_programs, version_of

USER = "benchmark"


def postgresql_version() -> str:
    """Its version."""
    return version_of(postgresql_programs() / "postgres")


@contextmanager
def postgresql(directory: Path) -> Iterator[Server]:
    """A fresh cluster, which trusts whoever connects from this machine."""
    programs, somebody, port = postgresql_programs(), as_somebody(), free_port()
    cluster = directory / "cluster"
    _initialize([*somebody, programs / "initdb", "-D", cluster])
    command: list[str | Path] = [
        *somebody,
        *(programs / "postgres", "-D", cluster, "-p", str(port)),
        *("-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories="),
    ]
    ready: list[str | Path] = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
    with running(
        command,
        log=directory / "log",
        is_ready=lambda: subprocess.run(ready, check=False).returncode == 0,
        # Ends open connections; SIGTERM would wait for them.
        stop_signal=signal.SIGINT,
    ) as pid:
        yield Server(port, pid)


def _initialize(command: list[str | Path]) -> None:
    options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-locale"]
    done = subprocess.run(
        [*command, *options, "--no-sync"], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise Missing(f"initdb failed: {done.stderr.strip()[-400:]}")
