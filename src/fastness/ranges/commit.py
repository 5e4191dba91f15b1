"""A commit request as the leaseholder sees it, and the batches it travels in."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from enum import Enum, auto
from typing import Annotated, Protocol

import msgspec

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import FastnessError
from fastness.ranges.atomic import AtomicOperation
from fastness.ranges.entries import Entry
from fastness.ranges.recent import first_read_in

STAMP_BYTES = 10
"""A versionstamp: the 8-byte commit timestamp and a 2-byte order within it (always 0)."""


class CommitState(Enum):
    """How far a commit has come."""

    NEW = auto()
    NEEDS_STORE = auto()
    """The range no longer remembers back to its read timestamp: the store must be asked."""
    WAITING = auto()
    JOINED = auto()
    COMMITTED = auto()
    FAILED = auto()


# Members of an enumeration are looked up by name slowly; these are compared at every commit.
NEW, JOINED, COMMITTED, FAILED = (
    CommitState.NEW,
    CommitState.JOINED,
    CommitState.COMMITTED,
    CommitState.FAILED,
)


class Waiter(Protocol):
    """Whoever waits for a commit: a thread or a task."""

    def wake(self) -> None:
        """The commit is settled."""
        ...

    def lead(self) -> None:
        """The commit is a member of the open batch, and its waiter must see it written."""
        ...


class Stamped(msgspec.Struct, frozen=True, array_like=True):
    """A write under prefix + versionstamp + suffix; it travels as it is."""

    prefix: bytes
    suffix: bytes
    value: bytes
    erased_before: int = 0
    """How many intervals the commit had erased before: those after it may erase the key."""
    above: Annotated[Timestamp, msgspec.Meta(ge=0, lt=TIMESTAMP_MAX)] = 0
    """The commit lies above it: the newest timestamp its client knew to be issued."""

    @property
    def first(self) -> bytes:
        """The least key the stamp may make: whichever range holds it takes the write."""
        return self._key_at(self.above + 1)

    @property
    def journal(self) -> KeyInterval:
        """Every key of any timestamp: they have 63 bits, and begin below 0x80."""
        return KeyInterval(self.prefix, self.prefix + b"\x80")

    def interval(self, *, floor: Timestamp = 0, below: Timestamp = 0) -> KeyInterval:
        """Every key of a commit that is above a floor, too, and below `below` (0: no bound)."""
        begin = self._key_at(max(self.above, floor) + 1)
        end = self._key_at(below) if below else self.journal.end
        return KeyInterval(begin, max(begin, end))

    def limit_at(self, border: bytes) -> Timestamp:
        """The timestamp below which its key lies surely below a border; 0: at any timestamp."""
        if not self.journal.contains(border):
            return 0
        stamp = border[len(self.prefix) :][:8].ljust(8, b"\0")
        return max(1, int.from_bytes(stamp, "big"))

    def _key_at(self, timestamp: Timestamp) -> bytes:
        """The least key of a timestamp."""
        return self.prefix + timestamp.to_bytes(8, "big")


class Commit:
    """One transaction's reads and writes, and what became of them.

    The client fills the first group and hands the object over; from then on it belongs to
    the range until its waiter is woken, once, when `state` is COMMITTED or FAILED.
    """

    __slots__ = (
        "admitted",
        "alive_until",
        "atomics",
        "bytes",
        "erased",
        "error",
        "expiries",
        "id",
        "priority",
        "read_intervals",
        "read_keys",
        "read_timestamp",
        "stamped_keys",
        "stamped_values",
        "state",
        "timestamp",
        "validated_at",
        "waiter",
        "write_intervals",
        "write_keys",
        "writes",
    )

    def __init__(
        self, *, read_timestamp: Timestamp, priority: tuple[Timestamp, bytes], identity: bytes
    ) -> None:
        self.id = identity
        self.priority = priority
        """Read timestamp and id of the first attempt, kept over retries: the lower goes first."""
        self.read_timestamp = read_timestamp
        self.read_keys: set[bytes] = set()
        self.read_intervals: list[KeyInterval] = []
        self.writes: dict[bytes, bytes | None] = {}
        self.expiries: dict[bytes, Timestamp] | None = None
        self.erased: list[KeyInterval] = []
        self.atomics: dict[bytes, list[AtomicOperation]] | None = None
        self.stamped_keys: list[Stamped] | None = None
        self.stamped_values: dict[bytes, tuple[bytes, bytes]] | None = None
        self.write_keys: set[bytes] | None = None
        """Keys declared as written without a value (explicit write conflicts)."""
        self.write_intervals: list[KeyInterval] | None = None
        self.bytes = 0
        self.alive_until: Timestamp = 0
        """It must commit below, 0 for no bound: the smallest expiry of a value it found alive, or
        the stamp of the border that its versionstamped keys must stay below."""
        self.validated_at = read_timestamp
        """Reads are known to be true up to here."""
        self.state = NEW
        self.timestamp: Timestamp = 0
        self.error: FastnessError | None = None
        self.waiter: Waiter | None = None
        self.admitted: Callable[[], None] | None = None
        """Called instead of joining the open batch: a prepare takes its locks there."""

    @property
    def is_plain(self) -> bool:
        """Whether its writes are known without looking at what is stored, or at the time."""
        return (
            self.atomics is None
            and self.stamped_keys is None
            and self.stamped_values is None
            and not self.alive_until
        )

    @property
    def settled(self) -> bool:
        """Whether it ended, one way or the other."""
        state = self.state
        return state is COMMITTED or state is FAILED

    def forget_content(self) -> None:
        """Drop what a settled commit read and wrote; what became of it stays."""
        self.read_keys, self.read_intervals = set(), []
        self.writes, self.expiries, self.erased = {}, None, []
        self.atomics = self.stamped_keys = self.stamped_values = None

    def fail(self, error: FastnessError) -> None:
        """End without committing anything."""
        self.state = FAILED
        self.error = error


class OpenBatch:
    """Commits that will be written together, and an index of what they write."""

    __slots__ = (
        "_ordered",
        "_ordered_count",
        "bytes",
        "commits",
        "entries",
        "floor",
        "intervals",
        "keys",
        "waiting",
    )

    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.entries: list[Entry] = []
        self.floor: Timestamp = 0
        """Once frozen: its block of timestamps lies above it."""
        self.keys: set[bytes] = set()
        self.intervals: dict[KeyInterval, None] = {}
        """Erased, declared or to be stamped; many members may name the same one."""
        self.waiting: list[Commit] = []
        """Commits that read what this batch writes: validated again once it is durable."""
        self.bytes = 0
        self._ordered: list[bytes] = []
        self._ordered_count = 0

    def join(self, commit: Commit) -> None:
        """Add a validated commit; its place in the batch is its place in commit order."""
        self.commits.append(commit)
        self.bytes += commit.bytes
        keys = self.keys
        keys.update(commit.writes)
        if commit.erased:
            self.intervals.update(dict.fromkeys(commit.erased))
        if commit.atomics is not None:
            keys.update(commit.atomics)
        if commit.stamped_keys is not None:
            for stamped in commit.stamped_keys:
                # Not from its own `above` on: all members of one journal name the same.
                self.intervals[stamped.journal] = None
        if commit.stamped_values is not None:
            keys.update(commit.stamped_values)
        if commit.write_keys is not None:
            keys.update(commit.write_keys)
        if commit.write_intervals is not None:
            self.intervals.update(dict.fromkeys(commit.write_intervals))

    def overlaps(self, read_keys: set[bytes], read_intervals: list[KeyInterval]) -> bytes | None:
        """A key (or begin of an interval) that is both read there and written here."""
        if not self.keys.isdisjoint(read_keys):
            return min(self.keys & read_keys)
        for interval in self.intervals:
            hit = first_read_in(interval, read_keys, read_intervals)
            if hit is not None:
                return hit
        for read in read_intervals:
            ordered = self.ordered()
            place = bisect_left(ordered, read.begin)
            if place < len(ordered) and ordered[place] < read.end:
                return ordered[place]
        return None

    def ordered(self) -> list[bytes]:
        """The written keys in order; sorted only when somebody asks."""
        if self._ordered_count != len(self.keys):
            self._ordered = sorted(self.keys)
            self._ordered_count = len(self.keys)
        return self._ordered
