"""The commit of one transaction as its client drives it: a state machine without I/O.

::

    ONE ------------------ moved, and now several ranges ----------> PREPARING
     | one message: committed, or refused for good                       | every range promised
     v                                                                   v
    SETTLED <---- the decision that stands ---- DECIDING <----------- DRAWING
       ^                                            (commit at T)
       `--------- the decision that stands ---- ABORTING  <---- a refusal, or time is over
                                                    (abort)

Inputs are answers, refusals, silences and drawn timestamps; outputs are `Effect`s. What makes it
exactly once (CONSISTENCY, sections 1.5 and 3):

* Every send carries the same id and the same content. A refusal is final only while every send
  has been answered and the refusal could not turn out otherwise if the frame arrived twice;
  else the id is decided *aborted* at its anchor first, and the decision that stands is reported.
* Any decision heard of the id, from any range, is the outcome.
* A timestamp is asked for after the last promise arrived, and lies above every floor.
* Where ranges merged under a commit, a part could grow: the attempt is aborted instead.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.errors import (
    Conflict,
    Draining,
    FastnessError,
    Fenced,
    MaybeCommitted,
    PermissionDenied,
    RangeMoved,
    RateLimited,
    SnapshotTooOld,
    StoreError,
    Unauthenticated,
    Unreachable,
)
from fastness.invariants import InvariantViolation, check
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.ranges.identity import TransactionId, anchor_of, shown
from fastness.ranges.requests import (
    CommitOne,
    Content,
    Decide,
    Decision,
    Interval,
    Prepare,
    Prepared,
    RangeAnswer,
)
from fastness.runtime.process import Address
from fastness.transactions.content import Part, cut, is_within

NEVER_TOLD = (MaybeCommitted, Unauthenticated, PermissionDenied)
"""Refusals of whoever asks for an outcome that no patience changes."""

ELSEWHERE = (RangeMoved, Fenced, Unreachable)
"""Refusals that say nothing of the transaction: ask again, perhaps another node."""

FOR_GOOD = (
    Conflict,
    SnapshotTooOld,
    StoreError,
    Draining,
    RateLimited,
    Unauthenticated,
    PermissionDenied,
)
"""Refusals that a second delivery of the same one-range commit cannot undo.

