"""Keys longer than an index row can hold: kept, found and told apart as short ones are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.storage import CommittedWrites, MemoryStore, Store
from tests.hosting.postgres.synchronous import PostgresHome
from tests.storage.homes import ALL_KEYS, RANGE, Writer

pytestmark = pytest.mark.process

HEAD = b"h" * 2_000
"""As much of a key as is compared in the index."""
KEYS = [
    b"a",
    HEAD[:-1],
    HEAD,
    *(HEAD + rest for rest in (b"\x00", b"\x01", b"a", b"ab", b"b", b"z" * 6_000, b"z" * 6_192)),
    HEAD + bytes(range(256)) * 8,
    HEAD[:-1] + b"i",
    HEAD[:-1] + b"i" + b"x" * 4_000,
    b"z",
]


@pytest.fixture
def store(dsn: str) -> Iterator[Store]:
    """A store of its own."""
    home = PostgresHome(dsn)
    yield home.open()
    home.close()


def test_long_keys_are_as_short_ones(store: Store) -> None:
    """Every read, scan, change and erasure gives what a store in memory gives."""
    memory = MemoryStore()
    intervals = [KeyInterval(one, two) for one in KEYS for two in KEYS[::3] if one < two]
    for each in (store, memory):
        writer = Writer(each)
        writer.apply(CommittedWrites(1, {key: b"1" + key[-3:] for key in KEYS}))
        writer.apply(CommittedWrites(2, dict.fromkeys(KEYS[::2], b"2"), expiries={KEYS[4]: 9}))
        writer.apply(CommittedWrites(3, {}, (KeyInterval(HEAD + b"\x00\x00", HEAD + b"b"),)))
        records: dict[bytes, bytes | None] = {key: key[-2:] for key in KEYS}
        writer.send(writer.change(CommittedWrites(4, {KEYS[5]: b"4"}), records=records))
        writer.send(writer.change(records=dict.fromkeys(KEYS[::2])))
    assert store.range_records(RANGE) == memory.range_records(RANGE)
    assert store.verify() == []
    for at in range(6):
        assert store.get_many(KEYS, at) == memory.get_many(KEYS, at)
        for limit in (1, 2, 5, 99):
            for reverse in (False, True):
                assert store.scan(ALL_KEYS, at=at, limit=limit, reverse=reverse) == memory.scan(
                    ALL_KEYS, at=at, limit=limit, reverse=reverse
                )
    for interval in intervals:
        for reverse in (False, True):
            assert store.scan(interval, at=1, limit=3, reverse=reverse) == memory.scan(
                interval, at=1, limit=3, reverse=reverse
            )
    assert store.changes(0, 9, 9) == memory.changes(0, 9, 9)
    for each in (store, memory):
        while each.prune(RANGE, ALL_KEYS, 9, 3):
            pass
    assert store.scan(ALL_KEYS, at=9, limit=99) == memory.scan(ALL_KEYS, at=9, limit=99)
    assert store.verify() == []


def test_an_old_scan_walks_long_keys(store: Store) -> None:
    """Far behind, where the history is walked instead of the log."""
    memory = MemoryStore()
    for each in (store, memory):
        writer = Writer(each)
        writer.apply(CommittedWrites(1, dict.fromkeys(KEYS, b"1")))
        writer.apply(*(CommittedWrites(2 + n, {KEYS[n % 7]: b"%d" % n}) for n in range(300)))
        writer.apply(CommittedWrites(400, dict.fromkeys(KEYS)))
    for at in (1, 2, 5, 250, 301, 399, 400):
        for limit in (1, 3, 4, 99):
            for reverse in (False, True):
                assert store.scan(ALL_KEYS, at=at, limit=limit, reverse=reverse) == memory.scan(
                    ALL_KEYS, at=at, limit=limit, reverse=reverse
                )
