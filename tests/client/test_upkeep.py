"""Background upkeep: what is old or has expired is pruned, in small steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Event

import pytest

import fastness
from fastness.client import Database
from fastness.encoding import counters
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import SnapshotTooOld
from fastness.limits import Limits
from fastness.runtime import ManualClock
from tests.hosting.workers import PATIENCE_SECONDS
from tests.transactions.databases import driven_database

LIFE = from_milliseconds(1_000)


@pytest.fixture
def any_database_url(own_database_url: str) -> str:
    """Upkeep is of whoever opened the store; a server's is tested in `tests/node`."""
    return own_database_url


def keep_up(database: Database) -> int:
    """Steps of upkeep until nothing is left to do; how many."""
    steps = 1
    while database.embedded.upkeep_step():
        steps += 1
    return steps


def test_expired_means_gone_for_readers_from_then_on(
    database: Database, clock: ManualClock
) -> None:
    """Every reader of one snapshot agrees, whatever the clock says meanwhile."""
    expires_at = database.now() + LIFE
    database.set(b"session", b"1", expires_at=expires_at)
    before = database.transaction()
    clock.advance(milliseconds=999)
    assert database.get(b"session") == b"1"
    clock.advance(milliseconds=1)
    assert database.now() >= expires_at
    assert database.get(b"session") is None
    assert database.scan(b"", b"\xff").entries == []
    assert before.get(b"session") == b"1"
    assert database.transaction(at=expires_at - 1).get(b"session") == b"1"
    assert database.transaction(at=expires_at).get(b"session") is None


def stored(database: Database) -> list[bytes]:
    """The keys of which the store keeps a newest version, expired or not."""
    items = database.embedded.store.scan_newest(KeyInterval(b"", b"\xff"), limit=99)
    return [key for key, _cell in items]


@pytest.fixture
def brief(any_database_url: str, clock: ManualClock) -> Iterator[Database]:
    """A database that retains half a second."""
    limits = replace(Limits(), retention_ms=500)
    with driven_database(any_database_url, clock, limits=limits) as database:
        yield database


def test_upkeep_removes_what_has_expired(brief: Database, clock: ManualClock) -> None:
    """Without a commit, once nobody may read of it; what was renewed or replaced stays."""
    database = brief
    expires_at = database.now() + LIFE
    for key in (b"gone", b"renewed", b"kept", b"deleted"):
        database.set(key, b"1", expires_at=expires_at)
    database.set(b"renewed", b"2", expires_at=expires_at + LIFE)
    database.set(b"kept", b"2")
    database.delete(b"deleted")
    watch = database.watch(b"gone")
    clock.advance(milliseconds=1_400)
    keep_up(database)
    assert [key for key, _ in database.scan_all(b"", b"\xff")] == [b"kept", b"renewed"]
    assert stored(database) == [b"gone", b"kept", b"renewed"]
    assert database.transaction(at=expires_at - 1).get(b"gone") == b"1"
    last = database.embedded.store.applied
    clock.advance(milliseconds=200)
    keep_up(database)
    assert stored(database) == [b"kept", b"renewed"]
    clock.advance(milliseconds=1_000)
    keep_up(database)
    assert stored(database) == [b"kept"]
    assert (database.embedded.store.applied, watch.fired) == (last, False)
    assert list(database.scan_all(b"", b"\xff")) == [(b"kept", b"2")]


def test_a_reader_from_before_is_told_that_it_is_too_old(
    brief: Database, clock: ManualClock
) -> None:
    """What it would have found alive may be gone: an absence it finds proves nothing."""
    brief.set(b"session", b"1", expires_at=brief.now() + LIFE)
    brief.set(b"kept", b"1")
    old = brief.transaction()
    clock.advance(milliseconds=2_000)
    keep_up(brief)
    assert stored(brief) == [b"kept"]
    assert old.get(b"kept") == b"1"
    for read in (
        lambda: old.get(b"session"),
        lambda: old.get_many([b"session"]),
        lambda: old.scan(b"s", b"t"),
    ):
        with pytest.raises(SnapshotTooOld, match="below the retained window"):
            read()


def test_a_writer_may_have_read_what_was_removed_since(brief: Database, clock: ManualClock) -> None:
    """Found expired, then removed: nothing changed, whoever validates by reading again or not."""
    brief.set(b"session", b"1", expires_at=brief.now() + 1)
    clock.advance(milliseconds=1)
    tx = brief.transaction()
    assert tx.get(b"session") is None
    assert tx.scan(b"s", b"t").entries == []
    tx.set(b"result", b"1")
    clock.advance(milliseconds=500)
    brief.set(b"other", b"1")
    engine = brief.embedded.engine
    while engine.prune_to(tx.read_timestamp):
        pass
    assert stored(brief) == [b"other"]
    tx.commit()
    assert brief.get(b"result") == b"1"


