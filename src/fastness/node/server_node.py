"""One server: a node, its store and its coordinator in one process.

::

    ServerNode
      Node                serves the wire protocol, as in a cluster           node.py
        LocalStore        one directory (or memory) of this machine           hosting/local_store.py
        LocalCoordinator  sessions, descriptors, the ceiling of timestamps    hosting/
      Process             how it is reached: sockets, or a local network      runtime, transport

The commit and read logic is the cluster's; only what lies below differs. A directory that an
embedded database wrote is served as it is, and one that was served opens embedded again, as
long as it has one range.

**After a crash** ranges are served at once: the directory's lock proves that the predecessor is
dead. Only its clients may still serve what they cached. So before the first cache lease of a
directory is granted its length is recorded, durably, and a server that finds such a record lets
that much time pass before its first commit; reads go on meanwhile. A drained server has ended
every lease, and takes the record away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Self

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.local_coordinator import LocalCoordinator
from fastness.hosting.local_store import LocalStore, StoreWatch
from fastness.hosting.marks import CACHES_MARK, RANGE_ID
from fastness.limits import Limits
from fastness.node.bootstrap import bootstrap
from fastness.node.counts import Counts
from fastness.node.gate import Gate
from fastness.node.leases import waited_ns
from fastness.node.node import Node
from fastness.node.waiting import pause
from fastness.placement.cluster_view import encode_counter
from fastness.runtime.process import Address, Process
from fastness.storage.contract import Store
from fastness.wire.figures import StoreFigures

STORE = "local"
"""The name of the store in descriptors."""

READY_POLL_MS = 5.0
READY_MS_MAX = 30_000
"""How long a start may take, a predecessor's cache leases included."""


class ServerNode:
    """See the module's page. Made, used and stopped on one running loop."""

    def __init__(
        self,
        process: Process,
        store: Store,
        limits: Limits,
        *,
        gate: Gate | None = None,
        reopen: Callable[[], Store] | None = None,
        watch: StoreWatch | None = None,
    ) -> None:
        """Own `store` from now on; `reopen` opens it again after it closed itself.

        `gate` stands before every request; without one everything is let in. `watch` hears how
        long the store takes.
        """
        # There is nobody to leave a range to.
        self._limits = replace(limits, claim_ms=1)
        self._process = process
        self._store = LocalStore(store, reopen=reopen, watch=watch)
        self._coordinator = LocalCoordinator(process, self._store)
        self._caches_recorded = False
        self._recording: asyncio.Task[None] | None = None
        self._drained = False
        self._stopped = False
        self.node = Node(
            process,
            self._coordinator,
            {STORE: self._store},
            self._limits,
            gate,
            may_cache=self._may_cache,
            rests_until_ns=self._rests_until_ns(),
            store_figures=self.store_figures,
        )

    def _rests_until_ns(self) -> int:
        """Until when clients of a predecessor may serve what they cached."""
        mark = self._store.mark(CACHES_MARK)
        if mark is None:
            return 0
        # It stays: what follows may grant more before anybody could take it away.
        self._caches_recorded = int.from_bytes(mark, "big") >= self._limits.cache_lease_ms
        return self._process.clock.boot_ns() + waited_ns(int.from_bytes(mark, "big"))

    @property
    def address(self) -> Address:
        """Where it is reached."""
        return self.node.address

    @property
    def counts(self) -> Counts:
        """What it has counted since it started."""
        return self.node.counts

    @property
    def is_ready(self) -> bool:
        """Whether it serves every range, commits included, and issues timestamps."""
        return not (self._drained or self._stopped) and self.node.is_serving_all

    def store_figures(self) -> StoreFigures | None:
        """What the store is and holds; `None` while it is being opened again."""
        try:
            identity, applied, size = self._store.standing()
        except FastnessError:
            return None
        return StoreFigures(
            identity=identity,
            applied=applied,
            batches=self.counts.batches,
            clock_jumps=self.node.clock_jumps,
            bytes_on_disk=size.bytes_on_disk,
            newest_keys=size.newest_keys,
            history_versions=size.history_versions,
            log_entries=size.log_entries,
        )

    @property
    def write_refusal(self) -> FastnessError | None:
        """Why its store takes no writes for now; reads go on."""
        return self._store.refusal

    async def start(self) -> None:
        """Serve; returns once it is ready. Raises what the store answers if it takes no writes."""
        await self._store.record({})
        await self._bootstrap()
        self.node.start()
        waited_ms = 0.0
        while not self.is_ready:
            if waited_ms > READY_MS_MAX:
                refusal = self._store.refusal
                raise Unreachable(
                    f"the server did not begin to serve within {READY_MS_MAX} ms"
                    + (f", as its store takes no writes: {refusal}" if refusal else "")
                )
            await pause(self._process, READY_POLL_MS)
            waited_ms += READY_POLL_MS

    async def _bootstrap(self) -> None:
        """One range of all keys, under the id that an embedded database gives its own."""
        epoch = self._store.range_epoch(RANGE_ID)
        await bootstrap(self._coordinator, [(b"", SYSTEM_END, STORE)], epoch=epoch)

    async def drain(self) -> None:
        """Finish what is under way, end every cache lease, and serve nothing new."""
        await self.node.drain()
        self._drained = True

    async def stop(self) -> None:
        """Serve nothing any more, close the store. After `drain` nothing is left for a successor.

        Idempotent. The process is the caller's to close.
        """
        if self._stopped:
            return
        self._stopped = True
        self.node.stop()
        try:
            if self._drained:
                await self._coordinator.lower_ceiling(self.node.issued)
                await self._record_caches(None)
        except FastnessError as error:
            # A successor starts above the ceiling and waits: correct, only not as soon.
            self._process.note(f"stopped without leaving word: {error}")
        finally:
            await self._store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    # ------------------------------------------------------------------ caches

    def _may_cache(self) -> bool:
        if not self._caches_recorded and (self._recording is None or self._recording.done()):
            self._recording = self._process.spawn(
                self._record_leases(), name="record of cache leases"
            )
        return self._caches_recorded

    async def _record_leases(self) -> None:
        try:
            await self._record_caches(self._limits.cache_lease_ms)
            self._caches_recorded = True
        except FastnessError as error:
            self._process.note(f"nothing is cached, as that cannot be recorded: {error}")

    async def _record_caches(self, lease_ms: int | None) -> None:
        mark = None if lease_ms is None else encode_counter(lease_ms)
        await self._store.record({CACHES_MARK: mark})
