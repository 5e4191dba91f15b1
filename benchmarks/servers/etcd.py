"""etcd, one member: it syncs its log before it acknowledges a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.servers import Server
from fastness.laptop.daemon import running
from fastness.laptop.etcd import etcd_members, etcd_places


@contextmanager
def etcd(directory: Path) -> Iterator[Server]:
    """A fresh member that leads itself."""
    (member,) = etcd_members(etcd_places(directory, 1))
    with running(member.daemon) as daemon:
        yield Server(member.place.client_port, daemon.pid)
