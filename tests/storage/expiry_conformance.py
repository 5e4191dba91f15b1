"""What every store must do with values that expire: pruning takes them, and nobody notices.

The tests of an engine take it up beside `tests.storage.conformance`.
"""

from __future__ import annotations

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.storage import CommittedWrites, Item, Store
from fastness.storage.cells import expiry_of, value_at
from tests.storage.conformance import seen, value
from tests.storage.homes import ALL_KEYS, RANGE, Home, Writer, commit
from tests.storage.ranges_conformance import (
    CHILD,
    LEFT,
    RIGHT,
    born,
    joined,
    rows_of_versions,
    split,
)


def session(timestamp: int, expires_at: int, **writes: str) -> CommittedWrites:
    """Writes whose values all expire at one moment."""
    made = commit(timestamp, **writes)
    made.expiries = dict.fromkeys(made.writes, expires_at)
    return made


def pruned(store: Store, horizon: int, limit: int = 3) -> None:
    """Prune until nothing is left to do at a horizon."""
    while done := store.prune(RANGE, ALL_KEYS, horizon, limit):
        assert done <= limit


def alive(store: Store, at: int) -> list[Item]:
    """What a reader at a timestamp sees."""
    cells = store.scan(ALL_KEYS, at=at, limit=99)
    return [(key, shown) for key, cell in cells if (shown := value_at(cell, at)) is not None]


