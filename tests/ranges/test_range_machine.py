"""The range against a deliberately dumb one: any order of submissions, closes and failures.

The machine plays the shell: it answers NEEDS_STORE, applies batches to a list of versions, and
checks each batch it is given by looking at everything ever written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fastness.encoding import counters
from fastness.encoding.intervals import KeyInterval
from fastness.errors import Conflict, MaybeCommitted, StoreUnavailable
from fastness.invariants import present
from fastness.limits import Limits
from fastness.ranges import Commit, CommitState, Reservation, Stamped, versionstamp
from fastness.storage import cells
from fastness.storage.contract import Batch
from tests.ranges.requests import new_range, request

LIMITS = replace(
    Limits(), batch_commits=4, batch_bytes=9, recent_keys=8, commits_queued=12, value_bytes=64
)
KEYS = [bytes([letter]) for letter in b"abcde"]
STAMP_PREFIX = b"d"
keys = st.sampled_from(KEYS)
snapshots = st.integers(0, 2)
"""How many snapshots ago a commit read."""
sizes = st.integers(1, 3)
expiries = st.none() | st.integers(1, 12)
intervals = st.tuples(keys, keys).map(lambda edges: (min(edges), max(edges) + b"\x00"))


@dataclass(frozen=True)
class Version:
    """What one commit gave one key; `None`: deleted."""

    timestamp: int
    value: int | None
    expires_at: int = 0


class RangeMachine(RuleBasedStateMachine):
    """Submits, closes, applies, fails; keeps the whole history to check against."""

    def __init__(self) -> None:
        super().__init__()
        self.start()

    def start(self) -> None:
        """A range just opened over an empty store, at timestamp 10."""
        self.clock = 10
        self.owned = new_range(LIMITS, visible=10)
        self.snapshots = [10]
        self.versions: dict[bytes, list[Version]] = {key: [] for key in KEYS}
        self.touched: list[tuple[int, Commit]] = []
        """Every commit that was ever in a durable batch, dropped ones too, by its batch's end."""
        self.waiting_for: dict[bytes, Commit] = {}
        self.reservations: list[Reservation] = []
        self.members: list[Commit] = []
        self.closed: Batch | None = None
        self.being_written = False
        self.highest = 10

    @initialize()
    def begin_with_something(self) -> None:
        """Counters exist from the start, so that erasing and deleting them means something."""
        first = request(at=10, additions={key: [1] for key in KEYS})
        self.submit_request(first)

    # ------------------------------------------------------------- the shell's part

    def submit_request(self, commit: Commit) -> None:
        """Hand a commit over, answering for the store when asked."""
        self.waiting_for[commit.id] = commit
        self.owned.submit(commit)
        while needs_store(commit):
            self.validate_in_store(commit)
            if not commit.settled:
                self.owned.submit(commit)
        if commit.settled:
            self.answered(commit)

    def validate_in_store(self, commit: Commit) -> None:
        """What the host does: read again at both ends."""
        since, through = commit.validated_at, self.owned.visible
        for key in self.versions:
            if self.reads(commit, key) and self.at(key, since) != self.at(key, through):
                commit.fail(Conflict("found in the store", key=key))
                return
        commit.validated_at = through

    def answered(self, commit: Commit) -> None:
        """A commit is settled: once, and for a reason."""
        assert self.waiting_for.pop(commit.id) is commit
        assert commit.settled
        if isinstance(commit.error, Conflict) and not commit.alive_until:
            assert self.was_overtaken(commit)

    def answer(self, settled: list[Commit]) -> None:
        """Take in what the range gave back, as the host does."""
        for commit in settled:
            if commit.state is CommitState.NEEDS_STORE:
                self.waiting_for.pop(commit.id)
                self.validate_in_store(commit)
                if not commit.settled:
                    self.submit_request(commit)
            else:
                self.answered(commit)

    # ------------------------------------------------------------- the dumb model

    def at(self, key: bytes, timestamp: int) -> Version | None:
        """The version of a key that a reader at `timestamp` is to look at."""
        seen = [version for version in self.versions[key] if version.timestamp <= timestamp]
        return seen[-1] if seen and seen[-1].value is not None else None

    def counter(self, key: bytes, timestamp: int) -> int | None:
        """Its value there."""
        version = self.at(key, timestamp)
        if version is None or 0 < version.expires_at <= timestamp:
            return None
        return version.value

    @staticmethod
    def reads(commit: Commit, key: bytes) -> bool:
        """Whether a commit read this key."""
        return key in commit.read_keys or any(map_contains(commit.read_intervals, key))

    @staticmethod
    def writes(commit: Commit, key: bytes) -> bool:
        """Whether a commit may have written this key, as far as anybody could know before."""
        return (
            key in commit.writes
            or key in (commit.atomics or {})
            or any(map_contains(commit.erased, key))
            or (bool(commit.stamped_keys) and key.startswith(STAMP_PREFIX))
        )

    def was_overtaken(self, commit: Commit) -> bool:
        """Whether anything it read was touched by a batch above its read timestamp."""
        return any(
            last > commit.read_timestamp and self.reads(commit, key) and self.writes(other, key)
            for last, other in self.touched
            for key in self.versions
        )

    def record(self, commit: Commit, timestamp: int) -> None:
        """Apply a committed member to the versions, the simplest way there is."""
        for key in KEYS:
            found = self.counter(key, timestamp)
            base = self.at(key, timestamp)
            if any(map_contains(commit.erased, key)):
                self.versions[key].append(Version(timestamp, None))
            if key in (commit.atomics or {}):
                operations = present(commit.atomics, "checked above")[key]
                total = (found or 0) + sum(counters.decode(one.operand) for one in operations)
                kept = base.expires_at if base is not None and found is not None else 0
                self.versions[key].append(Version(timestamp, total, kept))
            if key in commit.writes:
                value = commit.writes[key]
                self.versions[key].append(
                    Version(
                        timestamp,
                        None if value is None else counters.decode(value),
                        (commit.expiries or {}).get(key, 0),
                    )
                )
        if commit.stamped_keys:
            self.versions[STAMP_PREFIX + versionstamp(timestamp)] = [Version(timestamp, 1)]

    # ------------------------------------------------------------------- the rules

    @rule(
        at=snapshots,
        reads=st.lists(keys, max_size=1),
        scans=st.lists(intervals, max_size=1),
        key=keys,
        alive=st.none() | st.integers(1, 12),
        size=sizes,
    )
    def submit_reader(
        self,
        *,
        at: int,
        reads: list[bytes],
        scans: list[tuple[bytes, bytes]],
        key: bytes,
        alive: int | None,
        size: int,
    ) -> None:
        """A commit that read, perhaps a value that will expire."""
        alive_until = 0 if alive is None else self.clock + alive
        self.submit_request(
            request(
                at=self.snapshot(at),
                reads=reads,
                scans=scans,
                writes={key: counters.encode(1)},
                alive_until=alive_until,
                size=size,
            )
        )

    @rule(at=snapshots, key=keys, value=st.none() | st.integers(5, 9), expires=expiries, size=sizes)
    def submit_writer(
        self, *, at: int, key: bytes, value: int | None, expires: int | None, size: int
    ) -> None:
        """A blind write: it never conflicts and never waits but for room."""
        commit = request(
            at=self.snapshot(at),
            writes={key: None if value is None else counters.encode(value)},
            size=size,
        )
        if expires is not None and value is not None:
            commit.expiries = {key: self.clock + expires}
        self.submit_request(commit)

    @rule(
        at=snapshots,
        additions=st.dictionaries(
            keys, st.lists(st.integers(-3, 3), min_size=1, max_size=2), min_size=1, max_size=2
        ),
        erased=st.lists(intervals, max_size=1),
        reads=st.lists(keys, max_size=1),
    )
    def submit_counter(
        self,
        *,
        at: int,
        additions: dict[bytes, list[int]],
        erased: list[tuple[bytes, bytes]],
        reads: list[bytes],
    ) -> None:
        """Atomic additions, perhaps beside an interval that is erased."""
        # As the client's buffer does: on what was erased before, an addition is a plain write.
        known = {key: each for key, each in additions.items() if covered(erased, key)}
        self.submit_request(
            request(
                at=self.snapshot(at),
                reads=reads,
                erased=erased,
                writes={key: counters.encode(sum(each)) for key, each in known.items()},
                additions={key: each for key, each in additions.items() if key not in known},
            )
        )

    @rule(at=snapshots, interval=intervals)
    def submit_eraser(self, *, at: int, interval: tuple[bytes, bytes]) -> None:
        """A blind removal of an interval."""
        self.submit_request(request(at=self.snapshot(at), erased=[interval]))

    @rule(at=snapshots, reads=st.lists(keys, max_size=1))
    def submit_stamped(self, *, at: int, reads: list[bytes]) -> None:
        """A key that will hold the versionstamp."""
        self.submit_request(
            request(at=self.snapshot(at), reads=reads, stamped=[Stamped(STAMP_PREFIX, b"", b"1")])
        )

    def snapshot(self, ago: int) -> int:
        """One of the last snapshots, 0 being the newest."""
        return self.snapshots[max(0, len(self.snapshots) - 1 - ago)]

    @rule(passed=st.integers(1, 5))
    @precondition(lambda self: not self.being_written)
    def begin_snapshot(self, passed: int) -> None:
        """Visible follows the clock while nothing is being written."""
        self.clock = max(self.clock, self.highest) + passed
        self.owned.visible = self.highest = self.clock
        self.snapshots.append(self.clock)

    @rule(gap=st.integers(1, 4))
    @precondition(lambda self: not self.being_written and self.owned.open_count() > 0)
    def close(self, gap: int) -> None:
        """The leader closes the open batch at a block drawn just now."""
        first = self.highest + gap
        count = self.owned.open_count()
        assert count <= LIMITS.batch_commits
        self.members = [
            commit for commit in self.waiting_for.values() if commit.state is CommitState.JOINED
        ]
        assert len(self.members) == count
        found = {key: self.cell(key) for key in self.owned.atomic_keys()}
        self.closed = self.owned.close(first, found)
        self.being_written = True
        self.highest = self.clock = first + count - 1
        if self.closed is not None:
            self.check_batch(self.closed, first)

    def cell(self, key: bytes) -> bytes | None:
        """The newest cell, as the store has it."""
        version = self.at(key, self.highest)
        if version is None or version.value is None:
            return None
        value = counters.encode(version.value)
        if version.expires_at:
            return cells.expiring(version.timestamp, version.expires_at, value)
        return cells.plain(version.timestamp, value)

    def check_batch(self, batch: Batch, first: int) -> None:
        """Every member's reads are true at its place, and its writes are what it asked for."""
        by_timestamp = {one.timestamp: one for one in self.members if not one.settled}
        timestamps = [writes.timestamp for writes in batch.commits]
        assert timestamps == sorted(by_timestamp)
        assert set(timestamps) <= set(range(first, first + len(self.members)))
        for writes in batch.commits:
            member = by_timestamp[writes.timestamp]
            assert not member.alive_until or writes.timestamp < member.alive_until
            for key in self.versions:
                if self.reads(member, key):
                    now, then = self.at(key, self.highest), self.at(key, member.read_timestamp)
                    assert now == then, f"{key!r} read at {member.read_timestamp} is not true"
            self.record(member, writes.timestamp)
            stored = {key for key in writes.writes if len(key) == 1}
            for key in stored:
                value = writes.writes[key]
                version = self.at(key, writes.timestamp)
                assert (None if value is None else counters.decode(value)) == (
                    None if version is None else version.value
                )
                kept = (writes.expiries or {}).get(key, 0) if value is not None else 0
                assert kept == (version.expires_at if version is not None else 0)
            stamps = [key for key in writes.writes if len(key) > 1]
            if member.stamped_keys:
                assert stamps == [STAMP_PREFIX + versionstamp(writes.timestamp)]

    @rule()
    @precondition(lambda self: self.being_written)
    def applied(self) -> None:
        """The batch is durable."""
        self.touched += [(self.highest, member) for member in self.members]
        self.being_written = False
        settled = self.owned.applied()
        assert self.owned.visible == self.highest
        assert all(member in settled for member in self.members)
        self.answer(settled)
        self.snapshots.append(self.owned.visible)

    @rule(reads=st.lists(keys, min_size=1, max_size=2), scans=st.lists(intervals, max_size=1))
    @precondition(lambda self: len(self.reservations) < 3)
    def reserve(self, reads: list[bytes], scans: list[tuple[bytes, bytes]]) -> None:
        """A starving transaction asks for its turn."""
        owner = (self.snapshots[-1], b"")
        reservation = Reservation(
            owner=owner,
            keys=set(reads),
            intervals=[KeyInterval(*scan) for scan in scans],
            ends_ns=self.clock + 5,
        )
        self.reservations.append(reservation)
        self.owned.reservations.add(reservation)

    @rule()
    @precondition(lambda self: bool(self.reservations))
    def release(self) -> None:
        """It is done."""
        self.owned.reservations.remove(self.reservations.pop())
        self.owned.released()
        self.answer(self.owned.take_settled())

    @rule()
    def expire(self) -> None:
        """Reservations run out."""
        if self.owned.reservations.expire(self.clock):
            self.owned.released()
            self.answer(self.owned.take_settled())

    @rule()
    @precondition(lambda self: self.being_written and len(self.waiting_for) > LIMITS.batch_commits)
    def fail(self) -> None:
        """The store fails: everybody is answered, and only the batch being written is in doubt."""
        doubtful = [one for one in self.members if self.being_written and not one.settled]
        failed = self.owned.fail_all(StoreUnavailable("gone"))
        for commit in failed:
            assert isinstance(commit.error, MaybeCommitted) == (commit in doubtful)
            self.waiting_for.pop(commit.id)
        assert not self.waiting_for, "somebody waits for ever"
        assert self.owned.queued() == 0
        self.start()

    @invariant()
    def bounded(self) -> None:
        """No more are queued than the limit allows."""
        assert self.owned.queued() <= LIMITS.commits_queued

    def teardown(self) -> None:
        """Nobody is left behind: when all batches are written, everyone is answered."""
        while self.reservations:
            self.release()
        while self.being_written or self.owned.open_count():
            if not self.being_written:
                self.close(1)
            self.applied()
        assert not self.waiting_for


def needs_store(commit: Commit) -> bool:
    """Whether the range has asked for a look at the store."""
    return commit.state is CommitState.NEEDS_STORE


def map_contains(intervals: list[KeyInterval], key: bytes) -> list[bool]:
    """Whether each interval holds the key."""
    return [interval.contains(key) for interval in intervals]


def covered(erased: list[tuple[bytes, bytes]], key: bytes) -> bool:
    """Whether the key lies in one of these intervals."""
    return any(begin <= key < end for begin, end in erased)


def test_the_range_keeps_its_promises_in_any_order() -> None:
    """Reads true in their place, timestamps rising, everyone answered once, doubt where due."""
    run_state_machine_as_test(RangeMachine, settings=settings(max_examples=200))
