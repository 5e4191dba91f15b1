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

`admission.py` lets commits and prepares in, `decisions.py` is two-phase commit, `reads.py` serves
reads, `tracking.py` knows the clients' caches, `reshaping.py` splits and merges.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import (
    FastnessError,
    Overloaded,
    RangeMoved,
    Unreachable,
)
from fastness.invariants import check
from fastness.limits import Limits
from fastness.ranges.admission import Admission
from fastness.ranges.commit import FAILED, JOINED
from fastness.ranges.decisions import Decisions
from fastness.ranges.entries import Entry
from fastness.ranges.identity import TransactionId
from fastness.ranges.locks import Holder, LockTable
from fastness.ranges.outcomes import OutcomeTable
from fastness.ranges.ports import Caller, Ports, StoreFound
from fastness.ranges.range import Range
from fastness.ranges.range_commit import RangeCommit
from fastness.ranges.reads import Reads
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    Done,
    Interval,
    InvalidateAck,
    Prepare,
    RangeRequest,
    Read,
    RenewCache,
    Reserve,
    Resolve,
    Scan,
)
from fastness.ranges.reservations import Reservation
from fastness.ranges.reshaping import Reshaping
from fastness.ranges.shape import (
    DECLARED_RECORD,
    INTENT,
    Records,
    Shape,
    declared_of,
    decode_intent,
    encode_record,
    encode_timestamp,
    outcomes_name,
)
from fastness.ranges.tracking import Told, Tracking
from fastness.storage.contract import Batch, Item, RangeState

FORGOTTEN_AT_ONCE = 200
"""Rows of outcomes removed by one batch at most."""

