"""Validation by reading again, a step of pruning between any two of its looks."""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval
from fastness.ranges import Commit
from fastness.ranges.rereading import PAGE_ENTRIES, reread
from fastness.storage import CommittedWrites, MemoryStore
from tests.storage.homes import ALL_KEYS, RANGE, Writer, commit

SINCE, THROUGH = 20, 30


def key_of(number: int) -> bytes:
    """A key, in order of its number."""
    return b"k%05d" % number


def validated(
    store: MemoryStore, *, keys: set[bytes], intervals: list[KeyInterval], pruned_after: int
) -> tuple[bytes, int] | None:
    """Read again what a commit read at `SINCE`; after so many looks the store is pruned."""
    made = Commit(read_timestamp=SINCE, priority=(SINCE, b""), identity=b"")
    made.read_keys, made.read_intervals = keys, intervals
    steps = reread(made, THROUGH)
    looks = 0
    try:
        wanted = next(steps)
        while True:
            if looks == pruned_after:
                while store.prune(RANGE, ALL_KEYS, SINCE, 999):
                    pass
            looks += 1
            asked, scan, at = wanted
            items = []
            if scan is not None:
                items = store.scan(KeyInterval(scan.begin, scan.end), at=at, limit=scan.limit)
            wanted = steps.send((store.get_many(asked, at), items))
    except StopIteration as stop:
        changed: tuple[bytes, int] | None = stop.value
        return changed


def sessions(count: int) -> tuple[MemoryStore, Writer]:
    """A store with many keys: two of three had expired by `SINCE`."""
    store = MemoryStore()
    writer = Writer(store)
    brief = [key_of(n) for n in range(count) if n % 3]
    writer.apply(CommittedWrites(10, dict.fromkeys(brief, b"1"), (), dict.fromkeys(brief, 15)))
    writer.apply(CommittedWrites(11, {key_of(n): b"1" for n in range(0, count, 3)}))
    return store, writer


def test_what_had_expired_may_go_between_two_looks() -> None:
    """Nobody wrote it: neither as a key nor in an interval of several pages has it changed."""
    count = 3 * PAGE_ENTRIES
    for pruned_after in range(8):
        store, _writer = sessions(count)
        changed = validated(
            store,
            keys={key_of(0), key_of(1), key_of(2)},
            intervals=[ALL_KEYS],
            pruned_after=pruned_after,
        )
        assert changed is None


def test_what_was_written_is_found_all_the_same() -> None:
    """A change in a late page, of a key that had expired, or of one that expires later."""
    count = 3 * PAGE_ENTRIES
    last, expired = key_of(count - 3), key_of(count - 2)
    for number, written in enumerate((last, expired)):
        for pruned_after in range(8):
            store, writer = sessions(count)
            writer.apply(commit(25 + number, **{written.decode(): "2"}))
            keys: set[bytes] = set()
            found = validated(store, keys=keys, intervals=[ALL_KEYS], pruned_after=pruned_after)
            assert found == (written, 25 + number)
            found = validated(store, keys={written}, intervals=[], pruned_after=pruned_after)
            assert found == (written, 25 + number)


def test_a_value_alive_at_the_read_and_expired_since_has_not_changed() -> None:
    """That is told by its expiry; only its commit or its end in the store would be a change."""
    store = MemoryStore()
    writer = Writer(store)
    writer.apply(CommittedWrites(10, {b"a": b"1"}, (), {b"a": 25}))
    writer.apply(commit(28, b="1"))
    assert validated(store, keys={b"a"}, intervals=[], pruned_after=1) is None
    writer.apply(commit(29, a=None))
    assert validated(store, keys={b"a"}, intervals=[], pruned_after=1) == (b"a", 0)
