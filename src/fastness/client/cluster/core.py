"""What the transactions of one cluster client share."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NoReturn

from fastness.client.cluster.caching import CachedReads
from fastness.client.cluster.calls import Calls
from fastness.client.cluster.commits import Commits
from fastness.client.cluster.reads import Reader
from fastness.client.cluster.routing import Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.encoding.timestamps import Timestamp
from fastness.invariants import InvariantViolation
from fastness.limits import Limits
from fastness.runtime.process import Address, Process


class ClusterCore:
    """Calls, routes, timestamps, reads, cache and commits of one client."""

    def __init__(self, process: Process, nodes: Sequence[Address], limits: Limits) -> None:
        self.limits = limits
        self.random: Random = process.random
        self.calls = Calls(process, limits)
        self.routes = Routes(self.calls, nodes, limits)
        self.timestamps = Timestamps(self.calls, self.routes, limits)
        self.reader = Reader(self.calls, self.routes, self.timestamps, limits)
        self.cached = CachedReads(self.calls, self.routes, self.timestamps, self.reader, limits)
        self.commits = Commits(self.calls, self.routes, self.timestamps, self.cached, limits)

    def read_timestamp(self) -> Timestamp:
        """The newest timestamp known: what a transaction will read at is not below it."""
        return self.calls.issued

    def newest(self, _key: bytes) -> NoReturn:
        """Reads of a cluster are awaited; one that is not is a mistake of ours."""
        raise InvariantViolation("a transaction of a cluster was read without waiting")
