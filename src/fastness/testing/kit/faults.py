"""The plan of faults: what the next commits and reads of a database will meet.

A plan is two queues, one for commits and one for reads. Each commit that wrote something, and
each read, takes the first entry of its queue; with an empty queue everything is as it always is.
Nothing is random: a test says what happens and in which order, so it is the same every time.
"""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from enum import Enum
from threading import Lock

from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    Conflict,
    Draining,
    FastnessError,
    InvalidOption,
    MaybeCommitted,
    Overloaded,
    RateLimited,
    Unreachable,
)
from fastness.invariants import InvariantViolation

TIMES_MAX = 10_000
_ID_BYTES = 16


class FaultKind(Enum):
    """What may be met."""

    CONFLICT = "conflict"
    MAYBE_COMMITTED = "maybe committed, and was"
    MAYBE_NOT = "maybe committed, and was not"
    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate limited"
    DRAINING = "draining"
    UNREACHABLE = "unreachable"
    UNREACHABLE_READ = "unreachable at a read"
    PASSED_OVER = "passed over"


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of a plan."""

    kind: FaultKind
    key: bytes = b""
    retry_after_ms: int = 0

    def error(self) -> FastnessError:
        """What is raised of this kind; those that leave the outcome open are `left_open`'s."""
        planned = "(planned by fastness_faults)"
        match self.kind:
            case FaultKind.CONFLICT:
                return Conflict(f"{self.key!r} was overwritten {planned}", key=self.key)
            case FaultKind.OVERLOADED:
                return Overloaded(f"a queue is full {planned}", retry_after_ms=self.retry_after_ms)
            case FaultKind.RATE_LIMITED:
                return RateLimited(
                    f"the token's rate is used up {planned}", retry_after_ms=self.retry_after_ms
                )
            case FaultKind.DRAINING:
                return Draining(f"the server goes down {planned}")
            case FaultKind.UNREACHABLE | FaultKind.UNREACHABLE_READ:
                return Unreachable(f"nobody answered in time {planned}")
            case FaultKind.MAYBE_COMMITTED | FaultKind.MAYBE_NOT | FaultKind.PASSED_OVER:
                raise InvariantViolation(f"{self.kind} is no refusal")


class Faults:
    """What the next commits and reads meet. Each call adds to the end; safe for all threads."""

    def __init__(self) -> None:
        """Nothing is planned."""
        self._lock = Lock()
        self._commits: deque[Fault] = deque()
        self._reads: deque[Fault] = deque()
        self._outcomes: dict[bytes, Timestamp | None] = {}
        self.met: list[FaultKind] = []
        """What was met so far, in order."""

    # ------------------------------------------------------------------ commits

    def conflict(self, *, times: int = 1, key: bytes = b"") -> None:
        """The next commits are refused with `Conflict`: something read was overwritten."""
        self._plan(self._commits, Fault(FaultKind.CONFLICT, key=key), times)

    def maybe_committed(self, *, committed: bool, times: int = 1) -> None:
        """The next commits raise `MaybeCommitted`; whether they happened is `committed`.

        `database.outcome(error.transaction_id)` tells the truth, as it does of real ones.
        """
        kind = FaultKind.MAYBE_COMMITTED if committed else FaultKind.MAYBE_NOT
        self._plan(self._commits, Fault(kind), times)

    def overloaded(self, *, times: int = 1, retry_after_ms: int = 0) -> None:
        """The next commits are refused with `Overloaded`: a queue is full."""
        fault = Fault(FaultKind.OVERLOADED, retry_after_ms=_checked_ms(retry_after_ms))
        self._plan(self._commits, fault, times)

    def rate_limited(self, *, times: int = 1, retry_after_ms: int = 0) -> None:
        """The next commits are refused with `RateLimited`: the token's rate is used up."""
        fault = Fault(FaultKind.RATE_LIMITED, retry_after_ms=_checked_ms(retry_after_ms))
        self._plan(self._commits, fault, times)

    def draining(self, *, times: int = 1) -> None:
        """The next commits are refused with `Draining`: the server is about to restart."""
        self._plan(self._commits, Fault(FaultKind.DRAINING), times)

    def unreachable_commits(self, *, times: int = 1) -> None:
        """The next commits raise `Unreachable`: they were never sent."""
        self._plan(self._commits, Fault(FaultKind.UNREACHABLE), times)

    def pass_commits(self, *, times: int = 1) -> None:
        """The next commits meet nothing; what is planned after this waits for them."""
        self._plan(self._commits, Fault(FaultKind.PASSED_OVER), times)

    # -------------------------------------------------------------------- reads

    def unreachable(self, *, times: int = 1) -> None:
        """The next reads raise `Unreachable`: nobody who could answer did so in time."""
        self._plan(self._reads, Fault(FaultKind.UNREACHABLE_READ), times)

    def pass_reads(self, *, times: int = 1) -> None:
        """The next reads meet nothing; what is planned after this waits for them."""
        self._plan(self._reads, Fault(FaultKind.PASSED_OVER), times)

    # ------------------------------------------------------------------ the plan

    @property
    def waiting(self) -> int:
        """How many entries nobody has met yet. A test that ends with some proved less."""
        with self._lock:
            return len(self._commits) + len(self._reads)

    def clear(self) -> None:
        """Forget what was not met."""
        with self._lock:
            self._commits.clear()
            self._reads.clear()

    def _plan(self, queue: deque[Fault], fault: Fault, times: int) -> None:
        if type(times) is not int or not 1 <= times <= TIMES_MAX:
            raise InvalidOption(
                f"times={times!r} is not a number from 1 to {TIMES_MAX}: say how often it happens"
            )
        with self._lock:
            queue.extend([fault] * times)

    # ------------------------------------------------------ for the transactions

    def next_commit(self) -> Fault | None:
        """Take what a commit meets."""
        return self._take(self._commits)

    def next_read(self) -> None:
        """Take what a read meets, and raise it."""
        fault = self._take(self._reads)
        if fault is not None:
            raise fault.error()

    def _take(self, queue: deque[Fault]) -> Fault | None:
        # Nearly always empty: no lock is needed to see that.
        if not queue:
            return None
        with self._lock:
            fault = queue.popleft() if queue else None
            if fault is None or fault.kind is FaultKind.PASSED_OVER:
                return None
            self.met.append(fault.kind)
            return fault

    def give_back(self, fault: Fault) -> None:
        """A commit failed by itself: the next one meets the fault."""
        with self._lock:
            self.met.remove(fault.kind)
            self._commits.appendleft(fault)

    def left_open(self, transaction_id: bytes, timestamp: Timestamp | None) -> MaybeCommitted:
        """Keep what became of a commit whose outcome its client was not told."""
        identity = transaction_id or secrets.token_bytes(_ID_BYTES)
        with self._lock:
            self._outcomes[identity] = timestamp
        return MaybeCommitted(
            f"the outcome of commit {identity.hex()} is unknown (planned by fastness_faults): "
            "ask database.outcome(error.transaction_id)",
            transaction_id=identity,
        )

    def knows(self, transaction_id: bytes) -> bool:
        """Whether the outcome was left open by this plan."""
        return transaction_id in self._outcomes

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When it was committed, `None` if it was not."""
        return self._outcomes[transaction_id]


def _checked_ms(retry_after_ms: int) -> int:
    if type(retry_after_ms) is not int or retry_after_ms < 0:
        raise InvalidOption(
            f"retry_after_ms={retry_after_ms!r} is no number of milliseconds: give 0 or more"
        )
    return retry_after_ms


__all__ = ["Fault", "FaultKind", "Faults"]
