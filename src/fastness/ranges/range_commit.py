"""Requests to commit or prepare, as the range's machine takes them: `Commit`s with callers.

A `CommitOne` and a `Prepare` carry the same content; the one is written with the batch it
joins, the other takes locks and leaves an intent. Both wait, die and are validated alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import LimitExceeded
from fastness.limits import Limits
from fastness.ranges.atomic import AtomicKind, AtomicOperation, evaluate
from fastness.ranges.commit import STAMP_BYTES, Commit
from fastness.ranges.intents import Intent, highest_floor
from fastness.ranges.locks import Footprint
from fastness.ranges.ports import Caller
from fastness.ranges.requests import CommitOne, Content, Interval, Prepare, Write
from fastness.storage import cells


class RangeCommit(Commit):
    """A commit or prepare under way in one range, and everybody who asked for it."""

    __slots__ = (
        "after_durable",
        "callers",
        "content",
        "dead",
        "deadline",
        "followers",
        "lease",
        "lock_intervals",
        "lock_keys",
        "resolvers",
        "stamp_intervals",
    )

    def __init__(self, request: CommitOne | Prepare, caller: Caller, end: bytes) -> None:
        """A request to the range that ends at `end`."""
        content = request.content
        super().__init__(
            read_timestamp=content.read_timestamp,
            priority=(request.priority, request.id),
            identity=request.id,
        )
        self.content = content
        self.callers = [caller]
        self.resolvers: list[Caller] = []
        """Who asked to have it decided while it was under way."""
        self.deadline: Timestamp = request.deadline if type(request) is Prepare else 0
        self.lease = request.lease
        self.dead = False
        """Given up: whatever still comes for it is dropped."""
        self.after_durable: list[Callable[[], None]] = []
        self.followers: list[Commit] = []
        """Commits that wait behind this waiting prepare."""
        self._fill(content, end)
        self.lock_keys = list(self.writes)
        if content.atomics or content.stamped_values or content.write_keys:
            more = [*content.atomics, *content.stamped_values, *content.write_keys]
            self.lock_keys = list(dict.fromkeys([*self.lock_keys, *more]))
        self.lock_intervals: list[KeyInterval] = [*self.erased, *(self.write_intervals or ())]
        self.stamp_intervals: list[KeyInterval] = [
            stamped.interval(below=self.alive_until) for stamped in content.stamped_keys
        ]

    def _fill(self, content: Content, end: bytes) -> None:
        """Take over what there is; most commits have a few plain reads and writes alone."""
        if content.read_keys:
            self.read_keys = set(content.read_keys)
        if content.read_intervals:
            self.read_intervals = [KeyInterval(*one) for one in content.read_intervals]
        expiries = {}
        for write in content.writes:
            self.writes[write.key] = write.value
            if write.expires_at and write.value is not None:
                expiries[write.key] = write.expires_at
        self.expiries = expiries or None
        if content.erased:
            self.erased = [KeyInterval(*one) for one in content.erased]
        if content.atomics:
            self.atomics = {
                key: [AtomicOperation(AtomicKind(kind), operand) for kind, operand in operations]
                for key, operations in content.atomics.items()
            }
        self.alive_until = content.alive_until
        if content.stamped_keys:
            self.stamped_keys = content.stamped_keys
            limits = [self.alive_until, *(one.limit_at(end) for one in content.stamped_keys)]
            self.alive_until = min(filter(None, limits), default=0)
        self.stamped_values = content.stamped_values or None
        if content.write_keys:
            self.write_keys = set(content.write_keys)
        if content.write_intervals:
            self.write_intervals = [KeyInterval(*one) for one in content.write_intervals]
        self.bytes = content.size

    @property
    def is_prepare(self) -> bool:
        """Whether it will hold locks until a decision comes."""
        return self.deadline > 0

    def intent(self, *, floor: Timestamp, span: Interval) -> Intent:
        """What the range promises, to commit above `floor` and all that its stamps come after.

        Atomic operations stand in it without a value yet.
        """
        content = self.content
        writes = list(content.writes)
        writes += [Write(key, None) for key in content.atomics if key not in self.writes]
        return Intent(
            id=self.id,
            priority=self.priority[0],
            deadline=self.deadline,
            floor=highest_floor(floor, content.stamped_keys),
            span=span,
            alive_until=self.alive_until,
            read_keys=content.read_keys,
            read_intervals=content.read_intervals,
            writes=writes,
            erased=content.erased,
            stamped_keys=content.stamped_keys,
            stamped_values=content.stamped_values,
            write_keys=content.write_keys,
            write_intervals=content.write_intervals,
        )


def evaluated(
    commit: RangeCommit, found: list[bytes | None], floor: Timestamp, limits: Limits
) -> tuple[list[Write], Timestamp]:
    """The writes a prepare's atomic operations come to, and the smallest expiry they rest on.

    `found` are the newest cells of the keys in the order of `commit.atomics`. A value that had
    not expired at the floor counts as alive, and then the commit must lie below its expiry.
    Raises what the operation cannot do.
    """
    writes: list[Write] = []
    alive_until: Timestamp = 0
    for (key, operations), cell in zip((commit.atomics or {}).items(), found, strict=True):
        value = cells.value_at(cell, floor)
        expires_at = cells.expiry_of(cell) if cell is not None and value is not None else 0
        if expires_at:
            alive_until = min(alive_until or expires_at, expires_at)
        for operation in operations:
            value = evaluate(operation, value, limits.value_bytes)
            if value is None:
                expires_at = 0
        writes.append(Write(key, value, expires_at))
    return writes, alive_until


def require_sizes(commit: RangeCommit, limits: Limits) -> None:
    """`LimitExceeded` for keys and values no honest client sends."""
    for key, value in commit.writes.items():
        if len(key) > limits.stored_key_bytes or len(value or b"") > limits.value_bytes:
            raise LimitExceeded(
                f"key {key[:40]!r} of {len(key)} bytes with a value of {len(value or b'')} exceeds "
                f"key_bytes={limits.key_bytes} beyond its key space, or value_bytes="
                f"{limits.value_bytes}: split the value over several keys"
            )
    for stamped in commit.stamped_keys or ():
        size = len(stamped.prefix) + STAMP_BYTES + len(stamped.suffix)
        if size > limits.stored_key_bytes or len(stamped.value) > limits.value_bytes:
            raise LimitExceeded(
                f"versionstamped key of {size} bytes under {stamped.prefix[:40]!r} with a value of "
                f"{len(stamped.value)} exceeds key_bytes={limits.key_bytes} beyond its key space, "
                f"or value_bytes={limits.value_bytes}: shorten what is around the stamp"
            )
    if commit.bytes > limits.transaction_bytes:
        raise LimitExceeded(
            f"a transaction of {commit.bytes} bytes exceeds transaction_bytes="
            f"{limits.transaction_bytes}: split it"
        )


def requests_conflict(one: Footprint, other: Footprint) -> bool:
    """Whether two requests could not hold their locks at once."""
    return (
        _overlap(one.lock_keys, one.lock_intervals, other.read_keys, other.read_intervals)
        or _overlap(one.read_keys, one.read_intervals, other.lock_keys, other.lock_intervals)
        or _overlap(one.lock_keys, one.lock_intervals, other.lock_keys, other.lock_intervals)
        or _overlap((), one.stamp_intervals, other.read_keys, other.read_intervals)
        or _overlap(one.read_keys, one.read_intervals, (), other.stamp_intervals)
        or _overlap((), one.stamp_intervals, other.lock_keys, other.lock_intervals)
        or _overlap(one.lock_keys, one.lock_intervals, (), other.stamp_intervals)
    )


def _overlap(
    keys: Iterable[bytes],
    intervals: Iterable[KeyInterval],
    other_keys: Iterable[bytes],
    other_intervals: Iterable[KeyInterval],
) -> bool:
    mine, theirs = set(keys), set(other_keys)
    return (
        not mine.isdisjoint(theirs)
        or any(one.contains(key) for one in intervals for key in theirs)
        or any(one.contains(key) for one in other_intervals for key in mine)
        or any(one.overlaps(other) for one in intervals for other in other_intervals)
    )
