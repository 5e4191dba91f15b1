"""A cluster behind the synchronous face of a database; see `client.backing.Backing`.

The very code of the asynchronous client, driven in the calling threads over a process without an
event loop. What a thread does in it, it does alone, until it waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from fastness.client.cache_audit import CacheAudit
from fastness.client.cluster.access import Access
from fastness.client.cluster.attempts import Course
from fastness.client.cluster.background import Pumped, PumpedProcess
from fastness.client.cluster.backing import ClusterBacking
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.transaction import BlockingTransaction
from fastness.client.embedded import Embedded
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import Freshness
from fastness.client.transaction import Transaction
from fastness.encoding.intervals import USER_END
from fastness.encoding.timestamps import Timestamp
from fastness.errors import DatabaseClosed, FastnessError
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf
from fastness.runtime.forking import own
from fastness.runtime.process import Address


class BlockingBacking:
    """One client of a cluster, for the threads of this process."""

    def __init__(
        self,
        process: PumpedProcess,
        nodes: Sequence[Address],
        limits: Limits,
        access: Access,
    ) -> None:
        """Own `process` from now on. To be made inside `process.drive`."""
        self._process = process
        self._background = Pumped(process)
        self.core = ClusterCore(process, nodes, limits, self._background, space=access.space)
        # Leases oblige to answer while nobody waits for anything.
        self.core.watches.keep_leases()
        self._cluster = ClusterBacking(self.core, access)
        self._drive = process.drive
        self._near = self.core.cached.near
        self.url = access.url
        self.limits = limits
        own(self.core)

    @property
    def embedded(self) -> Embedded:
        """There is none."""
        return self._cluster.embedded

    # ------------------------------------------------------------ transactions

    def begin(
        self,
        at: Timestamp | datetime | None = None,
        *,
        read_only: bool = False,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> BlockingTransaction:
        """A transaction, one attempt."""
        cluster = self._cluster
        return BlockingTransaction(
            self.core,
            self._drive,
            schema=cluster.schema,
            moment=cluster.moment(at, freshness),
            read_only=read_only or cluster.read_only,
            cache=cluster.caching if cache is None else cache,
        )

    def begin_attempt(self, priority: tuple[Timestamp, bytes] | None) -> BlockingTransaction:
        """One of several attempts."""
        cluster = self._cluster
        return BlockingTransaction(
            self.core,
            self._drive,
            schema=cluster.schema,
            read_only=cluster.read_only,
            priority=priority,
            cache=cluster.caching,
        )

    def attempts(self, timeout: float | None) -> BlockingAttempts:
        """The attempts of one function, `timeout` seconds at most."""
        return BlockingAttempts(self, Course(self._cluster.records, timeout), self._process)

    # ------------------------------------------------------------------- calls

    def get(self, key: bytes, cache: bool | None, freshness: Freshness | None) -> bytes | None:
        """The value of a key: one message, or none on a hit."""
        cluster = self._cluster
        caching = cluster.caching if cache is None else cache
        if caching and freshness is None and type(key) is bytes and key < USER_END:
            # A hit needs no other thread to stand still.
            entry = self._near.glance(self.core.space + key, self._process.clock.boot_ns())
            if entry is not None and not entry.expires:
                self._near.counts.hits += 1
                return None if entry.cell is None else entry.cell[8:]
        return self._drive(cluster.get(key, cache, freshness))

    def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        return self._drive(self._cluster.get_many(keys, cache, freshness))

    def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        return self._drive(self._cluster.use(classes))

    def build_indexes(self) -> dict[str, str]:
        """Build what is pending, here and now; problems by name."""
        return self._drive(self._cluster.build_indexes())

    def wait_until_readable(
        self, parts: Sequence[IndexOf[Any] | TotalOf[Any]], timeout: float | None
    ) -> bool:
        """Wait until these are built, by whomever, `timeout` seconds at most."""
        return self._drive(self._cluster.wait_until_readable(parts, timeout))

    def now(self) -> Timestamp:
        """A timestamp issued from now on."""
        return self._drive(self._cluster.now())

    def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        return self._drive(self._cluster.watch(key, seen, self._cancel))

    def _cancel(self, watch: Watch) -> None:
        async def cancel() -> None:
            self.core.watches.remove(watch)

        try:
            self._drive(cancel())
        except DatabaseClosed:
            # With the client every watch has ended.
            return

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not and never will."""
        return self._drive(self._cluster.outcome(transaction_id))

    def stat(self) -> DatabaseStat:
        """Figures of this client, and of the server: one message; raises as reads do."""
        return self._drive(self._cluster.stat())

    def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        return self._drive(self._cluster.audit_cache(entries))

    def close(self) -> None:
        """Stop: commits under way are left to be resolved by their ids. Idempotent."""
        try:
            self._drive(self._stop())
        except DatabaseClosed:
            return
        self._process.close()
        self._background.join()

    async def _stop(self) -> None:
        await self._cluster.close()
        await self._background.stop()


class BlockingAttempts:
    """For a thread; see `running.Attempts`."""

    def __init__(self, backing: BlockingBacking, course: Course, process: PumpedProcess) -> None:
        self._backing = backing
        self._course = course
        self._process = process

    def begin(self) -> BlockingTransaction:
        """The next attempt."""
        return self._backing.begin_attempt(self._course.priority)

    def failed(self, tx: Transaction, error: FastnessError) -> None:
        """Pause, or raise."""
        self._process.drive(self._course.failed(tx, error))

    def end(self) -> None:
        """Give up the turn, if there is one."""
        if self._course.has_turn:
            self._process.drive(self._end())

    async def _end(self) -> None:
        self._course.end()


__all__ = ["BlockingBacking"]
