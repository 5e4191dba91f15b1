"""The replay of ledgers: against the definition, and each anomaly by hand."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastness.testing import Outcome
from fastness.testing.ledger import (
    Add,
    Erase,
    Extend,
    Scanned,
    Set,
    StampKey,
)
from fastness.testing.replay import check_replay
from tests.histories.ledgers import Script
from tests.histories.small_ledgers import explained, random_ledger


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_it_is_the_definition(seed: int) -> None:
    """A ledger passes if and only if some order its timestamps and real time allow explains it."""
    random = Random(seed)
    for _ in range(20):
        ledger = random_ledger(random, attempts=random.randint(1, 3))
        for one in ledger:
            if one.outcome is Outcome.UNKNOWN and not one.commit_timestamp and one.writes:
                one.resolve(None)
        report = check_replay(ledger.attempts)
        assert report.ok == explained(ledger), str(report)


def test_small_ledgers_are_both_right_and_wrong() -> None:
    """The generator draws enough of both for the comparison to mean something."""
    random = Random(3)
    verdicts = Counter(explained(random_ledger(random, attempts=3)) for _ in range(300))
    assert min(verdicts[True], verdicts[False]) > 40, verdicts


def found(script: Script) -> dict[str, int]:
    """How many anomalies of each class the replay finds."""
    return dict(check_replay(script.attempts).counts)


@pytest.fixture
def script() -> Script:
    """An empty ledger."""
    return Script()


def test_a_correct_run_passes(script: Script) -> None:
    """Every kind of write, seen as it should be."""
    stamped = b"j" + (50).to_bytes(8, "big") + b"\0\0z"
    script.attempt(Set(b"a", b"1"), Set(b"b", b"2", 90), at=5, commits=10)
    script.attempt(Add(b"n", 3), Extend(b"l", b"x"), commits=20)
    script.attempt(Add(b"n", -4), Extend(b"l", b"y"), commits=30)
    script.attempt(Erase(b"a", b"b"), reads={b"a": b"1"}, at=30, commits=40)
    script.attempt(StampKey(b"j", b"v", b"z"), commits=50)
    minus_one = (-1).to_bytes(8, "little", signed=True)
    script.attempt(reads={b"a": None, b"b": b"2", b"n": minus_one, b"l": b"xy"}, at=89)
    script.attempt(reads={b"b": None, stamped: b"v"}, at=90)
    script.attempt(reads={b"b": None, b"l": b"xy"})
    assert found(script) == {}


def test_a_snapshot_that_misses_a_commit(script: Script) -> None:
    """A commit at or below the read timestamp was not seen, and the explanation names it."""
    script.attempt(Set(b"a", b"1"), commits=10)
    script.attempt(Set(b"a", b"2"), commits=20)
    script.attempt(reads={b"a": b"1"}, at=20)
    report = check_replay(script.ledger.attempts)
    assert dict(report.counts) == {"wrong-snapshot": 1}
    (anomaly,) = report.anomalies
    assert set(anomaly.transactions) == {0, 1, 2}
    assert "T2 read a -> 1, but at its read timestamp 20 it holds 2 by T1 at 20" in str(anomaly)


def test_a_snapshot_from_the_future(script: Script) -> None:
    """A commit above the read timestamp was seen."""
    script.attempt(Set(b"a", b"1"), commits=10)
    script.attempt(reads={b"a": b"1"}, at=9)
    assert found(script) == {"wrong-snapshot": 1, "stale-snapshot": 1}


def test_a_failed_attempt_must_see_a_snapshot_too(script: Script) -> None:
    """What a failed attempt read is judged, and what it wrote is seen by nobody."""
    script.attempt(Set(b"a", b"1"), commits=10)
    script.attempt(Set(b"a", b"2"), reads={b"a": None}, at=15, outcome=Outcome.FAILED)
    script.attempt(reads={b"a": b"2"}, at=20)
    assert found(script) == {"wrong-snapshot": 2}


def test_a_lost_update(script: Script) -> None:
    """What was read had changed by the commit timestamp."""
    script.attempt(Set(b"a", b"0"), commits=5)
    first, second = script.ledger.begin(1), script.ledger.begin(2)
    for one, commits in ((first, 20), (second, 30)):
        one.reads.append((b"a", b"0"))
        one.writes.append(Set(b"a", b"%d" % commits))
        one.end(Outcome.OK, read_timestamp=10, commit_timestamp=commits)
    assert found(script) == {"overtaken-read": 1}


def test_a_phantom(script: Script) -> None:
    """A key appeared in an interval that had been scanned."""
    script.attempt(Set(b"m", b"1"), commits=5)
    reader, writer = script.ledger.begin(1), script.ledger.begin(2)
    writer.writes.append(Set(b"n", b"1"))
    writer.end(Outcome.OK, commit_timestamp=20)
    reader.scans.append(Scanned(b"l", b"o", ((b"m", b"1"),)))
    reader.writes.append(Set(b"count", b"1"))
    reader.end(Outcome.OK, read_timestamp=10, commit_timestamp=30)
    report = check_replay(script.ledger.attempts)
    assert dict(report.counts) == {"overtaken-read": 1}
    assert "the first is n -> nothing, which holds 1 by T2 at 20" in str(report)


def test_a_value_that_expired_before_the_commit(script: Script) -> None:
    """Alive at the read timestamp, gone at the commit timestamp."""
    script.attempt(Set(b"a", b"1", 30), commits=10)
    script.attempt(Set(b"b", b"1"), reads={b"a": b"1"}, at=20, commits=30)
    report = check_replay(script.ledger.attempts)
    assert dict(report.counts) == {"overtaken-read": 1}
    assert "holds nothing since 30, when it expired" in str(report)


def test_timestamps_against_real_time(script: Script) -> None:
    """A snapshot and a commit below what was acknowledged before, and a timestamp given twice."""
    script.attempt(Set(b"a", b"1"), commits=50)
    script.attempt(reads={b"a": None}, at=40)
    script.attempt(Set(b"b", b"1"), commits=45)
    script.attempt(Set(b"c", b"1"), commits=50)
    assert found(script) == {
        "stale-snapshot": 1,
        "reordered-commit": 2,
        "duplicate-timestamp": 1,
    }


def test_a_stale_cached_read(script: Script) -> None:
    """Without a read timestamp: no moment from the last acknowledgement on shows what was read."""
    script.attempt(Set(b"a", b"1"), commits=10)
    script.attempt(Set(b"a", b"2"), commits=20)
    script.attempt(reads={b"a": b"1"})
    report = check_replay(script.ledger.attempts)
    assert dict(report.counts) == {"stale-read": 1}
    assert "from 20 on, where T1 stands that had ended before" in str(report)


def test_a_torn_cached_read(script: Script) -> None:
    """Each value was true at some moment, never both at one."""
    reader = script.ledger.begin(1)
    script.attempt(Set(b"a", b"1"), Set(b"b", b"1"), commits=10)
    script.attempt(Set(b"a", b"2"), Set(b"b", b"2"), commits=20)
    reader.reads.extend([(b"a", b"1"), (b"b", b"2")])
    reader.end(Outcome.OK)
    assert found(script) == {"stale-read": 1}


def test_what_a_cached_read_saw_stays_seen(script: Script) -> None:
    """A later snapshot below a cached read is stale, though nothing was acknowledged yet."""
    writer = script.ledger.begin(1)
    writer.writes.append(Set(b"a", b"1"))
    script.attempt(reads={b"a": b"1"})
    script.attempt(reads={b"a": None}, at=19)
    writer.end(Outcome.OK, commit_timestamp=20)
    assert found(script) == {"stale-snapshot": 1}


def test_own_writes_are_seen(script: Script) -> None:
    """A scan shows what the attempt itself wrote before it, and is wrong without."""
    script.attempt(Set(b"a", b"1"), Set(b"b", b"1"), commits=10)
    own = (Erase(b"a", b"b"), Set(b"c", b"2"), Add(b"n", 1))
    right = Scanned(b"a", b"d", ((b"b", b"1"), (b"c", b"2")), after=2)
    script.attempt(*own, scans=(right,), at=10, commits=20)
    assert found(script) == {}
    script.attempt(*own, scans=(right._replace(entries=((b"b", b"1"),)),), at=20, commits=30)
    assert found(script) == {"wrong-snapshot": 1, "overtaken-read": 1}


def test_own_writes_hide_what_is_below_them(script: Script) -> None:
    """Without a read timestamp too: what an attempt wrote itself says nothing of the state."""
    script.attempt(Set(b"a", b"1"), Set(b"b", b"1"), commits=10)
    own = (Erase(b"a", b"b"), Set(b"c", b"2"))
    right = Scanned(b"a", b"d", ((b"b", b"1"), (b"c", b"2")), after=2)
    script.attempt(*own, scans=(right,), outcome=Outcome.FAILED)
    assert found(script) == {}
    script.attempt(*own, scans=(right._replace(entries=()),), outcome=Outcome.FAILED)
    assert found(script) == {"stale-read": 1, "own-write-unseen": 1}


@pytest.mark.parametrize("entries", [(), ((b"c", b"3"),), ((b"a", b"1"), (b"c", b"2"))])
def test_own_writes_that_no_scan_shows(
    script: Script, entries: tuple[tuple[bytes, bytes], ...]
) -> None:
    """Without any timestamp: what an attempt had set is there, what it had erased is not."""
    wrong = Scanned(b"a", b"d", entries, after=2)
    script.attempt(Erase(b"a", b"b"), Set(b"c", b"2"), scans=(wrong,), outcome=Outcome.FAILED)
    assert found(script)["own-write-unseen"] == 1


def test_nobody_is_accused_for_what_nobody_knows(script: Script) -> None:
    """Keys that an unresolved attempt may have written are not judged, all others are."""
    unknown = script.attempt(Set(b"a", b"1"), Erase(b"m", b"n"), outcome=Outcome.UNKNOWN)
    script.attempt(reads={b"a": b"1", b"m1": None, b"z": b"9"}, at=30)
    assert found(script) == {"wrong-snapshot": 1}
    unknown.resolve(40)
    assert found(script) == {"wrong-snapshot": 2}
    unknown.outcome, unknown.commit_timestamp = Outcome.UNKNOWN, 0
    unknown.resolve(20)
    assert found(script) == {"wrong-snapshot": 1}
