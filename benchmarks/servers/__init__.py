"""Servers as real processes: Fastness and its peers, each on a free port below one folder.

PostgreSQL and etcd are started as for a laptop's cluster (`fastness.laptop`), Redis and our own
server here. A server that cannot be had raises `ProgramMissing` with the reason, one that does not
come up `Unreachable` or `DeadlineExceeded`: `MISSING`, which the report then shows.
"""

from __future__ import annotations

from typing import NamedTuple

from fastness.errors import DeadlineExceeded, ProgramMissing, Unreachable

MISSING = (ProgramMissing, Unreachable, DeadlineExceeded)
"""A peer cannot be measured here; the text says why."""


class Server(NamedTuple):
    """A peer's server that is ready."""

    port: int
    pid: int
