"""The leaseholder's state machine: validates and orders the commits of one range.

Synchronous and deterministic: no I/O, no clock, no threads. Its shell (`fastness.hosting`)
holds a lock around every call and performs what it asks for::

    submit(commit) ------> JOINED         it is a member of the open batch
                           WAITING        it will be validated again by itself
                           NEEDS_STORE    the shell must validate it against the store
                           FAILED         refused: conflict, overload
    freeze(floor) -------> int            how many timestamps its block needs
    assign(first, ...) --> Batch          to be applied and synced
    applied() -----------> [Commit]       settled: acknowledge them

Where the oracle answers at once `close` freezes and assigns in one step. Batches also carry
*entries*: durable steps that are no one-range commits (`entries.py`).

Order is the proof. Commits join the open batch one after another, a block of commit
timestamps is drawn when the batch closes, and timestamps follow the order of joining. A
commit is validated at the instant it joins, against everything applied since its read
timestamp; and if it reads what a batch not yet durable writes, it waits for that batch and
is validated again. So whatever it read is still true where it stands in the order: earlier
members wrote none of it, later members come after it. A later member may therefore write
what an earlier one read or wrote without waiting: locks held by a member that has joined
admit whatever can only be ordered after it.

Nothing of a batch is visible before it is durable: readers get timestamps at or below
`visible`, which rises when a batch is durable.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import Conflict, FastnessError, MaybeCommitted, Overloaded
from fastness.invariants import check, present
from fastness.limits import Limits
from fastness.ranges.batching import assemble
from fastness.ranges.commit import COMMITTED, JOINED, Commit, CommitState, OpenBatch
from fastness.ranges.entries import Entry
from fastness.ranges.recent import RecentWrites
from fastness.ranges.reservations import Reservations
from fastness.storage.contract import Batch, CommittedWrites, RangeState


class Range:
    """One range under one epoch; see the module's page for the order of calls."""

    def __init__(self, state: RangeState, *, visible: Timestamp, limits: Limits) -> None:
        """Serve a range just opened; every commit at or below `visible` is durable."""
        self.range_id = state.range_id
        self.epoch = state.epoch
        self.limits = limits
        self.visible = visible
        """The highest timestamp a reader may be given while a batch is being written."""
        self.recent = RecentWrites(low_water=visible, keys_max=limits.recent_keys)
        self.reservations = Reservations()
        self._batch_number = state.batch_number
        self._open = OpenBatch()
        self._overflow: deque[Commit] = deque()
        self._written: OpenBatch | None = None
        self._written_last: Timestamp = 0
        self._written_keys: tuple[set[bytes], list[KeyInterval]] = (set(), [])
        self.declared: Timestamp = 0
        """The newest batch in which write conflicts were declared."""
        self._settled: list[Commit] = []
        self.gate: Callable[[Commit], bool] | None = None
        """Asked first of every commit: whether it was stopped (queued elsewhere, or failed).

        A leaseholder with prepared transactions and caches stands here.
        """

    @property
    def writing(self) -> bool:
        """Whether a batch has been closed and is not yet durable."""
        return self._written is not None

    @property
    def wants_close(self) -> bool:
        """Whether anything is waiting for a batch and none is being written."""
        return self._written is None and bool(self._open.commits or self._open.entries)

    def queued(self) -> int:
        """Commits that have neither been closed into a batch nor settled."""
        waiting = len(self._overflow) + len(self._open.waiting) + self.reservations.waiting
        if self._written is not None:
            waiting += len(self._written.waiting)
        return waiting + len(self._open.commits)

    def submit(self, commit: Commit) -> CommitState:
        """Validate a commit and let it join the open batch, wait, or fail."""
        if self.queued() >= self.limits.commits_queued:
            commit.fail(
                Overloaded(
                    f"{self.limits.commits_queued} commits are queued (limit commits_queued): "
                    "back off and try again"
                )
            )
            return commit.state
        return self._admit(commit)

    def _admit(self, commit: Commit) -> CommitState:
        # First of all: a lock passed now would hide, once resolved, below `validated_at`.
        if self.gate is not None and self.gate(commit):
            return commit.state
        reads = bool(commit.read_keys or commit.read_intervals)
        if reads and commit.validated_at < self.recent.newest:
            if commit.validated_at < self.recent.low_water:
                # The store knows what was written, not what was only declared.
                if commit.validated_at < self.declared:
                    commit.fail(_declared_since(commit.validated_at, self.declared))
                else:
                    commit.state = CommitState.NEEDS_STORE
                return commit.state
            overwritten = self.recent.overwritten(
                commit.read_keys, commit.read_intervals, commit.validated_at
            )
            if overwritten is not None:
                commit.fail(conflict_of(overwritten.key, overwritten.winner))
                return commit.state
        if reads and self.wait_if_undurable(commit, commit.read_keys, commit.read_intervals):
            return commit.state
        if self._must_queue(commit):
            commit.state = CommitState.WAITING
            return commit.state
        if commit.admitted is None:
            self._open.join(commit)
            commit.state = JOINED
        else:
            commit.admitted()
        return commit.state

    def _must_queue(self, commit: Commit) -> bool:
        """Let the commit wait behind an older reservation or a full batch, if there is one."""
        if self.reservations.holds_back(commit):
            return True
        if (
            len(self._open.commits) >= self.limits.batch_commits
            or self._open.bytes >= self.limits.batch_bytes
        ):
            self._overflow.append(commit)
            return True
        return False

    def atomic_keys(self) -> set[bytes]:
        """Keys of the open batch whose newest value `close` must be given."""
        keys: set[bytes] = set()
        for commit in self._open.commits:
            if commit.atomics is not None:
                keys.update(commit.atomics)
        return keys

    def enter(self, entry: Entry) -> None:
        """Let an entry join the open batch."""
        self._open.entries.append(entry)

    def freeze(self, floor: Timestamp) -> int:
        """Close the open batch to newcomers; how many timestamps its block needs.

        `floor` is the highest timestamp known to be issued: the block, requested from now on,
        lies above it. Readers above it wait for the batch, readers at or below it do not.
        """
        check(self._written is None, "a batch was closed while another was being written")
        closing, self._open = self._open, OpenBatch()
        closing.floor = floor
        self._written = closing
        for _ in range(len(self._overflow)):
            self._admit_again(self._overflow.popleft())
        return len(closing.commits)

    def drop_atomics(self, error: FastnessError) -> list[Commit]:
        """Fail those of the frozen batch whose atomic operations cannot be evaluated; who they are.

        The block still has a timestamp for each: those left over are thrown away.
        """
        closing = present(self._written, "no batch is frozen")
        dropped = [commit for commit in closing.commits if commit.atomics is not None]
        closing.commits = [commit for commit in closing.commits if commit.atomics is None]
        for commit in dropped:
            commit.fail(error)
        return dropped

    def assign(self, first: Timestamp, found: dict[bytes, bytes | None]) -> Batch | None:
        """The frozen batch under a block of timestamps drawn since.

        `first` is the block's first timestamp, one per commit; `found` holds the newest cell
        of each of `atomic_keys()`. `None` when nothing was left to write: the settled
        ones are then answered by `applied()` all the same.
        """
        closing = present(self._written, "no batch is frozen")
        check(
            not closing.commits or first > closing.floor,
            f"a block was drawn at {first}, at or below the batch's floor {closing.floor}",
        )
        commits = assemble(closing.commits, first, found, self.limits) if closing.commits else []
        self._written_last = first + len(closing.commits) - 1 if closing.commits else 0
        self._written_keys = _keys_of(commits, closing)
        entries = closing.entries
        if not commits and not entries:
            return None
        self._batch_number += 1
        batch = Batch(self.range_id, self.epoch, self._batch_number, commits)
        for entry in entries:
            entry.write_into(batch)
        return batch

    def close(self, first: Timestamp, found: dict[bytes, bytes | None]) -> Batch | None:
        """Freeze the open batch and assign it a block of timestamps drawn just now."""
        check(first > self.visible, "a block was drawn at or below the visible timestamp")
        self.freeze(self.visible)
        return self.assign(first, found)

    def applied(self) -> list[Commit]:
        """The closed batch is durable: make it visible and validate who waited for it.

        Answers every commit that is settled now, or needs the store, in order.
        """
        batch = present(self._written, "no batch is being written")
        self._written = None
        committed = False
        for commit in batch.commits:
            if commit.state is JOINED:
                commit.state = COMMITTED
                committed = True
                if commit.write_keys is not None or commit.write_intervals is not None:
                    self.declared = self._written_last
        self.visible = max(self.visible, self._written_last)
        if committed:
            self.recent.add(*self._written_keys, max(self._written_last, self.recent.newest))
        for entry in batch.entries:
            self._take_up(entry)
        for commit in batch.waiting:
            self._admit_again(commit)
        return batch.commits + self.take_settled()

    def _take_up(self, entry: Entry) -> None:
        """An entry is durable: what it resolved counts as written, at its own timestamp."""
        resolved = entry.resolved
        if resolved is not None:
            self.visible = max(self.visible, resolved.timestamp)
            self.recent.add(
                [*resolved.writes, *entry.declared_keys],
                [*resolved.erased, *entry.declared_intervals],
                max(self.recent.newest, resolved.timestamp),
                written_at=resolved.timestamp,
            )
            if entry.declared_keys or entry.declared_intervals:
                self.declared = max(self.declared, resolved.timestamp)

    def frozen_entries(self) -> list[Entry]:
        """The entries of the batch being written."""
        return [] if self._written is None else self._written.entries

    def frozen_commits(self) -> list[Commit]:
        """The commits of the batch being written."""
        return [] if self._written is None else self._written.commits

    def frozen_floor(self) -> Timestamp | None:
        """The floor of the batch being written, `None` where it draws no timestamps."""
        if self._written is None or not self._written.commits:
            return None
        return self._written.floor

    def frozen_declared(self) -> Timestamp:
        """The highest timestamp at which the batch being written declares writes, 0 for none."""
        batch = present(self._written, "no batch is frozen")
        declares = any(
            commit.write_keys is not None or commit.write_intervals is not None
            for commit in batch.commits
        )
        declared = self._written_last if declares else 0
        for entry in batch.entries:
            if entry.resolved is not None and (entry.declared_keys or entry.declared_intervals):
                declared = max(declared, entry.resolved.timestamp)
        return declared

    def frozen_writes(self, keys: set[bytes], intervals: list[KeyInterval]) -> bool:
        """Whether the batch being written writes any of this."""
        return self._written is not None and self._written.overlaps(keys, intervals) is not None

    def undurable_writes(self, keys: set[bytes], intervals: list[KeyInterval]) -> bool:
        """Whether the batch being written, or the open one, writes any of this."""
        return self.frozen_writes(keys, intervals) or (
            self._open.overlaps(keys, intervals) is not None
        )

    def lost(self) -> list[Commit]:
        """The batch being written certainly never happened: its commits, unsettled."""
        batch = present(self._written, "no batch is being written")
        self._written = None
        for commit in batch.waiting:
            self._admit_again(commit)
        return batch.commits

    def give_up_waiting(self) -> None:
        """Forget everybody who has not joined a batch: they are the caller's now."""
        self._overflow.clear()
        self._open.waiting = []
        self.reservations.take_waiting()
        self.take_settled()
        if self._written is not None:
            self._written.waiting = []

    def wait_if_undurable(
        self, commit: Commit, keys: set[bytes], intervals: list[KeyInterval]
    ) -> bool:
        """Let the commit wait for a batch that writes any of this, if there is one."""
        for batch in (self._written, self._open):
            if batch is not None and batch.overlaps(keys, intervals) is not None:
                batch.waiting.append(commit)
                commit.state = CommitState.WAITING
                return True
        return False

    @property
    def batch_number(self) -> int:
        """The number of the last batch assigned."""
        return self._batch_number

    def _admit_again(self, commit: Commit) -> None:
        if self._admit(commit) is CommitState.FAILED or commit.state is CommitState.NEEDS_STORE:
            self._settled.append(commit)

    def take_settled(self) -> list[Commit]:
        """Commits that ended, or need the store, while others were served."""
        settled, self._settled = self._settled, []
        return settled

    def released(self) -> None:
        """A reservation ended: whoever it held back is validated again."""
        for commit in self.reservations.take_waiting():
            self._admit_again(commit)

    def fail_all(self, error: FastnessError) -> list[Commit]:
        """The store failed: answers every commit, none of which will be acknowledged.

        Members of the batch that was being written may be on disk: `MaybeCommitted`.
        """
        queued = [*self._overflow, *self._open.commits, *self._open.waiting]
        queued += self.reservations.take_waiting()
        # Refused, or sent to the store, when the batch was closed: not yet answered.
        queued += self.take_settled()
        doubtful: list[Commit] = []
        if self._written is not None:
            queued += self._written.waiting
            doubtful = [c for c in self._written.commits if c.state is CommitState.JOINED]
            queued += [c for c in self._written.commits if c.state is CommitState.FAILED]
        self._overflow.clear()
        self._open, self._written = OpenBatch(), None
        for commit in queued:
            if commit.state is not CommitState.FAILED:
                commit.fail(error)
        for commit in doubtful:
            commit.fail(
                MaybeCommitted(
                    f"the store failed while this commit was being written ({error}): reopen "
                    "the database and read what it wrote",
                    transaction_id=commit.id,
                )
            )
        return queued + doubtful

    def touches(self, interval: KeyInterval, since: Timestamp) -> bool:
        """Whether anything in `interval` was written above `since`, or may have been."""
        if self._written is not None and self._written.overlaps(set(), [interval]) is not None:
            return True
        return self.recent.touches(interval, since)

    def first_member(self) -> Commit | None:
        """The first member of the open batch, `None` while it is empty."""
        return self._open.commits[0] if self._open.commits else None

    def open_count(self) -> int:
        """How many commits the open batch has: the timestamps its block needs."""
        return len(self._open.commits)


