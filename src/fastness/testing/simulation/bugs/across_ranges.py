"""Bugs of locks, intents, decisions and resends of transactions over ranges.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fastness.ranges import leaseholder, shape
from fastness.ranges.decisions import Decisions
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.locks import Holder, LockTable
from fastness.ranges.outcomes import OutcomeTable
from fastness.ranges.range_commit import RangeCommit
from fastness.ranges.requests import Decision, Prepared, Resolve
from fastness.testing.simulation.bugs.planting import always, plant
from fastness.transactions import two_phase
from fastness.transactions.two_phase import CommitMachine, Draw, Phase


def _no_read_locks(right: Any) -> Any:
    def intent(self: RangeCommit, **kwargs: Any) -> Any:
        return msgspec.structs.replace(right(self, **kwargs), read_keys=[], read_intervals=[])

    return intent


plant(
    "no-read-locks",
    "2.2, H1",
    "a prepared transaction does not lock what it read",
    (RangeCommit, "intent", _no_read_locks),
)


def _reads_forgotten_on_load(right: Any) -> Any:
    def decode(data: bytes) -> Any:
        return msgspec.structs.replace(right(data), read_keys=[], read_intervals=[])

    return decode


plant(
    "read-locks-not-durable",
    "3.1",
    "a takeover forgets what prepared transactions had read",
    (leaseholder, "decode_intent", _reads_forgotten_on_load),
)


def _no_intents(right: Any) -> Any:
    def load(self: Leaseholder, shape_: Any, state: Any) -> None:
        right(self, shape_, state)
        for holder in self.locks.holders():
            self.locks.remove(holder)

    return load


plant(
    "intents-not-reloaded",
    "5.3",
    "a takeover forgets prepared transactions",
    (Leaseholder, "load", _no_intents),
)
plant(
    "read-past-intents",
    "3.5",
    "snapshot readers above an intent's floor, and latest reads, do not wait for its decision",
    (LockTable, "blocking", always(answer=())),
)


def _split_without_intents(right: Any) -> Any:
    def within(records: Any, interval: Any) -> Any:
        kept = right(records, interval)
        return {name: data for name, data in kept.items() if name[:1] != shape.INTENT}

    return within


plant(
    "split-forgets-locks",
    "3.7, H3",
    "intents and read locks are not carried to the children of a split",
    (shape, "_within", _split_without_intents),
)


def _split_without_outcomes(right: Any) -> Any:
    def within(records: Any, interval: Any) -> Any:
        kept = right(records, interval)
        return {name: data for name, data in kept.items() if name[:1] != shape.OUTCOMES}

    return within


plant(
    "split-forgets-outcomes",
    "1.5, 3.7, H8",
    "outcomes are not carried to the children of a split",
    (shape, "_within", _split_without_outcomes),
)


def _split_without_verdicts(right: Any) -> Any:
    def within(records: Any, interval: Any) -> Any:
        kept = right(records, interval)
        gone = (shape.OUTCOMES, shape.VERDICT)
        return {name: data for name, data in kept.items() if name[:1] not in gone}

    return within


plant(
    "split-forgets-decisions",
    "3.4, H3",
    "transaction records stay behind when their anchor's range splits",
    (shape, "_within", _split_without_verdicts),
)


def _no_stamp_intervals(right: Any) -> Any:
    def init(self: Holder, *args: Any, **kwargs: Any) -> None:
        right(self, *args, **kwargs)
        self.stamp_intervals = []

    return init


plant(
    "stamps-lock-nothing",
    "3.6, H12",
    "a versionstamped key locks no interval",
    (Holder, "__init__", _no_stamp_intervals),
)


def _absence_means_abort(_right: Any) -> Any:
    def abort_unknown(self: Decisions, identity: bytes, callers: list[Any], *_: Any) -> None:
        del identity
        for caller in callers:
            self._owner.ports.answer(caller, Decision(0))

    return abort_unknown


plant(
    "abort-without-record",
    "1.5, 3.4, H3",
    "an unknown transaction is answered 'aborted' and nothing is written",
    (Decisions, "abort_unknown", _absence_means_abort),
)


def _outcomes_dropped(right: Any) -> Any:
    def add(self: OutcomeTable, name: bytes, _found: Any, data: bytes) -> None:
        right(self, name, (), data)

    return add


plant(
    "outcomes-not-kept",
    "1.5, H3, H8",
    "decided transactions are forgotten at once: a resend is a new commit",
    (OutcomeTable, "add", _outcomes_dropped),
)
plant(
    "no-outcome-horizon",
    "1.5, H8",
    "an unknown id born below the outcome horizon is taken for a new one",
    (OutcomeTable, "forgotten", always(answer=False)),
)


def _commit_without_intent(right: Any) -> Any:
    def decide(self: Decisions, caller: Any, request: Any) -> None:
        owner = self._owner
        if (
            request.timestamp
            and owner.locks.get(request.id) is None
            and owner.outcomes.get(request.id) in (None, 0)
        ):
            owner.ports.answer(caller, Decision(request.timestamp))
            return
        right(self, caller, request)

    return decide


plant(
    "second-decision-wins",
    "3.2, H4",
    "an anchor that has aborted accepts a later commit decision",
    (Decisions, "decide", _commit_without_intent),
)


def _drop_at_deadline(right: Any) -> Any:
    def tick(self: Decisions, boot_ns: int) -> None:
        owner = self._owner
        for holder in owner.locks.holders():
            if (
                holder.durable
                and not holder.decided
                and owner.ports.issued() > holder.intent.deadline
            ):
                self.told(holder.identity, 0)
        right(self, boot_ns)

    return tick


plant(
    "participant-aborts-at-deadline",
    "3.2, H4, m9",
    "a participant drops its intent when the deadline passes, without asking the anchor",
    (Decisions, "tick", _drop_at_deadline),
)


def _abort_directly(right: Any) -> Any:
    def refuse(self: CommitMachine, error: Exception) -> Any:
        if self._sent_spans and self.phase is Phase.PREPARING:
            sends = []
            for one in self._participants:
                where = one.descriptor
                body = Resolve(where.range_id, where.generation, self.id, 0)
                sends.append(self._send(where, body))  # type: ignore[arg-type]  # no machine sends this
            return [*sends, *right(self, error)]
        return right(self, error)

    return refuse


plant(
    "coordinator-aborts-directly",
    "3.2, H4",
    "a coordinator tells participants to abort before the anchor has decided",
    (CommitMachine, "_refuse", _abort_directly),
)


def _decide_early(right: Any) -> Any:
    def prepare(self: CommitMachine, *args: Any) -> Any:
        effects = right(self, *args)
        if self.phase is Phase.PREPARING and not getattr(self, "_early", False):
            return [*effects, Draw()]
        return effects

    return prepare


def _drawn_while_preparing(right: Any) -> Any:
    def drawn(self: CommitMachine, timestamp: int) -> Any:
        if self.phase is Phase.PREPARING:
            self._timestamp = timestamp
            return []
        return right(self, timestamp)

    return drawn


def _keep_early_timestamp(right: Any) -> Any:
    def promised(self: CommitMachine, number: int, promise: Prepared) -> Any:
        early = self._timestamp
        effects = right(self, number, promise)
        if self.phase is Phase.DRAWING and early:
            self._timestamp = early
            self.phase = Phase.DECIDING
            return self._decide(None)
        return effects

    return promised


plant(
    "decision-drawn-before-prepared",
    "3.2",
    "the commit timestamp is drawn while prepares are still under way",
    (CommitMachine, "_prepare", _decide_early),
    (CommitMachine, "drawn", _drawn_while_preparing),
    (CommitMachine, "_promised", _keep_early_timestamp),
    (Decisions, "_may_commit", always(answer=True)),
)


def _only_writers_take_part(right: Any) -> Any:
    def cut(content: Any, ranges: Any) -> Any:
        parts = right(content, ranges)
        if parts is None or len(parts) < 2:
            return parts
        writing = [part for part in parts if _writes(part.content)]
        return writing or parts

    return cut


def _writes(content: Any) -> bool:
    return bool(
        content.writes
        or content.erased
        or content.atomics
        or content.stamped_keys
        or content.stamped_values
        or content.write_keys
        or content.write_intervals
    )


plant(
    "read-only-ranges-left-out",
    "7.5, m13",
    "ranges a writer only read are not validated",
    (two_phase, "cut", _only_writers_take_part),
)


def _with_new_id(right: Any) -> Any:
    def send(self: CommitMachine, descriptor: Any, body: Any) -> Any:
        if type(body).__name__ == "CommitOne" and self._number:
            nonce = (int.from_bytes(self.id[8:16], "big") + self._number) % (1 << 64)
            body = msgspec.structs.replace(
                body, id=self.id[:8] + nonce.to_bytes(8, "big") + self.id[16:]
            )
        return right(self, descriptor, body)

    return send


plant(
    "resend-with-a-new-id",
    "1.5, H8",
    "a commit that was not answered is sent again under another id",
    (CommitMachine, "_send", _with_new_id),
)


def _refusal_believed(right: Any) -> Any:
    def refuse(self: CommitMachine, error: Exception) -> Any:
        if not self._sent_spans and self.phase is Phase.ONE:
            return self._settle(0, error)
        return right(self, error)

    return refuse


plant(
    "refusal-believed-while-sends-are-out",
    "1.5",
    "a refusal counts although another send of the same id was not answered",
    (CommitMachine, "_refuse", _refusal_believed),
)
