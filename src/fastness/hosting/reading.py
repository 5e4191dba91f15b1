"""Snapshot reads of one range without any lock, and the timestamps they read at.

A read timestamp is `visible`: everything at or below it is durable and applied, nothing above
it is ever shown. It rises when a batch is durable, and with the clock while no batch is being
written. That is strictly serializable: whatever was acknowledged before a transaction began
is at or below the timestamp it is given, and a batch that is being written becomes visible
whole, after it is durable and before it is acknowledged.

`applying` is raised before a batch reaches the store. A reader that finds a newest cell at or
below its timestamp is done; one that finds something newer, or nothing at all while
`applying` or the prune horizon is above its timestamp, asks the store for its moment.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random
from threading import Lock

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import DatabaseClosed, FastnessError, SnapshotTooOld, StoreReadOnly
from fastness.hosting.marks import CEILING_MARK, RANGE_ID
from fastness.hosting.served import require_whole
from fastness.limits import Limits
from fastness.placement import TimestampOracle
from fastness.ranges import Range
from fastness.runtime import Clock
from fastness.runtime.interrupts import InterruptsDeferred
from fastness.storage.contract import Item, RangeState, Store

_log = logging.getLogger("fastness.hosting")


class SnapshotReads:
    """The reading half of a host; see the module's page. Thread-safe."""

    def __init__(
        self, store: Store, *, limits: Limits, clock: Clock, random: Random, read_only: bool = False
    ) -> None:
        """Open the range in `store` at the next epoch; `read_only` inspects it, as of now."""
        self.store = store
        self.limits = limits
        self.clock = clock
        self.random = random
        self.newest: Callable[[bytes], bytes | None] = store.newest
        self._wall_ms = clock.wall_ms
        self._mutex = Lock()
        self._store_lock = Lock()
        self._failure: FastnessError | None = None
        self._oracle = self._start_oracle(read_only=read_only)
        state = self._open_range(read_only=read_only)
        start = self._oracle.now() if read_only else self._oracle.issued
        self.prune_horizon = state.prune_horizon
        self._range = Range(state, visible=start, limits=limits)
        self.visible: Timestamp = start
        self.applying: Timestamp = start

    def _open_range(self, *, read_only: bool) -> RangeState:
        store = self.store
        require_whole(store, RANGE_ID)
        epoch = store.range_epoch(RANGE_ID)
        if not read_only:
            return store.open_range(RANGE_ID, epoch + 1)
        self._failure = StoreReadOnly(
            "the database is open for inspection only: open it without read_only=True to write"
        )
        return RangeState(RANGE_ID, epoch, 0, store.applied, store.prune_horizon(RANGE_ID))

    def _start_oracle(self, *, read_only: bool) -> TimestampOracle:
        mark = self.store.state(CEILING_MARK)
        ceiling = int.from_bytes(mark, "big") if mark else 0
        oracle = TimestampOracle(
            start=max(ceiling, self.store.applied),
            ceiling=ceiling,
            wall_ms=self.clock.wall_ms(),
            boot_ns=self.clock.boot_ns(),
            ceiling_ms_ahead=self.limits.ceiling_ms,
        )
        if not read_only:
            self._record_ceiling(oracle, oracle.ceiling_wanted())
        return oracle

    # ------------------------------------------------------------------ reads

    def read_timestamp(self) -> Timestamp:
        """A timestamp at or above everything acknowledged so far, nothing undurable below it."""
        visible = self.visible
        if self._wall_ms() << 18 <= visible:
            return visible
        return self._advance()

    def _advance(self) -> Timestamp:
        """Let the visible timestamp follow the clock, unless a batch is being written."""
        with self._mutex:
            self._refuse_if_ended()
            if not self._range.writing and self._failure is None:
                oracle = self._oracle
                oracle.observe(self._wall_ms(), self.clock.boot_ns())
                issued = oracle.issue(1)
                if issued is None and self._raise_ceiling():
                    issued = oracle.issue(1)
                if issued is not None:
                    self._range.visible = self.visible = issued
            return self.visible

    def _raise_ceiling(self) -> bool:
        """Raise it for a reader. Where the store refuses, reads go on at the last timestamp."""
        try:
            # A store that is torn away from a write closes itself.
            with InterruptsDeferred():
                self._record_ceiling(self._oracle, self._oracle.ceiling_wanted())
        except FastnessError as error:
            self._failure = error
            _log.error("writes are refused from now on: %s", error)
            return False
        return True

    def _record_ceiling(self, oracle: TimestampOracle, ceiling: Timestamp) -> None:
        with self._store_lock:
            self.store.record({CEILING_MARK: ceiling.to_bytes(8, "big")})
        oracle.raise_ceiling(ceiling)

    def failure(self, error: Exception) -> FastnessError:
        """What an exception that `newest` let through means to the caller."""
        if isinstance(self._failure, DatabaseClosed):
            return DatabaseClosed(str(self._failure))
        return self.store.failure(error)

    def cell_at(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell a reader at `at` is to see; `SnapshotTooOld` below the horizon.

        The horizon is looked at after the store was read: it rises before anything is removed.
        """
        if self._failure is not None:
            self._refuse_if_ended()
        cell = self.store.get(key, at)
        self._refuse_if_pruned(at)
        return cell

    def scan(
        self, interval: KeyInterval, at: Timestamp, limit: int, *, reverse: bool
    ) -> list[Item]:
        """The first `limit` entries of the interval as of `at`, with their cells.

        The newest entries are the right ones unless something in the interval was written
        above `at`, or what had not expired at `at` was pruned. `applying` and the horizon are
        read after them, and rise before a batch is applied and anything is pruned: nothing
        whose effect they show is missed.
        """
        if self._failure is not None:
            self._refuse_if_ended()
        items = self.store.scan_newest(interval, limit=limit, reverse=reverse)
        self._refuse_if_pruned(at)
        if self.applying > at:
            with self._mutex:
                touched = self._failure is not None or self._range.touches(interval, at)
            if touched:
                items = self.store.scan(interval, at=at, limit=limit, reverse=reverse)
                self._refuse_if_pruned(at)
        return items

    def _refuse_if_pruned(self, at: Timestamp) -> None:
        if at < self.prune_horizon:
            raise SnapshotTooOld(
                f"a snapshot at {at} lies below the retained window, which begins at "
                f"{self.prune_horizon}: read at a newer timestamp, or raise limits.retention_ms"
            )

    def _refuse_if_closed(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure)) from self._failure

    def _refuse_reads(self) -> None:
        """Let no reader begin: `visible` is put below every clock, so that each asks first."""
        self.visible = 0
        self.newest = self._refuse_read

    def _refuse_read(self, _key: bytes) -> bytes | None:
        self._refuse_if_closed()
        return None

    def _refuse_if_ended(self) -> None:
        """Reads go on after a failed write, as far as the store lets them; not after a close."""
        if isinstance(self._failure, DatabaseClosed):
            self._refuse_if_closed()
