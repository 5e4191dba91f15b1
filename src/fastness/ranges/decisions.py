"""Two-phase commit as one range sees it: deciding at the anchor, resolving at a participant.

The decision of a transaction is written once, durably, in the range that holds its anchor key,
together with what it does to that range's own intent. Whoever decides second gets the first
decision. Nothing but that decision ever removes an intent (CONSISTENCY, section 3)::

    Decide(T) --> intent held?  yes: record T, apply the intent        --> Decision(T), Resolve all
                                no:  record aborted                    --> Decision(0)
    Ask       --> known? answer.  Deadline passed? record aborted.     --> Decision | Pending
    Resolve   --> apply or drop the intent, durably                    --> Resolved(span)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    FastnessError,
    InvalidKey,
    MaybeCommitted,
    RangeMoved,
    Unreachable,
)
from fastness.invariants import check
from fastness.ranges.entries import Entry
from fastness.ranges.identity import TransactionId, anchor_of, shown
from fastness.ranges.intents import highest_floor, resolved_writes
from fastness.ranges.locks import Holder
from fastness.ranges.ports import Caller
from fastness.ranges.requests import Ask, Decide, Decision, Interval, Pending, Resolve, Resolved
from fastness.ranges.shape import INTENT, VERDICT, Records, Verdict, decode_verdict, encode_record
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND

if TYPE_CHECKING:
    from fastness.ranges.leaseholder import Leaseholder


class Decisions:
    """The decisions one leaseholder takes, carries out, and still has to spread."""

    def __init__(self, owner: Leaseholder) -> None:
        self._owner = owner
        self._deciding: dict[TransactionId, list[Caller]] = {}
        """Decisions on their way into the store, and who waits for them."""
        self._resolving: dict[TransactionId, list[Caller]] = {}
        self._verdicts: dict[TransactionId, Verdict] = {}
        self._asked_ns: dict[TransactionId, int] = {}
        self._spread_ns = 0
        self._pause_ns = owner.limits.ask_ms * NANOSECONDS_PER_MILLISECOND
        """Between two questions for the same decision, and two rounds of spreading."""

    def load(self, records: Records) -> None:
        """Take up the verdicts that have not been answered everywhere."""
        self._verdicts = {
            name[1:]: decode_verdict(data)
            for name, data in sorted(records.items())
            if name[:1] == VERDICT
        }

    @property
    def pending(self) -> int:
        """Decisions that some span has not answered yet."""
        return len(self._verdicts)

    @property
    def in_flight(self) -> int:
        """Decisions and resolutions on their way into the store."""
        return len(self._deciding) + len(self._resolving)

    # ------------------------------------------------------------ the anchor

    def decide(self, caller: Caller, request: Decide) -> None:
        """Commit, abort, or tell the decision that stands."""
        owner, identity = self._owner, request.id
        if self._refused_elsewhere(caller, identity) or self._answered(caller, identity):
            return
        running = owner.admission.running.get(identity)
        if running is not None:
            if not running.is_prepare:
                running.resolvers.append(caller)
                return
            if running.admitted is not None and owner.locks.get(identity) is None:
                # It waits and holds nothing: it is simply no longer wanted.
                owner.admission.drop(running)
            else:
                running.after_durable.append(partial(self.decide, caller, request))
                return
        holder = owner.locks.get(identity)
        if holder is not None:
            self._decide_holder(holder, request.timestamp, request.spans, [caller])
        elif owner.outcomes.forgotten(identity):
            owner.refuse(caller, _unknowable(identity))
        else:
            # Never heard of, or refused: it never commits from now on.
            self.abort_unknown(identity, [caller], request.spans)

    def ask(self, caller: Caller, request: Ask) -> None:
        """Tell a participant or reader; abort what is past its deadline."""
        owner, identity = self._owner, request.id
        if self._refused_elsewhere(caller, identity) or self._answered(caller, identity):
            return
        holder = owner.locks.get(identity)
        deadline = request.deadline
        if holder is not None:
            deadline = max(deadline, holder.intent.deadline)
        if identity in owner.admission.running or owner.ports.issued() <= deadline:
            owner.ports.answer(caller, Pending())
        elif holder is not None:
            self._decide_holder(holder, 0, [], [caller])
        elif owner.outcomes.forgotten(identity):
            # A commit decision is remembered until every span has answered, so there was none.
            owner.ports.answer(caller, Decision(0))
        else:
            self.abort_unknown(identity, [caller])

    def _refused_elsewhere(self, caller: Caller, identity: TransactionId) -> bool:
        owner = self._owner
        if owner.shape.interval.contains(anchor_of(identity)):
            return False
        owner.refuse(
            caller,
            InvalidKey(f"{shown(identity)} is not anchored in {owner.shape.interval}: ask there"),
        )
        return True

    def _answered(self, caller: Caller, identity: TransactionId) -> bool:
        """Whether the decision is known, or on its way into the store."""
        known = self.known(identity)
        if known is not None:
            self._owner.ports.answer(caller, Decision(known))
            return True
        return self.joined(caller, identity)

    def known(self, identity: TransactionId) -> Timestamp | None:
        """When a transaction committed, 0 if it aborted, `None` if nothing is known.

        A decision that some span has not answered outlives the window of outcomes: an intent
        that asks late must not be told that there was none.
        """
        verdict = self._verdicts.get(identity)
        return self._owner.outcomes.get(identity) if verdict is None else verdict.timestamp

    def joined(self, caller: Caller, identity: TransactionId) -> bool:
        """Whether a decision is on its way into the store: the caller is told it then."""
        waiting = self._deciding.get(identity)
        if waiting is None:
            return False
        waiting.append(caller)
        return True

    def abort_unknown(
        self, identity: TransactionId, callers: list[Caller], spans: Sequence[Interval] = ()
    ) -> None:
        """Write *aborted* under an id that holds nothing here; then tell the `spans`."""
        self._deciding[identity] = callers
        elsewhere = _outside(spans, self._owner.shape.interval)
        entry = Entry(
            records={},
            done=partial(self._decided, identity, 0, elsewhere),
            lost=partial(self._undecided, identity),
        )
        entry.outcomes.append((identity, 0))
        self._owner.enter(entry)

    def _decide_holder(
        self,
        holder: Holder,
        timestamp: Timestamp,
        spans: list[Interval],
        callers: list[Caller],
    ) -> None:
        """Write the decision and what it does here, in one batch."""
        owner, intent = self._owner, holder.intent
        check(holder.durable, "a decision about an intent that is not durable")
        if timestamp and not self._may_commit(holder, timestamp):
            timestamp = 0
        elsewhere = _outside(spans, owner.shape.interval)
        self._deciding[intent.id] = callers
        entry = self._applying(holder, timestamp)
        if elsewhere and timestamp:
            # An abort needs no record of who must hear it: whoever asks late is told so anyway.
            entry.records[VERDICT + intent.id] = encode_record(Verdict(timestamp, elsewhere))
        release = entry.done

        def done() -> None:
            release()
            self._decided(intent.id, timestamp, elsewhere)

        def lost(error: FastnessError) -> None:
            holder.timestamp = None
            self._undecided(intent.id, error)

        entry.done, entry.lost = done, lost
        owner.enter(entry)

    def _may_commit(self, holder: Holder, timestamp: Timestamp) -> bool:
        """Whether the commit timestamp keeps what was promised to readers and of expiries."""
        intent = holder.intent
        floor = highest_floor(intent.floor, intent.stamped_keys)
        if timestamp <= floor:
            self._owner.alarm(
                f"{shown(intent.id)} was to commit at {timestamp}, at or below the floor "
                f"{floor}: the oracle issued a timestamp twice or out of order"
            )
            return False
        return not intent.alive_until or timestamp < intent.alive_until

    def _decided(
        self, identity: TransactionId, timestamp: Timestamp, spans: list[Interval]
    ) -> None:
        for caller in self._deciding.pop(identity, []):
            self._owner.ports.answer(caller, Decision(timestamp))
        if spans:
            self._verdicts[identity] = Verdict(timestamp, spans)
            for span in spans:
                self._owner.ports.resolve(identity, timestamp, span)

    def _undecided(self, identity: TransactionId, error: FastnessError) -> None:
        for caller in self._deciding.pop(identity, []):
            self._owner.refuse(caller, error)

    def resolved(self, identity: TransactionId, part: Interval) -> None:
        """A part of the transaction's keys has heard the decision, durably."""
        verdict = self._verdicts.get(identity)
        if verdict is None:
            return
        left = _outside(verdict.spans, KeyInterval(*part))
        if left:
            self._verdicts[identity] = Verdict(verdict.timestamp, left)
            return
        del self._verdicts[identity]
        name = VERDICT + identity
        if name in self._owner.records:
            self._owner.enter(Entry(records={name: None}, done=_nothing, lost=_ignored))

    # ------------------------------------------------------- the participant

    def resolve(self, caller: Caller | None, request: Resolve) -> None:
        """Apply a decision that was taken at the anchor."""
        owner, identity = self._owner, request.id
        running = owner.admission.running.get(identity)
        if running is not None and running.is_prepare:
            if owner.locks.get(identity) is None:
                owner.admission.drop(running)
            else:
                running.after_durable.append(partial(self.resolve, caller, request))
                return
        holder = owner.locks.get(identity)
        if holder is None:
            if caller is not None:
                self._nothing_left(caller)
            return
        waiting = self._resolving.get(identity)
        if waiting is not None:
            if caller is not None:
                waiting.append(caller)
        elif identity not in self._deciding:
            self._resolve_holder(holder, request.timestamp, caller)
        elif caller is not None:
            owner.refuse(caller, Unreachable(f"{shown(identity)} is being decided: ask again"))

    def _nothing_left(self, caller: Caller) -> None:
        """Nothing of the transaction is held here: true of the range only under its lease.

        A successor that this leaseholder has not heard of may hold an intent of it; whoever is told
        that none is left forgets the decision.
        """
        owner = self._owner
        if owner.ports.lease_left_ms() <= 0:
            owner.refuse(caller, RangeMoved("the lease of this range has ended here: ask again"))
        else:
            owner.ports.answer(caller, Resolved(owner.span))

    def _resolve_holder(self, holder: Holder, timestamp: Timestamp, caller: Caller | None) -> None:
        identity = holder.identity
        floor = highest_floor(holder.floor, holder.intent.stamped_keys)
        if timestamp and timestamp <= floor:
            self._owner.alarm(
                f"{shown(identity)} resolves at {timestamp}, at or below its floor {floor}"
            )
        self._resolving[identity] = [] if caller is None else [caller]
        entry = self._applying(holder, timestamp)
        release = entry.done

        def done() -> None:
            release()
            for waiting in self._resolving.pop(identity, []):
                self._owner.ports.answer(waiting, Resolved(self._owner.span))

        def lost(error: FastnessError) -> None:
            holder.timestamp = None
            for waiting in self._resolving.pop(identity, []):
                self._owner.refuse(waiting, error)

        entry.done, entry.lost = done, lost
        self._owner.enter(entry)

    def _applying(self, holder: Holder, timestamp: Timestamp) -> Entry:
        """The entry that ends an intent; its `done` drops the locks."""
        intent = holder.intent
        holder.timestamp = timestamp
        entry = Entry(
            records={INTENT + intent.id: None},
            done=partial(self._owner.release, holder),
            lost=_ignored,
            resolved=resolved_writes(intent, timestamp) if timestamp else None,
        )
        entry.outcomes.append((intent.id, timestamp))
        if timestamp:
            entry.declared_keys = intent.write_keys
            entry.declared_intervals = [KeyInterval(*one) for one in intent.write_intervals]
        return entry

    def told(self, identity: TransactionId, timestamp: Timestamp) -> None:
        """The anchor answered what this range asked."""
        self.resolve(None, Resolve(0, 0, identity, timestamp))

    def give_up(self, error: FastnessError) -> None:
        """The range was retired: whoever waits asks elsewhere; nothing was lost."""
        for waiting in (self._deciding, self._resolving):
            callers = [caller for one in waiting.values() for caller in one]
            waiting.clear()
            for caller in callers:
                self._owner.refuse(caller, error)

    # ------------------------------------------------------------- overdue

    def tick(self, boot_ns: int) -> None:
        """Ask for decisions that are overdue, and spread those not answered everywhere."""
        owner = self._owner
        if not (len(owner.locks) or self._verdicts or self._asked_ns):
            return
        issued = owner.ports.issued()
        undecided = False
        for holder in owner.locks.holders():
            if not holder.durable or holder.decided:
                continue
            undecided = True
            if holder.waited_for or issued > holder.intent.deadline:
                self.want(holder, boot_ns)
        if undecided or self._verdicts:
            owner.ports.observe()
        if self._verdicts and boot_ns - self._spread_ns >= self._pause_ns:
            self._spread_ns = boot_ns
            for identity, verdict in list(self._verdicts.items()):
                for span in verdict.spans:
                    owner.ports.resolve(identity, verdict.timestamp, span)
        if len(self._asked_ns) > 2 * len(owner.locks) + 16:
            self._asked_ns = {
                identity: at
                for identity, at in self._asked_ns.items()
                if owner.locks.get(identity) is not None
            }

    def want(self, holder: Holder, boot_ns: int) -> None:
        """Ask the anchor of a holder, unless it was asked a moment ago."""
        owner, identity = self._owner, holder.identity
        if not holder.durable or holder.decided:
            return
        asked = self._asked_ns.get(identity)
        if asked is not None and boot_ns - asked < self._pause_ns:
            return
        self._asked_ns[identity] = boot_ns
        if asked is None and owner.ports.issued() <= holder.intent.deadline:
            # Most decisions arrive by themselves within the pause.
            return
        owner.ports.ask(identity, holder.intent.deadline)


def _outside(spans: Iterable[Interval], interval: KeyInterval) -> list[Interval]:
    """What of the spans lies outside the interval."""
    left: list[Interval] = []
    for begin, end in spans:
        if end <= interval.begin or interval.end <= begin:
            left.append((begin, end))
            continue
        if begin < interval.begin:
            left.append((begin, interval.begin))
        if interval.end < end:
            left.append((interval.end, end))
    return left


def _unknowable(identity: TransactionId) -> MaybeCommitted:
    return MaybeCommitted(
        f"{shown(identity)} was born before what this range still remembers: read what it wrote",
        transaction_id=identity,
    )


def _nothing() -> None:
    """Nobody waits for it."""


def _ignored(_error: FastnessError) -> None:
    """It is tried again on a later tick."""
