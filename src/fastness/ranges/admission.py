"""How a commit or a prepare gets into a batch: what it waits for, what it dies of, how it ends.

::

    submit --> known? answer.  Running? join it.
      |
      v
    the range: gate (elders, locks, undurable batches, caches) --> validate --> join
      ^            |                                                 |
      |            v waits, holding nothing                          | below its memory:
      `-- again ---'                                                 v read exactly again

After any wait everything starts from the beginning (CONSISTENCY, section 2.1). A prepare takes
its locks at the instant it is admitted and keeps them; a one-range commit holds nothing, so it
always waits and never dies of a lock.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from fastness.encoding.timestamps import Timestamp
from fastness.errors import (
    Conflict,
    FastnessError,
    InvalidKey,
    MaybeCommitted,
    Overloaded,
    SnapshotTooOld,
    Unreachable,
)
from fastness.ranges.commit import COMMITTED, FAILED, JOINED, Commit, CommitState
from fastness.ranges.entries import Entry
from fastness.ranges.identity import TransactionId, check_id, shown
from fastness.ranges.locks import Holder
from fastness.ranges.ports import Caller, StoreFound
from fastness.ranges.range import conflict_of
from fastness.ranges.range_commit import (
    RangeCommit,
    evaluated,
    requests_conflict,
    require_sizes,
)
from fastness.ranges.requests import (
    CommitOne,
    Content,
    Decision,
    Prepare,
    Prepared,
    intervals_of,
    places_of,
)
from fastness.ranges.rereading import Rereading, reread
from fastness.ranges.shape import INTENT, encode_record

if TYPE_CHECKING:
    from fastness.ranges.leaseholder import Leaseholder


class Admission:
    """The commits and prepares of one leaseholder that are not settled."""

    def __init__(self, owner: Leaseholder) -> None:
        self._owner = owner
        self.running: dict[TransactionId, RangeCommit] = {}
        """Commits and prepares that are not settled, by id."""
        self.locking = 0
        """Prepares that hold locks and are not in a batch yet."""
        self._elders: dict[TransactionId, RangeCommit] = {}
        """Prepares that wait for a lock: younger ones do not pass them."""

    def submit(self, caller: Caller, request: CommitOne | Prepare) -> None:
        """Take a request to commit or to prepare."""
        identity = check_id(request.id)
        known = self._owner.decisions.known(identity)
        if known is not None:
            self._owner.ports.answer(caller, Decision(known))
            return
        if self._owner.decisions.joined(caller, identity):
            return
        running = self.running.get(identity)
        if running is not None:
            running.callers.append(caller)
            return
        holder = self._owner.locks.get(identity)
        if holder is not None:
            self._prepared_before(caller, request, holder)
            return
        error = self._owner.ports.write_refusal() or self._inadmissible(request)
        if error is not None:
            self._owner.refuse(caller, error)
            return
        if self._owner.range.queued() + len(self.running) >= self._owner.limits.commits_queued:
            self._owner.overloaded(caller, "commits are queued", self._owner.limits.commits_queued)
            return
        commit = RangeCommit(request, caller, self._owner.span[1])
        self._begin(commit)

    def _prepared_before(
        self, caller: Caller, request: CommitOne | Prepare, holder: Holder
    ) -> None:
        intent = holder.intent
        if type(request) is Prepare:
            self._owner.ports.answer(
                caller, Prepared(intent.floor, intent.alive_until, intent.span)
            )
        else:
            # Sent as one message after the halves of a split merged again: decide it, or wait.
            self._owner.refuse(
                caller,
                MaybeCommitted(
                    f"{shown(intent.id)} is prepared here: resolve it at its anchor",
                    transaction_id=intent.id,
                ),
            )

    def _inadmissible(self, request: CommitOne | Prepare) -> FastnessError | None:
        """Why a request nobody has seen before cannot be taken at all."""
        content, identity = request.content, request.id
        if self._owner.outcomes.forgotten(identity):
            return MaybeCommitted(
                f"{shown(identity)} was born before what this range still remembers: it may have "
                "committed",
                transaction_id=identity,
            )
        misplaced = self._misplaced(content, identity)
        if misplaced is not None:
            return misplaced
        reads = content.read_keys or content.read_intervals
        if reads and content.read_timestamp < self._owner.prune_horizon:
            return SnapshotTooOld(
                f"the transaction read at {content.read_timestamp}, below the retained window, "
                f"which begins at {self._owner.prune_horizon}: run it again"
            )
        if type(request) is Prepare:
            if self._owner.ports.issued() > request.deadline:
                return Conflict(f"{shown(identity)} came past its deadline {request.deadline}")
            if len(self._owner.locks) + self.locking >= self._owner.limits.prepared:
                return Overloaded(
                    f"{self._owner.limits.prepared} transactions are prepared (the limit)"
                )
        return None

    def _misplaced(self, content: Content, identity: TransactionId) -> InvalidKey | None:
        """Why what it names does not lie here."""
        begin, end = self._owner.span
        keys = places_of(content)
        if (keys and not (begin <= min(keys) and max(keys) < end)) or not all(
            begin <= one[0] and one[1] <= end for one in intervals_of(content)
        ):
            return InvalidKey(f"{shown(identity)} names keys outside [{begin!r}, {end!r})")
        return None

    def _begin(self, commit: RangeCommit) -> None:
        try:
            require_sizes(commit, self._owner.limits)
        except FastnessError as error:
            self._owner.refuse(commit.callers[0], error)
            return
        if commit.is_prepare:
            commit.admitted = partial(self._lock, commit)
        self.running[commit.id] = commit
        self.advance(commit, self._owner.range.submit(commit))

    def again(self, commit: Commit) -> None:
        """After a wait everything starts from the beginning."""
        if isinstance(commit, RangeCommit) and not commit.dead:
            self._elders.pop(commit.id, None)
            followers, commit.followers = commit.followers, []
            self.advance(commit, self._owner.range.submit(commit))
            self._owner.ready.extend(partial(self.again, follower) for follower in followers)

    def advance(self, commit: RangeCommit, state: CommitState) -> None:
        """Go on with a commit the range has just looked at."""
        if state is CommitState.NEEDS_STORE:
            through = self._owner.range.visible
            self._drive(commit, reread(commit, through), through, None)
        elif state is COMMITTED or state is FAILED:
            self.settle(commit)

    def gate(self, commit: Commit) -> bool:
        """Stop a commit that must wait for locks, elders or caches, or die of them."""
        if not isinstance(commit, RangeCommit):
            return False
        if commit.dead:
            return True
        owner = self._owner
        if not (commit.deadline or self._elders or len(owner.locks) or len(owner.tracking)):
            # Nobody has locked or cached anything: there is nothing to wait for.
            return False
        return (
            self._stopped_by_elder(commit)
            or self._stopped_by_locks(commit)
            or self._stopped_by_batch(commit)
            or self._stopped_by_caches(commit)
        )

    def _stopped_by_locks(self, commit: RangeCommit) -> bool:
        conflicting = self._owner.locks.conflicting(commit)
        if not conflicting:
            return False
        first = next((one for one in conflicting if not one.decided), conflicting[0])
        if commit.is_prepare and not first.decided and first.priority < commit.priority:
            self._die(commit, f"{shown(first.identity)}, which is older, holds a lock")
            return True
        commit.state = CommitState.WAITING
        if commit.is_prepare:
            self._elders[commit.id] = commit
        first.when_released(partial(self.again, commit))
        self._owner.wants_decision(first)
        return True

    def _die(self, commit: RangeCommit, why: str) -> None:
        key = next(iter(commit.lock_keys), b"")
        commit.fail(Conflict(f"{why} on what {shown(commit.id)} needs: run it again", key=key))

    def _stopped_by_elder(self, commit: RangeCommit) -> bool:
        """Older prepares that wait go first, and so does an older one's reservation."""
        for elder in self._elders.values():
            if elder.priority < commit.priority and requests_conflict(elder, commit):
                if commit.is_prepare:
                    self._die(commit, f"{shown(elder.id)}, which is older, waits for a lock")
                else:
                    commit.state = CommitState.WAITING
                    elder.followers.append(commit)
                return True
        if commit.is_prepare and self._owner.range.reservations.reserved(commit):
            self._die(commit, "an older transaction has its turn")
            return True
        return False

    def _stopped_by_batch(self, commit: RangeCommit) -> bool:
        """A prepare evaluates its atomic operations on what is durable."""
        return (
            commit.is_prepare
            and commit.atomics is not None
            and self._owner.range.wait_if_undurable(commit, set(commit.atomics), [])
        )

    def _stopped_by_caches(self, commit: RangeCommit) -> bool:
        """Nothing is ordered before every copy of what it changes is gone."""
        if not len(self._owner.tracking):
            return False
        intervals = [*commit.lock_intervals, *commit.stamp_intervals]
        if commit.lease:
            # Only what the client held when it sent this: later fills are told like others.
            self._owner.tracking.forget_own(
                commit.callers[0], commit.lease, commit.lock_keys, intervals
            )
            commit.lease = 0
        waits, told = self._owner.tracking.invalidate(
            commit.lock_keys,
            intervals,
            self._owner.ports.boot_ns(),
            lambda: self._owner.ready.append(partial(self.again, commit)),
        )
        self._owner.tell(told)
        if waits:
            commit.state = CommitState.WAITING
        return waits

    # ------------------------------------------------------------- prepares

    def _lock(self, commit: RangeCommit) -> None:
        """A prepare is admitted: its locks stand from this instant."""
        commit.state = JOINED
        intent = commit.intent(floor=self._owner.ports.issued(), span=self._owner.span)
        holder = Holder(intent, durable=False)
        self._owner.locks.add(holder)
        if commit.atomics is None:
            self._leave_intent(commit, holder)
            return
        self.locking += 1
        keys = list(commit.atomics)
        self._owner.read_store(
            keys, None, self._owner.range.visible, partial(self._evaluate, commit, holder)
        )

    def _evaluate(
        self, commit: RangeCommit, holder: Holder, found: StoreFound | FastnessError
    ) -> None:
        self.locking -= 1
        if commit.dead:
            return
        try:
            if isinstance(found, FastnessError):
                raise found
            writes, alive_until = evaluated(commit, found[0], holder.floor, self._owner.limits)
        except FastnessError as error:
            commit.fail(error)
            self._owner.release(holder)
            self.settle(commit)
            return
        intent = holder.intent
        untouched = [one for one in intent.writes if one.key not in (commit.atomics or {})]
        bounds = [one for one in (intent.alive_until, alive_until) if one]
        holder.intent = msgspec.structs.replace(
            intent, writes=untouched + writes, alive_until=min(bounds, default=0)
        )
        self._leave_intent(commit, holder)

    def _leave_intent(self, commit: RangeCommit, holder: Holder) -> None:
        intent = holder.intent

        def done() -> None:
            holder.durable = True
            self._owner.counts.prepared += 1
            self.running.pop(commit.id, None)
            answer = Prepared(intent.floor, intent.alive_until, intent.span)
            for caller in commit.callers:
                self._owner.ports.answer(caller, answer)
            self._owner.ready.extend(commit.after_durable)

        def lost(error: FastnessError) -> None:
            self._owner.release(holder)
            commit.fail(error)
            self.settle(commit)

        self._owner.enter(
            Entry(records={INTENT + intent.id: encode_record(intent)}, done=done, lost=lost)
        )

    def drop(self, commit: RangeCommit) -> None:
        """Give up a prepare that waits and holds nothing."""
        commit.fail(Conflict(f"{shown(commit.id)} was aborted while it waited"))
        self.settle(commit)

    # ------------------------------------------------------------- settling

    def settle(self, commit: RangeCommit) -> None:
        """Answer everybody who asked for a commit that ended, once."""
        if commit.dead:
            # Given up while it waited somewhere: its id may be another request's by now.
            return
        self.running.pop(commit.id, None)
        self._elders.pop(commit.id, None)
        commit.dead = True
        self._owner.ready.extend(partial(self.again, follower) for follower in commit.followers)
        self._owner.ready.extend(commit.after_durable)
        if commit.state is COMMITTED:
            self._owner.counts.commits += 1
            for caller in (*commit.callers, *commit.resolvers):
                self._owner.ports.answer(caller, Decision(commit.timestamp))
            return
        self._owner.counts.conflicts += 1
        error = commit.error or Unreachable("the commit was given up: run it again")
        for caller in commit.callers:
            self._owner.refuse(caller, error)
        if commit.resolvers:
            if isinstance(error, MaybeCommitted) or self._owner.retired is not None:
                for caller in commit.resolvers:
                    self._owner.refuse(caller, error)
            else:
                self._owner.decisions.abort_unknown(commit.id, commit.resolvers)

    def _drive(
        self,
        commit: RangeCommit,
        steps: Rereading,
        through: Timestamp,
        found: StoreFound | FastnessError | None,
    ) -> None:
        """Validate by reading again: one step of the generator, then the store, and so on."""
        if commit.dead:
            return
        if isinstance(found, FastnessError):
            commit.fail(found)
            self.settle(commit)
            return
        try:
            if found is None:
                keys, scan, at = next(steps)
            else:
                keys, scan, at = steps.send((found[0], found[1]))
        except StopIteration as stop:
            self._reread(commit, through, stop.value)
            return
        self._owner.read_store(keys, scan, at, partial(self._drive, commit, steps, through))

    def _reread(
        self, commit: RangeCommit, through: Timestamp, changed: tuple[bytes, Timestamp] | None
    ) -> None:
        if commit.validated_at < self._owner.prune_horizon:
            commit.fail(
                SnapshotTooOld(
                    f"the transaction read at {commit.validated_at}, below the retained window: "
                    "run it again"
                )
            )
        elif changed is not None:
            commit.fail(conflict_of(*changed))
        else:
            commit.validated_at = through
            self.advance(commit, self._owner.range.submit(commit))
            return
        self.settle(commit)

    # ------------------------------------------------------------- giving up

    def refuse_waiting(self, error: FastnessError) -> None:
        """Refuse everybody who is not on the way into the store."""
        self._owner.range.give_up_waiting()
        for commit in list(self.running.values()):
            if commit.state is not JOINED:
                commit.fail(error)
                self.settle(commit)

    def give_up(self, error: FastnessError, in_doubt: list[Commit]) -> None:
        """The range was retired: refuse everybody; who is being written cannot be told how."""
        doubtful = {commit.id for commit in in_doubt if commit.state is JOINED}
        for commit in list(self.running.values()):
            commit.fail(_doubtful(commit.id) if commit.id in doubtful else error)
            self.settle(commit)


def _doubtful(identity: TransactionId) -> MaybeCommitted:
    return MaybeCommitted(
        f"the range moved while {shown(identity)} was being written: resolve it by its id",
        transaction_id=identity,
    )
