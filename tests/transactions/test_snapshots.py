"""Snapshots, tokens and budgets: what a transaction says of itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from fastness.client import Database, Transaction
from fastness.encoding.timestamps import to_datetime
from fastness.errors import Conflict
from fastness.limits import Limits
from fastness.runtime import ManualClock
from tests.transactions.databases import driven_database


def test_a_commit_timestamp_is_a_token_of_consistency(database: Database) -> None:
    """Whoever reads at it, or later, sees the commit and everything before it; nobody earlier."""
    tokens = [database.set(b"k", b"%d" % number) for number in range(5)]
    assert tokens == sorted(set(tokens))
    for number, token in enumerate(tokens):
        assert database.transaction(at=token).get(b"k") == b"%d" % number
        assert database.transaction().read_timestamp >= token
    assert database.transaction(at=tokens[0] - 1).get(b"k") is None


def test_before_everything_there_was_nothing(database: Database) -> None:
    """Timestamp 0 is a moment like any other, not "now"."""
    database.set(b"k", b"1")
    beginning = database.transaction(at=0)
    assert beginning.get(b"k") is None
    assert beginning.get_many([b"k"]) == [None]
    assert list(beginning.scan_all(b"", b"\xff")) == []


def test_a_moment_may_be_given_as_a_datetime(database: Database, clock: ManualClock) -> None:
    """It means the end of its millisecond, or now when that is still running."""
    database.set(b"k", b"1")
    moment = to_datetime(database.now())
    clock.advance(milliseconds=5)
    database.set(b"k", b"2")
    assert database.transaction(at=moment).get(b"k") == b"1"
    now = to_datetime(database.now())
    assert database.transaction(at=now).get(b"k") == b"2"
    assert database.transaction(at=now).is_read_only


def test_snapshot_reads_are_not_validated(database: Database) -> None:
    """What is read with snapshot=True may be overtaken; what is read without may not."""
    relaxed, strict = database.transaction(), database.transaction()
    assert relaxed.get(b"k", snapshot=True) is None
    assert relaxed.get_many([b"k"], snapshot=True) == [None]
    assert relaxed.scan(b"a", b"z", snapshot=True).entries == []
    assert list(relaxed.scan_all(b"a", b"z", snapshot=True)) == []
    assert strict.get(b"k") is None
    database.set(b"k", b"1")
    for tx in (relaxed, strict):
        tx.set(b"result", b"1")
    relaxed.commit()
    with pytest.raises(Conflict) as lost:
        strict.commit()
    assert lost.value.key == b"k"
    assert 0 < lost.value.winner <= database.now()
    assert "b'k' was overwritten" in str(lost.value)


def test_a_transaction_reads_its_own_writes(database: Database) -> None:
    """Values, deletions, ranges and operations, in reads, pages and in both directions."""
    for key in (b"a", b"b", b"c", b"d"):
        database.set(key, b"old")
    tx = database.transaction()
    tx.set(b"b", b"new")
    tx.delete_range(b"c", b"d")
    tx.append(b"d", b"er")
    tx.set(b"e", b"new")
    expected = [(b"a", b"old"), (b"b", b"new"), (b"d", b"older"), (b"e", b"new")]
    assert list(tx.scan_all(b"", b"\xff")) == expected
    assert list(tx.scan_all(b"", b"\xff", reverse=True)) == expected[::-1]
    pages = []
    token = None
    while True:
        page = tx.scan(b"", b"\xff", limit=1, continuation=token)
        pages += page.entries
        token = page.continuation
        if token is None:
            break
    assert pages == expected
    assert tx.get_many([b"c", b"d"]) == [None, b"older"]
    tx.set(b"c", b"again")
    assert tx.get(b"c") == b"again"
    tx.commit()
    assert [key for key, _ in database.scan_all(b"", b"\xff")] == [b"a", b"b", b"c", b"d", b"e"]


def test_declared_conflicts_bind_as_reads_and_writes_do(database: Database) -> None:
    """Whoever declares a read is overtaken by whoever declares a write."""
    declarations: list[Callable[[Transaction], None]] = [
        lambda tx: tx.add_read_conflict_key(b"k"),
        lambda tx: tx.add_read_conflict_range(b"a", b"z"),
    ]
    for declare in declarations:
        reader, writer = database.transaction(), database.transaction()
        # Behind a server the snapshot is taken by the first read.
        reader.get(b"elsewhere")
        declare(reader)
        reader.set(b"result", b"1")
        writer.add_write_conflict_range(b"k", b"l")
        writer.commit()
        with pytest.raises(Conflict):
            reader.commit()
    reader, writer = database.transaction(), database.transaction()
    reader.scan(b"a", b"z")
    reader.set(b"result", b"1")
    writer.add_write_conflict_key(b"zz")
    writer.commit()
    reader.commit()


def test_ids_are_unique_and_stay(own_database: Database) -> None:
    """Sixteen bytes that say when it was born, the same before and after the commit.

    Behind a server an id names its anchor too, so there is none before the commit is sent.
    """
    first, second = own_database.transaction(), own_database.transaction()
    identity = first.id
    assert len(identity) == 16
    assert identity != second.id
    assert int.from_bytes(identity[:8], "big") == first.read_timestamp
    first.set(b"k", b"1")
    first.commit()
    assert first.id == identity


def test_usage_tells_what_is_left(any_database_url: str, clock: ManualClock) -> None:
    """Keys and bytes of reads and writes, and their share of the budget."""
    limits = replace(Limits(), transaction_bytes=1_000, transaction_keys=10)
    with driven_database(any_database_url, clock, limits=limits) as database:
        tx = database.transaction()
        assert (tx.usage().keys_used, tx.usage().bytes_used, tx.usage().fraction) == (0, 0, 0.0)
        tx.get(b"k")
        tx.get(b"free", snapshot=True)
        tx.scan(b"aa", b"bb")
        assert tx.usage().keys_used == 2
        assert tx.usage().bytes_used == 4
        tx.set(b"key", b"v" * 61)
        tx.add(b"n", 1)
        usage = tx.usage()
        assert usage.keys_used == 4
        assert usage.bytes_used == 4 + (3 + 61 + 32) + (1 + 8 + 32)
        assert (usage.keys_max, usage.bytes_max) == (10, 1_000)
        assert usage.fraction == 0.4


def test_a_large_commit_is_warned_of(
    any_database_url: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """From four fifths of its budget on, so that nobody is surprised by the refusal."""
    limits = replace(Limits(), transaction_keys=10)
    with (
        driven_database(any_database_url, clock, limits=limits) as database,
        caplog.at_level(logging.WARNING, "fastness"),
    ):
        for keys, warned in ((8, 0), (9, 1)):
            with database.transaction() as tx:
                for number in range(keys):
                    tx.set(b"%d" % number, b"")
            assert len(caplog.records) == warned
    assert "keys_used=9" in caplog.text
