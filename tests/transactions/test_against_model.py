"""The key-value layer against the dumb model: transactions interleaved in any way, on both stores.

Limits are tiny, so that pages end, memory of recent writes runs out, ceilings rise and versions
are pruned within a few steps.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest
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

import fastness
from fastness.client import Database, Transaction
from fastness.encoding import counters
from fastness.encoding.intervals import successor
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import Conflict, InvalidKey, SnapshotTooOld, StoreUnavailable
from fastness.limits import Limits
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore, RocksStore, Store
from tests.client.servers import RunningServer
from tests.transactions import dumb_model as dumb
from tests.transactions.databases import driven

LIMITS = replace(
    Limits(),
    recent_keys=6,
    page_entries=2,
    prune_step_keys=3,
    retention_ms=60,
    ceiling_ms=20,
)
COUNTERS = [b"ca", b"cb"]
BLOBS = [b"a", b"b\x00", b"b\x00\xff", b"d"]
STAMPED_VALUE = b"v"
STAMP_PREFIX = b"s/"
STAMPS = (STAMP_PREFIX, STAMP_PREFIX + b"\x80")

counter_keys = st.sampled_from(COUNTERS)
blob_keys = st.sampled_from(BLOBS)
any_key = st.sampled_from([*COUNTERS, *BLOBS, STAMPED_VALUE])
edges = st.sampled_from([b"", b"a", b"b\x00\xff", b"c", b"cb", b"d", b"s/", b"t", b"\xff"])
intervals = st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair)))
blobs = st.binary(max_size=2)
amounts = st.integers(-5, 5)
lifetimes = st.none() | st.integers(1, 80)
jumps = st.sampled_from([0, 0, 0, -100_000, -30, 30, 900, 100_000])
Write = tuple[object, ...]
writes: st.SearchStrategy[Write] = st.one_of(
    st.tuples(st.just("set"), blob_keys, blobs, lifetimes),
    st.tuples(st.just("set"), counter_keys, amounts.map(counters.encode), lifetimes),
    st.tuples(st.just("delete"), any_key),
    intervals.map(lambda interval: ("delete_range", *interval)),
    st.tuples(st.sampled_from(["add", "min", "max"]), counter_keys, amounts),
    st.tuples(st.just("append"), blob_keys, blobs),
    st.tuples(st.just("clear"), blob_keys, blobs),
    st.tuples(st.just("stamp_key"), st.sampled_from([b"", b"x", b"y"])),
    st.just(("stamp_value",)),
    st.tuples(st.just("declare"), any_key),
)
which_one = st.integers(0, 11)
"""Which of the open transactions a step is for."""

OPEN_MAX = 4
intervals = st.tuples(edges, edges).map(lambda pair: (min(pair), max(pair)))
blobs = st.binary(max_size=3)
amounts = st.integers(-5, 5)
lifetimes = st.none() | st.integers(1, 80)


@dataclass(eq=False)
class Attempt:
    """A transaction, and what the model knows of it."""

    tx: Transaction
    changes: list[dumb.Change] = field(default_factory=list)
    stamps: list[tuple[int, bytes]] = field(default_factory=list)
    """Versionstamped writes: their place among the changes, and the suffix or value's prefix."""
    touched: dumb.Touched = field(default_factory=dumb.Touched)
    declared: dumb.Touched = field(default_factory=dumb.Touched)
    validated: dumb.Touched = field(default_factory=dumb.Touched)
    looked_at: dumb.Touched = field(default_factory=dumb.Touched)
    must_end_before: int = 0
    """The least expiry of a value that a validated read found alive."""
    may_end_before: int = 0
    """The same of every value it may have looked at."""
    pending_stamp: bool = False
    pending_stamped_value: bool = False

    @property
    def at(self) -> int:
        """Its snapshot."""
        return self.tx.read_timestamp

    def note_change(self, change: dumb.Change, key: bytes) -> None:
        """It writes one key."""
        self.changes.append(change)
        self.touched.keys.add(key)


def earlier(one: int, other: int) -> int:
    """The lesser of two expiries, of which 0 means never."""
    return min(one, other) if one and other else one or other