def test_a_watch_does_not_fire_because_of_pruning(brief: Database, clock: ManualClock) -> None:
    """Compared with the version seen, a value that was expired and is gone was never written."""
    brief.set(b"session", b"1", expires_at=brief.now() + 1)
    clock.advance(milliseconds=1)
    seen = brief.now()
    while brief.embedded.engine.prune_to(seen):
        pass
    brief.set(b"other", b"1")
    assert not brief.watch(b"session", seen=seen).fired


def test_a_value_found_alive_must_be_alive_at_the_commit(
    database: Database, clock: ManualClock
) -> None:
    """CONSISTENCY 1.8: whoever acts on a session that ended meanwhile must look again."""
    database.set(b"session", b"1", expires_at=database.now() + LIFE)
    acting, looking, blind = (database.transaction() for _ in range(3))
    assert acting.get(b"session") == b"1"
    assert looking.scan(b"s", b"t").entries == [(b"session", b"1")]
    for tx in (acting, looking, blind):
        tx.set(b"act", b"1")
    clock.advance(milliseconds=1_000)
    blind.commit()
    for tx in (acting, looking):
        with pytest.raises(fastness.errors.Conflict, match="a value it found alive expires"):
            tx.commit()


def test_a_counter_that_has_expired_begins_again(database: Database, clock: ManualClock) -> None:
    """Atomic operations judge expiry by their own commit timestamp."""
    with database.transaction() as tx:
        tx.set(b"hits", counters.encode(7), expires_at=tx.read_timestamp + LIFE)
    database.add(b"hits", 1)
    assert database.get(b"hits") == counters.encode(8)
    clock.advance(milliseconds=1_000)
    assert database.get(b"hits") is None
    database.add(b"hits", 1)
    assert database.get(b"hits") == counters.encode(1)
    clock.advance(milliseconds=10_000)
    keep_up(database)
    assert database.get(b"hits") == counters.encode(1)


def test_old_versions_are_pruned_and_the_window_is_kept(
    any_database_url: str, clock: ManualClock
) -> None:
    """Inside the window every moment is readable, below it none; steps are small."""
    limits = replace(Limits(), retention_ms=1_000, prune_step_keys=3)
    with driven_database(any_database_url, clock, limits=limits) as database:
        moments = []
        for number in range(20):
            moments.append(database.set(b"k", b"%d" % number))
            clock.advance(milliseconds=100)
        assert keep_up(database) > 1
        horizon = database.stat().store.prune_horizon
        assert from_milliseconds(clock.wall_ms() - 1_000) <= horizon <= database.now()
        for number, moment in enumerate(moments):
            reader = database.transaction(at=moment)
            if moment >= horizon:
                assert reader.get(b"k") == b"%d" % number
            else:
                with pytest.raises(SnapshotTooOld, match="below the retained window"):
                    reader.get(b"k")
        assert database.get(b"k") == b"19"
        clock.advance(milliseconds=10_000)
        keep_up(database)
        # RocksDB's counts are estimates; the memory store's are exact.
        assert database.stat().store.size.history_versions == 0 or "file" in any_database_url


def test_an_old_writer_is_not_let_through_on_what_was_pruned(
    any_database_url: str, clock: ManualClock
) -> None:
    """HOLES M1: created and deleted since, and pruned: nothing shows it, so nothing is vouched."""
    limits = replace(Limits(), retention_ms=1_000, recent_keys=1)
    with driven_database(any_database_url, clock, limits=limits) as database:
        old = database.transaction()
        assert old.get(b"k") is None
        old.set(b"result", b"1")
        database.set(b"k", b"1")
        database.delete(b"k")
        database.set(b"other", b"1")
        clock.advance(milliseconds=5_000)
        keep_up(database)
        with pytest.raises(SnapshotTooOld, match="run it again"):
            old.commit()
        assert database.get(b"result") is None


def test_upkeep_runs_by_itself(any_database_url: str) -> None:
    """An open database has a thread for it: an expired value goes, and nobody calls."""
    limits = replace(Limits(), retention_ms=1)
    with fastness.open(any_database_url, limits=limits) as database:
        database.set(b"session", b"1", expires_at=database.now() + 1)
        looks = 0
        while stored(database):
            looks += 1
            assert not Event().wait(PATIENCE_SECONDS / 1_000)
            assert looks < 1_000, "the expired value is still there"
