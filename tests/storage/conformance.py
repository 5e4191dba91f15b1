"""What every store must do, whatever engine keeps its rows; see `tests/README.md`.

A test module of an engine derives a class from `StoreConformance` and gives it a `home`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Self

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.errors import (
    CommitsMissing,
    DatabaseClosed,
    Fenced,
    SnapshotTooOld,
    StoreUnavailable,
)
from fastness.invariants import InvariantViolation
from fastness.storage import CommittedWrites, MemoryStore, Step, Store
from fastness.storage.cells import expiry_of, timestamp_of, value_of
from tests.storage.homes import ALL_KEYS, RANGE, Home, Writer, commit

Call = Callable[[], object]


def seen(items: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Keys and values of a scan, as text, in the order found."""
    return {key.decode(): value_of(cell).decode() for key, cell in items}


def value(cell: bytes | None) -> str | None:
    """The value of a cell as text."""
    return None if cell is None else value_of(cell).decode()


class StoreConformance:
    """The contract, one promise a test."""

    def test_a_new_store_is_empty(self, home: Home) -> None:
        """A store just created has an identity and nothing else."""
        store = home.open()
        assert len(bytes.fromhex(store.identity)) == 16
        assert store.applied == 0
        assert store.scan_newest(ALL_KEYS, limit=10) == []
        assert store.newest(b"a") is None
        assert store.get(b"a", 10) is None
        assert store.changes(0, 100, 10) == []
        assert store.verify() == []

    def test_the_identity_stays(self, home: Home) -> None:
        """A store opened again is the same store."""
        store = home.open()
        identity = store.identity
        assert home.reopen(store).identity == identity

    def test_versions_are_read_at_their_time(self, home: Home) -> None:
        """A read at a timestamp sees the version newest then, or its absence."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="one"))
        writer.apply(commit(20, a="two"))
        writer.apply(commit(30, a=None))
        writer.apply(commit(40, a="four"))
        found = {at: value(store.get(b"a", at)) for at in (9, 10, 19, 20, 29, 30, 39, 40, 99)}
        assert found == {
            9: None,
            10: "one",
            19: "one",
            20: "two",
            29: "two",
            30: None,
            39: None,
            40: "four",
            99: "four",
        }
        assert value(store.newest(b"a")) == "four"
        assert [value(cell) for cell in store.get_many([b"b", b"a", b"a"], 20)] == [
            None,
            "two",
            "two",
        ]

    def test_keys_looked_up_together_are_what_each_is_alone(self, home: Home) -> None:
        """Fresh, overwritten, deleted, expiring and absent ones, at every timestamp."""
        store = home.open()
        writer = Writer(store)
        keys = [b"key %d" % number for number in range(40)]
        for timestamp in range(1, 9):
            writes: dict[bytes, bytes | None] = {
                key: None if (place + timestamp) % 5 == 0 else b"%d at %d" % (place, timestamp)
                for place, key in enumerate(keys)
                if (place * timestamp) % 3 == 0
            }
            brief = {key: timestamp + 2 for key, value in writes.items() if value and key[-1] % 2}
            writer.apply(CommittedWrites(timestamp, writes, expiries=brief))
        wanted = [*reversed(keys), b"absent", keys[0], keys[0]]
        for at in range(10):
            alone = [store.get(key, at) for key in wanted]
            for count in (1, 3, 4, 5, len(wanted)):
                assert store.get_many(wanted[:count], at) == alone[:count]
        assert store.get_many([], 5) == []

    def test_keys_with_zeros_and_prefixes_stay_apart(self, home: Home) -> None:
        """History of keys that begin with one another, or hold zero bytes, does not mix."""
        store = home.open()
        writer = Writer(store)
        keys = [b"", b"\x00", b"\x00\x00", b"\x00\xff", b"a", b"a\x00", b"a\x00\xff", b"a\x01"]
        writer.apply(CommittedWrites(1, {key: key + b"!" for key in keys}))
        writer.apply(CommittedWrites(2, dict.fromkeys(keys)))
        assert store.scan_newest(ALL_KEYS, limit=99) == []
        for reverse in (False, True):
            old = store.scan(ALL_KEYS, at=1, limit=99, reverse=reverse)
            expected = sorted(keys, reverse=reverse)
            assert [key for key, _cell in old] == expected
            assert [value_of(cell) for _key, cell in old] == [key + b"!" for key in expected]
        assert all(store.get(key, 2) is None for key in keys)

    def test_scans_are_ordered_and_bounded(self, home: Home) -> None:
        """A scan gives the first keys of its interval, forward or backward."""
        store = home.open()
        Writer(store).apply(commit(1, a="1", b="2", c="3", d="4"))
        middle = KeyInterval(b"b", b"d")
        assert seen(store.scan_newest(middle, limit=9)) == {"b": "2", "c": "3"}
        assert list(seen(store.scan_newest(middle, limit=9, reverse=True))) == ["c", "b"]
        assert list(seen(store.scan_newest(ALL_KEYS, limit=2))) == ["a", "b"]
        assert list(seen(store.scan_newest(ALL_KEYS, limit=2, reverse=True))) == ["d", "c"]
        assert list(seen(store.scan(ALL_KEYS, at=1, limit=3))) == ["a", "b", "c"]
        assert store.scan(ALL_KEYS, at=0, limit=3) == []
        assert store.scan_newest(KeyInterval(b"b", b"b"), limit=3) == []
        assert store.scan_newest(ALL_KEYS, limit=0) == []

    def test_old_scans_mix_both_tables(self, home: Home) -> None:
        """A scan in the past sees overwritten, deleted and unchanged keys in order."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="a10", b="b10", d="d10", e="e10"))
        writer.apply(commit(20, a="a20", b=None, c="c20"), commit(21, d="d21"))
        writer.apply(commit(30, a="a30", c=None, f="f30"))
        expected = {
            10: {"a": "a10", "b": "b10", "d": "d10", "e": "e10"},
            20: {"a": "a20", "c": "c20", "d": "d10", "e": "e10"},
            21: {"a": "a20", "c": "c20", "d": "d21", "e": "e10"},
            30: {"a": "a30", "d": "d21", "e": "e10", "f": "f30"},
        }
        for at, content in expected.items():
            for limit in (1, 2, 3, 99):
                wanted = dict(list(content.items())[:limit])
                assert seen(store.scan(ALL_KEYS, at=at, limit=limit)) == wanted
                backward = dict(list(content.items())[::-1][:limit])
                assert seen(store.scan(ALL_KEYS, at=at, limit=limit, reverse=True)) == backward

    @pytest.mark.parametrize("behind", [1, 127, 128, 129, 200])
    def test_scans_many_commits_behind(self, home: Home, behind: int) -> None:
        """However many commits a scan is behind, it sees what was there."""
        store = home.open()
        writer = Writer(store)
        names = [f"k{n:03}" for n in range(behind)]
        writer.apply(commit(1, **dict.fromkeys(names, "old")))
        writer.apply(*(commit(2 + n, **{name: str(n)}) for n, name in enumerate(names)))
        assert seen(store.scan(ALL_KEYS, at=1, limit=999)) == dict.fromkeys(names, "old")
        backward = store.scan(ALL_KEYS, at=1, limit=2, reverse=True)
        assert seen(backward) == dict.fromkeys(names[:-3:-1], "old")

    def test_several_commits_of_a_batch_touch_one_key(self, home: Home) -> None:
        """Commits of one batch see each other's writes as the versions before their own."""
        store = home.open()
        writer = Writer(store)
        writer.apply(
            commit(1, a="1"),
            commit(2, a="2", b="2"),
            commit(3, a=None),
            commit(4, a="4", b=None),
        )
        found = [value(store.get(b"a", at)) for at in range(5)]
        assert found == [None, "1", "2", None, "4"]
        assert [value(store.get(b"b", at)) for at in range(5)] == [None, None, "2", "2", None]
        assert store.verify() == []

    def test_erased_intervals_come_before_writes(self, home: Home) -> None:
        """An erased interval ends what lives in it, also from the same batch, then writes count."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1", b="1", c="1"))
        writer.apply(
            commit(2, bb="2"),
            commit(3, KeyInterval(b"b", b"c"), b="3"),
            commit(4, KeyInterval(b"c", b"z"), KeyInterval(b"b", b"c")),
        )
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "1"}
        assert seen(store.scan(ALL_KEYS, at=3, limit=9)) == {"a": "1", "b": "3", "c": "1"}
        assert seen(store.scan(ALL_KEYS, at=2, limit=9)) == {
            "a": "1",
            "b": "1",
            "bb": "2",
            "c": "1",
        }
        assert store.verify() == []

    def test_erasing_again_and_again_in_one_batch(self, home: Home) -> None:
        """Commits of a batch that write and erase by turns see each other, as alone they would."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, **{f"k{n}": "old" for n in range(5)}))
        commits = []
        for turn in range(2, 42, 2):
            commits.append(commit(turn, **{f"k{turn % 7}": str(turn), f"k{turn % 3}": None}))
            commits.append(commit(turn + 1, KeyInterval(b"k2", b"k5"), k3=str(turn)))
        writer.apply(*commits)
        other = MemoryStore()
        alone = Writer(other)
        alone.apply(commit(1, **{f"k{n}": "old" for n in range(5)}))
        for one in commits:
            alone.apply(one)
        for at in range(1, 43):
            assert store.scan(ALL_KEYS, at=at, limit=99) == other.scan(ALL_KEYS, at=at, limit=99)
        assert store.changes(0, 99, 99) == other.changes(0, 99, 99)
        assert store.verify() == []

    def test_expiring_values_keep_their_expiry(self, home: Home) -> None:
        """A cell carries its expiry, also once it was overwritten; the store judges nothing."""
        store = home.open()
        writer = Writer(store)
        session = CommittedWrites(5, {b"s": b"token", b"t": b"t"}, expiries={b"s": 9})
        writer.apply(session)
        writer.apply(commit(20, s="new"))
        for cell in (store.get(b"s", 5), store.get(b"s", 19)):
            assert cell is not None
            assert (timestamp_of(cell), expiry_of(cell), value_of(cell)) == (5, 9, b"token")
        found = store.scan(ALL_KEYS, at=15, limit=9)
        assert [(key, expiry_of(cell)) for key, cell in found] == [(b"s", 9), (b"t", 0)]

    def test_changes_are_told_in_commit_order(self, home: Home) -> None:
        """Changes name the keys each commit changed with the values it gave them."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="1", b="1"), commit(20, a="2"))
        writer.apply(commit(30, KeyInterval(b"a", b"c")), commit(40, a="4", gone=None))
        told = [(change.timestamp, change.writes) for change in store.changes(0, 99, 99)]
        assert told == [
            (10, ((b"a", b"1"), (b"b", b"1"))),
            (20, ((b"a", b"2"),)),
            (30, ((b"a", None), (b"b", None))),
            (40, ((b"a", b"4"),)),
        ]
        assert [change.timestamp for change in store.changes(10, 30, 99)] == [20, 30]
        assert [change.timestamp for change in store.changes(10, 99, 2)] == [20, 30]
        assert store.changes(40, 99, 9) == []
        assert store.changes(50, 40, 9) == []

    def test_commits_of_one_timestamp_are_never_parted(self, home: Home) -> None:
        """What a transaction wrote in two ranges is told together, whatever the limit."""
        store = home.open()
        one, two = Writer(store, range_id=1), Writer(store, range_id=2)
        one.apply(commit(10, a="1"))
        one.apply(commit(20, a="2"))
        two.apply(commit(20, z="2"))
        two.apply(commit(30, z="3"))
        assert [change.timestamp for change in store.changes(10, 99, 1)] == [20, 20]
        assert store.verify() == []

    def test_marks_travel_with_batches(self, home: Home) -> None:
        """A mark is written by a batch or recorded alone, and removed by recording `None`."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"), closed=b"one")
        store.record({"other": b"two", "äöü": b""})
        assert (store.state("closed"), store.state("other")) == (b"one", b"two")
        assert store.state("äöü") == b""
        store.record({"closed": None})
        assert store.state("closed") is None
        assert store.state("never") is None
        assert home.reopen(store).state("other") == b"two"

    def test_an_older_epoch_is_fenced(self, home: Home) -> None:
        """Once a higher epoch is open, no batch and no opening of a lower one gets through."""
        store = home.open()
        old = Writer(store)
        old.apply(commit(1, a="1"))
        late = old.batch(commit(2, a="late"))
        new = Writer(store)
        with pytest.raises(Fenced):
            store.apply(late)
        for epoch in (0, 1, 2):
            with pytest.raises(Fenced):
                store.open_range(RANGE, epoch)
        assert value(store.newest(b"a")) == "1"
        new.apply(commit(2, a="2"))
        store = home.reopen(store)
        assert store.range_epoch(RANGE) == 2
        with pytest.raises(Fenced):
            store.apply(late)

    def test_an_epoch_skipped_ahead_fences_too(self, home: Home) -> None:
        """Epochs need not be consecutive, and a batch of an epoch never opened is refused."""
        store = home.open()
        writer = Writer(store)
        store.open_range(RANGE, 1_000)
        with pytest.raises(Fenced):
            writer.apply(commit(1, a="1"))
        writer.epoch = 1_001
        with pytest.raises(Fenced):
            writer.apply(commit(1, a="1"))

    def test_the_epoch_opened_survives_a_crash(self, home: Home) -> None:
        """An epoch is durable when `open_range` returns."""
        store = home.open()
        store.open_range(RANGE, 7)
        store = home.crash()
        assert store.range_epoch(RANGE) == 7
        assert store.open_range(RANGE, 8).batch_number == 0

    def test_opening_tells_where_the_range_stood(self, home: Home) -> None:
        """A range opens with its last batch number, highest timestamp and prune horizon."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(5, a="1"))
        writer.apply(commit(9, a="2"), commit(12, b="1"))
        store.prune(RANGE, ALL_KEYS, 7, 100)
        state = home.reopen(store).open_range(RANGE, 2)
        assert (state.epoch, state.batch_number, state.applied, state.prune_horizon) == (
            2,
            2,
            12,
            7,
        )

    def test_ranges_do_not_know_each_other(self, home: Home) -> None:
        """Epochs, numbers and timestamps of two ranges of a store are apart."""
        store = home.open()
        one, two = Writer(store, range_id=1), Writer(store, range_id=2)
        one.apply(commit(10, a="1"))
        two.apply(commit(5, z="1"))
        two.apply(commit(6, z="2"))
        assert store.applied == 10
        store.open_range(1, 9)
        two.apply(commit(7, z="3"))
        assert store.open_range(2, 2).applied == 7

    def test_batches_out_of_order_are_refused(self, home: Home) -> None:
        """A skipped number shows batches lost; timestamps that do not rise are a mistake."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="1"))
        writer.number += 1
        with pytest.raises(CommitsMissing, match=r"batch 3 of range 1 is due, .* last one is 1"):
            writer.apply(commit(20, a="2"))
        writer.number -= 1
        for wrong in ([commit(10, a="2")], [commit(20, a="2"), commit(20, b="2")]):
            with pytest.raises(InvariantViolation):
                writer.apply(*wrong)
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"a": "1"}
        writer.apply(commit(20, a="2"))

    def test_an_empty_batch_counts(self, home: Home) -> None:
        """A batch without commits takes its number and writes its marks."""
        store = home.open()
        writer = Writer(store)
        writer.apply(closed=b"1")
        writer.apply()
        assert store.open_range(RANGE, 2).batch_number == 2
        assert store.state("closed") == b"1"

    def test_what_was_synced_survives_a_crash(self, home: Home) -> None:
        """Everything applied before a completed sync is there afterwards."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"), commit(2, b="2", a=None))
        store.sync()
        store = home.crash()
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {"b": "2"}
        assert value(store.get(b"a", 1)) == "1"
        assert store.applied == 2
        assert store.verify() == []

    def test_closing_syncs(self, home: Home) -> None:
        """A store closed in good order keeps what was never synced before."""
        store = home.open()
        Writer(store).apply(commit(1, a="1"))
        store = home.reopen(store)
        assert value(store.newest(b"a")) == "1"

    def test_a_closed_store_refuses(self, home: Home) -> None:
        """Every call on a closed store says so; closing again does nothing."""
        store = home.open()
        writer = Writer(store)
        store.close()
        store.close()
        for call in calls(store, writer):
            with pytest.raises(DatabaseClosed):
                call()

    @pytest.mark.parametrize("step", [Step.APPLY_BEGIN, Step.APPLY_END, Step.SYNC_BEGIN])
    def test_a_failed_write_closes_the_store(self, home: Home, step: Step) -> None:
        """After a write or sync failed nothing is answered; opened again, nothing is torn."""
        failing = FailingOnce(step)
        store = home.open(failing)
        writer = Writer(store)
        writer.apply(commit(1, a="1", b="1"))
        store.sync()
        failing.armed = True
        with pytest.raises(StoreUnavailable):
            apply_and_sync(writer, store)
        for call in calls(store, writer):
            with pytest.raises(StoreUnavailable):
                call()
        store = home.crash()
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) in (
            {"a": "1", "b": "1"},
            {"a": "2", "b": "2"},
        )
        assert store.verify() == []

    def test_pruning_keeps_the_horizon_whole(self, home: Home) -> None:
        """Whatever is pruned, reads and scans at the horizon and above find what they found."""
        store = home.open()
        writer = Writer(store)
        for timestamp in range(1, 40):
            writer.apply(
                commit(
                    timestamp, **{f"k{timestamp % 7}": str(timestamp), f"g{timestamp % 5}": None}
                )
                if timestamp % 3
                else commit(timestamp, **{f"g{timestamp % 5}": str(timestamp)})
            )
        before = {at: store.scan(ALL_KEYS, at=at, limit=99) for at in range(20, 41)}
        while store.prune(RANGE, ALL_KEYS, 20, 3):
            after = {at: store.scan(ALL_KEYS, at=at, limit=99) for at in range(20, 41)}
            assert after == before
        assert store.verify() == []
        assert store.prune_horizon(RANGE) == 20
        assert [change.timestamp for change in store.changes(20, 99, 99)] == list(range(21, 40))

    def test_pruning_removes_all_and_only_what_ended(self, home: Home) -> None:
        """After pruning no version is left that ended at or below the horizon."""
        store = home.open()
        writer = Writer(store)
        for timestamp in range(1, 101):
            writer.apply(commit(timestamp, hot=str(timestamp), **{f"k{timestamp}": "x"}))
        assert store.prune(RANGE, ALL_KEYS, 0, 100) == 0
        steps = []
        while done := store.prune(RANGE, ALL_KEYS, 60, 7):
            steps.append(done)
        assert max(steps) <= 7
        assert sum(steps) == 59 + 60  # versions of `hot` that ended at 2..60, log entries 1..60
        assert store.get(b"hot", 59) is None
        assert value(store.get(b"hot", 60)) == "60"
        assert store.verify() == []

    def test_a_long_log_entry_is_pruned_in_pieces(self, home: Home) -> None:
        """One commit of many keys is pruned a few at a time, also across a crash."""
        store = home.open()
        writer = Writer(store)
        keys = {f"k{n:03}": "x" for n in range(100)}
        writer.apply(commit(1, **keys), commit(2, **keys), commit(3, **keys))
        assert store.prune(RANGE, ALL_KEYS, 2, 30) == 30
        store.sync()
        store = home.crash()
        assert store.verify() == []
        total = 0
        while done := store.prune(RANGE, ALL_KEYS, 2, 30):
            assert done <= 30
            total += done
        assert total >= 72
        assert store.verify() == []
        assert len(store.scan(ALL_KEYS, at=2, limit=999)) == 100

    def test_the_horizon_never_sinks(self, home: Home) -> None:
        """A lower horizon asked for later changes nothing, also after a restart."""
        store = home.open()
        Writer(store).apply(commit(1, a="1"), commit(2, a="2"), commit(9, a="3"))
        store.prune(RANGE, ALL_KEYS, 5, 1)
        assert store.prune_horizon(RANGE) == 5
        store.prune(RANGE, ALL_KEYS, 1, 100)
        assert store.prune_horizon(RANGE) == 5
        store.sync()
        store = home.crash()
        assert store.prune_horizon(RANGE) == 5
        with pytest.raises(SnapshotTooOld):
            store.changes(4, 99, 99)
        assert [change.timestamp for change in store.changes(5, 99, 99)] == [9]

    def test_a_commit_below_the_horizon_is_a_mistake(self, home: Home) -> None:
        """A batch at or below the prune horizon stops the program."""
        store = home.open()
        writer = Writer(store)
        store.prune(RANGE, ALL_KEYS, 10, 1)
        with pytest.raises(InvariantViolation):
            writer.apply(commit(10, a="1"))
        writer.apply(commit(11, a="1"))

    def test_pruning_one_range_spares_another(self, home: Home) -> None:
        """Versions of another range stay, however their timestamps interleave."""
        store = home.open()
        one, two = Writer(store, range_id=1), Writer(store, range_id=2)
        for timestamp in range(1, 21):
            (one if timestamp % 2 else two).apply(
                commit(timestamp, **({"a": "x"} if timestamp % 2 else {"z": "x"}))
            )
        two.apply(commit(21, z="x"))
        one.apply(commit(21, a="x"))
        while store.prune(1, KeyInterval(b"", b"m"), 21, 2):
            pass
        assert value(store.get(b"z", 2)) == "x"
        assert store.get(b"a", 1) is None
        while store.prune(2, KeyInterval(b"m", b"\xff"), 21, 2):
            pass
        assert store.get(b"z", 2) is None
        assert store.size().log_entries == 0
        assert store.verify() == []

    def test_verify_reports_progress(self, home: Home) -> None:
        """Verification tells how many rows it has read, ending with all of them."""
        store = home.open()
        Writer(store).apply(commit(1, a="1", b="2"))
        told: list[int] = []
        assert store.verify(told.append) == []
        assert told[-1] >= 4

    def test_sizes_are_told(self, home: Home) -> None:
        """A store tells about how much it holds."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1" * 1000, b="2"))
        writer.apply(commit(2, a="1"))
        size = store.size()
        assert size.bytes_on_disk > 1000
        assert size.newest_keys >= 1

    def test_readers_beside_a_writer_see_whole_commits(self, home: Home) -> None:
        """Scans and gets at a timestamp are whole and unchanging while batches are applied."""
        store = home.open()
        writer = Writer(store)
        names = [f"k{n}" for n in range(8)]
        writer.apply(commit(1, **dict.fromkeys(names, "1")))
        reader = ConcurrentReader(store, [name.encode() for name in names])
        with reader:
            for timestamp in range(2, 400):
                written: dict[str, str | None] = dict.fromkeys(names, str(timestamp))
                if timestamp % 5 == 0:
                    written[names[timestamp % 8]] = None
                writer.apply(commit(timestamp, **written))
                reader.newest_timestamp = timestamp
        assert reader.problems == []
        assert store.verify() == []


