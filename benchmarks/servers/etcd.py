"""etcd, one member: it syncs its log before it acknowledges a write."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

from benchmarks.servers.processes import HOST, Server, free_port, running
from benchmarks.servers.programs import etcd as etcd_program
from benchmarks.servers.programs import version_of

HEALTH_S = 2.0


def etcd_version() -> str:
    """Its version."""
    return version_of(etcd_program())


@contextmanager
def etcd(directory: Path) -> Iterator[Server]:
    """A fresh member that leads itself."""
    port = free_port()
    clients, peers = f"http://{HOST}:{port}", f"http://{HOST}:{free_port()}"
    command: list[str | Path] = [
        etcd_program(),
        *("--data-dir", str(directory / "member")),
        *("--listen-client-urls", clients, "--advertise-client-urls", clients),
        *("--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers),
        *("--initial-cluster", f"default={peers}", "--log-level", "error"),
    ]
    with running(command, log=directory / "log", is_ready=lambda: _is_healthy(clients)) as pid:
        yield Server(port, pid)


def _is_healthy(url: str) -> bool:
    """Whether it has elected itself; before that it answers with an error."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=HEALTH_S):  # noqa: S310 - our own URL
            return True
    except (URLError, OSError):
        return False
