"""The leaseholder of one range: a state machine over the range's batches, locks and caches.

Synchronous and deterministic. Requests come in through `handle`, answers go out through `Ports`
(`ports.py`), which also carry what is asked of the store, the oracle, other ranges and clients::

    CommitOne --+                             +--> draw ----> drawn --+
    Prepare ----+--> gate --> open batch -----+                       +--> apply --> applied
    Decide -----+     |        (range.py)     +--> atomics' values ---+                |
    Resolve ----+     waits for locks,                                   answers, locks dropped,
                      invalidations, elders                              readers woken

Everything a range promises durably is a record (`shape.py`); the state in memory is loaded from
records at a takeover, a split and a merge alike. One batch is under way at a time, the next one
fills meanwhile: that is group commit.

`reads.py` serves reads, `decisions.py` two-phase commit, `tracking.py` the clients' caches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import (
    Conflict,
    FastnessError,
    InvalidKey,
    MaybeCommitted,
    Overloaded,
    RangeMoved,
    SnapshotTooOld,
    Unreachable,
)
from fastness.invariants import check
from fastness.limits import Limits
from fastness.ranges.admission import (
    RangeCommit,
    evaluated,
    intervals_of,
    keys_of,
    requests_conflict,
    require_sizes,
)
from fastness.ranges.commit import COMMITTED, FAILED, JOINED, Commit, CommitState
from fastness.ranges.decisions import Decisions
from fastness.ranges.entries import Entry
from fastness.ranges.identity import TransactionId, check_id, shown
from fastness.ranges.locks import Holder, LockTable
from fastness.ranges.outcomes import OutcomeTable
from fastness.ranges.ports import Caller, Ports
from fastness.ranges.range import Range, conflict_of
from fastness.ranges.reads import Reads
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Content,
    Decide,
    Decision,
    Done,
    Interval,
    InvalidateAck,
    Prepare,
    Prepared,
    RangeRequest,
    Read,
    RenewCache,
    Reserve,
    Resolve,
    Scan,
)
from fastness.ranges.rereading import Rereading, reread
from fastness.ranges.reservations import Reservation
from fastness.ranges.shape import (
    INTENT,
    DECLARED_RECORD,
    SHAPE_RECORD,
    Records,
    Shape,
    declared_of,
    decode_intent,
    encode_record,
    encode_timestamp,
    merge_records,
    outcomes_name,
    split_records,
)
from fastness.ranges.tracking import Told, Tracking
from fastness.storage.contract import Batch, Inherited, Item, RangeState

FORGOTTEN_AT_ONCE = 200
"""Rows of outcomes removed by one batch at most."""

FORGET_EVERY_NS = 1_000_000_000

StoreFound = tuple[list[bytes | None], list[Item], Timestamp]
"""Cells, entries, and the prune horizon looked at after them."""


@dataclass(slots=True)
class LeaseholderCounts:
    """What a leaseholder has done since it took over."""

    commits: int = 0
    prepared: int = 0
    conflicts: int = 0
    batches: int = 0
    lost_batches: int = 0
    refused: int = 0
    overloads: int = 0
    alarms: int = 0


class Leaseholder:
    """Serves one range under one epoch; see the module's page."""

    def __init__(self, state: RangeState, shape: Shape, *, limits: Limits, ports: Ports) -> None:
        """Take over a range whose epoch was just opened, with the records found there.

        Snapshot reads are served at once, commits once `allow_commits` was called.
        """
        self.limits = limits
        self.ports = ports
        self.range_id = state.range_id
        self.epoch = state.epoch
        self.counts = LeaseholderCounts()
        self.prune_horizon = state.prune_horizon
        self.reads = Reads(self)
        self.decisions = Decisions(self)
        self.running: dict[TransactionId, RangeCommit] = {}
        """Commits and prepares that are not settled, by id."""
        self._retired: FastnessError | None = None
        self._commits_allowed = False
        self._parked: deque[tuple[Caller, RangeRequest]] = deque()
        self._paused: Callable[[], None] | None = None
        self._is_paused = False
        self._ready: deque[Callable[[], None]] = deque()
        self._after_batch: list[Callable[[], None]] = []
        self._waiting_prepares: dict[TransactionId, RangeCommit] = {}
        self._tokens = 0
        self._store_reads: dict[int, Callable[[StoreFound | FastnessError], None]] = {}
        self._locking = 0
        """Prepares that hold locks and are not in a batch yet."""
        self._turns: dict[tuple[Timestamp, bytes], Reservation] = {}
        self._draw_count = 0
        self._block: Timestamp | None = None
        self._atomics: dict[bytes, bytes | None] | None = None
        self._batch: Batch | None = None
        self._batch_outcomes: tuple[bytes, list[tuple[bytes, Timestamp]]] | None = None
        self._forgot_ns = 0
        self.tracking = Tracking(range_id=self.range_id, epoch=self.epoch, limits=limits)
        self._load(shape, state)

    def _load(self, shape: Shape, state: RangeState) -> None:
        """Build what lies in memory from the records; a takeover, a split and a merge do it."""
        self.shape = shape
        self.span: Interval = (shape.begin, shape.end)
        self.records: Records = dict(state.records)
        self.range = Range(state, visible=state.applied, limits=self.limits)
        self.range.gate = self._gate
        self.range.declared = declared_of(self.records)
        self.locks = LockTable()
        for name, data in sorted(self.records.items()):
            if name[:1] == INTENT:
                self.locks.add(Holder(decode_intent(data), durable=True))
        self.outcomes = OutcomeTable(self.records)
        self.decisions.load(self.records)

    # ------------------------------------------------------------- requests

    def handle(self, caller: Caller, request: RangeRequest) -> None:
        """Take a request; it is answered through the ports, now or later."""
        if self._retired is not None:
            self.refuse(caller, self._retired)
        elif request.generation != self.shape.generation:
            self.refuse(
                caller,
                RangeMoved(
                    f"range {self.range_id} is of generation {self.shape.generation}, not "
                    f"{request.generation}: take the new descriptor"
                ),
            )
        elif self._is_paused or (not self._commits_allowed and type(request) is not Read):
            self._park(caller, request)
        else:
            self._dispatch(caller, request)
        self._pump()

    def _park(self, caller: Caller, request: RangeRequest) -> None:
        """Keep a request until the range serves it, or is known to be elsewhere."""
        if len(self._parked) >= self.limits.commits_queued:
            self._overloaded(caller, "requests are parked", self.limits.commits_queued)
        else:
            self._parked.append((caller, request))

    def _dispatch(self, caller: Caller, request: RangeRequest) -> None:
        match request:
            case Read():
                self.reads.handle(caller, request)
            case CommitOne() | Prepare():
                self._submit(caller, request)
            case Decide():
                self.decisions.decide(caller, request)
            case Ask():
                self.decisions.ask(caller, request)
            case Resolve():
                self.decisions.resolve(caller, request)
            case Reserve():
                self._reserve(caller, request)
            case RenewCache():
                self.reads.renew(caller, request)

    def refuse(self, caller: Caller, error: FastnessError) -> None:
        """Answer a request with an error."""
        self.counts.refused += 1
        self.ports.refuse(caller, error)

    def _overloaded(self, caller: Caller, what: str, limit: int) -> None:
        self.counts.overloads += 1
        self.refuse(caller, Overloaded(f"{limit} {what} (the limit): back off and try again"))

    def acknowledge(self, address: str, ack: InvalidateAck) -> None:
        """A client dropped what it was told to."""
        if self._retired is None and ack.epoch == self.epoch:
            self.tracking.acknowledge(address, ack.lease, ack.number)
            self._pump()

    def tell(self, notices: list[Told]) -> None:
        """Send invalidations."""
        for told in notices:
            self.ports.invalidate(told.client, told.notice)

    def alarm(self, what: str) -> None:
        """Something happened that no correct system does: count it, say it, and refuse it."""
        self.counts.alarms += 1
        self.ports.note(f"ALARM range {self.range_id}: {what}")

    # ------------------------------------------------------------ admission

    def _submit(self, caller: Caller, request: CommitOne | Prepare) -> None:
        identity = check_id(request.id)
        known = self.outcomes.get(identity)
        if known is not None:
            self.ports.answer(caller, Decision(known))
            return
        if self.decisions.joined(caller, identity):
            return
        running = self.running.get(identity)
        if running is not None:
            running.callers.append(caller)
            return
        holder = self.locks.get(identity)
        if holder is not None:
            self._prepared_before(caller, request, holder)
            return
        error = self._inadmissible(request)
        if error is not None:
            self.refuse(caller, error)
            return
        if self.range.queued() + len(self.running) >= self.limits.commits_queued:
            self._overloaded(caller, "commits are queued", self.limits.commits_queued)
            return
        commit = RangeCommit(request, caller)
        self._begin(commit)

    def _prepared_before(
        self, caller: Caller, request: CommitOne | Prepare, holder: Holder
    ) -> None:
        intent = holder.intent
        if type(request) is Prepare:
            self.ports.answer(caller, Prepared(intent.floor, intent.alive_until, intent.span))
        else:
            # Sent as one message after the halves of a split merged again: decide it, or wait.
            self.refuse(
                caller,
                MaybeCommitted(
                    f"{shown(intent.id)} is prepared here: resolve it at its anchor",
                    transaction_id=intent.id,
                ),
            )

    def _inadmissible(self, request: CommitOne | Prepare) -> FastnessError | None:
        """Why a request nobody has seen before cannot be taken at all."""
        content, identity = request.content, request.id
        if self.outcomes.forgotten(identity):
            return MaybeCommitted(
                f"{shown(identity)} was born before what this range still remembers: it may have "
                "committed",
                transaction_id=identity,
            )
        begin, end = self.span
        if not all(begin <= key < end for key in keys_of(content)) or not all(
            begin <= one[0] and one[1] <= end for one in intervals_of(content)
        ):
            return InvalidKey(f"{shown(identity)} names keys outside [{begin!r}, {end!r})")
        reads = content.read_keys or content.read_intervals
        if reads and content.read_timestamp < self.prune_horizon:
            return SnapshotTooOld(
                f"the transaction read at {content.read_timestamp}, below the retained window, "
                f"which begins at {self.prune_horizon}: run it again"
            )
        if type(request) is Prepare:
            if self.ports.issued() > request.deadline:
                return Conflict(f"{shown(identity)} came past its deadline {request.deadline}")
            if len(self.locks) + self._locking >= self.limits.prepared:
                self.counts.overloads += 1
                return Overloaded(f"{self.limits.prepared} transactions are prepared (the limit)")
        return None

    def _begin(self, commit: RangeCommit) -> None:
        try:
            require_sizes(commit, self.limits)
        except FastnessError as error:
            self.refuse(commit.callers[0], error)
            return
        if commit.is_prepare:
            commit.admitted = partial(self._lock, commit)
        self.running[commit.id] = commit
        self._advance(commit, self.range.submit(commit))

    def _again(self, commit: Commit) -> None:
        """After a wait everything starts from the beginning."""
        if isinstance(commit, RangeCommit) and not commit.dead:
            self._waiting_prepares.pop(commit.id, None)
            followers, commit.followers = commit.followers, []
            self._advance(commit, self.range.submit(commit))
            self._ready.extend(partial(self._again, follower) for follower in followers)

    def _advance(self, commit: RangeCommit, state: CommitState) -> None:
        if state is CommitState.NEEDS_STORE:
            through = self.range.visible
            self._drive(commit, reread(commit, through), through, None)
        elif state is COMMITTED or state is FAILED:
            self._settle(commit)

    def _gate(self, commit: Commit) -> bool:
        """Stop a commit that must wait for locks, elders or caches, or die of them."""
        if not isinstance(commit, RangeCommit):
            return False
        if commit.dead:
            return True
        return (
            self._stopped_by_elder(commit)
            or self._stopped_by_locks(commit)
            or self._stopped_by_batch(commit)
            or self._stopped_by_caches(commit)
        )

    def _stopped_by_locks(self, commit: RangeCommit) -> bool:
        conflicting = self.locks.conflicting(commit)
        if not conflicting:
            return False
        first = next((one for one in conflicting if not one.decided), conflicting[0])
        if commit.is_prepare and not first.decided and first.priority < commit.priority:
            self._die(commit, f"{shown(first.identity)}, which is older, holds a lock")
            return True
        commit.state = CommitState.WAITING
        if commit.is_prepare:
            self._waiting_prepares[commit.id] = commit
        first.when_released(partial(self._again, commit))
        self.wants_decision(first)
        return True

    def _die(self, commit: RangeCommit, why: str) -> None:
        key = next(iter(commit.lock_keys), b"")
        commit.fail(Conflict(f"{why} on what {shown(commit.id)} needs: run it again", key=key))

    def _stopped_by_elder(self, commit: RangeCommit) -> bool:
        """Older prepares that wait go first, and so does an older one's reservation."""
        for elder in self._waiting_prepares.values():
            if elder.priority < commit.priority and requests_conflict(elder, commit):
                if commit.is_prepare:
                    self._die(commit, f"{shown(elder.id)}, which is older, waits for a lock")
                else:
                    commit.state = CommitState.WAITING
                    elder.followers.append(commit)
                return True
        if commit.is_prepare and self.range.reservations.reserved(commit):
            self._die(commit, "an older transaction has its turn")
            return True
        return False

    def _stopped_by_batch(self, commit: RangeCommit) -> bool:
        """A prepare evaluates its atomic operations on what is durable."""
        return (
            commit.is_prepare
            and commit.atomics is not None
            and self.range.wait_if_undurable(commit, set(commit.atomics), [])
        )

    def _stopped_by_caches(self, commit: RangeCommit) -> bool:
        """Nothing is ordered before every copy of what it changes is gone."""
        if not len(self.tracking):
            return False
        intervals = [*commit.lock_intervals, *commit.stamp_intervals]
        if commit.lease:
            # Only what the client held when it sent this: later fills are told like others.
            client = commit.callers[0].address
            self.tracking.forget_own(client, commit.lease, commit.lock_keys, intervals)
            commit.lease = 0
        waits, told = self.tracking.invalidate(
            commit.lock_keys,
            intervals,
            self.ports.boot_ns(),
            lambda: self._ready.append(partial(self._again, commit)),
        )
        self.tell(told)
        if waits:
            commit.state = CommitState.WAITING
        return waits

    # ------------------------------------------------------------- prepares

    def _lock(self, commit: RangeCommit) -> None:
        """A prepare is admitted: its locks stand from this instant."""
        commit.state = JOINED
        intent = commit.intent(floor=self.ports.issued(), span=self.span)
        holder = Holder(intent, durable=False)
        self.locks.add(holder)
        if commit.atomics is None:
            self._leave_intent(commit, holder)
            return
        self._locking += 1
        keys = list(commit.atomics)
        self.read_store(keys, None, self.range.visible, partial(self._evaluate, commit, holder))

    def _evaluate(
        self, commit: RangeCommit, holder: Holder, found: StoreFound | FastnessError
    ) -> None:
        self._locking -= 1
        if commit.dead:
            return
        try:
            if isinstance(found, FastnessError):
                raise found
            writes, alive_until = evaluated(commit, found[0], holder.floor, self.limits)
        except FastnessError as error:
            commit.fail(error)
            self.release(holder)
            self._settle(commit)
            return
        intent = holder.intent
        untouched = [one for one in intent.writes if one.key not in (commit.atomics or {})]
        bounds = [one for one in (intent.alive_until, alive_until) if one]
        holder.intent = msgspec.structs.replace(
            intent, writes=untouched + writes, alive_until=min(bounds, default=0)
        )
        self._leave_intent(commit, holder)

    def _leave_intent(self, commit: RangeCommit, holder: Holder) -> None:
        intent = holder.intent

        def done() -> None:
            holder.durable = True
            self.counts.prepared += 1
            self.running.pop(commit.id, None)
            answer = Prepared(intent.floor, intent.alive_until, intent.span)
            for caller in commit.callers:
                self.ports.answer(caller, answer)
            self._ready.extend(commit.after_durable)

        def lost(error: FastnessError) -> None:
            self.release(holder)
            commit.fail(error)
            self._settle(commit)

        self.enter(Entry(records={INTENT + intent.id: encode_record(intent)}, done=done, lost=lost))

    def release(self, holder: Holder) -> None:
        """Drop a holder's locks and let whoever waited for it go on."""
        self.locks.remove(holder)
        self._ready.extend(holder.release())

    def drop(self, commit: RangeCommit) -> None:
        """Give up a prepare that waits and holds nothing."""
        commit.fail(Conflict(f"{shown(commit.id)} was aborted while it waited"))
        self._settle(commit)

    def wants_decision(self, holder: Holder) -> None:
        """Somebody waits for this holder: see that its decision comes."""
        self.decisions.want(holder, self.ports.boot_ns())

    # ------------------------------------------------------------- settling

    def _settle(self, commit: RangeCommit) -> None:
        """Answer everybody who asked for a commit that ended."""
        self.running.pop(commit.id, None)
        self._waiting_prepares.pop(commit.id, None)
        commit.dead = True
        self._ready.extend(partial(self._again, follower) for follower in commit.followers)
        self._ready.extend(commit.after_durable)
        if commit.state is COMMITTED:
            self.counts.commits += 1
            for caller in (*commit.callers, *commit.resolvers):
                self.ports.answer(caller, Decision(commit.timestamp))
            return
        self.counts.conflicts += 1
        error = commit.error or Unreachable("the commit was given up: run it again")
        for caller in commit.callers:
            self.refuse(caller, error)
        if commit.resolvers:
            if isinstance(error, MaybeCommitted) or self._retired is not None:
                for caller in commit.resolvers:
                    self.refuse(caller, error)
            else:
                self.decisions.abort_unknown(commit.id, commit.resolvers)

    def _drive(
        self,
        commit: RangeCommit,
        steps: Rereading,
        through: Timestamp,
        found: StoreFound | FastnessError | None,
    ) -> None:
        """Validate by reading again: one step of the generator, then the store, and so on."""
        if commit.dead:
            return
        if isinstance(found, FastnessError):
            commit.fail(found)
            self._settle(commit)
            return
        try:
            if found is None:
                keys, scan, at = next(steps)
            else:
                keys, scan, at = steps.send((found[0], found[1]))
        except StopIteration as stop:
            self._reread(commit, through, stop.value)
            return
        self.read_store(keys, scan, at, partial(self._drive, commit, steps, through))

    def _reread(
        self, commit: RangeCommit, through: Timestamp, changed: tuple[bytes, Timestamp] | None
    ) -> None:
        if commit.validated_at < self.prune_horizon:
            commit.fail(
                SnapshotTooOld(
                    f"the transaction read at {commit.validated_at}, below the retained window: "
                    "run it again"
                )
            )
        elif changed is not None:
            commit.fail(conflict_of(*changed))
        else:
            commit.validated_at = through
            self._advance(commit, self.range.submit(commit))
            return
        self._settle(commit)

    # ------------------------------------------------------------ the store

    def read_store(
        self,
        keys: list[bytes],
        scan: Scan | None,
        at: Timestamp,
        done: Callable[[StoreFound | FastnessError], None],
    ) -> None:
        """Ask the store; `done` is called with what it found, unless the range was retired."""
        self._tokens += 1
        self._store_reads[self._tokens] = done
        self.ports.read(self._tokens, keys, scan, at)

    def read_done(
        self,
        token: int,
        cells: list[bytes | None],
        entries: list[Item],
        prune_horizon: Timestamp,
    ) -> None:
        """The store answered a read."""
        done = self._store_reads.pop(token, None)
        if done is not None:
            self.raise_horizon(prune_horizon)
            done((cells, entries, prune_horizon))
            self._pump()

    def read_failed(self, token: int, error: FastnessError) -> None:
        """The store could not answer a read."""
        done = self._store_reads.pop(token, None)
        if done is not None:
            done(error)
            self._pump()

    def raise_horizon(self, horizon: Timestamp) -> None:
        """Versions that ended at or below `horizon` may be gone, or will be."""
        self.prune_horizon = max(self.prune_horizon, horizon)

    # -------------------------------------------------------------- batches

    def enter(self, entry: Entry) -> None:
        """Let a durable step travel with the next batch."""
        self.range.enter(entry)

    def after_batch(self, wake: Callable[[], None]) -> None:
        """Call back once the batch under way is durable, or lost."""
        self._after_batch.append(wake)

    def _pump(self) -> None:
        """Run what became possible, and start the next batch if there is one."""
        while True:
            while self._ready:
                self._ready.popleft()()
            for commit in self.range.take_settled():
                if isinstance(commit, RangeCommit):
                    self._advance(commit, commit.state)
            if self._ready:
                continue
            if self._retired is None and self.range.wants_close:
                self._freeze()
                continue
            break
        self._tell_drained()

    def _freeze(self) -> None:
        """Close the open batch; its timestamps are requested only now."""
        keys = sorted(self.range.atomic_keys())
        self._block, self._atomics, self._batch = None, None, None
        self._draw_count = self.range.freeze(self.ports.issued())
        if self._draw_count:
            self.ports.draw(self._draw_count)
        if keys:
            self.read_store(keys, None, self.range.visible, partial(self._found_atomics, keys))
        else:
            self._atomics = {}
            if not self._draw_count:
                self._block = 0
            self._assign()

    def _found_atomics(self, keys: list[bytes], found: StoreFound | FastnessError) -> None:
        if isinstance(found, FastnessError):
            # Nothing was written yet; reads fail for a moment only, or the range is retired.
            self.read_store(keys, None, self.range.visible, partial(self._found_atomics, keys))
            return
        self._atomics = dict(zip(keys, found[0], strict=True))
        self._assign()

    def drawn(self, first: Timestamp, count: int) -> None:
        """The oracle's block for the frozen batch."""
        if self._retired is not None or self._block is not None or not self.range.writing:
            return
        check(count >= self._draw_count, f"a block of {count} is too small for {self._draw_count}")
        floor = self.range.frozen_floor() or 0
        if first <= floor:
            self.alarm(f"a block was drawn at {first}, at or below the floor {floor}")
            self.ports.draw(self._draw_count)
            return
        self._block = first
        self._assign()
        self._pump()

    def _assign(self) -> None:
        if self._block is None or self._atomics is None or self._batch is not None:
            return
        batch = self.range.assign(self._block, self._atomics)
        if batch is None:
            self._finish_batch()
            return
        outcomes = [
            (commit.id, commit.timestamp)
            for commit in self.range.frozen_commits()
            if commit.state is JOINED
        ]
        for entry in self.range.frozen_entries():
            outcomes += entry.outcomes
        if outcomes:
            name = outcomes_name(self.range_id, batch.number)
            batch.records[name] = encode_record(outcomes)
            self._batch_outcomes = (name, outcomes)
        else:
            self._batch_outcomes = None
        declared = self.range.frozen_declared()
        if declared:
            batch.records[DECLARED_RECORD] = encode_timestamp(max(declared, self.range.declared))
        self._batch = batch
        self.ports.apply(batch)

    def applied(self, number: int) -> None:
        """The batch of that number is durable."""
        batch = self._batch
        if self._retired is not None or batch is None:
            return
        check(batch.number == number, f"batch {number} was applied, {batch.number} was under way")
        for name, data in batch.records.items():
            if data is None:
                self.records.pop(name, None)
            else:
                self.records[name] = data
        if self._batch_outcomes is not None:
            self.outcomes.add(*self._batch_outcomes)
        self.counts.batches += 1
        self._finish_batch()
        self._pump()

    def _finish_batch(self) -> None:
        entries = self.range.frozen_entries()
        settled = self.range.applied()
        self._batch = None
        for entry in entries:
            entry.done()
        for commit in settled:
            if isinstance(commit, RangeCommit):
                self._advance(commit, commit.state)
        self._wake_after_batch()

    def _wake_after_batch(self) -> None:
        waiting, self._after_batch = self._after_batch, []
        self._ready.extend(waiting)

    def lost(self, number: int) -> None:
        """The batch of that number never happened, and never will: its number is used up."""
        batch = self._batch
        if self._retired is not None or batch is None or batch.number != number:
            return
        self.counts.lost_batches += 1
        error = Unreachable("the store lost the batch this was in; nothing was done: try again")
        entries = self.range.frozen_entries()
        commits = self.range.lost()
        self._batch = None
        for entry in entries:
            entry.lost(error)
        for commit in commits:
            if isinstance(commit, RangeCommit):
                if commit.state is not FAILED:
                    commit.fail(error)
                self._settle(commit)
        self._wake_after_batch()
        self._pump()

    # ----------------------------------------------------- from other ranges

    def told(self, identity: TransactionId, timestamp: Timestamp) -> None:
        """The anchor of a transaction answered this range's question."""
        if self._retired is None and self._commits_allowed and not self._is_paused:
            self.decisions.told(identity, timestamp)
            self._pump()

    def resolved(self, identity: TransactionId, part: Interval) -> None:
        """A range answered that nothing of the transaction is undecided within `part`."""
        if self._retired is None and not self._is_paused:
            self.decisions.resolved(identity, part)
            self._pump()

    # --------------------------------------------------------- turns, upkeep

    def _reserve(self, caller: Caller, request: Reserve) -> None:
        owner = (request.priority, request.nonce.to_bytes(8, "big"))
        earlier = self._turns.pop(owner, None)
        if earlier is not None:
            self.range.reservations.remove(earlier)
            self.range.released()
        if request.milliseconds and len(self._turns) < self.limits.prepared:
            turn = Reservation(
                owner=owner,
                keys=set(request.keys),
                intervals=[KeyInterval(*one) for one in request.intervals],
                ends_ns=self.ports.boot_ns() + min(request.milliseconds, 1_000) * 1_000_000,
            )
            self._turns[owner] = turn
            self.range.reservations.add(turn)
        self.ports.answer(caller, Done())

    def tick(self) -> None:
        """Look at what is overdue; called every `limits.tick_ms` or so."""
        if self._retired is not None:
            return
        boot_ns = self.ports.boot_ns()
        self.tell(self.tracking.tick(boot_ns))
        if self.range.reservations.expire(boot_ns):
            self._turns = {k: v for k, v in self._turns.items() if v.ends_ns > boot_ns}
            self.range.released()
        if self._commits_allowed and not self._is_paused:
            self.decisions.tick(boot_ns)
            if boot_ns - self._forgot_ns >= FORGET_EVERY_NS:
                self._forgot_ns = boot_ns
                self._forget_outcomes()
        self._pump()

    def _forget_outcomes(self) -> None:
        """Drop the oldest outcomes, the horizon raised in the same write."""
        horizon = self.ports.issued() - from_milliseconds(self.limits.outcome_ms)
        names = self.outcomes.forgettable(horizon, FORGOTTEN_AT_ONCE)
        if not names:
            return
        outcomes = self.outcomes

        def done() -> None:
            outcomes.forget(names, horizon)

        self.enter(
            Entry(
                records=outcomes.forgetting(names, horizon),
                done=done,
                lost=lambda _error: None,
            )
        )

    @property
    def closed(self) -> Timestamp:
        """No commit at or below it can still appear here (CONSISTENCY, section 4)."""
        closed = self.ports.issued()
        floor = self.range.frozen_floor()
        if floor is not None:
            closed = min(closed, floor)
        for holder in self.locks.holders():
            closed = min(closed, holder.floor)
        return closed

    @property
    def undecided(self) -> int:
        """Intents held, decisions not spread, commits not settled: 0 once all is quiet."""
        return (
            len(self.locks)
            + self.decisions.pending
            + self.decisions.in_flight
            + len(self.running)
            + self.reads.waiting
        )

    # ------------------------------------------- taking over, pausing, ending

    def allow_commits(self) -> None:
        """Whoever held the range before can serve nothing any more: commits begin."""
        self._commits_allowed = True
        self._replay()

    def _replay(self) -> None:
        parked, self._parked = self._parked, deque()
        for caller, request in parked:
            self.handle(caller, request)

    @property
    def paused(self) -> bool:
        """Whether nothing new is admitted."""
        return self._is_paused

    def pause(self, done: Callable[[], None]) -> None:
        """Admit nothing new, finish what is under way, revoke every cache; then call `done`.

        Whoever waits for something else is refused: it finds the range again afterwards.
        """
        check(not self._is_paused, f"range {self.range_id} was paused twice")
        self._is_paused = True
        self._paused = done
        self._refuse_waiting(RangeMoved(f"range {self.range_id} is changing: ask for it again"))
        self.tell(self.tracking.void_all(self.ports.boot_ns()))
        self._pump()

    def resume(self) -> None:
        """Serve again, under whatever shape the range has now."""
        self._is_paused = False
        self._paused = None
        self._replay()

    def _refuse_waiting(self, error: FastnessError) -> None:
        """Refuse every request that is not on its way into the store."""
        self.range.give_up_waiting()
        for commit in list(self.running.values()):
            if commit.state is not JOINED:
                commit.fail(error)
                self._settle(commit)
        self.reads.give_up(error)

    def _tell_drained(self) -> None:
        if (
            self._paused is not None
            and self._retired is None
            and not self.range.writing
            and not self.range.wants_close
            and not self._locking
            and not self.reads.in_flight
            and not len(self.tracking)
        ):
            done, self._paused = self._paused, None
            done()

    def split(self, key: bytes, child_id: int, done: Callable[[RangeState, Shape], None]) -> None:
        """Give everything from `key` on to a new range, in one store batch; only while paused.

        `done` is handed what the child starts with. Raises `Overloaded` where a versionstamped
        write that is prepared may fall on either side.
        """
        self._require_drained()
        old = self.shape
        if not old.begin < key < old.end:
            raise InvalidKey(f"{key!r} does not lie inside {old.interval}: nothing to split off")
        for holder in self.locks.holders():
            if any(one.begin < key < one.end for one in holder.stamp_intervals):
                raise Overloaded(f"a versionstamped write is prepared around {key!r}: try later")
        generation = old.generation + 1
        left, right = split_records(self.records, old, key)
        mine = Shape(self.range_id, old.begin, key, generation, [], [(child_id, key)])
        child = Shape(child_id, key, old.end, generation)
        left[SHAPE_RECORD] = encode_record(mine)
        right[SHAPE_RECORD] = encode_record(child)
        applied = self.range.visible

        def finish() -> None:
            self._reshape(mine, left, applied)
            born = RangeState(child_id, 1, 0, applied, self.prune_horizon, right)
            done(born, child)

        entry = self._reshaping(left, finish)
        entry.splits.append(Inherited(child_id, 1, applied, self.prune_horizon, right))
        self.enter(entry)
        self._pump()

    def absorb(self, other: Leaseholder, done: Callable[[], None]) -> None:
        """Take in the neighbour on the right, in one store batch; only while both are paused."""
        self._require_drained()
        other._require_drained()
        check(self.shape.end == other.shape.begin, "only neighbours merge")
        generation = max(self.shape.generation, other.shape.generation) + 1
        merged = merge_records(self.records, other.records)
        shape = Shape(
            self.range_id, self.shape.begin, other.shape.end, generation, [other.range_id]
        )
        merged[SHAPE_RECORD] = encode_record(shape)
        applied = max(self.range.visible, other.range.visible)

        def finish() -> None:
            self.raise_horizon(other.prune_horizon)
            self._reshape(shape, merged, applied)
            done()

        entry = self._reshaping(merged, finish)
        entry.absorbs.append((other.range_id, other.epoch))
        self.enter(entry)
        self._pump()

    def _require_drained(self) -> None:
        check(
            self._is_paused and self._paused is None and not self.range.writing,
            f"range {self.range_id} is not drained",
        )

    def _reshaping(self, wanted: Records, finish: Callable[[], None]) -> Entry:
        """The entry that turns the records there are into those wanted."""
        changes: dict[bytes, bytes | None] = dict.fromkeys(
            name for name in self.records if name not in wanted
        )
        changes.update(
            {name: data for name, data in wanted.items() if self.records.get(name) != data}
        )

        def lost(_error: FastnessError) -> None:
            # The range goes on as it was; whoever asked for the change hears nothing and asks.
            self.ports.note(f"range {self.range_id} lost its change of shape")

        return Entry(records=changes, done=lambda: self._ready.append(finish), lost=lost)

    def _reshape(self, shape: Shape, records: Records, applied: Timestamp) -> None:
        number = self.range.batch_number
        recent = self.range.recent
        grown = shape.end > self.shape.end
        state = RangeState(self.range_id, self.epoch, number, applied, self.prune_horizon, records)
        self._load(shape, state)
        if not grown:
            # What was written on the other side does no harm here.
            self.range.recent = recent

    def retire(self, error: FastnessError) -> None:
        """The range was taken over, or its lease ended: refuse everybody, touch nothing more.

        Whoever is in a batch whose fate is unknown is told so.
        """
        if self._retired is not None:
            return
        in_doubt = {id(commit) for commit in self.range.frozen_commits()} if self._batch else set()
        self._retired = error
        for commit in list(self.running.values()):
            doubtful = id(commit) in in_doubt and commit.state is JOINED
            commit.fail(_doubtful(commit.id) if doubtful else error)
            self._settle(commit)
        self.decisions.give_up(error)
        self.reads.give_up(error)
        self._store_reads.clear()
        self._after_batch.clear()
        self._ready.clear()
        parked, self._parked = self._parked, deque()
        for caller, _ in parked:
            self.refuse(caller, error)


def _doubtful(identity: TransactionId) -> MaybeCommitted:
    return MaybeCommitted(
        f"the range moved while {shown(identity)} was being written: resolve it by its id",
        transaction_id=identity,
    )


__all__ = ["Content", "Leaseholder", "LeaseholderCounts"]
