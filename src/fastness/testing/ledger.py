"""Ledgers: what transactions read, wrote and were told, with the timestamps of the database.

A `History` says what clients saw and when. A ledger says more: for every *attempt* of a
transaction also its read timestamp, the commit timestamp of its acknowledgement and its id, and
keys, values and intervals as bytes, so that the whole run can be played again in timestamp order
(`fastness.testing.replay`)::

    ledger = Ledger()
    attempt = ledger.begin(process, kind="bank")
    attempt.reads.append((key, value))           # what the database answered
    attempt.writes.append(Set(key, value))       # what it was asked to write, in order
    attempt.end(Outcome.OK, read_timestamp=R, commit_timestamp=T)

`invoked` and `completed` come from one counter shared by all clients (`Recorder` of
`fastness.testing.history` tells why that is enough). An attempt that never ended has no
`completed`; its outcome is unknown. `operations` are the same doings in the words of
`history`, for the checkers that judge histories: `Ledger.history(kind)`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from fastness.invariants import check
from fastness.testing.history import History, Operation, Outcome, Transaction


class Set(NamedTuple):
    """A key was given a value (`None`: removed), gone from `expires_at` on (0: never)."""

    key: bytes
    value: bytes | None
    expires_at: int = 0


class Erase(NamedTuple):
    """Every key of [begin, end) was removed."""

    begin: bytes
    end: bytes


class Add(NamedTuple):
    """An amount was added to a counter: 8 bytes, little-endian, signed; absent counts as 0."""

    key: bytes
    amount: int


class Extend(NamedTuple):
    """Bytes were appended to a value; absent counts as empty."""

    key: bytes
    value: bytes


class StampKey(NamedTuple):
    """A value was written under prefix + versionstamp + suffix."""

    prefix: bytes
    value: bytes
    suffix: bytes = b""


class StampValue(NamedTuple):
    """A key was given prefix + versionstamp + suffix."""

    key: bytes
    prefix: bytes
    suffix: bytes = b""


Effect = Set | Erase | Add | Extend | StampKey | StampValue


class Scanned(NamedTuple):
    """The entries of [begin, end), all of them, in key order.

    `after` is how many of the attempt's own writes came before, which it therefore saw. A
    `single` one is a point read: the interval holds that one key.
    """

    begin: bytes
    end: bytes
    entries: tuple[tuple[bytes, bytes], ...]
    after: int = 0
    single: bool = False


class Attempt:
    """One attempt of one transaction, as its client saw it; `T7` in explanations.

    `reads` and `scans` are validated at the commit; `loose` ones only belong to the snapshot.
    A `read_timestamp` of 0 means that none was told: what was read must then be true at one moment
    that real time allows. `past` says that its read timestamp was chosen by the client.
    """

    __slots__ = (
        "_ledger",
        "commit_timestamp",
        "completed",
        "identity",
        "index",
        "invoked",
        "kind",
        "loose",
        "operations",
        "outcome",
        "past",
        "process",
        "read_timestamp",
        "reads",
        "scans",
        "writes",
    )

    def __init__(self, ledger: Ledger, index: int, process: int, kind: str, invoked: int) -> None:
        self._ledger = ledger
        self.index = index
        self.process = process
        self.kind = kind
        self.invoked = invoked
        self.completed: int | None = None
        self.outcome = Outcome.UNKNOWN
        self.identity = b""
        self.read_timestamp = 0
        self.past = False
        self.commit_timestamp = 0
        self.reads: list[tuple[bytes, bytes | None]] = []
        self.scans: list[Scanned] = []
        self.loose: list[Scanned] = []
        self.writes: list[Effect] = []
        self.operations: list[Operation] = []

    @property
    def name(self) -> str:
        """How explanations call it."""
        return f"T{self.index}"

    @property
    def writes_at(self) -> int:
        """The timestamp at which its writes count, 0 where they do not, or it has none."""
        if self.outcome is Outcome.FAILED or not self.writes:
            return 0
        return self.commit_timestamp

    def found(self) -> Iterator[tuple[bytes, bytes]]:
        """What it found present, its own writes left out."""
        for key, value in self.reads:
            if value is not None:
                yield key, value
        for scan in (*self.scans, *self.loose):
            if not scan.after:
                yield from scan.entries

    def end(
        self,
        outcome: Outcome,
        *,
        read_timestamp: int = 0,
        commit_timestamp: int = 0,
        identity: bytes = b"",
    ) -> None:
        """Record how it ended, now; exactly once."""
        check(self.completed is None, f"{self.name} had ended at {self.completed}")
        self.completed = self._ledger.now()
        self.outcome = outcome
        self.read_timestamp = read_timestamp
        self.commit_timestamp = commit_timestamp
        self.identity = identity
        if outcome is Outcome.OK:
            self._ledger.committed += 1
            self._ledger.committed_writes += bool(self.writes)

    def resolve(self, commit_timestamp: int | None) -> None:
        """What became of an unknown outcome: committed then, or (`None`) never."""
        check(self.outcome is Outcome.UNKNOWN, f"{self.name} is known: {self.outcome}")
        if commit_timestamp is None:
            self.outcome = Outcome.FAILED
        else:
            self.commit_timestamp = commit_timestamp


class Ledger:
    """Attempts in the order of their beginning."""

    def __init__(self, *, clock: Callable[[], int] | None = None) -> None:
        self.now: Callable[[], int] = clock if clock is not None else itertools.count(1).__next__
        self.attempts: list[Attempt] = []
        self.committed = 0
        """How many were acknowledged."""
        self.committed_writes = 0
        """Those of them that wrote."""

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self.attempts)

    def __len__(self) -> int:
        return len(self.attempts)

    def begin(self, process: int, kind: str = "", *, invoked: int = 0) -> Attempt:
        """Record that an attempt begins, before its first message is sent; or began `invoked`."""
        attempt = Attempt(self, len(self.attempts), process, kind, invoked or self.now())
        self.attempts.append(attempt)
        return attempt

    def of_kind(self, *kinds: str) -> list[Attempt]:
        """The attempts of some kinds, in order."""
        return [one for one in self.attempts if one.kind in kinds]

    def unresolved(self) -> list[Attempt]:
        """Attempts that wrote and whose outcome nobody knows yet."""
        return [
            one
            for one in self.attempts
            if one.outcome is Outcome.UNKNOWN and one.writes and not one.commit_timestamp
        ]

    def history(self, *kinds: str) -> History:
        """The attempts of some kinds as the checkers of histories want them."""
        return as_history(self.of_kind(*kinds))


def as_history(attempts: Iterable[Attempt]) -> History:
    """Attempts as transactions of a history; those that noted no operation are left out.

    A process one of whose attempts never ended goes on as another: its client was killed. A
    failed attempt ends at the latest where the next one of its process begins.
    """
    transactions: list[Transaction] = []
    renamed: dict[int, int] = {}
    begun: dict[int, int] = {}
    fresh = itertools.count(1 << 20)
    for one in reversed(list(attempts)):
        completed, follower = one.completed, begun.get(one.process)
        begun[one.process] = one.invoked
        if completed is None and one.outcome is not Outcome.UNKNOWN:
            completed = one.invoked + 1
        if completed is None:
            renamed[one.process] = next(fresh)
        elif follower is not None:
            completed = min(completed, follower)
        if one.operations:
            process = renamed.get(one.process, one.process)
            operations = tuple(one.operations)
            transactions.append(
                Transaction(0, process, one.invoked, completed, one.outcome, operations)
            )
    return History.of(transactions)