def _keys_of(
    commits: list[CommittedWrites], batch: OpenBatch
) -> tuple[set[bytes], list[KeyInterval]]:
    """The keys and intervals a closed batch writes, stamped keys among them as keys.

    While a batch is pending the stamps are unknown and whole intervals stand for them; to
    remember those would make every reader of a journal conflict with its elders.
    """
    keys: set[bytes] = set()
    intervals: list[KeyInterval] = []
    for writes in commits:
        keys.update(writes.writes)
        intervals += writes.erased
    for commit in batch.commits:
        if commit.write_keys is not None:
            keys |= commit.write_keys
        if commit.write_intervals is not None:
            intervals += commit.write_intervals
    return keys, intervals


def _declared_since(read: Timestamp, declared: Timestamp) -> Conflict:
    return Conflict(
        f"write conflicts were declared at {declared}, after this transaction read at {read}, "
        "and too much was written since to tell of which keys: run it again",
        winner=declared,
    )


def conflict_of(key: bytes, winner: Timestamp) -> Conflict:
    """The error of a commit whose read of `key` was overtaken by `winner`."""
    return Conflict(
        f"key {key!r} was overwritten at {winner} after this transaction read it: run it again",
        key=key,
        winner=winner,
    )


__all__ = ["Range", "conflict_of"]