class KeyValueMachine(RuleBasedStateMachine):
    """Several transactions at once, in one thread."""

    engine: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        self.model = dumb.DumbDatabase()
        self.moments = [0]
        self.attempts: list[Attempt] = []
        self.database = self.open(self.new_store())

    def new_store(self) -> Store:
        """An empty store."""
        if self.engine == "memory":
            return MemoryStore()
        return RocksStore.open(Path(self.directory.name) / "database")

    def open(self, store: Store) -> Database:
        """The database over it, without upkeep of its own."""
        return driven(store, self.clock, limits=LIMITS)

    def teardown(self) -> None:
        """Everything that was ever committed is still there, then all is closed."""
        self.check_moment(self.database.now())
        self.database.close()
        self.directory.cleanup()

    # ------------------------------------------------------------------ transactions

    @initialize()
    def begin_with_data(self) -> None:
        """Something is there from the start, and two transactions are open."""
        self.overtake([("set", b"a", b"0", None), ("set", b"d", b"0", 50), ("add", b"ca", 1)])
        self.begin()
        self.begin()

    @rule()
    @precondition(lambda self: len(self.attempts) < OPEN_MAX)
    def begin(self) -> None:
        """A transaction begins; it sees everything acknowledged so far."""
        attempt = Attempt(self.snapshot())
        assert attempt.at >= self.model.history[-1][0]
        assert attempt.at >= self.moments[-1]
        self.moments.append(attempt.at)
        self.attempts.append(attempt)

    def snapshot(self) -> Transaction:
        """A transaction whose snapshot is taken."""
        return self.database.transaction()

    def one_of(self, which: int) -> Attempt:
        """An open transaction."""
        if not self.attempts:
            self.begin()
        return self.attempts[which % len(self.attempts)]

    @rule(which=which_one, cancelling=st.integers(0, 5))
    def commit(self, which: int, cancelling: int) -> None:
        """An open transaction ends; one that is cancelled leaves nothing behind."""
        attempt = self.one_of(which)
        self.attempts.remove(attempt)
        if cancelling == 5:
            attempt.tx.cancel()
        else:
            self.end(attempt)

    @rule(
        which=which_one,
        read=any_key | intervals,
        limit=st.none() | st.just(1),
        write=writes,
        several=st.lists(writes, max_size=3),
    )
    def read_overtake_commit(
        self,
        *,
        which: int,
        read: bytes | dumb.Interval,
        limit: int | None,
        write: Write,
        several: list[Write],
    ) -> None:
        """What most often goes wrong: a read, somebody else's commits, a commit."""
        attempt = self.one_of(which)
        if isinstance(read, bytes):
            self.read(attempt, read, snapshot=False)
        else:
            self.read_pages(attempt, read, limit, pages=1)
        for other in several:
            self.overtake([other])
        self.perform(attempt, write)
        self.attempts.remove(attempt)
        self.end(attempt)

    def end(self, attempt: Attempt) -> None:
        """The model decides whether it may conflict; if it did not, what it did."""
        model, tx = self.model, attempt.tx
        writes = bool(attempt.changes or attempt.declared.keys or attempt.declared.intervals)
        must = writes and model.must_conflict(attempt.at, attempt.validated)
        try:
            tx.commit()
        except Conflict:
            expired = 0 < attempt.may_end_before <= self.database.now()
            assert expired or model.may_conflict(attempt.at, attempt.looked_at)
            assert tx.commit_timestamp is None
        except SnapshotTooOld:
            assert attempt.at < self.horizon
        else:
            assert not must, "something it read was overwritten, and it committed"
            committed = tx.commit_timestamp
            assert committed is not None
            if not writes and committed == attempt.at:
                return
            assert committed > max(self.moments[-1], model.history[-1][0])
            assert not attempt.must_end_before or committed < attempt.must_end_before
            model.commit(
                committed,
                self.stamped(attempt, tx.versionstamp()),
                attempt.touched,
                attempt.declared,
            )
            self.moments.append(committed)

    @staticmethod
    def stamped(attempt: Attempt, stamp: bytes) -> list[dumb.Change]:
        """The changes, with the versionstamp where it belongs."""
        changes = list(attempt.changes)
        for place, text in attempt.stamps:
            if text.startswith(b"<"):
                changes[place] = dumb.writing(STAMPED_VALUE, text + stamp)
            else:
                changes[place] = dumb.writing(STAMP_PREFIX + stamp + text, b"stamped")
        return changes

    @property
    def horizon(self) -> int:
        """Below it, reads may be refused."""
        return self.database.stat().store.prune_horizon

    # ------------------------------------------------------------------------- reads

    def view(self, attempt: Attempt) -> dict[bytes, bytes]:
        """What the transaction is to see: its snapshot, changed by its own writes."""
        state = dict(self.model.alive_at(attempt.at))
        for change in attempt.changes:
            change(state, attempt.at)
        return {key: entry.value for key, entry in state.items()}

    def note_read(self, attempt: Attempt, read: dumb.Touched, *, snapshot: bool) -> None:
        """What the commit must, or may, validate of a read."""
        attempt.looked_at.keys |= read.keys
        attempt.looked_at.intervals += read.intervals
        if not snapshot:
            attempt.validated.keys |= {
                key for key in read.keys if not attempt.touched.contains(key)
            }
            attempt.validated.intervals += read.intervals
        for key, entry in self.model.alive_at(attempt.at).items():
            if entry.expires_at and read.contains(key):
                attempt.may_end_before = earlier(attempt.may_end_before, entry.expires_at)
                if not snapshot and not attempt.touched.contains(key):
                    attempt.must_end_before = earlier(attempt.must_end_before, entry.expires_at)

    @rule(which=which_one, key=any_key, snapshot=st.booleans())
    def get(self, which: int, key: bytes, *, snapshot: bool) -> None:
        """A point read."""
        self.read(self.one_of(which), key, snapshot=snapshot)

    def read(self, attempt: Attempt, key: bytes, *, snapshot: bool) -> None:
        """It answers what the model says."""
        if key == STAMPED_VALUE and attempt.pending_stamped_value:
            with pytest.raises(InvalidKey):
                attempt.tx.get(key)
            return
        try:
            value = attempt.tx.get(key, snapshot=snapshot)
        except SnapshotTooOld:
            assert attempt.at < self.horizon
            snapshot = True
        else:
            assert value == self.view(attempt).get(key)
        self.note_read(attempt, dumb.Touched({key}), snapshot=snapshot)

    @rule(which=which_one, keys=st.lists(st.sampled_from([*COUNTERS, *BLOBS]), max_size=4))
    def get_many(self, which: int, keys: list[bytes]) -> None:
        """Several point reads, also of one key twice."""
        attempt = self.one_of(which)
        snapshot = False
        try:
            values = attempt.tx.get_many(keys)
        except SnapshotTooOld:
            assert attempt.at < self.horizon
            snapshot = True
        else:
            view = self.view(attempt)
            assert values == [view.get(key) for key in keys]
        self.note_read(attempt, dumb.Touched(set(keys)), snapshot=snapshot)

    @rule(
        which=which_one,
        interval=intervals,
        limit=st.none() | st.integers(1, 3),
        reverse=st.booleans(),
        snapshot=st.booleans(),
        pages=st.integers(1, 4),
    )
    def scan(
        self,
        *,
        which: int,
        interval: dumb.Interval,
        limit: int | None,
        reverse: bool,
        snapshot: bool,
        pages: int,
    ) -> None:
        """A few pages of a scan, each going on where the last one stopped."""
        self.read_pages(
            self.one_of(which), interval, limit, pages=pages, reverse=reverse, snapshot=snapshot
        )

    def read_pages(
        self,
        attempt: Attempt,
        interval: dumb.Interval,
        limit: int | None,
        *,
        pages: int,
        reverse: bool = False,
        snapshot: bool = False,
    ) -> None:
        """Each page holds what the model says, and nothing is left when it says so."""
        begin, end = interval
        if attempt.pending_stamp and begin < STAMPS[1] and STAMPS[0] < end:
            return
        if attempt.pending_stamped_value and begin <= STAMPED_VALUE < end:
            return
        rest = sorted(
            (item for item in self.view(attempt).items() if begin <= item[0] < end),
            reverse=reverse,
        )
        token: bytes | None = None
        for _ in range(pages):
            try:
                page = attempt.tx.scan(
                    begin, end, limit=limit, reverse=reverse, continuation=token, snapshot=snapshot
                )
            except SnapshotTooOld:
                assert attempt.at < self.horizon
                self.note_read(attempt, dumb.Touched(set(), [interval]), snapshot=True)
                return
            size = LIMITS.page_entries if limit is None else limit
            expected, rest = rest[:size], rest[size:]
            assert page.entries == expected
            # Before expired entries a continuation may lead to nothing; without one all is seen.
            assert page.continuation is not None or not rest
            covered = interval
            if page.continuation is not None:
                last = expected[-1][0]
                covered = (last, end) if reverse else (begin, successor(last))
            self.note_read(attempt, dumb.Touched(set(), [covered]), snapshot=snapshot)
            token = page.continuation
            if token is None:
                return

    @rule(ago=st.integers(0, 12))
    def look_back(self, ago: int) -> None:
        """A read-only transaction at an earlier moment: the same as it ever was."""
        self.check_moment(self.moments[max(0, len(self.moments) - 1 - ago)])

    def check_moment(self, moment: int) -> None:
        """Both directions and every point read agree with the model."""
        seen = {key: entry.value for key, entry in self.model.alive_at(moment).items()}
        tx = self.database.transaction(at=moment)
        try:
            assert list(tx.scan_all(b"", b"\xff")) == sorted(seen.items())
            assert dict(tx.scan_all(b"", b"\xff", reverse=True)) == seen
            assert [tx.get(key) for key in BLOBS] == [seen.get(key) for key in BLOBS]
        except SnapshotTooOld:
            assert moment < self.horizon

    # ------------------------------------------------------------------------ writes

    @rule(which=which_one, write=writes)
    def write(self, which: int, write: Write) -> None:
        """An open transaction writes."""
        self.perform(self.one_of(which), write)

    @rule(several=st.lists(writes, min_size=1, max_size=2))
    def overtake(self, several: list[Write]) -> None:
        """A whole transaction comes and goes while others are open."""
        attempt = Attempt(self.database.transaction())
        for write in several:
            self.perform(attempt, write)
        self.end(attempt)

    def perform(self, attempt: Attempt, write: Write) -> None:
        """One write, in the transaction and in what the model knows of it."""
        match write:
            case ("set", bytes(key), bytes(value), (None | int()) as lifetime_ms):
                self.set(attempt, key, value, lifetime_ms)
            case ("delete", bytes(key)):
                attempt.tx.delete(key)
                attempt.note_change(dumb.erasing(key, successor(key)), key)
                if key == STAMPED_VALUE:
                    attempt.pending_stamped_value = False
            case ("delete_range", bytes(begin), bytes(end)):
                self.delete_range(attempt, (begin, end))
            case ("add" | "min" | "max" as kind, bytes(key), int(amount)):
                getattr(attempt.tx, kind)(key, amount)
                operation = {"add": dumb.adding, "min": dumb.lowering, "max": dumb.raising}[kind]
                attempt.note_change(dumb.operating(key, operation(amount)), key)
            case ("append", bytes(key), bytes(value)):
                attempt.tx.append(key, value)
                attempt.note_change(dumb.operating(key, dumb.appending(value)), key)
            case ("clear", bytes(key), bytes(value)):
                attempt.tx.compare_and_clear(key, value)
                attempt.note_change(dumb.operating(key, dumb.clearing(value)), key)
            case ("stamp_key", bytes(suffix)):
                attempt.tx.set_versionstamped_key(STAMP_PREFIX, b"stamped", suffix)
                attempt.stamps.append((len(attempt.changes), suffix))
                attempt.changes.append(lambda _state, _at: None)
                attempt.touched.intervals.append(STAMPS)
                attempt.pending_stamp = True
            case ("stamp_value",):
                attempt.tx.set_versionstamped_value(STAMPED_VALUE, b"<")
                attempt.stamps.append((len(attempt.changes), b"<"))
                attempt.note_change(lambda _state, _at: None, STAMPED_VALUE)
                attempt.pending_stamped_value = True
            case ("declare", bytes(key)):
                attempt.tx.add_write_conflict_key(key)
                attempt.touched.keys.add(key)
                attempt.declared.keys.add(key)
            case _:
                raise AssertionError(write)

    def set(self, attempt: Attempt, key: bytes, value: bytes, lifetime_ms: int | None) -> None:
        """A set, perhaps with an expiry."""
        expires_at = None
        if lifetime_ms is not None:
            expires_at = max(attempt.at, self.database.now()) + from_milliseconds(lifetime_ms)
        attempt.tx.set(key, value, expires_at=expires_at)
        attempt.note_change(dumb.writing(key, value, expires_at or 0), key)

    def delete_range(self, attempt: Attempt, interval: dumb.Interval) -> None:
        """Everything in the interval goes."""
        begin, end = interval
        try:
            attempt.tx.delete_range(begin, end)
        except SnapshotTooOld:
            assert attempt.at < self.horizon
            return
        if begin == end:
            return
        attempt.changes.append(dumb.erasing(begin, end))
        attempt.touched.intervals.append(interval)
        if begin <= STAMPED_VALUE < end:
            attempt.pending_stamped_value = False

    # ------------------------------------------------------------------------ others

    @rule(which=which_one, key=any_key, interval=intervals)
    def declare_reads(self, which: int, key: bytes, interval: dumb.Interval) -> None:
        """Validated as if they had been read."""
        attempt = self.one_of(which)
        attempt.tx.add_read_conflict_key(key)
        attempt.tx.add_read_conflict_range(*interval)
        for read in (attempt.validated, attempt.looked_at):
            read.keys.add(key)
            read.intervals.append(interval)

    @rule(milliseconds=st.integers(0, 40), jump_ms=jumps)
    def pass_time(self, milliseconds: int, jump_ms: int) -> None:
        """Both clocks go on; now and then somebody sets the wall clock."""
        self.clock.advance(milliseconds=milliseconds)
        self.clock.jump_wall(milliseconds=jump_ms)

    @rule()
    def keep_up(self) -> None:
        """Background work: what is old, or expired before, is pruned; nobody may notice."""
        self.database.embedded.upkeep_step()
        self.moments.append(self.database.now())

    @rule(now_and_then=st.integers(0, 1))
    def restart(self, now_and_then: int) -> None:
        """The process ends, in order or not, and another one goes on above every timestamp."""
        if now_and_then:
            return
        self.attempts.clear()
        store = self.database.embedded.store
        if isinstance(store, MemoryStore):
            found: Store = store.crash()
            with suppress(StoreUnavailable):
                self.database.close()
        else:
            self.database.close()
            found = self.new_store()
        self.database = self.open(found)
        now = self.database.now()
        assert now >= self.moments[-1]
        self.moments.append(now)

    @invariant()
    def time_goes_on(self) -> None:
        """Read timestamps never sink."""
        now = self.database.now()
        assert now >= self.moments[-1]
        self.moments.append(now)


