"""What is recorded of an operation, and that the peer does just that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import fastness
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.nodes import SPACE, Node, everything, load_nodes, nodes
from benchmarks.traces import Trace, recorded
from fastness.invariants import InvariantViolation
from fastness.limits import Limits

NONE: frozenset[bytes] = frozenset()


@pytest.fixture
def db() -> Iterator[fastness.Database]:
    """A database with ten nodes in two folders."""
    with fastness.open("memory:", schema=[Node]) as db:
        load_nodes(db, 10, 5)
        yield db


def test_a_reading_operation(db: fastness.Database) -> None:
    """A fetch is one get, a clustered listing one scan; neither writes or looks at the schema."""
    first = next(nodes(1, 5))
    fetched = recorded(db, NONE, lambda tx: tx.fetch(Node, SPACE, first.id))
    listed = recorded(db, NONE, lambda tx: tx.query(Node.by_name, SPACE, 1))
    assert str(fetched) == "1 get"
    assert str(listed) == "1 scan"
    assert not fetched.writes


def test_a_writing_operation(db: fastness.Database) -> None:
    """An insert looks for its key and its unique entry; it writes the record and both entries."""
    new = list(nodes(11, 5))[-1]
    trace = recorded(db, NONE, lambda tx: tx.insert(new))
    assert str(trace) == "2 gets, 3 writes, 1 sync"
    stored = dict(everything(db))
    assert all(stored[key] == value for key, value in trace.writes)


def test_counters_are_read_before_they_are_written(db: fastness.Database) -> None:
    """What is added to costs the peer a get as well, once."""
    db.add(b"counter", 1)

    def read_and_add(tx: fastness.Transaction) -> None:
        tx.get(b"counter")
        tx.add(b"counter", 1)

    counters = frozenset([b"counter"])
    trace = recorded(db, counters, lambda tx: tx.add(b"counter", 1))
    read = recorded(db, counters, read_and_add)
    assert trace.gets == read.gets == [b"counter"]
    assert [key for key, _value in trace.writes] == [b"counter"]


def test_only_one_operation_is_recorded(db: fastness.Database) -> None:
    """Another commit meanwhile would be taken for a part of it."""

    def operation(tx: fastness.Transaction) -> None:
        db.set(b"other", b"")
        tx.set(b"own", b"")

    with pytest.raises(InvariantViolation, match="only one"):
        recorded(db, NONE, operation)


def test_the_peer_does_what_was_recorded(tmp_path: Path) -> None:
    """After a replay the raw database holds what the operation wrote, and not what it deleted."""
    raw = RawRocksDB(tmp_path)
    try:
        raw.load([(b"a", b"1"), (b"b", b"2")])
        raw.replay(Trace([b"a"], [], [(b"b", None), (b"c", b"3")]))
        assert raw.entries(b"", b"z") == [(b"a", b"1"), (b"c", b"3")]
    finally:
        raw.close()


def test_the_peer_is_opened_as_fastness_is(tmp_path: Path) -> None:
    """Reopened after loading, it keeps as much of its tables in memory as Fastness does."""
    raw = RawRocksDB(tmp_path)
    try:
        raw.load([(b"a", b"1")])
        assert raw.block_cache_bytes == Limits().block_cache_bytes
    finally:
        raw.close()
