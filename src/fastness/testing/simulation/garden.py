"""The bugs themselves: one function each, beside the production code it stands in for.

Read a bug as "what if this rule were not there". `planted.py` says how they are switched on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fastness.cache import near_cache
from fastness.cache.near_cache import NearCache
from fastness.client.cluster import view as client_view
from fastness.client.cluster.commits import Commits
from fastness.client.cluster.timestamps import Timestamps
from fastness.node import flows, oracle_seat, session
from fastness.node.draws import Draws, Wanted
from fastness.node.leases import Lease
from fastness.node.shell import RangeShell
from fastness.node.store_port import StorePort
from fastness.node.upkeep import Upkeep
from fastness.placement import oracle_role
from fastness.ranges import batching, decisions, leaseholder, reads, reshaping, shape
from fastness.ranges.admission import Admission
from fastness.ranges.decisions import Decisions
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.locks import Holder, LockTable
from fastness.ranges.outcomes import OutcomeTable
from fastness.ranges.range import Range
from fastness.ranges.range_commit import RangeCommit
from fastness.ranges.reads import Reads
from fastness.ranges.recent import RecentWrites
from fastness.ranges.requests import Decision, Prepared, Resolve
from fastness.ranges.tracking import Tracking
from fastness.storage import planning
from fastness.testing.simulation.planted import plant
from fastness.transactions.two_phase import CommitMachine, Draw, Phase

_Any = Any


def _always(answer: object) -> Callable[[_Any], Callable[..., object]]:
    """Stands in for a method that then always answers the same."""
    return lambda _right: lambda *_args, **_kwargs: answer


# ----------------------------------------------------------- one range (H1, H2)


def _validated_before_the_wait(right: _Any) -> _Any:
    def again(self: Admission, commit: RangeCommit) -> None:
        if isinstance(commit, RangeCommit) and not commit.dead:
            commit.validated_at = self._owner.range.visible
        right(self, commit)

    return again


plant(
    "validate-then-wait",
    "2.1, H1",
    "a commit that waited is not validated again",
    (Admission, "again", _validated_before_the_wait),
)
plant(
    "skew-within-a-batch",
    "2.1, H1",
    "a commit joins beside a batch that writes what it read",
    (Range, "wait_if_undurable", _always(answer=False)),
)


def _no_validation(right: _Any) -> _Any:
    def overwritten(self: RecentWrites, keys: _Any, intervals: _Any, since: int) -> _Any:
        del intervals
        return right(self, keys, [], since)

    return overwritten


plant(
    "no-interval-validation",
    "2.3",
    "intervals read are not validated: phantoms",
    (RecentWrites, "overwritten", _no_validation),
)


def _points_unvalidated(right: _Any) -> _Any:
    def overwritten(self: RecentWrites, keys: _Any, intervals: _Any, since: int) -> _Any:
        del keys
        return right(self, set(), intervals, since)

    return overwritten


plant(
    "no-point-validation",
    "2.3",
    "keys read are not validated: lost updates, write skew",
    (RecentWrites, "overwritten", _points_unvalidated),
)
plant(
    "read-past-a-frozen-batch",
    "2 (last), H2",
    "readers do not wait for a batch whose timestamps were requested",
    (Range, "frozen_writes", _always(answer=False)),
)


def _memory_from_the_start(right: _Any) -> _Any:
    def load(self: Leaseholder, *args: _Any) -> None:
        right(self, *args)
        self.range.recent.low_water = 0

    return load


plant(
    "empty-memory-trusted",
    "2.3, M2",
    "a new leaseholder trusts its empty memory of recent writes",
    (Leaseholder, "load", _memory_from_the_start),
)


def _early_answers(right: _Any) -> _Any:
    def assign(self: Leaseholder) -> None:
        right(self)
        batch = self._batch
        if batch is None:
            return
        for commit in self.range.frozen_commits():
            if isinstance(commit, RangeCommit) and commit.timestamp and commit.callers:
                for caller in commit.callers:
                    self.ports.answer(caller, Decision(commit.timestamp))

    return assign


plant(
    "answer-before-durable",
    "2.5",
    "a commit is acknowledged when its batch is sent to the store",
    (Leaseholder, "_assign", _early_answers),
)


def _drawn_ahead(right: _Any) -> _Any:
    def draw(self: Draws, count: int, done: Callable[[int, int], None]) -> Wanted:
        stock = getattr(_drawn_ahead, "stock", None)
        key = id(self)
        if stock is None or stock[0] != key or stock[2] < count or count > 8:
            first: list[int] = []

            def keep(start: int, _count: int) -> None:
                _drawn_ahead.stock = (key, start + count, 64)  # type: ignore[attr-defined]
                first.append(start)
                done(start, count)

            wanted: Wanted = right(self, count + 64, keep)
            return wanted
        _, start, left = stock
        _drawn_ahead.stock = (key, start + count, left - count)  # type: ignore[attr-defined]
        wanted = Wanted(count, done)

        def serve() -> None:
            if not wanted.cancelled:
                done(start, count)

        self._post._process.call_later(0, serve)
        return wanted

    return draw


def _any_block(right: _Any) -> _Any:
    def frozen_floor(self: Range) -> int | None:
        floor = right(self)
        return None if floor is None else 0

    return frozen_floor


def _low_floor(right: _Any) -> _Any:
    def freeze(self: Range, floor: int) -> int:
        del floor
        return int(right(self, 0))

    return freeze


plant(
    "timestamp-before-lock",
    "2.5",
    "blocks of timestamps are drawn ahead of the batches that use them",
    (Draws, "draw", _drawn_ahead),
    (Range, "freeze", _low_floor),
)


def _no_overlay(right: _Any) -> _Any:
    del right

    def note(self: object, writes: object) -> None:
        del self, writes

    return note


plant(
    "atomics-evaluated-apart",
    "1.3, M4",
    "atomic operations of one batch do not see each other",
    (batching._Overlay, "note", _no_overlay),
)


def _expired_all_the_same(right: _Any) -> _Any:
    def writes_of(commit: _Any, *args: _Any) -> _Any:
        commit.alive_until = 0
        return right(commit, *args)

    return writes_of


plant(
    "expiry-not-checked-at-commit",
    "1.8, m7",
    "a commit that found a value alive may lie above its expiry",
    (batching, "_writes_of", _expired_all_the_same),
    (Decisions, "_may_commit", _always(answer=True)),
)

# ------------------------------------------------------- locks and readers (3)


def _no_read_locks(right: _Any) -> _Any:
    def intent(self: RangeCommit, **kwargs: _Any) -> _Any:
        return msgspec.structs.replace(right(self, **kwargs), read_keys=[], read_intervals=[])

    return intent


plant(
    "no-read-locks",
    "2.2, H1",
    "a prepared transaction does not lock what it read",
    (RangeCommit, "intent", _no_read_locks),
)


def _reads_not_recorded(right: _Any) -> _Any:
    def encode(value: _Any) -> bytes:
        if type(value).__name__ == "Intent":
            value = msgspec.structs.replace(value, read_keys=[], read_intervals=[])
        encoded: bytes = right(value)
        return encoded

    return encode


def _reads_forgotten_on_load(right: _Any) -> _Any:
    def decode(data: bytes) -> _Any:
        return msgspec.structs.replace(right(data), read_keys=[], read_intervals=[])

    return decode


plant(
    "read-locks-not-durable",
    "3.1",
    "a takeover forgets what prepared transactions had read",
    (leaseholder, "decode_intent", _reads_forgotten_on_load),
)


def _no_intents(right: _Any) -> _Any:
    def load(self: Leaseholder, shape_: _Any, state: _Any) -> None:
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
    (LockTable, "blocking", _always(answer=())),
)


def _split_without_intents(right: _Any) -> _Any:
    def within(records: _Any, interval: _Any) -> _Any:
        kept = right(records, interval)
        return {name: data for name, data in kept.items() if name[:1] != shape.INTENT}

    return within


plant(
    "split-forgets-locks",
    "3.7, H3",
    "intents and read locks are not carried to the children of a split",
    (shape, "_within", _split_without_intents),
)


def _split_without_outcomes(right: _Any) -> _Any:
    def within(records: _Any, interval: _Any) -> _Any:
        kept = right(records, interval)
        return {name: data for name, data in kept.items() if name[:1] != shape.OUTCOMES}

    return within


plant(
    "split-forgets-outcomes",
    "1.5, 3.7, H8",
    "outcomes are not carried to the children of a split",
    (shape, "_within", _split_without_outcomes),
)


def _split_without_verdicts(right: _Any) -> _Any:
    def within(records: _Any, interval: _Any) -> _Any:
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
plant(
    "stamps-lock-nothing",
    "3.6, H12",
    "a versionstamped key locks no interval",
    (RangeCommit, "intent", lambda right: lambda self, **kwargs: _no_stamp_lock(right, self, kwargs)),
    (Holder, "__init__", lambda right: lambda self, *a, **k: _no_stamp_intervals(right, self, a, k)),
)


def _no_stamp_lock(right: _Any, commit: _Any, kwargs: _Any) -> _Any:
    return right(commit, **kwargs)


def _no_stamp_intervals(right: _Any, holder: _Any, args: _Any, kwargs: _Any) -> None:
    right(holder, *args, **kwargs)
    holder.stamp_intervals = []


# ------------------------------------------------------------- decisions (3, H3, H4)


def _absence_means_abort(right: _Any) -> _Any:
    del right

    def abort_unknown(self: Decisions, identity: bytes, callers: list[_Any]) -> None:
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


def _outcomes_dropped(right: _Any) -> _Any:
    def add(self: OutcomeTable, name: bytes, found: _Any) -> None:
        right(self, name, ())
        del found

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
    (OutcomeTable, "forgotten", _always(answer=False)),
)


def _commit_without_intent(right: _Any) -> _Any:
    def decide(self: Decisions, caller: _Any, request: _Any) -> None:
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


def _drop_at_deadline(right: _Any) -> _Any:
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


def _abort_directly(right: _Any) -> _Any:
    def refuse(self: CommitMachine, error: Exception) -> _Any:
        if self._sent_spans and self.phase is Phase.PREPARING:
            sends = []
            for one in self._participants:
                where = one.descriptor
                body = Resolve(where.range_id, where.generation, self.id, 0)
                sends.append(self._send(where, body))  # type: ignore[arg-type]
            return [*sends, *right(self, error)]
        return right(self, error)

    return refuse


plant(
    "coordinator-aborts-directly",
    "3.2, H4",
    "a coordinator tells participants to abort before the anchor has decided",
    (CommitMachine, "_refuse", _abort_directly),
)


def _decide_early(right: _Any) -> _Any:
    def prepare(self: CommitMachine, *args: _Any) -> _Any:
        effects = right(self, *args)
        if self.phase is Phase.PREPARING and not getattr(self, "_early", False):
            return [*effects, Draw()]
        return effects

    return prepare


def _drawn_while_preparing(right: _Any) -> _Any:
    def drawn(self: CommitMachine, timestamp: int) -> _Any:
        if self.phase is Phase.PREPARING:
            self._timestamp = timestamp
            return []
        return right(self, timestamp)

    return drawn


def _keep_early_timestamp(right: _Any) -> _Any:
    def promised(self: CommitMachine, number: int, promise: Prepared) -> _Any:
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
    (Decisions, "_may_commit", _always(answer=True)),
)


def _only_writers_take_part(right: _Any) -> _Any:
    def cut(content: _Any, ranges: _Any) -> _Any:
        parts = right(content, ranges)
        if parts is None or len(parts) < 2:
            return parts
        writing = [part for part in parts if _writes(part.content)]
        return writing or parts

    return cut


def _writes(content: _Any) -> bool:
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
    (__import__("fastness.transactions.two_phase", fromlist=["cut"]), "cut", _only_writers_take_part),
)


def _resend_as_new(right: _Any) -> _Any:
    def send(self: CommitMachine, descriptor: _Any, body: _Any) -> _Any:
        if type(body).__name__ == "CommitOne" and self._number:
            self._renumber = getattr(type(self), "_renumber", 0)
            nonce = (int.from_bytes(self.id[8:16], "big") + self._number) % (1 << 64)
            self.id = self.id[:8] + nonce.to_bytes(8, "big") + self.id[16:]
            body = msgspec.structs.replace(body, id=self.id)
        return right(self, descriptor, body)

    return send


def _with_new_id(right: _Any) -> _Any:
    def send(self: CommitMachine, descriptor: _Any, body: _Any) -> _Any:
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


def _refusal_believed(right: _Any) -> _Any:
    def refuse(self: CommitMachine, error: Exception) -> _Any:
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


def _silence_is_refusal(right: _Any) -> _Any:
    def give_up(self: Commits, running: _Any) -> None:
        right(self, running)

    return give_up


# --------------------------------------------------------------- time (1.1, 6, H10)


def _shared_older_request(right: _Any) -> _Any:
    def wait(self: Timestamps, queue: list[_Any]) -> _Any:
        waiter = right(self, queue)
        if self._out and queue is self._readers and waiter in self._readers:
            self._readers.remove(waiter)
            self._served_readers.append(waiter)
        return waiter

    return wait


def _at_least_one(right: _Any) -> _Any:
    def send(self: Timestamps) -> None:
        if not self._readers and not self._served_readers:
            self._readers.append(self._calls.process.future())
        right(self)

    return send


plant(
    "shared-timestamp-too-old",
    "1.1",
    "a transaction uses the answer to a timestamp request sent before it began",
    (Timestamps, "_wait", _shared_older_request),
    (Timestamps, "_send", _at_least_one),
)


def _from_the_reply(right: _Any) -> _Any:
    def proved(self: Lease, before_ns: int, lease_ms: int) -> None:
        right(self, before_ns + lease_ms * 1_000_000, lease_ms)

    return proved


plant(
    "lease-from-the-reply",
    "5.4, H10",
    "a lease is counted generously: from long after its renewal was sent",
    (Lease, "proved", _from_the_reply),
)
plant(
    "successor-does-not-wait",
    "5.3, H5, H9",
    "a new leaseholder commits at once, while the old one may still be read",
    (__import__("fastness.node.opening", fromlist=["waited_ns"]), "waited_ns", _always(answer=0)),
)
plant(
    "oracle-does-not-wait",
    "6, H10",
    "a new oracle issues at once, while the old one may still",
    (oracle_seat, "waited_ns", _always(answer=0)),
    (oracle_seat.OracleTerm, "_runs", lambda _right: lambda self: not self._closed),
)


def _below_the_ceiling(right: _Any) -> _Any:
    def init(self: oracle_role.OracleRole, *, start: int, **kwargs: _Any) -> None:
        del start
        right(self, start=0, **kwargs)

    return init


plant(
    "oracle-starts-at-its-clock",
    "6, H10",
    "a new oracle starts at its wall clock, not above the durable ceiling",
    (oracle_role.OracleRole, "__init__", _below_the_ceiling),
)


def _never_compared(right: _Any) -> _Any:
    def renew(self: session.SessionKeeper, tenure: _Any) -> _Any:
        return _renewed_blindly(self, tenure)

    del right
    return renew


async def _renewed_blindly(keeper: session.SessionKeeper, tenure: _Any) -> bool:
    site = keeper._site
    before_ns = site.boot_ns()
    if not await site.coordination.keep_alive(tenure.session):
        return False
    for holding in list(tenure.holdings.values()):
        holding.lease.proved(before_ns, site.limits.lease_ms)
    return True


plant(
    "renewal-compares-nothing",
    "5.1, H9",
    "a node renews its session only, never looking at the keys of its ranges",
    (session.SessionKeeper, "_renew", _never_compared),
    (session.SessionKeeper, "verify", _always(answer=True)),
    (RangeShell, "lease_left_ms", lambda _right: lambda self: 0.0 if self.closed else 1000.0),
)

# ----------------------------------------------------------- the store (5.2, 5.6, H6)


def _no_fence(right: _Any) -> _Any:
    def advanced(row: _Any, batch: _Any) -> _Any:
        batch.epoch, batch.number = row.epoch, row.batch_number + 1
        return right(row, batch)

    return advanced


plant(
    "no-fence",
    "5.2, H6",
    "the store applies a batch of a deposed leaseholder",
    (__import__("fastness.storage.base", fromlist=["advanced"]), "advanced", _no_fence),
)


def _doubt_is_success(right: _Any) -> _Any:
    def applied(self: StorePort, number: int, error: Exception | None) -> None:
        if type(error).__name__ == "Unreachable":
            error = None
        right(self, number, error)

    return applied


plant(
    "doubt-taken-for-success",
    "5.6, H6",
    "a batch whose answer was lost counts as durable",
    (StorePort, "_applied", _doubt_is_success),
)


def _doubt_is_failure(right: _Any) -> _Any:
    def settle(self: StorePort, number: int) -> None:
        del right
        self._settled(number, False)

    return settle


plant(
    "doubt-taken-for-failure",
    "5.6, H6",
    "a batch whose answer was lost counts as never written",
    (StorePort, "_settle", _doubt_is_failure),
)


def _any_primary(right: _Any) -> _Any:
    def answered(
        self: StorePort, token: int, request: _Any, acknowledged: int, tries: int, answer: _Any
    ) -> None:
        del acknowledged
        right(self, token, request, 0, tries, answer)

    return answered


plant(
    "demoted-primary-read",
    "5.6, H6",
    "an answer older than what was acknowledged is believed",
    (StorePort, "_answered", _any_primary),
)

# --------------------------------------------------------- the near cache (7, H5, H7)

plant(
    "commit-without-invalidation",
    "7.2, H5, M5",
    "a commit does not wait until the copies of what it writes are gone",
    (Admission, "_stopped_by_caches", _always(answer=False)),
)


def _acked_at_once(right: _Any) -> _Any:
    def invalidate(self: Tracking, *args: _Any) -> _Any:
        _waits, told = right(self, *args)
        return False, told

    return invalidate


plant(
    "acknowledgement-not-awaited",
    "7.2, H5",
    "an invalidation is sent and not waited for",
    (Tracking, "invalidate", _acked_at_once),
)


def _not_spoiled(right: _Any) -> _Any:
    def drop(self: NearCache, keys: _Any, intervals: _Any) -> int:
        fills, self._fills = self._fills, {}
        taken: int = right(self, keys, intervals)
        self._fills = fills
        return taken

    return drop


plant(
    "fill-after-invalidation",
    "7.4, H5",
    "an answer under way is cached although its invalidation overtook it",
    (NearCache, "_drop", _not_spoiled),
)


def _lease_never_lapses(right: _Any) -> _Any:
    del right
    return lambda grant, sent_ns: sent_ns + 100 * grant.milliseconds * 1_000_000


plant(
    "lapsed-lease-served",
    "7.1, H5",
    "a client serves from a lease long after it ended",
    (__import__("fastness.cache.leases", fromlist=["end_of"]), "end_of", _lease_never_lapses),
)


def _any_moment(right: _Any) -> _Any:
    def admits(self: client_view.View, entry: _Any) -> bool:
        return True if self.drawn else bool(right(self, entry))

    return admits


plant(
    "valid-from-ignored",
    "7.5, H7, m15",
    "a cached entry serves every read timestamp",
    (client_view.View, "admits", _any_moment),
)
plant(
    "used-entries-not-rechecked",
    "7.5, H7, m13",
    "a transaction served by the cache does not look at what it used before",
    (NearCache, "all_valid", _always(answer=True)),
)
plant(
    "filled-under-a-lock",
    "7.4, m15",
    "what is being changed is cached all the same",
    (Reads, "_track", lambda _right: lambda self, caller, read, interval: _tracked(self, caller, read, interval)),
)


def _tracked(desk: Reads, caller: _Any, read: _Any, interval: _Any) -> _Any:
    owner = desk._owner
    lease, told = owner.tracking.track(caller, read.keys, interval, owner.ports.boot_ns())
    owner.tell(told)
    return lease


plant(
    "caches-kept-over-a-transfer",
    "7.3, H5",
    "a range is handed over without revoking what clients cached of it",
    (Tracking, "void_all", _always(answer=[])),
    (Tracking, "__len__", lambda _right: lambda self: 0 if not self._leases else _cached(self)),
)


def _cached(tracking: Tracking) -> int:
    return 0 if tracking._range_id < 0 else len(tracking._leases) and 0


def _own_forgotten(right: _Any) -> _Any:
    def hold(self: NearCache, keys: _Any, intervals: _Any) -> _Any:
        held = right(self, [], [])
        held.keys, held.intervals = [], []
        del keys, intervals
        return held

    return hold


plant(
    "own-copies-kept",
    "7.2, m16",
    "a client keeps its own copies of what its commit writes",
    (NearCache, "hold", _own_forgotten),
)

# ------------------------------------------- horizons, pruning, following (4, M1, H11)

plant(
    "read-below-the-horizon",
    "1.2, M1",
    "reads and commits below the prune horizon are served",
    (Leaseholder, "raise_horizon", _always(answer=None)),
)


def _closed_at_highest(right: _Any) -> _Any:
    del right

    def closed(self: Leaseholder) -> int:
        return self.ports.issued()

    return closed


plant(
    "closed-passes-intents",
    "4, H11",
    "the closed timestamp follows the highest issued, past what is undecided",
    (Leaseholder, "closed", _closed_at_highest),
)


def _lower_horizon(right: _Any) -> _Any:
    def merge(left: _Any, right_records: _Any) -> _Any:
        merged = right(left, right_records)
        merged.pop(shape.HORIZON_RECORD, None)
        return {name: data for name, data in merged.items() if name[:1] != shape.OUTCOMES}

    return merge


plant(
    "merge-takes-the-lower-horizon",
    "3.7, H8",
    "a merge forgets the outcomes and the outcome horizon of its halves",
    (reshaping, "merge_records", _lower_horizon),
)