FORGET_EVERY_NS = 1_000_000_000


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
        self.admission = Admission(self)
        self._reshaping = Reshaping(self)
        self.retired: FastnessError | None = None
        """Why it serves nothing any more."""
        self._commits_allowed = False
        self._parked: deque[tuple[Caller, RangeRequest]] = deque()
        self._paused: Callable[[], None] | None = None
        self._is_paused = False
        self.ready: deque[Callable[[], None]] = deque()
        """What became possible and is done before the current call returns."""
        self._after_batch: list[Callable[[], None]] = []
        self._tokens = 0
        self._store_reads: dict[int, Callable[[StoreFound | FastnessError], None]] = {}
        self._turns: dict[tuple[Timestamp, bytes], Reservation] = {}
        self._draw_count = 0
        self._redraw = False
        self._block: Timestamp | None = None
        self._atomics: dict[bytes, bytes | None] | None = None
        self._batch: Batch | None = None
        self._batch_outcomes: tuple[bytes, list[tuple[bytes, Timestamp]], bytes] | None = None
        self._forgot_ns = 0
        self.tracking = Tracking(range_id=self.range_id, epoch=self.epoch, limits=limits)
        self.load(shape, state)

    def load(self, shape: Shape, state: RangeState) -> None:
        """Build what lies in memory from the records; a takeover, a split and a merge do it."""
        self.shape = shape
        self.span: Interval = (shape.begin, shape.end)
        self.records: Records = dict(state.records)
        self.range = Range(state, visible=state.applied, limits=self.limits)
        self.range.gate = self.admission.gate
        self.range.declared = declared_of(self.records)
        # Turns are promised to nobody beyond a change of shape: who starves takes another.
        self._turns.clear()
        self.locks = LockTable()
        for name, data in sorted(self.records.items()):
            if name[:1] == INTENT:
                self.locks.add(Holder(decode_intent(data), durable=True))
        self.outcomes = OutcomeTable(self.records)
        self.decisions.load(self.records)

    # ------------------------------------------------------------- requests

    def handle(self, caller: Caller, request: RangeRequest) -> None:
        """Take a request; it is answered through the ports, now or later."""
        if self.retired is not None:
            self.refuse(caller, self.retired)
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
        self.pump()

    def _park(self, caller: Caller, request: RangeRequest) -> None:
        """Keep a request until the range serves it, or is known to be elsewhere."""
        if len(self._parked) >= self.limits.commits_queued:
            self.overloaded(caller, "requests are parked", self.limits.commits_queued)
        else:
            self._parked.append((caller, request))

    def _dispatch(self, caller: Caller, request: RangeRequest) -> None:
        match request:
            case Read():
                self.reads.handle(caller, request)
            case CommitOne() | Prepare():
                self.admission.submit(caller, request)
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
        self.counts.overloads += isinstance(error, Overloaded)
        self.ports.refuse(caller, error)

    def overloaded(self, caller: Caller, what: str, limit: int) -> None:
        """Refuse a request for which there is no room."""
        self.refuse(caller, Overloaded(f"{limit} {what} (the limit): back off and try again"))

    def acknowledge(self, address: str, ack: InvalidateAck) -> None:
        """A client dropped what it was told to."""
        if self.retired is None and ack.epoch == self.epoch:
            self.tracking.acknowledge(address, ack.lease, ack.number)
            self.pump()

    def tell(self, notices: list[Told]) -> None:
        """Send invalidations."""
        for told in notices:
            self.ports.invalidate(told.client, told.notice)

    def alarm(self, what: str) -> None:
        """Something happened that no correct system does: count it, say it, and refuse it."""
        self.counts.alarms += 1
        self.ports.alarm(what)

    # ---------------------------------------------------------------- locks

    def release(self, holder: Holder) -> None:
        """Drop a holder's locks and let whoever waited for it go on."""
        self.locks.remove(holder)
        self.ready.extend(holder.release())

    def wants_decision(self, holder: Holder) -> None:
        """Somebody waits for this holder: see that its decision comes."""
        self.decisions.want(holder, self.ports.boot_ns())

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
            self.pump()

    def read_failed(self, token: int, error: FastnessError) -> None:
        """The store could not answer a read."""
        done = self._store_reads.pop(token, None)
        if done is not None:
            done(error)
            self.pump()

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

    def pump(self) -> None:
        """Run what became possible, and start the next batch if there is one."""
        while True:
            while self.ready:
                self.ready.popleft()()
            for commit in self.range.take_settled():
                if isinstance(commit, RangeCommit):
                    self.admission.advance(commit, commit.state)
            if self.ready:
                continue
            if self.retired is None and self.range.wants_close:
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
        if not isinstance(found, FastnessError):
            self._atomics = dict(zip(keys, found[0], strict=True))
        elif found.retryable:
            # Nothing was written yet; reads fail for a moment only, or the range is retired.
            self.read_store(keys, None, self.range.visible, partial(self._found_atomics, keys))
            return
        else:
            # A value that is damaged must not keep all others from being written.
            self._atomics = {}
            for commit in self.range.drop_atomics(found):
                if isinstance(commit, RangeCommit):
                    self.admission.settle(commit)
        self._assign()

    def drawn(self, first: Timestamp, count: int) -> None:
        """The oracle's block for the frozen batch."""
        if self.retired is not None or self._block is not None or not self.range.writing:
            return
        check(count >= self._draw_count, f"a block of {count} is too small for {self._draw_count}")
        floor = self.range.frozen_floor() or 0
        if first <= floor:
            self.alarm(f"a block was drawn at {first}, at or below the floor {floor}")
            # Asked for again at the next tick: the oracle may be wrong for a while.
            self._redraw = True
            return
        self._block = first
        self._assign()
        self.pump()

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
            batch.records[name] = data = encode_record(outcomes)
            self._batch_outcomes = (name, outcomes, data)
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
        if self.retired is not None or batch is None:
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
        self.pump()

    def _finish_batch(self) -> None:
        entries = self.range.frozen_entries()
        settled = self.range.applied()
        self._batch = None
        for entry in entries:
            entry.done()
        for commit in settled:
            if isinstance(commit, RangeCommit):
                self.admission.advance(commit, commit.state)
        self._wake_after_batch()

    def _wake_after_batch(self) -> None:
        waiting, self._after_batch = self._after_batch, []
        self.ready.extend(waiting)

    def lost(self, number: int) -> None:
        """The batch of that number never happened, and never will: its number is used up."""
        batch = self._batch
        if self.retired is not None or batch is None or batch.number != number:
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
                self.admission.settle(commit)
        self._wake_after_batch()
        self.pump()

    # ----------------------------------------------------- from other ranges

    def told(self, identity: TransactionId, timestamp: Timestamp) -> None:
        """The anchor of a transaction answered this range's question."""
        if self.retired is None and self._commits_allowed and not self._is_paused:
            self.decisions.told(identity, timestamp)
            self.pump()

    def resolved(self, identity: TransactionId, part: Interval) -> None:
        """A range answered that nothing of the transaction is undecided within `part`."""
        if self.retired is None and not self._is_paused:
            self.decisions.resolved(identity, part)
            self.pump()

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
        if self.retired is not None:
            return
        boot_ns = self.ports.boot_ns()
        if self._redraw:
            self._redraw = False
            self.ports.draw(self._draw_count)
        self.tell(self.tracking.tick(boot_ns))
        if self.range.reservations.expire(boot_ns):
            self._turns = {k: v for k, v in self._turns.items() if v.ends_ns > boot_ns}
            self.range.released()
        if self._commits_allowed and not self._is_paused:
            self.decisions.tick(boot_ns)
            if boot_ns - self._forgot_ns >= FORGET_EVERY_NS:
                self._forgot_ns = boot_ns
                self._forget_outcomes()
        self.pump()

    def _forget_outcomes(self) -> None:
        """Drop the oldest outcomes, the horizon raised in the same write."""
        horizon = self.ports.issued() - from_milliseconds(self.limits.outcome_ms)
        names = self.outcomes.forgettable(horizon, FORGOTTEN_AT_ONCE)
        if not names:
            return
        outcomes = self.outcomes

        def done() -> None:
            outcomes.forget(names, horizon)
            if len(names) >= FORGOTTEN_AT_ONCE:
                # More than this may have ended meanwhile: the next tick goes on.
                self._forgot_ns -= FORGET_EVERY_NS

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
            + len(self.admission.running)
            + self.reads.waiting
        )

    @property
    def is_quiet(self) -> bool:
        """Whether a tick has nothing to do but to forget what is old."""
        return not (
            self.undecided
            or self._turns
            or self._parked
            or self._redraw
            or self._is_paused
            or self.range.writing
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
        error = RangeMoved(f"range {self.range_id} is changing: ask for it again")
        self.admission.refuse_waiting(error)
        self.reads.give_up(error)
        self.tell(self.tracking.void_all(self.ports.boot_ns()))
        self.pump()

    def resume(self) -> None:
        """Serve again, under whatever shape the range has now."""
        self._is_paused = False
        self._paused = None
        self._replay()

    def _tell_drained(self) -> None:
        if (
            self._paused is not None
            and self.retired is None
            and not self.range.writing
            and not self.range.wants_close
            and not self.admission.locking
            and not self.reads.in_flight
            and not len(self.tracking)
        ):
            done, self._paused = self._paused, None
            done()

    @property
    def is_drained(self) -> bool:
        """Whether it was paused and has come to rest."""
        return self._is_paused and self._paused is None and not self.range.writing

    def split(self, key: bytes, child_id: int, done: Callable[[RangeState, Shape], None]) -> None:
        """Give everything from `key` on to a new range; see `Reshaping.split`."""
        self._reshaping.split(key, child_id, done)

    def absorb(self, other: Leaseholder, done: Callable[[], None]) -> None:
        """Take in the neighbour on the right; see `Reshaping.absorb`."""
        self._reshaping.absorb(other, done)

    def retire(self, error: FastnessError) -> None:
        """The range was taken over, or its lease ended: refuse everybody, touch nothing more.

        Whoever is in a batch whose fate is unknown is told so.
        """
        if self.retired is not None:
            return
        in_doubt = self.range.frozen_commits() if self._batch is not None else []
        self.retired = error
        self.admission.give_up(error, in_doubt)
        self.decisions.give_up(error)
        self.reads.give_up(error)
        self._store_reads.clear()
        self._after_batch.clear()
        self.ready.clear()
        parked, self._parked = self._parked, deque()
        for caller, _ in parked:
            self.refuse(caller, error)


__all__ = ["Leaseholder", "LeaseholderCounts"]
