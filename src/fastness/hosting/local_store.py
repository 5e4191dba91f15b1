"""A store of this machine as a node sees it: reads at once, writes on a thread of their own.

::

    loop                                       the store's thread
      read_at_once --> Store.get_many, scan      (never waits for a write)
      apply, ... ----> queue -----------------> takes all that is there, in order
                                                 Store.apply, apply, ..., one sync for all
      done(answer) <-- call_soon_threadsafe ---- told once durable

Batches of several ranges that wait together share one sync, as the commits of one range share
a batch. The interpreter lock is free during a sync, so the loop goes on.

**A commit on its own.** Where nothing else is under way and syncs are short, the loop carries a
batch of one commit out itself: two threads that wake each other cost more than such a sync (a
third of the latency of a commit, and up to a switch interval of the interpreter, 5 ms, at worst).
So the loop waits for the disk, but never while syncs take longer than `AT_ONCE_NS_MAX`.

**When the disk fails.** A store that met a failed write or sync closes itself, so that nothing
undurable is ever shown. It is opened again here, in this process: what was acknowledged is there,
what was in doubt is there or is not, as `settle` tells. From then on `refusal` says why nothing is
written: requests to write are answered with it, new commits refused, and reads go on. Now and then
a write is tried, and once one succeeds all goes on. Nobody needs to come and restart.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, NoReturn, Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    DatabaseClosed,
    DiskFull,
    FastnessError,
    StoreError,
    StoreReadOnly,
    StoreUnavailable,
    Unreachable,
)
from fastness.hosting.carrying import portion_in
from fastness.hosting.portions import Room, cells_within, entries_within
from fastness.hosting.remote import (
    StoreAnswer,
    StoreDrop,
    StorePortion,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.storage.contract import (
    Batch,
    Change,
    Item,
    Load,
    RangeState,
    Store,
    StoreSize,
)

GROUP_MAX = 256
"""Requests that share one sync at most."""

AT_ONCE_NS_MAX = 300_000
"""The loop waits for a sync itself only while they take no longer than this, of late."""
SYNCS_REMEMBERED = 8
"""Over about how many syncs what they take is averaged."""

PROBE_SECONDS = 0.25
PROBE_SECONDS_MAX = 4.0
"""Between two tries to write while writes are refused; twice as long after each that fails."""

_log = logging.getLogger("fastness.hosting")

UNBOUNDED = Room(1 << 62, 1 << 62)

Done = Callable[[Any], None]


class StoreWatch(Protocol):
    """Hears how long the store took, in nanoseconds. Called on one thread at a time."""

    def waited(self, nanoseconds: int) -> None:
        """A request waited for the thread."""
        ...

    def applied(self, nanoseconds: int) -> None:
        """A batch was applied, not yet durable, or failed to be."""
        ...

    def synced(self, nanoseconds: int) -> None:
        """What was applied was made durable, or failed to be."""
        ...


class _Unwatched:
    def waited(self, _nanoseconds: int) -> None:
        """Nobody wants to know."""

    def applied(self, _nanoseconds: int) -> None:
        """Nobody wants to know."""

    def synced(self, _nanoseconds: int) -> None:
        """Nobody wants to know."""


class _Job(NamedTuple):
    """Something to do with the store.

    What `writes` is not tried while writes are refused; `unsynced` work is told only after the
    next sync.
    """

    work: Callable[[Store], object]
    done: Done
    writes: bool
    unsynced: bool
    asked_ns: int


class LocalStore:
    """A `RemoteStore` over a `Store`; see the module's page. Made and used on one running loop."""

    def __init__(
        self,
        store: Store,
        *,
        reopen: Callable[[], Store] | None = None,
        watch: StoreWatch | None = None,
    ) -> None:
        """Own `store` from now on; `reopen` opens it again after it closed itself."""
        self.refusal: FastnessError | None = None
        """Why writes fail for now, as far as is known."""
        self._store = store
        self._reopen = reopen
        self._watch: StoreWatch = _Unwatched() if watch is None else watch
        self._away = False
        """Whether the store closed itself and is not open again yet."""
        self._closing = False
        self._probe_at = 0.0
        self._probe_pause = PROBE_SECONDS
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._under_way = 0
        """Jobs whose askers have not been told yet; counted on the loop alone."""
        self._sync_ns: float | None = None
        """What a sync takes of late, `None` before the first."""
        self._thread = Thread(target=self._run, name="fastness-store", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ reads

    def read_at_once(self, request: StoreRead) -> StoreAnswer:
        """The answer, now: nothing here waits for a write. Raises what a `read` is answered."""
        store, scan, at = self._store, request.scan, request.at
        room = request.room or UNBOUNDED
        entries: list[Item] = []
        cut = False
        try:
            cells, left = cells_within(store, request.keys, at, room.size)
            if scan is not None:
                left = max(0, left)
                entries, cut = entries_within(store, scan, at, Room(left, room.entries))
            range_id = request.range_id
            number, horizon = store.range_number(range_id), store.prune_horizon(range_id)
            return StoreAnswer(cells, entries, number, horizon, cut)
        except (StoreUnavailable, DatabaseClosed) as error:
            raise self._while_away(error) from error

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """Read as of `request.at`; answered in the loop's next turn."""
        answer: StoreAnswer | FastnessError
        try:
            answer = self.read_at_once(request)
        except FastnessError as error:
            answer = error
        self._loop.call_soon(done, answer)

    def _while_away(self, error: FastnessError) -> FastnessError:
        """What a reader is told that met a store which closed itself."""
        if self._closing or self._reopen is None:
            return error
        return Unreachable(f"the store is being opened again, as a write failed ({error})")

    def mark(self, name: str) -> bytes | None:
        """A mark of the store (`Store.state`)."""
        return self._store.state(name)

    def standing(self) -> tuple[str, Timestamp, StoreSize]:
        """Identity, newest commit and sizes now; raises what the store is unavailable for."""
        store = self._store
        return store.identity, store.applied, store.size()

    def range_epoch(self, range_id: int) -> int:
        """The highest epoch opened for a range, 0 for none."""
        return self._store.range_epoch(range_id)

    # ------------------------------------------------------- on the thread

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """Open a range at `epoch`, durably, and load its records."""
        self._do(lambda store: store.open_range(range_id, epoch), done)

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Write a batch atomically and durably. An error means in doubt: ask `settle`."""
        if len(batch.commits) == 1 and self._may_wait_here():
            self._apply_here(batch, done)
        else:
            self._do(lambda store: store.apply(batch), done, unsynced=True)

    def _may_wait_here(self) -> bool:
        """Whether the thread has nothing to do and a sync is a short wait."""
        return (
            not self._under_way
            and self._sync_ns is not None
            and self._sync_ns <= AT_ONCE_NS_MAX
            and self.refusal is None
            and not self._closing
        )

    def _apply_here(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Apply and sync on the loop; whatever fails is left to the thread, as if it had met it."""
        began_ns = time.monotonic_ns()
        try:
            self._store.apply(batch)
            applied_ns = time.monotonic_ns()
            self._store.sync()
        except Exception as error:  # noqa: BLE001 - the thread tells them apart
            self._do(partial(_raise, error), done)
            return
        synced_ns = time.monotonic_ns()
        self._watch.waited(0)
        self._watch.applied(applied_ns - began_ns)
        self._note_sync(synced_ns - applied_ns)
        self._loop.call_soon(done, None)

    def _note_sync(self, took_ns: int) -> None:
        self._watch.synced(took_ns)
        known_ns = took_ns if self._sync_ns is None else self._sync_ns
        self._sync_ns = known_ns + (took_ns - known_ns) / SYNCS_REMEMBERED

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """Whether that batch was applied; if not, it never will be."""
        self._do(lambda store: store.settle(range_id, epoch, number), done)

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """Prune one step; how many rows went."""
        range_id, epoch, interval, horizon, limit = (
            request.range_id,
            request.epoch,
            KeyInterval(*request.interval),
            request.horizon,
            request.limit,
        )
        self._do(lambda store: store.prune(range_id, interval, horizon, limit, epoch=epoch), done)

    def versions(
        self, request: StoreSelection, done: Callable[[StorePortion | FastnessError], None]
    ) -> None:
        """The versions of some keys, to be carried to another store."""

        def carried(store: Store) -> StorePortion:
            return portion_in(store, request)

        self._do(carried, done, writes=False)

    def load(self, load: Load, done: Callable[[FastnessError | None], None]) -> None:
        """Write versions to a range being built, durably."""
        self._do(lambda store: store.load(load), done, unsynced=True)

    def drop(self, request: StoreDrop, done: Callable[[int | FastnessError], None]) -> None:
        """Remove the next rows of an interval; how many went."""
        interval, epoch, limit = KeyInterval(*request.interval), request.epoch, request.limit
        self._do(lambda store: store.drop(request.range_id, epoch, interval, limit), done)

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """The first `limit` commits in (after, up_to], in commit order."""
        self._do(lambda store: store.changes(after, up_to, limit), done, writes=False)

    async def record(self, marks: dict[str, bytes | None]) -> None:
        """Write marks of the store, durably; raises where it did not take them."""
        written: asyncio.Future[FastnessError | None] = self._loop.create_future()

        def done(error: FastnessError | None) -> None:
            if not written.done():
                written.set_result(error)

        self._do(lambda store: store.record(marks), done)
        error = await written
        if error is not None:
            raise error

    async def close(self) -> None:
        """Finish what was asked for, then close the store. Idempotent."""
        self._closing = True
        if self._thread.is_alive():
            self._jobs.put(None)
            await self._loop.run_in_executor(None, self._thread.join)
        self._store.close()

    def _do(
        self,
        work: Callable[[Store], object],
        done: Done,
        *,
        writes: bool = True,
        unsynced: bool = False,
    ) -> None:
        if self._closing:
            error = DatabaseClosed("the store of this server was closed: start the server again")
            self._loop.call_soon(done, error)
        else:
            self._under_way += 1
            self._jobs.put(_Job(work, done, writes, unsynced, time.monotonic_ns()))

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        while True:
            group = self._group()
            ending = None in group
            jobs = [job for job in group if job is not None]
            if self.refusal is not None:
                self._probe()
            self._carry_out(jobs)
            if ending:
                return

    def _group(self) -> list[_Job | None]:
        """What waits, once anything does; nothing when it is time to probe."""
        group: list[_Job | None] = []
        try:
            group.append(self._jobs.get(timeout=None if self.refusal is None else PROBE_SECONDS))
            while len(group) < GROUP_MAX and group[-1] is not None:
                group.append(self._jobs.get_nowait())
        except Empty:
            pass
        return group

    def _carry_out(self, jobs: list[_Job]) -> None:
        unsynced: list[_Job] = []
        began_ns = time.monotonic_ns()
        for job in jobs:
            self._watch.waited(began_ns - job.asked_ns)
            refusal = self.refusal if job.writes else None
            answer = self._attempt(job.work) if refusal is None else refusal
            if job.unsynced:
                ended_ns = time.monotonic_ns()
                self._watch.applied(ended_ns - began_ns)
                began_ns = ended_ns
            if job.unsynced and not isinstance(answer, FastnessError):
                unsynced.append(job)
            else:
                self._tell(job.done, answer)
        if unsynced:
            began_ns = time.monotonic_ns()
            answer = self._attempt(lambda store: store.sync())
            self._note_sync(time.monotonic_ns() - began_ns)
            for job in unsynced:
                self._tell(job.done, answer)

    def _attempt(self, work: Callable[[Store], object]) -> object:
        """What work comes to; whatever fails, the thread goes on."""
        if self._away:
            return StoreUnavailable(f"the store is closed ({self.refusal})")
        try:
            return work(self._store)
        except StoreError as error:
            self._failed(error)
            return error
        except FastnessError as error:
            return error
        except Exception as error:  # noqa: BLE001 - its asker must hear of it, whatever it is
            _log.exception("the store's thread met a mistake of the program")
            return StoreUnavailable(f"the store could not be asked: {error!r}")

    def _tell(self, done: Done, answer: object) -> None:
        try:
            self._loop.call_soon_threadsafe(self._told, done, answer)
        except RuntimeError:
            _log.warning("the store had an answer after its loop was closed")

    def _told(self, done: Done, answer: object) -> None:
        self._under_way -= 1
        done(answer)

    # --------------------------------------------------- failing, recovering

    def _failed(self, error: StoreError) -> None:
        """Note why nothing is written, and have the store opened again if it closed itself."""
        if self._away or not isinstance(error, DiskFull | StoreReadOnly | StoreUnavailable):
            return
        if self.refusal is None:
            _log.error("writes are refused from now on: %s", error)
            # It may have been once only: the first try comes with the next request.
            self._probe_at = 0.0
        self.refusal = error
        try:
            self._store.range_epoch(0)
        except FastnessError:
            self._away = True
            self._recover()

    def _recover(self) -> None:
        """Open the store again; what fails is tried again with the next probe."""
        if self._reopen is None:
            return
        try:
            self._store.close()
            self._store = self._reopen()
        except FastnessError as error:
            _log.error("the store could not be opened again: %s", error)
            self.refusal = error
        else:
            self._away = False
            _log.warning("the store was opened again: reads go on")

    def _probe(self) -> None:
        """See whether writes succeed again."""
        if time.monotonic() < self._probe_at:
            return
        self._probe_pause = min(2 * self._probe_pause, PROBE_SECONDS_MAX)
        self._probe_at = time.monotonic() + self._probe_pause
        if self._away:
            self._recover()
        if not self._away and self._attempt(lambda store: store.record({})) is None:
            self.refusal = None
            self._probe_pause = PROBE_SECONDS
            _log.warning("writes go on")


def _raise(error: Exception, _store: Store) -> NoReturn:
    raise error