It would meet the first two again. What a gate did not let in is dropped when it comes again.
While its store takes no writes a leaseholder refuses what it had let in as a first delivery: the
node drops a second. To have the id resolved would need a write, which is just what cannot be had.
"""


class Send(NamedTuple):
    """Send this; report what came of it by `number`."""

    number: int
    to: Address
    body: CommitOne | Prepare | Decide


class Draw(NamedTuple):
    """Ask the oracle for a timestamp of this transaction alone, by a request sent from now on."""


class Pause(NamedTuple):
    """Wait a little, bring the range map up to date, then call `resumed`."""


class Settled(NamedTuple):
    """The end: committed at `timestamp`, or (0) why not."""

    timestamp: Timestamp
    error: Exception | None = None


Effect = Send | Draw | Pause | Settled


class Phase(Enum):
    """How far the commit has come."""

    ONE = auto()
    PREPARING = auto()
    DRAWING = auto()
    DECIDING = auto()
    ABORTING = auto()
    SETTLED = auto()


class _Participant:
    """A range that must promise its part."""

    __slots__ = ("content", "descriptor", "number", "promise")

    def __init__(self, part: Part) -> None:
        self.descriptor, self.content = part
        self.promise: Prepared | None = None
        self.number = 0
        """Of the send that is out, 0 for none."""


class CommitMachine:
    """One commit. Feed it until it says `Settled`; from then on it answers nothing."""

    __slots__ = (
        "_content",
        "_deadline",
        "_error",
        "_issued",
        "_lease_of",
        "_left",
        "_number",
        "_open",
        "_participants",
        "_paused",
        "_prepare_ms",
        "_priority",
        "_ranges",
        "_sent_spans",
        "_silences",
        "_timestamp",
        "id",
        "phase",
    )

    def __init__(
        self,
        identity: TransactionId,
        content: Content,
        *,
        priority: Timestamp,
        ranges: RangeMap,
        issued: Callable[[], Timestamp],
        prepare_ms: int,
        lease_of: Callable[[int], int],
    ) -> None:
        """One commit of `content` under `identity`.

        `ranges` is the client's map, corrected by others meanwhile; `issued` tells the newest
        timestamp it holds, `lease_of` the cache lease it has of a range.
        """
        self.id = identity
        self.phase = Phase.ONE
        self._content = content
        self._priority = priority
        self._ranges = ranges
        self._issued = issued
        self._prepare_ms = prepare_ms
        self._lease_of = lease_of
        self._deadline: Timestamp = 0
        self._participants: list[_Participant] = []
        self._open: dict[int, Descriptor] = {}
        self._number = 0
        self._left: dict[int, None] = {}
        """Sends of the commit or of a part that may have arrived, whatever came of them."""
        self._sent_spans: dict[Interval, None] = {}
        self._silences: dict[int, None] = {}
        """Sends that nobody answered, or not as they should."""
        self._paused = False
        self._error: Exception | None = None
        self._timestamp: Timestamp = 0

    @property
    def is_across_ranges(self) -> bool:
        """Whether any range was asked for a promise."""
        return bool(self._sent_spans)

    # ------------------------------------------------------------------ inputs

    def start(self) -> list[Effect]:
        """Send it for the first time."""
        return self._route(None)

    def answered(self, number: int, body: RangeAnswer) -> list[Effect]:
        """The answer to a send."""
        if self._open.pop(number, None) is None:
            return []
        if type(body) is Decision:
            return self._settle(body.timestamp, None if body.timestamp else self._aborted())
        if type(body) is Prepared:
            return self._promised(number, body)
        self._silences[number] = None
        self._take_back(number)
        return self._pause()

    def refused(self, number: int, error: FastnessError) -> list[Effect]:
        """A send was answered by an error; a `range_moved` has corrected the map already."""
        descriptor = self._open.pop(number, None)
        if descriptor is None:
            return []
        if self.phase in (Phase.DECIDING, Phase.ABORTING):
            if isinstance(error, NEVER_TOLD):
                return self._settle(0, self._unknown(str(error)))
            return self._decide(descriptor) if isinstance(error, ELSEWHERE) else self._pause()
        if isinstance(error, ELSEWHERE):
            return self._again(number, descriptor)
        return self._refuse(error)

    def unanswered(self, number: int) -> list[Effect]:
        """Nobody answered a send in time; it may still arrive, or have arrived."""
        if self._open.pop(number, None) is None:
            return []
        self._silences[number] = None
        return self._again(number, None)

    def unsent(self, number: int, error: FastnessError) -> list[Effect]:
        """A send certainly never left, for this reason; it may count as unanswered by now."""
        self._left.pop(number, None)
        self._silences.pop(number, None)
        if self.phase is Phase.ABORTING and self._is_untold:
            return self._settle(0, self._error or error)
        # One that was given up has been followed by others; the reason concerns those.
        return self.refused(number, error)

    @property
    def _is_untold(self) -> bool:
        """Whether no range can have heard of the transaction."""
        return not self._left and not self._sent_spans

    def resumed(self) -> list[Effect]:
        """The pause is over."""
        self._paused = False
        if self._open and self.phase is not Phase.PREPARING:
            return []
        if self.phase is Phase.ONE:
            return self._route(None)
        if self.phase is Phase.PREPARING:
            return self._prepare([one for one in self._participants if not one.number], None)
        if self.phase in (Phase.DECIDING, Phase.ABORTING):
            return self._decide(None)
        return []

    def drawn(self, timestamp: Timestamp) -> list[Effect]:
        """The commit timestamp asked for by `Draw`."""
        if self.phase is not Phase.DRAWING:
            return []
        for one in self._participants:
            promise = one.promise
            if promise is None or timestamp <= promise.floor:
                return self._refuse(
                    InvariantViolation(
                        f"the oracle issued {timestamp} for {shown(self.id)}, not above the floor "
                        f"of {promise}: two oracles may be serving"
                    )
                )
            if promise.alive_until and timestamp >= promise.alive_until:
                return self._refuse(
                    Conflict(
                        f"it could commit only below {promise.alive_until}, where a value that was "
                        "read expires, or a range border cuts its versionstamped keys"
                    )
                )
        self._timestamp = timestamp
        self.phase = Phase.DECIDING
        return self._decide(None)

    def give_up(self) -> list[Effect]:
        """Time is over. The first time it seeks the outcome, the second time there is none."""
        if self.phase is Phase.SETTLED:
            return []
        if self.phase in (Phase.DECIDING, Phase.ABORTING):
            return self._settle(0, self._unknown("nobody could tell what became of it"))
        return self._refuse(Unreachable(f"no range took {shown(self.id)} in time; try again later"))

    # --------------------------------------------------------------- one range

    def _route(self, tried: Descriptor | None) -> list[Effect]:
        """Send the whole to its range, or begin to prepare where there are several by now."""
        parts = cut(self._content, self._ranges)
        if parts is None:
            return self._pause()
        if len(parts) > 1:
            self.phase = Phase.PREPARING
            self._deadline = self._issued() + from_milliseconds(self._prepare_ms)
            self._participants = [_Participant(part) for part in parts]
            return self._prepare(list(self._participants), None)
        descriptor = parts[0].descriptor
        if not descriptor.holder or descriptor == tried:
            return self._pause()
        return [
            self._send(
                descriptor,
                CommitOne(
                    descriptor.range_id,
                    descriptor.generation,
                    self.id,
                    self._priority,
                    parts[0].content,
                    self._lease_of(descriptor.range_id),
                ),
            )
        ]

    # ---------------------------------------------------------- several ranges

    def _prepare(self, participants: list[_Participant], tried: Descriptor | None) -> list[Effect]:
        """Ask these for their promise, wherever their part lies by now."""
        effects: list[Effect] = []
        for one in participants:
            if one.promise is not None:
                continue
            parts = self._parts_of(one)
            if parts is None:
                effects += self._pause()
                continue
            if not all(self._covers(one, part) for part in parts):
                return [*effects, *self._refuse(RangeMoved("ranges merged during the commit"))]
            place = self._participants.index(one)
            pieces = [one] if len(parts) == 1 else [_Participant(part) for part in parts]
            self._participants[place : place + 1] = pieces
            for piece, (descriptor, content) in zip(pieces, parts, strict=True):
                piece.content = content
                if not descriptor.holder or descriptor == tried:
                    effects += self._pause()
                else:
                    effects.append(self._send_part(piece, descriptor))
        return effects

    def _parts_of(self, one: _Participant) -> list[Part] | None:
        """Where a participant's part lies by now."""
        if self._ranges.holder_of(one.descriptor.begin) is one.descriptor:
            return [Part(one.descriptor, one.content)]
        return cut(one.content, self._ranges)

    def _covers(self, one: _Participant, part: Part) -> bool:
        """Whether a range holds no more of the transaction than the participant was asked for."""
        descriptor, before = part.descriptor, one.descriptor
        if before.begin <= descriptor.begin and descriptor.end <= before.end:
            return True
        return is_within(one.content, self._content, descriptor.interval)

    def _send_part(self, one: _Participant, descriptor: Descriptor) -> Send:
        one.descriptor = descriptor
        self._sent_spans[(descriptor.begin, descriptor.end)] = None
        send = self._send(
            descriptor,
            Prepare(
                descriptor.range_id,
                descriptor.generation,
                self.id,
                self._priority,
                self._deadline,
                one.content,
                self._lease_of(descriptor.range_id),
            ),
        )
        one.number = send.number
        return send

    def _promised(self, number: int, promise: Prepared) -> list[Effect]:
        for one in self._take_back(number):
            one.promise = promise
        if self.phase is not Phase.PREPARING:
            return []
        if any(one.promise is None for one in self._participants):
            return []
        self.phase = Phase.DRAWING
        return [Draw()]

    # ---------------------------------------------------------------- decision

    def _decide(self, tried: Descriptor | None) -> list[Effect]:
        descriptor = self._ranges.holder_of(anchor_of(self.id))
        if descriptor is None or not descriptor.holder or descriptor == tried:
            return self._pause()
        spans = list(self._sent_spans)
        if self.phase is Phase.DECIDING:
            spans = [one.promise.span for one in self._participants if one.promise is not None]
        timestamp = self._timestamp if self.phase is Phase.DECIDING else 0
        body = Decide(descriptor.range_id, descriptor.generation, self.id, timestamp, spans)
        return [self._send(descriptor, body)]

    def _refuse(self, error: Exception) -> list[Effect]:
        """It shall not commit: say so at once where that is certain, else decide it first."""
        certain = not self._silences and not self._open and not self._sent_spans
        if self._is_untold or (certain and isinstance(error, FOR_GOOD)):
            return self._settle(0, error)
        self._error = error
        self.phase = Phase.ABORTING
        self._open.clear()
        return self._decide(None)

    def _settle(self, timestamp: Timestamp, error: Exception | None) -> list[Effect]:
        if timestamp and self.phase is Phase.DECIDING:
            check(
                timestamp == self._timestamp,
                f"{shown(self.id)} was decided at {timestamp}, but only {self._timestamp} asked",
            )
        self.phase = Phase.SETTLED
        self._open.clear()
        return [Settled(timestamp, None if timestamp else error)]

    def _aborted(self) -> Exception:
        """Why it did not commit, which is certain now, whatever was in doubt before."""
        if self._error is not None and not isinstance(self._error, MaybeCommitted):
            return self._error
        return Conflict(
            f"{shown(self.id)} was aborted: it stayed undecided past its deadline, was resolved by "
            "its id meanwhile, or was being written when its range moved"
        )

    def _unknown(self, reason: str) -> MaybeCommitted:
        return MaybeCommitted(
            f"the outcome of {shown(self.id)} is unknown ({reason}): ask `outcome` with its id",
            transaction_id=self.id,
        )

    # ------------------------------------------------------------------- sends

    def _send(self, descriptor: Descriptor, body: CommitOne | Prepare | Decide) -> Send:
        self._number += 1
        self._open[self._number] = descriptor
        if type(body) is not Decide:
            self._left[self._number] = None
        return Send(self._number, descriptor.holder, body)

    def _again(self, number: int, tried: Descriptor | None) -> list[Effect]:
        """Send again what `number` was; to `tried` only after a pause."""
        if self.phase is Phase.ONE:
            return self._route(tried)
        if self.phase is Phase.PREPARING:
            return self._prepare(self._take_back(number), tried)
        return self._decide(tried)

    def _take_back(self, number: int) -> list[_Participant]:
        """The participant whose request was sent as `number`, which is out no more."""
        found = [one for one in self._participants if one.number == number]
        for one in found:
            one.number = 0
        return found

    def _pause(self) -> list[Effect]:
        if self._paused:
            return []
        self._paused = True
        return [Pause()]


__all__ = [
    "CommitMachine",
    "Draw",
    "Effect",
    "Pause",
    "Phase",
    "Send",
    "Settled",
]
