"""What the transactions of one cluster client share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import NoReturn

from fastness.client.cluster.background import Background
from fastness.client.cluster.caching import CachedReads
from fastness.client.cluster.calls import Calls
from fastness.client.cluster.commits import Commits
from fastness.client.cluster.reads import Reader
from fastness.client.cluster.routing import Routes
from fastness.client.cluster.timestamps import Timestamps
from fastness.client.cluster.watching import Watches
from fastness.client.freshness import AtLeast, Freshness, Within
from fastness.encoding.timestamps import Timestamp
from fastness.errors import DatabaseClosed, InvalidTimestamp, UsageError
from fastness.invariants import InvariantViolation
from fastness.limits import Limits
from fastness.runtime.process import Address, Process


class ClusterCore:
    """Calls, routes, timestamps, reads, cache, commits and watches of one client."""

    def __init__(
        self,
        process: Process,
        nodes: Sequence[Address],
        limits: Limits,
        background: Background,
        *,
        space: bytes = b"",
    ) -> None:
        """`space` is put before every key: all that this client can reach begins with it."""
        self.limits = limits
        self.random: Random = process.random
        self.calls = Calls(process, limits)
        self.routes = Routes(self.calls, nodes, limits)
        self.timestamps = Timestamps(self.calls, self.routes, limits)
        self.reader = Reader(self.calls, self.routes, self.timestamps, limits)
        self.cached = CachedReads(self.calls, self.routes, self.timestamps, self.reader, limits)
        self.commits = Commits(self.calls, self.routes, self.timestamps, self.cached, limits)
        self.watches = Watches(self.calls, self.cached, self.reader, background, limits)
        self.background = background
        self.space = space
        self.loop: asyncio.AbstractEventLoop | None = None
        """The only loop whose tasks may use this client; `None` where there is none."""

    async def moment(self, freshness: Freshness | None) -> Timestamp:
        """A timestamp to read at: drawn now, unless what is known is as fresh as is asked for."""
        if isinstance(freshness, Within) and self.timestamps.fresh_within(freshness.milliseconds):
            return self.calls.issued
        if isinstance(freshness, AtLeast):
            await self.require_issued(freshness.timestamp)
            # What a client knew that was idle for long may lie below the retained window.
            if self.timestamps.fresh_within(self.limits.retention_ms / 2):
                return self.calls.issued
        return await self.timestamps.read()

    async def require_issued(self, timestamp: Timestamp) -> None:
        """Refuse a timestamp that nobody can have been given."""
        if timestamp > self.calls.issued and timestamp > await self.timestamps.read():
            raise InvalidTimestamp(
                f"timestamp {timestamp} was never issued: the newest is {self.calls.issued}"
            )

    def close(self) -> None:
        """Stop: commits under way are left to be resolved by their ids. Idempotent."""
        self.commits.close()
        self.watches.end(DatabaseClosed("the client was closed: open the database again"))
        self.cached.near.void_all()
        self.calls.close()

    def disown(self) -> None:
        """This is a forked child: connections, leases and watches belong to the parent."""
        self.calls.disown()
        self.watches.disown()
        self.cached.near.void_all()

    def require_here(self) -> None:
        """Refuse tasks of another event loop, and threads without: nothing here is theirs."""
        if self.loop is not None and _running_loop() is not self.loop:
            self.calls.require_open()
            raise UsageError(
                "this AsyncDatabase belongs to another event loop: open one in each loop "
                "(fastness.open_async), or use a Database (fastness.open), which all threads share"
            )

    def outside(self, key: bytes) -> bytes:
        """A key of the user's as the nodes know it."""
        return self.space + key if self.space else key

    def inside(self, key: bytes) -> bytes:
        """A key as the nodes know it, as the user does."""
        return key[len(self.space) :] if self.space and key.startswith(self.space) else key

    def read_timestamp(self) -> Timestamp:
        """The newest timestamp known: what a transaction will read at is not below it."""
        return self.calls.issued

    def newest(self, _key: bytes) -> NoReturn:
        """Reads of a cluster are awaited; one that is not is a mistake of ours."""
        raise InvariantViolation("a transaction of a cluster was read without waiting")


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