def apply_and_sync(writer: Writer, store: Store) -> None:
    """Write and make durable a batch that touches what the first one wrote."""
    writer.apply(commit(2, a="2", b="2"))
    store.sync()


def calls(store: Store, writer: Writer) -> list[Call]:
    """Every call of the contract that a refusing store must refuse."""
    batch = writer.batch(commit(99, z="z"))
    return [
        lambda: store.newest(b"a"),
        lambda: store.get(b"a", 1),
        lambda: store.get_many([b"a"], 1),
        lambda: store.get_many([b"a", b"b", b"c", b"d", b"e"], 1),
        lambda: store.scan(ALL_KEYS, at=1, limit=1),
        lambda: store.scan_newest(ALL_KEYS, limit=1),
        lambda: store.apply(batch),
        store.sync,
        lambda: store.open_range(RANGE, 99),
        lambda: store.range_epoch(RANGE),
        lambda: store.range_number(RANGE),
        lambda: store.range_records(RANGE),
        lambda: store.settle(RANGE, writer.epoch, writer.number),
        lambda: store.state("a"),
        lambda: store.record({"a": b"b"}),
        lambda: store.changes(0, 9, 9),
        lambda: store.prune(RANGE, ALL_KEYS, 1, 1),
        lambda: store.prune_horizon(RANGE),
        store.size,
        store.verify,
    ]