class ExpiryConformance:
    """The contract for values that expire, one promise a test."""

    @pytest.mark.parametrize("limit", [1, 2, 3, 99])
    def test_what_has_expired_goes_and_nobody_notices(self, home: Home, limit: int) -> None:
        """At the horizon and above every reader sees what it saw; in the end nothing is left."""
        store = home.open()
        writer = Writer(store)
        for at in range(1, 30):
            writer.apply(
                session(at, at + at % 7 + 1, **{f"s{at % 5}": str(at), f"t{at}": "x"}),
            )
        writer.apply(commit(30, s1="stays", s2=None))
        for horizon in (0, 8, 20, 29, 40):
            before = {at: alive(store, at) for at in range(horizon, 45)}
            while done := store.prune(RANGE, ALL_KEYS, horizon, limit):
                assert done <= limit
                assert {at: alive(store, at) for at in range(horizon, 45)} == before
            assert store.verify() == []
            left = [expiry_of(cell) for _key, cell in store.scan_newest(ALL_KEYS, limit=99)]
            assert all(expires_at == 0 or expires_at > horizon for expires_at in left)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"s1": "stays"}
        assert rows_of_versions(store) == 0

    def test_what_expires_above_the_horizon_stays(self, home: Home) -> None:
        """Expired or not by any clock: the horizon alone counts, to the last timestamp."""
        store = home.open()
        Writer(store).apply(session(5, 20, a="1"), session(6, TIMESTAMP_MAX, b="1"))
        pruned(store, 19)
        assert value(store.get(b"a", 19)) == "1"
        pruned(store, 20)
        assert (store.get(b"a", 20), store.newest(b"a")) == (None, None)
        assert value(store.newest(b"b")) == "1"
        assert store.verify() == []

    def test_a_renewed_value_stays(self, home: Home) -> None:
        """Written again before it was pruned, with a later expiry, the same one, or none."""
        store = home.open()
        writer = Writer(store)
        writer.apply(session(1, 10, a="1", b="1", c="1"))
        writer.apply(session(2, 15, a="2"), session(3, 10, b="2"), commit(4, c="2"))
        pruned(store, 10)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "2", "c": "2"}
        pruned(store, 15)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"c": "2"}
        assert rows_of_versions(store) == 0

    def test_renewals_leave_nothing_behind(self, home: Home) -> None:
        """However often a value was renewed, only the newest waits for its expiry."""
        store = home.open()
        writer = Writer(store)
        for at in range(1, 20):
            writer.apply(session(at, at + 100, a="1", b="1"))
        writer.apply(commit(20, a=None), commit(21, c="1"))
        writer.apply(session(22, 120, c="1"), commit(23, KeyInterval(b"c", b"d")))
        pruned(store, 23)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"b": "1"}
        assert rows_of_versions(store) == 1
        pruned(store, 119)
        assert rows_of_versions(store) == 0

    def test_a_value_written_after_its_expiry_waits_for_the_horizon(self, home: Home) -> None:
        """It shows nothing to anybody, but its commit stays in the log, the value with it."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(4, a="1"))
        writer.apply(session(12, 3, a="2", b="2"))
        pruned(store, 11)
        assert alive(store, 11) == [(b"a", b"1")]
        assert [change.writes for change in store.changes(11, 99, 9)] == [
            ((b"a", b"2"), (b"b", b"2"))
        ]
        assert store.verify() == []
        pruned(store, 12)
        assert store.scan_newest(ALL_KEYS, limit=9) == []
        assert rows_of_versions(store) == 0

    def test_a_removed_key_may_be_written_again(self, home: Home) -> None:
        """As one that was never there: nothing of it ends, and a deletion changes nothing."""
        store = home.open()
        writer = Writer(store)
        writer.apply(session(1, 5, a="1", b="1"))
        pruned(store, 5)
        writer.apply(session(9, 20, a="2"), commit(10, b=None))
        assert [(one.timestamp, one.writes) for one in store.changes(5, 99, 9)] == [
            (9, ((b"a", b"2"),))
        ]
        assert store.get(b"a", 8) is None
        assert store.verify() == []
        pruned(store, 20)
        assert rows_of_versions(store) == 0

    def test_changes_tell_when_values_expire(self, home: Home) -> None:
        """Nothing tells when one does; so it is told with its writing."""
        store = home.open()
        writer = Writer(store)
        made = commit(5, a="1", b="2")
        made.expiries = {b"a": 9}
        writer.apply(made, commit(6, a="3"))
        assert [change.expiries for change in store.changes(0, 99, 9)] == [((b"a", 9),), ()]

    def test_pruning_survives_a_crash(self, home: Home) -> None:
        """What a step left behind is found by the next one, wherever the last one ended."""
        store = home.open()
        writer = Writer(store)
        writer.apply(session(1, 5, **{f"k{n:02}": "x" for n in range(20)}))
        for _turn in range(5):
            store.prune(RANGE, ALL_KEYS, 5, 7)
            store.sync()
            store = home.crash()
            assert store.verify() == []
            assert store.prune_horizon(RANGE) == 5
        pruned(store, 5)
        assert rows_of_versions(store) == 0

    def test_both_sides_of_a_split_lose_their_own(self, home: Home) -> None:
        """A range takes what has expired in its interval up to its own horizon, passing others."""
        store = home.open()
        writer = Writer(store)
        writer.apply(session(1, 5, a="1", z="1"), session(2, 9, b="1", y="1"))
        writer.send(writer.change(splits=[born(2)]))
        joined(store, CHILD)
        while store.prune(RANGE, LEFT, 9, 2):
            pass
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"y": "1", "z": "1"}
        while store.prune(CHILD, RIGHT, 5, 2):
            pass
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"y": "1"}
        assert store.verify() == []
        while store.prune(CHILD, RIGHT, 9, 2):
            pass
        assert rows_of_versions(store) == 0

    def test_after_a_merge_what_the_other_range_left_goes_too(self, home: Home) -> None:
        """Pruning begins again where it has more keys to answer for."""
        store = home.open()
        writer, child = split(store)
        writer.apply(session(20, 25, a="2"))
        child.apply(session(21, 24, z="2"))
        while store.prune(RANGE, LEFT, 30, 3):
            pass
        writer.send(writer.change(absorbs=[(CHILD, child.epoch)]))
        pruned(store, 30)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"b": "1", "y": "1"}
        assert rows_of_versions(store) == 0

    def test_one_resolved_late_that_has_expired_goes(self, home: Home) -> None:
        """An intent resolved below what was pruned, as after a merge, is expired at once."""
        store = home.open()
        writer = Writer(store)
        writer.apply(session(10, 12, a="1", b="1"))
        pruned(store, 20)
        writer.send(writer.change(resolved=[session(15, 18, a="2", c="2"), session(16, 40, d="2")]))
        assert store.verify() == []
        pruned(store, 20)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"d": "2"}
        pruned(store, 40)
        assert rows_of_versions(store) == 0

    def test_a_batch_may_write_and_erase_what_expires(self, home: Home) -> None:
        """Members of one batch overwrite each other's values; what is left has its row."""
        store = home.open()
        writer = Writer(store)
        writer.apply(
            session(1, 9, a="1", b="1"),
            session(2, 8, a="2"),
            commit(3, b=None),
            session(4, 8, b="4"),
        )
        assert store.verify() == []
        pruned(store, 7)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "2", "b": "4"}
        pruned(store, 9)
        assert rows_of_versions(store) == 0
