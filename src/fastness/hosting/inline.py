"""Runs one range over a store that answers at once (memory, RocksDB), in this process.

Group commit without a thread of its own for synchronous callers: the first thread that
commits while nobody leads becomes the *leader*. It closes the open batch, writes and syncs it
(the interpreter lock is free during the sync, so others run and join the next batch), wakes
everybody whose commit it wrote, and hands leadership to a member of the next batch. A lone
writer never changes threads. Tasks never block their loop: a *committer* thread, started at
the first asynchronous commit, leads for them.

Reads are in `reading.py`, the reading half of the host.

Locks, taken in this order: `_mutex` guards the range, the oracle and who leads; `_store_lock`
lets one thread at a time write to the store.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from queue import SimpleQueue
from random import Random
from threading import Condition, Lock, Thread

from fastness.encoding.intervals import SYSTEM_END, KeyInterval, successor
from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import (
    DatabaseClosed,
    FastnessError,
    InvalidKey,
    InvalidTimestamp,
    StoreUnavailable,
)
from fastness.hosting.marks import CEILING_MARK, RANGE_ID
from fastness.hosting.reading import SnapshotReads
from fastness.hosting.validation import validate_in_store
from fastness.hosting.waiters import TaskWaiter, ThreadWaiter, wake_all
from fastness.hosting.watching import Watch, WatchTable
from fastness.invariants import check, present
from fastness.limits import Limits
from fastness.ranges import COMMITTED, FAILED, JOINED, Commit, CommitState, Reservation, Waiter
from fastness.ranges.shape import DECLARED_RECORD, encode_timestamp
from fastness.runtime import Clock
from fastness.runtime.forking import own
from fastness.runtime.interrupts import InterruptsDeferred
from fastness.storage import cells
from fastness.storage.contract import Batch, Store

EVERY_KEY = KeyInterval(b"", SYSTEM_END)

ABANDONED_MAX = 1_000
"""Interrupted commits whose outcome is remembered."""

_log = logging.getLogger("fastness.hosting")


@dataclass(slots=True)
class HostCounts:
    """What a host has done since it was opened."""

    commits: int = 0
    conflicts: int = 0
    batches: int = 0


class InlineHost(SnapshotReads):
    """The engine behind an embedded database; thread-safe, shared by all its transactions."""

    def __init__(
        self,
        store: Store,
        *,
        limits: Limits,
        clock: Clock,
        random: Random,
        durable: bool = True,
        read_only: bool = False,
    ) -> None:
        """Serve the range of `store`.

        `durable=False` acknowledges commits before they are synced (relaxed durability): a
        crash of the machine may then lose the newest ones, never their order. `read_only`
        serves reads of a store opened for inspection, as of now.
        """
        super().__init__(store, limits=limits, clock=clock, random=random, read_only=read_only)
        self.durable = durable
        self.counts = HostCounts()
        self.watches = WatchTable(limits)
        self._headroom = from_milliseconds(limits.ceiling_ms // 2)
        """A ceiling this near is raised along with the next batch."""
        self._pruning = False
        """Whether the last pruning step left more to remove."""
        self._leading = False
        self._idle = Condition(self._mutex)
        self._batch: Batch | None = None
        self._committer: SimpleQueue[str | None] = SimpleQueue()
        self._committer_thread: Thread | None = None
        self._abandoned: OrderedDict[bytes, Commit] = OrderedDict()
        own(self)

    def commit(self, commit: Commit) -> None:
        """Commit and wait until it is settled; the caller looks at `commit.state`."""
        waiter = ThreadWaiter(self._start_committer)
        commit.waiter = waiter
        try:
            with InterruptsDeferred():
                if self._submit(commit):
                    self._lead()
            while not commit.settled:
                waiter.sleep()
                if waiter.leads:
                    with InterruptsDeferred():
                        waiter.leads = False
                        self._lead()
        except BaseException:
            self._abandon(waiter)
            raise

    def _abandon(self, waiter: ThreadWaiter) -> None:
        """A thread is torn away: somebody else leads if it was to, or would be asked to."""
        with InterruptsDeferred(), self._mutex:
            waiter.gone = True
            if waiter.leads:
                self._start_committer()

    async def commit_async(self, commit: Commit) -> None:
        """As `commit`, for a task. Cancelling it leaves the commit under way."""
        waiter = TaskWaiter(self._start_committer)
        commit.waiter = waiter
        with InterruptsDeferred():
            if self._submit(commit):
                self._start_committer()
        if not commit.settled:
            await waiter.future

    def remember(self, commit: Commit) -> None:
        """Keep a commit nobody waits for any more, so that its outcome can be asked for."""
        with self._mutex:
            for known in self._abandoned.values():
                if known.settled:
                    known.forget_content()
            self._abandoned[commit.id] = commit
            while len(self._abandoned) > ABANDONED_MAX:
                self._abandoned.popitem(last=False)

    def outcome(self, identity: bytes) -> Commit | None:
        """The commit remembered under this id, settled or still under way."""
        with self._mutex:
            return self._abandoned.get(identity)

    def _submit(self, commit: Commit) -> bool:
        """Hand a commit to the range; whether the caller must now lead a batch."""
        while True:
            with self._mutex:
                self._refuse_if_closed()
                state = self._range.submit(commit)
                if state is JOINED:
                    if self._leading or self._range.writing:
                        return False
                    self._leading = True
                    return True
                through = self._range.visible
            if state is CommitState.NEEDS_STORE:
                validate_in_store(commit, self.store, through=through, horizon=self.prune_horizon)
                state = commit.state
                if state is not FAILED:
                    continue
            if state is FAILED:
                self.counts.conflicts += 1
            return False

    def _start_committer(self) -> None:
        """Let the committer thread lead; it is started when first needed."""
        if self._committer_thread is None:
            self._committer_thread = Thread(
                target=self._run_committer, name="fastness-committer", daemon=True
            )
            self._committer_thread.start()
        self._committer.put("lead")

    def _run_committer(self) -> None:
        while self._committer.get() is not None:
            self._lead()

    def _lead(self) -> None:
        """Write the open batch, then hand leadership on. Runs outside the mutex."""
        try:
            self._close_batch()
            self._write_batch()
            self._settle()
        except FastnessError as error:
            self._fail(error)
        except BaseException as error:
            # Whatever this is, nothing of the batch may be acknowledged.
            self._fail(StoreUnavailable(f"the database failed and closed itself: {error!r}"))
            raise

    def _close_batch(self) -> None:
        with self._mutex:
            oracle, owned = self._oracle, self._range
            oracle.observe(self._wall_ms(), self.clock.boot_ns())
            count = owned.open_count()
            ceiling = 0
            first = oracle.issue(count)
            if first is None or first + self._headroom > oracle.ceiling:
                # The ceiling rises in the same atomic write as the commits under it.
                ceiling = oracle.ceiling_wanted(count)
                oracle.raise_ceiling(ceiling)
            first = present(first or oracle.issue(count), "the ceiling was just raised")
            found = {key: self._newest_cell(key) for key in owned.atomic_keys()}
            batch = owned.close(first, found)
            if batch is None and ceiling:
                self._record_ceiling(oracle, ceiling)
            elif batch is not None and ceiling:
                batch.marks[CEILING_MARK] = ceiling.to_bytes(8, "big")
            declared = owned.frozen_declared() if batch is not None else 0
            if batch is not None and declared:
                # For transactions of a server's clients that are older than a restart.
                batch.records[DECLARED_RECORD] = encode_timestamp(declared)
            self.applying = first + count - 1
            self._batch = batch

    def _newest_cell(self, key: bytes) -> bytes | None:
        try:
            return self.newest(key)
        except FastnessError:
            raise
        except Exception as error:
            raise self.failure(error) from error

    def _write_batch(self) -> None:
        batch = self._batch
        if batch is not None:
            with self._store_lock:
                self.store.apply(batch)
            # A ceiling is durable before anything under it is told, relaxed or not.
            if self.durable or batch.marks:
                self.store.sync()

    def _settle(self) -> None:
        """The batch is durable: make it visible, hand leadership on, wake whoever is done."""
        batch = self._batch
        with self._mutex:
            # First: a committer that is still awake may see its commit settled at any moment
            # from here on, and begin again.
            self.visible = self.applying
            settled = self._range.applied()
            self._batch = None
            self.counts.batches += 1
            self._pass_leadership()
        if batch is not None and self.watches:
            self.watches.fire(batch)
        self._answer(settled)

    def _pass_leadership(self) -> None:
        """Under the mutex: let a member of the open batch lead, if there is one."""
        heir = self._range.first_member()
        self._leading = heir is not None
        if heir is None:
            self._idle.notify_all()
        elif heir.waiter is not None:
            heir.waiter.lead()

    def _answer(self, settled: list[Commit]) -> None:
        """Wake whoever is done; validate against the store whoever the range cannot."""
        counts = self.counts
        done: list[Waiter | None] = []
        for commit in settled:
            if commit.state is COMMITTED:
                counts.commits += 1
            elif commit.state is FAILED:
                counts.conflicts += 1
            elif not self._resubmit(commit):
                continue
            done.append(commit.waiter)
        wake_all(done)

    def _resubmit(self, commit: Commit) -> bool:
        """Validate a waiting commit against the store; whether it is settled now."""
        validate_in_store(commit, self.store, through=self.visible, horizon=self.prune_horizon)
        if commit.state is FAILED:
            self.counts.conflicts += 1
        else:
            try:
                if self._submit(commit) and commit.waiter is not None:
                    # Under the mutex: its thread may be torn away at this very moment.
                    with self._mutex:
                        commit.waiter.lead()
            except FastnessError as error:
                commit.fail(error)
        return commit.state is FAILED

    def _fail(self, error: FastnessError) -> None:
        """The store refused a batch: it is closed, and so is this host."""
        with self._mutex:
            self._failure = self._failure or error
            failed = self._range.fail_all(error)
            self._leading = False
            self._batch = None
            self._idle.notify_all()
        _log.error("the store failed, the database is closed: %s", error)
        wake_all(commit.waiter for commit in failed)
        self.watches.end(error)

    # ----------------------------------------------------- turns and upkeep

    def reserve(
        self,
        owner: tuple[Timestamp, bytes],
        keys: set[bytes],
        intervals: list[KeyInterval],
        *,
        milliseconds: int,
    ) -> Reservation:
        """Keep younger commits from writing these, for a bounded time."""
        reservation = Reservation(
            owner=owner,
            keys=keys,
            intervals=intervals,
            ends_ns=self.clock.boot_ns() + milliseconds * 1_000_000,
        )
        with self._mutex:
            self._refuse_if_closed()
            self._range.reservations.add(reservation)
        return reservation

    def release(self, reservation: Reservation) -> None:
        """Let whoever the reservation held back go on."""
        with InterruptsDeferred():
            with self._mutex:
                self._range.reservations.remove(reservation)
            self._release_waiting()

    def expire_reservations(self) -> None:
        """Drop reservations that ran out of time; the upkeep calls it again and again."""
        with self._mutex:
            ended = self._range.reservations.expire(self.clock.boot_ns())
        if ended:
            self._release_waiting()

    def _release_waiting(self) -> None:
        with self._mutex:
            self._range.released()
            settled = self._range.take_settled()
            if not self._leading:
                self._pass_leadership()
        self._answer(settled)

    def prune_step(self) -> int:
        """Remove a few versions that ended or expired before the retained window; how many."""
        # The oracle's time: the wall clock may jump ahead, and would take the window with it.
        retention_ms = self.limits.retention_ms
        horizon = self.read_timestamp() - from_milliseconds(retention_ms)
        if not self._pruning:
            # Raising the horizon costs a write: not for each second.
            least = self.prune_horizon + from_milliseconds(retention_ms // 100)
            if horizon < max(least, 0):
                return 0
        removed = self.prune_to(max(horizon, self.prune_horizon))
        self._pruning = removed > 0
        return removed

    def prune_to(self, horizon: Timestamp) -> int:
        """One pruning step up to `horizon`, at or below the visible timestamp."""
        check(horizon <= self.visible, f"horizon {horizon} is above {self.visible}")
        with self._store_lock:
            # Under the lock, or it could sink below what another step has removed.
            self.prune_horizon = max(self.prune_horizon, horizon)
            return self.store.prune(
                RANGE_ID, EVERY_KEY, self.prune_horizon, self.limits.prune_step_keys
            )

    def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """Watch a key for changes above `seen` (`None`: from now on).

        It is registered first and compared after, so a change in between is not missed.
        """
        self._refuse_if_closed()
        if type(key) is not bytes:
            raise InvalidKey(f"key {key!r} is {type(key).__name__}, not bytes: pack it first")
        if seen is not None and (type(seen) is not int or seen < 0):
            raise InvalidTimestamp(f"seen={seen!r} is no timestamp: give a read timestamp")
        since = self.read_timestamp() if seen is None else seen
        watch = self.watches.add(key)
        try:
            changed = self._changed_since(key, since)
        except FastnessError:
            self.watches.remove(watch)
            raise
        if changed:
            self.watches.remove(watch)
            watch.fire()
        return watch

    def _changed_since(self, key: bytes, since: Timestamp) -> bool:
        with self._mutex:
            self._refuse_if_closed()
            if self.visible <= since or not self._range.touches(
                KeyInterval(key, successor(key)), since
            ):
                return False
        # What had expired by `since` may be pruned between the two looks: nobody wrote it.
        now, then = self.store.get(key, self.visible), self.cell_at(key, since)
        return cells.lasting(now, since) != cells.lasting(then, since)

    @property
    def clock_jumps(self) -> int:
        """Forward jumps of the wall clock that were not followed."""
        return self._oracle.clock_jumps

    def sync_relaxed(self) -> None:
        """Make acknowledged commits durable where commits do not wait for that."""
        if not self.durable and self._failure is None:
            self.store.sync()

    def disown(self) -> None:
        """This is a forked child: the database belongs to the parent."""
        self._failure = DatabaseClosed(
            "this process inherited the database through a fork: open it again here, or share "
            "it through a server"
        )
        self._mutex, self._store_lock = Lock(), Lock()
        self._idle = Condition(self._mutex)
        self._refuse_reads()
        self._committer_thread = None

    def close(self) -> None:
        """Finish the commits under way, record the last timestamp, close the store."""
        with self._mutex:
            while self._leading and not isinstance(self._failure, DatabaseClosed):
                self._idle.wait()
            if isinstance(self._failure, DatabaseClosed):
                return
            clean = self._failure is None
            self._failure = closed = DatabaseClosed("the database was closed: open it again")
            self._refuse_reads()
            held_back = self._range.fail_all(closed)
        wake_all(commit.waiter for commit in held_back)
        self.watches.end(closed)
        if self._committer_thread is not None:
            self._committer.put(None)
            self._committer_thread.join()
        try:
            if clean:
                with self._store_lock:
                    self.store.record({CEILING_MARK: self._oracle.issued.to_bytes(8, "big")})
        finally:
            self.store.close()