class FailingOnce:
    """A disk that fails at one step once it is armed."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.armed = False

    def __call__(self, step: Step) -> None:
        """Fail at the step."""
        if self.armed and step == self.step:
            self.armed = False
            raise OSError(5, "Input/output error")


class ConcurrentReader:
    """Reads all keys at old timestamps on another thread; every key holds its commit's number."""

    def __init__(self, store: Store, keys: list[bytes]) -> None:
        self.store = store
        self.keys = keys
        self.newest_timestamp = 1
        self.problems: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set() and not self.problems:
            turn += 1
            at = max(1, self.newest_timestamp - turn % 4)
            self._check(at, reverse=turn % 2 == 0)

    def _check(self, at: int, *, reverse: bool) -> None:
        missing = {self.keys[at % 8]} if at % 5 == 0 else set()
        scanned = self.store.scan(ALL_KEYS, at=at, limit=99, reverse=reverse)
        keys = [key for key, _cell in scanned]
        wanted = [key for key in sorted(self.keys, reverse=reverse) if key not in missing]
        if keys != wanted:
            self.problems.append(f"scan at {at} found {keys}")
        if any((a < b) is reverse for a, b in pairwise(keys)):
            self.problems.append(f"scan at {at} is out of order: {keys}")
        for key, cell in scanned:
            if value_of(cell) != str(at).encode():
                self.problems.append(f"scan at {at} found {key!r} = {cell!r}")
        for key, found in zip(self.keys, self.store.get_many(self.keys, at), strict=True):
            if value(found) != (None if key in missing else str(at)):
                self.problems.append(f"get at {at} found {key!r} = {found!r}")