class OnMemory(KeyValueMachine):
    """Over the memory store; a restart is a crash."""

    engine = "memory"


class OnRocks(KeyValueMachine):
    """Over RocksDB; a restart closes and reopens the directory."""

    engine = "file"


ONLY_RANGE = 1


class Served(KeyValueMachine):
    """Behind a server, whose clock it is that is driven. It keeps itself up, and stays."""

    engine = "memory"
    server: RunningServer

    def open(self, store: Store) -> Database:
        """A client of a server over the store."""
        self.server = RunningServer(store, limits=LIMITS, clock=self.clock).start()
        return fastness.open(self.server.url, limits=LIMITS)

    def snapshot(self) -> Transaction:
        """The first read takes the snapshot."""
        tx = super().snapshot()
        tx.get(b"~", snapshot=True)
        return tx

    def teardown(self) -> None:
        """The client first."""
        super().teardown()
        self.server.close()

    @property
    def horizon(self) -> int:
        """Below it, reads may be refused."""
        return self.server.store.prune_horizon(ONLY_RANGE)

    def keep_up(self) -> None:
        """Nothing to do."""

    def restart(self, now_and_then: int) -> None:
        """Not here: `tests/client/test_remote.py` restarts servers."""


def test_a_server_agrees_with_the_model() -> None:
    """Every read as the model answers it, every conflict as it decides, over a socket."""
    run_state_machine_as_test(Served, settings=settings(max_examples=25))


def test_the_memory_store_agrees_with_the_model() -> None:
    """Every read as the model answers it, every conflict as it decides."""
    run_state_machine_as_test(OnMemory, settings=settings(max_examples=250))


def test_rocksdb_agrees_with_the_model() -> None:
    """The same, with files."""
    run_state_machine_as_test(OnRocks, settings=settings(max_examples=15))
