"""What every store must do for many ranges: records, late commits, splits, merges, lost answers.

The tests of an engine take it up beside `tests.storage.conformance`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.errors import CommitsMissing, Fenced, SnapshotTooOld, StoreUnavailable
from fastness.invariants import InvariantViolation
from fastness.storage import EPOCH_MAX, CommittedWrites, Inherited, Item, RocksStore, Step, Store
from tests.storage.conformance import FailingOnce, seen, value
from tests.storage.homes import ALL_KEYS, RANGE, Home, Writer, commit

LEFT, RIGHT = KeyInterval(b"", b"m"), KeyInterval(b"m", b"\xff")
CHILD = 2


def rows_of_versions(store: Store, known: Sequence[int] = (RANGE, CHILD)) -> int:
    """How many rows of history and log a store has, whatever its engine estimates.

    What is read when everything is, without the rest; `known` has every range's id.
    """
    told: list[int] = []
    assert store.verify(told.append) == []
    live = len(store.scan_newest(ALL_KEYS, limit=9_999))
    ranges = [number for number in known if store.range_epoch(number)]
    records = sum(len(store.range_records(number)) for number in ranges)
    identity = int(isinstance(store, RocksStore))
    return told[-1] - live - len(ranges) - records - identity


def born(applied: int = 0, horizon: int = 0, **records: bytes) -> Inherited:
    """The child range, with records named as text."""
    return Inherited(CHILD, 1, applied, horizon, encoded(records))


def encoded(records: dict[str, bytes]) -> dict[bytes, bytes]:
    """Records with their names as bytes."""
    return {name.encode(): content for name, content in records.items()}


def joined(store: Store, range_id: int) -> Writer:
    """A writer of a range that is open, under the epoch it is open at."""
    writer = Writer.__new__(Writer)
    writer.store, writer.range_id = store, range_id
    writer.epoch, writer.number = store.range_epoch(range_id), 0
    return writer


def split(store: Store) -> tuple[Writer, Writer]:
    """Range 1 with keys on both sides, then split into 1 and 2."""
    writer = Writer(store)
    writer.apply(commit(10, a="1", b="1", y="1", z="1"))
    writer.send(writer.change(splits=[born(10)]))
    return writer, joined(store, CHILD)


class RangesConformance:
    """The contract for many ranges, one promise a test."""

    def test_records_come_and_go_with_batches(self, home: Home) -> None:
        """Records are written and removed by batches, in order, each range its own."""
        store = home.open()
        one, two = Writer(store), Writer(store, range_id=RANGE << 8)
        one.send(one.change(commit(1, a="1"), records={b"x": b"1", b"": b"", b"\xff\x00": b"3"}))
        two.send(two.change(records={b"x": b"two"}))
        assert list(store.range_records(RANGE).items()) == [
            (b"", b""),
            (b"x", b"1"),
            (b"\xff\x00", b"3"),
        ]
        one.send(one.change(records={b"x": b"2", b"": None, b"never": None}))
        store = home.reopen(store)
        assert store.range_records(RANGE) == {b"x": b"2", b"\xff\x00": b"3"}
        assert store.open_range(two.range_id, 2).records == {b"x": b"two"}
        assert store.range_records(99) == {}
        assert store.verify() == []

    def test_records_of_a_fenced_batch_never_come(self, home: Home) -> None:
        """A batch refused, under an old epoch or out of turn, writes no record either."""
        store = home.open()
        old = Writer(store)
        old.send(old.change(records={b"kept": b"1"}))
        late = old.change(records={b"kept": None, b"late": b"1"})
        store.open_range(RANGE, 5)
        with pytest.raises(Fenced):
            store.apply(late)
        late.epoch, late.number = 5, 9
        with pytest.raises(CommitsMissing):
            store.apply(late)
        assert store.range_records(RANGE) == {b"kept": b"1"}

    @pytest.mark.parametrize("step", [Step.APPLY_BEGIN, Step.APPLY_END])
    def test_a_batch_of_all_kinds_is_whole_or_absent(self, home: Home, step: Step) -> None:
        """After a failure at any step a split with commits and records took place, or did not."""
        failing = FailingOnce(step)
        store = home.open(failing)
        writer = Writer(store)
        writer.send(writer.change(commit(10, a="1"), records={b"intent": b"i"}))
        store.sync()
        batch = writer.change(
            commit(30, a="2"),
            resolved=[commit(20, z="1")],
            records={b"intent": None},
            splits=[born(30, intent=b"i")],
        )
        failing.armed = True
        with pytest.raises(StoreUnavailable):
            store.apply(batch)
        store = home.crash()
        found = (
            seen(store.scan_newest(ALL_KEYS, limit=9)),
            store.range_records(RANGE),
            store.range_records(CHILD),
            store.range_epoch(CHILD),
        )
        assert found in (
            ({"a": "1"}, {b"intent": b"i"}, {}, 0),
            ({"a": "2", "z": "1"}, {}, {b"intent": b"i"}, 1),
        )
        assert store.verify() == []

    def test_a_resolved_commit_may_lie_below(self, home: Home) -> None:
        """Versions written late are seen from their timestamp on, and end those before them."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="10", b="10", c="10"))
        writer.apply(commit(50, z="50"))
        writer.send(
            writer.change(
                commit(60, y="60"),
                resolved=[commit(40, b=None, fresh="40"), commit(20, a="20"), commit(70, c="70")],
            )
        )
        history = {at: value(store.get(b"a", at)) for at in (9, 10, 19, 20, 21, 50, 99)}
        assert list(history.values()) == [None, "10", "10", "20", "20", "20", "20"]
        assert [value(store.get(b"b", at)) for at in (39, 40, 99)] == ["10", None, None]
        assert [value(store.get(b"c", at)) for at in (69, 70)] == ["10", "70"]
        expected = {
            10: {"a": "10", "b": "10", "c": "10"},
            20: {"a": "20", "b": "10", "c": "10"},
            40: {"a": "20", "c": "10", "fresh": "40"},
            69: {"a": "20", "c": "10", "fresh": "40", "y": "60", "z": "50"},
            70: {"a": "20", "c": "70", "fresh": "40", "y": "60", "z": "50"},
        }
        for at, content in expected.items():
            for limit in (1, 2, 9):
                wanted = dict(list(content.items())[:limit])
                assert seen(store.scan(ALL_KEYS, at=at, limit=limit)) == wanted
        assert [c.timestamp for c in store.changes(0, 99, 99)] == [10, 20, 40, 50, 60, 70]
        assert store.open_range(RANGE, 9).applied == 70
        assert store.verify() == []

    def test_a_batch_is_taken_in_order_of_time(self, home: Home) -> None:
        """Whatever the order in its lists, what has the lower timestamp is applied first."""
        store = home.open()
        writer = Writer(store)
        late = [commit(30, a=None), commit(10, a="10"), commit(40, KeyInterval(b"", b"b"), b="40")]
        writer.send(writer.change(commit(20, a="20"), commit(35, a="35"), resolved=late))
        found = [value(store.get(b"a", at)) for at in (9, 10, 20, 30, 35, 40)]
        assert found == [None, "10", "20", None, "35", None]
        assert store.verify() == []

    def test_commits_go_on_below_a_resolved_one(self, home: Home) -> None:
        """One-range commits rise among themselves, also below a resolved timestamp, also later."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="10"))
        writer.send(writer.change(resolved=[commit(100, z="100")]))
        writer.apply(commit(50, a="50"))
        assert [value(store.get(b"a", at)) for at in (49, 50, 100)] == ["10", "50", "50"]
        store = home.reopen(store)
        writer = Writer(store)
        with pytest.raises(InvariantViolation, match="strictly increase"):
            writer.apply(commit(50, b="50"))
        with pytest.raises(InvariantViolation, match="lies at or below"):
            writer.apply(commit(90, z="90"))
        writer.apply(commit(60, KeyInterval(b"", b"b")))
        assert store.get(b"a", 60) is None
        assert store.applied == 100
        assert store.verify() == []

    @pytest.mark.parametrize("late", [commit(20, a="2"), commit(20, a=None), commit(15, gone="2")])
    def test_a_resolved_commit_below_a_version_is_a_mistake(
        self, home: Home, late: CommittedWrites
    ) -> None:
        """Locks keep versions of a key in order: whoever breaks that stops the program."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, gone="1"), commit(20, a="1", gone=None))
        with pytest.raises(InvariantViolation, match="lies at or below"):
            store.apply(writer.change(resolved=[late]))
        assert value(store.newest(b"a")) == "1"
        assert store.verify() == []

    def test_a_late_erasure_leaves_later_versions(self, home: Home) -> None:
        """An erased interval of a resolved commit ends versions below it, and no others."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="10", b="10", c="10"), commit(30, bb="30"))
        erasing = commit(20, KeyInterval(b"a", b"c"), b="20")
        writer.send(writer.change(commit(40, ab="40"), resolved=[erasing]))
        assert seen(store.scan(ALL_KEYS, at=19, limit=9)) == {"a": "10", "b": "10", "c": "10"}
        assert seen(store.scan(ALL_KEYS, at=20, limit=9)) == {"b": "20", "c": "10"}
        assert seen(store.scan(ALL_KEYS, at=30, limit=9)) == {"b": "20", "bb": "30", "c": "10"}
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {
            "ab": "40",
            "b": "20",
            "bb": "30",
            "c": "10",
        }
        assert store.verify() == []

    def test_a_split_gives_birth_to_a_range(self, home: Home) -> None:
        """The child is open at its epoch, starts at batch 1, and holds what it inherited."""
        store = home.open()
        writer = Writer(store)
        writer.send(writer.change(commit(10, a="1", z="1"), records={b"a": b"1", b"z": b"2"}))
        store.prune(RANGE, ALL_KEYS, 5, 1)
        writer.send(
            writer.change(commit(20, a="2"), records={b"z": None}, splits=[born(20, 5, z=b"2")])
        )
        child = joined(store, CHILD)
        child.send(child.change(commit(21, z="2"), records={b"own": b"3"}))
        writer.apply(commit(21, a="3"))
        store.sync()
        store = home.crash()
        assert store.range_records(RANGE) == {b"a": b"1"}
        state = store.open_range(CHILD, 2)
        assert (state.batch_number, state.applied, state.prune_horizon) == (1, 21, 5)
        assert state.records == {b"own": b"3", b"z": b"2"}
        assert store.verify() == []

    def test_a_child_goes_on_above_its_parents_commits(self, home: Home) -> None:
        """A child's commits are above every one-range commit made before the split."""
        store = home.open()
        _writer, child = split(store)
        with pytest.raises(InvariantViolation, match="strictly increase"):
            child.apply(commit(10, z="2"))
        child.apply(commit(11, z="2"))

    def test_what_a_child_had_applied_counts(self, home: Home) -> None:
        """The store's highest timestamp covers what a range was born with."""
        store = home.open()
        writer = Writer(store)
        writer.send(writer.change(commit(10, a="1"), splits=[born(15)]))
        assert store.applied == 15
        assert home.reopen(store).applied == 15

    def test_a_child_takes_no_id_in_use(self, home: Home) -> None:
        """A range is never born over another, nor with a lower horizon than its parent's."""
        store = home.open()
        writer, _child = split(store)
        with pytest.raises(InvariantViolation, match="never used"):
            store.apply(writer.change(splits=[born()]))
        store.prune(RANGE, LEFT, 7, 1)
        for wrong in (
            [Inherited(3, 1, 10, 6, {})],
            [Inherited(3, 0, 10, 7, {})],
            [Inherited(3, 1, 10, 7, {}), Inherited(3, 1, 10, 7, {})],
        ):
            with pytest.raises(InvariantViolation):
                store.apply(writer.change(splits=wrong))
        assert store.range_epoch(3) == 0

    def test_a_merge_closes_the_absorbed_range(self, home: Home) -> None:
        """What is absorbed can never be opened, written, settled or pruned again."""
        store = home.open()
        writer, child = split(store)
        child.send(child.change(commit(40, z="4"), records={b"i": b"1"}))
        store.prune(CHILD, RIGHT, 20, 9)
        late = child.change(commit(50, z="5"))
        writer.send(
            writer.change(commit(30, a="3"), records={b"i": b"1"}, absorbs=[(CHILD, child.epoch)])
        )
        for call in (
            lambda: store.apply(late),
            lambda: store.open_range(CHILD, 9),
            lambda: store.open_range(CHILD, EPOCH_MAX),
            lambda: store.settle(CHILD, 1, 2),
            lambda: store.prune(CHILD, RIGHT, 30, 9),
        ):
            with pytest.raises(Fenced, match="merged into another"):
                call()
        late.epoch = EPOCH_MAX
        with pytest.raises(Fenced):
            store.apply(late)
        assert (store.range_records(RANGE), store.range_records(CHILD)) == ({b"i": b"1"}, {})
        with pytest.raises(InvariantViolation, match="strictly increase"):
            writer.apply(commit(40, a="4"))
        state = home.reopen(store).open_range(RANGE, 2)
        assert (state.applied, state.prune_horizon, state.records) == (40, 20, {b"i": b"1"})

    def test_a_merge_under_another_epoch_is_fenced(self, home: Home) -> None:
        """A merge is refused whole when the absorbed range was opened meanwhile, or never."""
        store = home.open()
        writer, child = split(store)
        store.open_range(CHILD, 2)
        merge = writer.change(commit(30, a="3"), absorbs=[(CHILD, child.epoch)])
        with pytest.raises(Fenced, match="open at epoch 2"):
            store.apply(merge)
        merge.absorbs[:] = [(9, 0)]
        with pytest.raises(InvariantViolation):
            store.apply(merge)
        merge.absorbs[:] = [(RANGE, writer.epoch)]
        with pytest.raises(InvariantViolation):
            store.apply(merge)
        assert value(store.newest(b"a")) == "1"
        merge.absorbs[:] = [(CHILD, 2)]
        store.apply(merge)
        assert value(store.newest(b"a")) == "3"

    @pytest.mark.parametrize("synced", [False, True])
    def test_a_crash_around_a_merge(self, home: Home, *, synced: bool) -> None:
        """After a crash both ranges are there, or the surviving one with everything."""
        store = home.open()
        writer, child = split(store)
        child.send(child.change(records={b"i": b"1"}))
        store.sync()
        writer.send(writer.change(records={b"i": b"1"}, absorbs=[(CHILD, child.epoch)]))
        if synced:
            store.sync()
        store = home.crash()
        merged = store.range_epoch(CHILD) == EPOCH_MAX
        assert merged or not synced
        records = {b"i": b"1"}
        expected = (records, {}) if merged else ({}, records)
        assert (store.range_records(RANGE), store.range_records(CHILD)) == expected
        assert store.verify() == []

    def test_a_range_closed_for_good_stays_closed(self, home: Home) -> None:
        """The source of a move is opened at the highest epoch, and nothing gets through after."""
        store = home.open()
        writer = Writer(store)
        store.open_range(RANGE, EPOCH_MAX)
        writer.epoch = EPOCH_MAX
        with pytest.raises(Fenced, match="closed for good"):
            writer.apply(commit(1, a="1"))

    @pytest.mark.parametrize("in_one_batch", [False, True])
    def test_two_parts_of_a_transaction_meet(self, home: Home, *, in_one_batch: bool) -> None:
        """A transaction in two ranges, merged before both parts are resolved, is one commit."""
        store = home.open()
        writer, child = split(store)
        left = commit(30, KeyInterval(b"b", b"c"), a="3")
        right = commit(30, y="3", z=None, zz="3")
        writer.apply(commit(40, b1="4"))
        if in_one_batch:
            writer.send(
                writer.change(absorbs=[(CHILD, child.epoch)], resolved=[right, left]),
            )
        else:
            writer.send(writer.change(resolved=[left]))
            writer.send(writer.change(absorbs=[(CHILD, child.epoch)]))
            writer.send(writer.change(resolved=[right]))
        changes = store.changes(10, 99, 99)
        assert [change.timestamp for change in changes] == [30, 40]
        assert changes[0].writes == (
            (b"a", b"3"),
            (b"b", None),
            (b"y", b"3"),
            (b"z", None),
            (b"zz", b"3"),
        )
        assert seen(store.scan(ALL_KEYS, at=29, limit=9)) == dict.fromkeys("abyz", "1")
        assert store.verify() == []
        while store.prune(RANGE, ALL_KEYS, 40, 2):
            pass
        assert rows_of_versions(store) == 0

    def test_a_part_resolved_twice_is_a_mistake(self, home: Home) -> None:
        """A resolved transaction becomes versions once."""
        store = home.open()
        writer = Writer(store)
        writer.send(writer.change(resolved=[commit(10, a="1")]))
        with pytest.raises(InvariantViolation):
            store.apply(writer.change(resolved=[commit(10, a="1")]))

    def test_settling_a_batch_that_was_applied(self, home: Home) -> None:
        """A batch that was applied is settled as such, and durable from then on."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"))
        assert store.settle(RANGE, writer.epoch, 1)
        store = home.crash()
        assert value(store.newest(b"a")) == "1"
        assert store.settle(RANGE, writer.epoch, 1)

    def test_settling_a_batch_that_was_not(self, home: Home) -> None:
        """A batch given up never comes, whatever crashes; the next number is the one after."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"))
        late = writer.change(commit(2, a="late"), records={b"late": b"1"})
        assert not store.settle(RANGE, writer.epoch, 2)
        assert not store.settle(RANGE, writer.epoch, 2)
        with pytest.raises(Fenced, match="given up"):
            store.apply(late)
        store = home.crash()
        assert not store.settle(RANGE, writer.epoch, 2)
        with pytest.raises(Fenced, match="given up"):
            store.apply(late)
        writer.store, writer.number = store, 2
        writer.apply(commit(3, a="3"))
        assert not store.settle(RANGE, writer.epoch, 2)
        assert store.settle(RANGE, writer.epoch, 3)
        assert store.open_range(RANGE, 9).batch_number == 3
        assert value(store.newest(b"a")) == "3"
        assert store.range_records(RANGE) == {}

    def test_settling_is_fenced(self, home: Home) -> None:
        """Only under the epoch that is open a batch is asked for, and only one that was due."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"))
        with pytest.raises(Fenced):
            store.settle(RANGE, writer.epoch + 1, 2)
        with pytest.raises(InvariantViolation):
            store.settle(RANGE, writer.epoch, 0)
        with pytest.raises(CommitsMissing, match=r"batch 3 of range 1 is due, .* last one is 1"):
            store.settle(RANGE, writer.epoch, 3)
        assert not store.settle(RANGE, writer.epoch, 2)
        with pytest.raises(InvariantViolation):
            store.settle(RANGE, writer.epoch, 1)
        store.open_range(RANGE, 2)
        with pytest.raises(Fenced):
            store.settle(RANGE, 1, 2)
        assert not store.settle(RANGE, 2, 2)

    def test_a_batch_given_up_leaves_commits_rising(self, home: Home) -> None:
        """A number used up changes nothing of what timestamps may follow."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="1"))
        assert not store.settle(RANGE, writer.epoch, 2)
        writer.number = 2
        with pytest.raises(InvariantViolation):
            writer.apply(commit(10, a="2"))
        writer.apply(commit(11, a="2"))

    @pytest.mark.parametrize(
        "sides", [((RANGE, LEFT), (CHILD, RIGHT)), ((CHILD, RIGHT), (RANGE, LEFT))]
    )
    @pytest.mark.parametrize("limit", [1, 2, 99])
    def test_both_sides_of_a_split_prune_apart(
        self, home: Home, sides: Sequence[tuple[int, KeyInterval]], limit: int
    ) -> None:
        """Whichever goes first, readers of the other lose nothing; at the end nothing stays."""
        store = home.open()
        writer = Writer(store)
        for at in range(1, 11):
            writer.apply(commit(at, a=str(at), z=str(at), **{f"b{at}": "x", f"y{at}": "x"}))
        writer.send(writer.change(splits=[born(10)]))
        child = joined(store, CHILD)
        child.apply(commit(11, z=None))
        writer.apply(commit(12, a=None))
        (one, here), (two, there) = sides
        before = scans(store, there, range(13))
        after = scans(store, here, range(9, 13))
        while store.prune(one, here, 9, limit):
            assert scans(store, there, range(13)) == before
            assert scans(store, here, range(9, 13)) == after
        assert (store.prune_horizon(one), store.prune_horizon(two)) == (9, 0)
        assert store.verify() == []
        while store.prune(two, there, 12, limit):
            assert scans(store, here, range(9, 13)) == after
        while store.prune(one, here, 12, limit):
            pass
        assert rows_of_versions(store) == 0
        assert store.prune(one, here, 12, limit) == 0

    def test_pruning_one_side_refuses_its_changes(self, home: Home) -> None:
        """Changes are whole or refused: below what any range has pruned there are none."""
        store = home.open()
        writer, _child = split(store)
        writer.apply(commit(20, a="2"))
        store.prune(CHILD, RIGHT, 15, 99)
        with pytest.raises(SnapshotTooOld):
            store.changes(14, 99, 9)
        assert [change.timestamp for change in store.changes(15, 99, 9)] == [20]

    def test_a_merge_has_pruning_begin_again(self, home: Home) -> None:
        """What an absorbed range left behind is pruned by the surviving one."""
        store = home.open()
        writer, child = split(store)
        for at in range(20, 24):
            child.apply(commit(at, z=str(at)))
        writer.apply(commit(30, a="3"))
        while store.prune(RANGE, LEFT, 30, 3):
            pass
        writer.send(writer.change(absorbs=[(CHILD, child.epoch)]))
        while store.prune(RANGE, ALL_KEYS, 30, 3):
            pass
        assert rows_of_versions(store) == 0
        assert seen(store.scan_newest(ALL_KEYS, limit=9)) == {
            "a": "3",
            "b": "1",
            "y": "1",
            "z": "23",
        }

    def test_a_commit_resolved_below_pruning_leaves_nothing(self, home: Home) -> None:
        """A transaction resolved below what was walked, as after a merge, is pruned as well."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="1", b="1", c="1"), commit(20, b="2", c="2"))
        assert store.prune(RANGE, ALL_KEYS, 20, 2) == 2
        writer.send(writer.change(resolved=[commit(15, a="1.5")]))
        while store.prune(RANGE, ALL_KEYS, 20, 2):
            pass
        assert rows_of_versions(store) == 0

    def test_an_entry_meeting_its_other_part_is_walked_again(self, home: Home) -> None:
        """A log row half pruned when the other part of its transaction comes leaves nothing."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(10, a="1", b="1", c="1", d="1"))
        writer.send(writer.change(resolved=[commit(20, a="2", b="2", c="2")]))
        assert store.prune(RANGE, ALL_KEYS, 20, 2) == 2
        assert store.prune(RANGE, ALL_KEYS, 20, 1) == 1
        writer.send(writer.change(resolved=[commit(20, d="2")]))
        while store.prune(RANGE, ALL_KEYS, 20, 1):
            pass
        assert rows_of_versions(store) == 0

    def test_a_narrower_interval_spares_the_rest(self, home: Home) -> None:
        """A long entry half pruned when its range is split goes on with what is left to it."""
        store = home.open()
        writer = Writer(store)
        names = [f"{letter}{n}" for letter in "az" for n in range(10)]
        writer.apply(commit(1, **dict.fromkeys(names, "1")), commit(2, **dict.fromkeys(names, "2")))
        assert store.prune(RANGE, ALL_KEYS, 2, 5) == 5
        writer.send(writer.change(splits=[born(2, 2)]))
        while store.prune(RANGE, LEFT, 2, 5):
            pass
        assert len(store.scan(RIGHT, at=1, limit=99)) == 10
        while store.prune(CHILD, RIGHT, 2, 5):
            pass
        assert rows_of_versions(store) == 0

    def test_entries_of_others_are_passed_over_in_steps(self, home: Home) -> None:
        """A step looks at no more entries than its limit, and no entry twice."""
        store = home.open()
        writer, child = split(store)
        for at in range(11, 31):
            child.apply(commit(at, z=str(at)))
        writer.apply(commit(31, a="3"))
        steps = []
        while done := store.prune(RANGE, LEFT, 31, 6):
            steps.append(done)
        # The first entry rewritten, twenty passed over, a version and the last entry removed.
        assert (sum(steps), max(steps)) == (23, 6)
        child.apply(commit(32, z="32"))
        assert store.prune(RANGE, LEFT, 32, 6) == 1
        assert store.prune(RANGE, LEFT, 32, 6) == 0

    def test_pruning_may_be_held_to_an_epoch(self, home: Home) -> None:
        """A leaseholder deposed meanwhile prunes nothing, and raises no horizon."""
        store = home.open()
        writer = Writer(store)
        writer.apply(commit(1, a="1"), commit(2, a="2"))
        store.open_range(RANGE, 2)
        with pytest.raises(Fenced):
            store.prune(RANGE, ALL_KEYS, 2, 9, epoch=writer.epoch)
        assert store.prune_horizon(RANGE) == 0
        assert value(store.get(b"a", 1)) == "1"
        assert store.prune(RANGE, ALL_KEYS, 2, 9, epoch=2) == 3


def scans(store: Store, interval: KeyInterval, timestamps: Sequence[int]) -> list[list[Item]]:
    """What an interval holds at each timestamp, forward and backward."""
    return [
        store.scan(interval, at=at, limit=99, reverse=reverse)
        for at in timestamps
        for reverse in (False, True)
    ]
