"""Both stores against a dumb model: ranges that split, merge and prune, and late commits."""

from __future__ import annotations

import shutil
import tempfile
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from fastness.encoding.intervals import KeyInterval
from fastness.errors import Fenced, SnapshotTooOld
from fastness.storage import EPOCH_MAX, Batch, CommittedWrites, Inherited, MemoryStore, Store
from fastness.storage.cells import expiry_of, lasting
from tests.storage.homes import ALL_KEYS, Home, MemoryHome, RocksHome
from tests.storage.model import Told, VersionModel, require_same_scan
from tests.storage.ranges_conformance import rows_of_versions

KEYS = [b"", b"\x00", b"\x00\xff", b"a", b"a\x00", b"ab", b"b", b"c", b"d", b"\xfe\xff"]
keys = st.sampled_from(KEYS)
intervals = st.tuples(keys, st.sampled_from([*KEYS, b"\xff"])).map(
    lambda ends: KeyInterval(min(ends), max(ends))
)
writes = st.dictionaries(keys, st.none() | st.binary(max_size=3), max_size=4)
wide_writes = st.dictionaries(keys, st.none() | st.binary(max_size=3), min_size=3, max_size=6)
picks = st.integers(0, 7)
lifetimes = st.none() | st.integers(-4, 9)
LIFETIME_MAX = 9


@dataclass
class ModelRange:
    """What is known of a range."""

    interval: KeyInterval
    epoch: int
    number: int = 0
    skipped: int = 0
    applied: int = 0
    horizon: int = 0
    records: dict[bytes, bytes] = field(default_factory=dict)


@dataclass
class Decided:
    """What is still to be resolved of a decided transaction; it holds these locks."""

    timestamp: int
    writes: dict[bytes, bytes | None]
    erased: list[KeyInterval]
    lifetime: int | None = None

    def holds(self, key: bytes) -> bool:
        """Whether a key is locked."""
        return key in self.writes or any(interval.contains(key) for interval in self.erased)

    def reaches(self, interval: KeyInterval) -> bool:
        """Whether something in an interval is locked."""
        return any(map(interval.contains, self.writes)) or any(
            clipped(one, interval) for one in self.erased
        )

    def take(self, interval: KeyInterval) -> CommittedWrites | None:
        """The part of a range, from now on resolved; `None` if there is none."""
        part = {key: value for key, value in self.writes.items() if interval.contains(key)}
        erased = tuple(filter(None, (clipped(one, interval) for one in self.erased)))
        if not self.reaches(interval):
            return None
        self.writes = {key: value for key, value in self.writes.items() if key not in part}
        outside = (KeyInterval(b"", interval.begin), KeyInterval(interval.end, b"\xff\xff"))
        rest = [clipped(one, side) for one in self.erased for side in outside]
        self.erased = [one for one in rest if one is not None]
        return CommittedWrites(
            self.timestamp, part, erased, expiries_of(part, self.timestamp, self.lifetime)
        )


def expiries_of(
    writes: dict[bytes, bytes | None], timestamp: int, lifetime: int | None
) -> dict[bytes, int] | None:
    """When the values of a commit expire: some were written too late to be seen by anybody."""
    if lifetime is None:
        return None
    return {key: max(timestamp + lifetime, 1) for key in writes if writes[key] is not None}


def clipped(one: KeyInterval, other: KeyInterval) -> KeyInterval | None:
    """What two intervals have in common."""
    both = KeyInterval(max(one.begin, other.begin), min(one.end, other.end))
    return both if both.begin < both.end else None


@dataclass
class World:
    """Everything that a crash may take back to an earlier moment."""

    versions: VersionModel = field(default_factory=VersionModel)
    ranges: dict[int, ModelRange] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    decided: list[Decided] = field(default_factory=list)

    def free(self, key: bytes) -> bool:
        """Whether no transaction has a key locked."""
        return not any(transaction.holds(key) for transaction in self.decided)

    def unlocked(self, interval: KeyInterval) -> bool:
        """Whether nothing in an interval is locked."""
        return not any(transaction.reaches(interval) for transaction in self.decided)

    def horizon_of(self, key: bytes) -> int:
        """From when on a key can be read."""
        return self.horizon(KeyInterval(key, key + b"\x00"))

    def horizon(self, interval: KeyInterval = ALL_KEYS) -> int:
        """From when on an interval can be read."""
        over = [part for part in self.ranges.values() if clipped(part.interval, interval)]
        return max((part.horizon for part in over), default=0)


class RangesMachine(RuleBasedStateMachine):
    """Random calls on a store of many ranges, each answer compared with the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.home = self.make_home()
        self.store: Store = self.home.open()
        self.world = World()
        self.clock = 0
        self.ids = 1
        """The highest id of a range ever used: those of lost ones are not used again."""
        self.store.open_range(1, 1)
        self.world.ranges[1] = ModelRange(ALL_KEYS, 1)
        self._all_durable()
        for number in (0, 1):
            self.commit(0, [dict.fromkeys(KEYS, b"%d" % number)], [], None, {})

    def make_home(self) -> Home:
        """The engine under test."""
        raise NotImplementedError

    # What leaseholders do.

    @rule(
        pick=picks,
        written=st.lists(writes, min_size=1, max_size=4),
        erased=st.lists(intervals, max_size=1),
        lifetime=lifetimes,
        records=st.dictionaries(st.binary(max_size=2), st.none() | st.just(b"r"), max_size=2),
    )
    def commit(
        self,
        pick: int,
        written: list[dict[bytes, bytes | None]],
        erased: list[KeyInterval],
        lifetime: int | None,
        records: dict[bytes, bytes | None],
    ) -> None:
        """Write a batch of one range, with its records; its last commit may erase as well."""
        range_id, part = self._picked(pick)
        commits = [self._one_range(part, 1 + pick % 2, one) for one in written[:-1]]
        commits.append(self._one_range(part, 1, written[-1], *erased, lifetime=lifetime))
        self._send(Batch(range_id, part.epoch, part.number + 1, commits, records=records))

    @rule(
        gap=st.integers(1, 3),
        written=wide_writes,
        erased=st.lists(intervals, max_size=1),
        lifetime=lifetimes,
    )
    def decide(
        self,
        gap: int,
        written: dict[bytes, bytes | None],
        erased: list[KeyInterval],
        lifetime: int | None,
    ) -> None:
        """Lock keys of any ranges and draw a commit timestamp for what is written there."""
        free = {key: value for key, value in written.items() if self.world.free(key)}
        gone = [one for one in erased if one.begin < one.end and self.world.unlocked(one)]
        if free or gone:
            self.clock += gap
            self.world.decided.append(Decided(self.clock, free, gone, lifetime))

    @precondition(lambda self: self.world.decided)
    @rule(pick=picks, first=picks, count=st.integers(1, 3), gaps=st.lists(st.just(1), max_size=1))
    def resolve(self, pick: int, first: int, count: int, gaps: list[int]) -> None:
        """Turn parts of decided transactions in one range into versions, oldest last."""
        range_id, part = self._picked(pick)
        commits = [self._one_range(part, gap, dict.fromkeys(KEYS, b"w")) for gap in gaps]
        resolved = self._parts(part.interval, first, count)
        self._send(Batch(range_id, part.epoch, part.number + 1, commits, resolved=resolved))

    @rule(pick=picks, part_of=writes, written=writes)
    def overtake(
        self, pick: int, part_of: dict[bytes, bytes | None], written: dict[bytes, bytes | None]
    ) -> None:
        """Apply a commit only after a transaction that drew its timestamp later was resolved."""
        range_id, part = self._picked(pick)
        others = {key: value for key, value in written.items() if key not in part_of}
        commit = self._one_range(part, 1, others)
        resolved = self._one_range(part, 1, part_of)
        self._send(Batch(range_id, part.epoch, part.number + 1, [], resolved=[resolved]))
        self._send(Batch(range_id, part.epoch, part.number + 1, [commit]))

    @rule(pick=picks, key=keys, later=st.integers(0, 2))
    def split(self, pick: int, key: bytes, later: int) -> None:
        """Give the keys from `key` on, and the records from there, to a new range."""
        range_id, part = self._picked(pick)
        if not part.interval.begin < key < part.interval.end:
            return
        self.ids += 1
        moved = {name: value for name, value in part.records.items() if name >= key}
        horizon = max(part.horizon, min(part.horizon + later, self._horizon_max(part.interval)))
        child = Inherited(self.ids, 1 + later, part.applied, horizon, moved)
        self._send(
            Batch(
                range_id,
                part.epoch,
                part.number + 1,
                [],
                records=dict.fromkeys(moved),
                splits=[child],
            )
        )
        born = ModelRange(
            KeyInterval(key, part.interval.end), child.epoch, 0, 0, part.applied, horizon, moved
        )
        self.world.ranges[self.ids] = born
        part.interval = KeyInterval(part.interval.begin, key)
        self._remember()

    @precondition(lambda self: len(self.world.ranges) > 1)
    @rule(pick=picks, swapped=st.booleans(), count=st.integers(0, 2))
    def merge(self, pick: int, count: int, *, swapped: bool) -> None:
        """Merge two neighbours, either into the other, with what is resolved in both."""
        ordered = sorted(self.world.ranges, key=lambda one: self.world.ranges[one].interval)
        at = pick % (len(ordered) - 1)
        pair = ordered[at : at + 2]
        interval = KeyInterval(
            self.world.ranges[pair[0]].interval.begin, self.world.ranges[pair[1]].interval.end
        )
        stays, goes = reversed(pair) if swapped else pair
        part, absorbed = self.world.ranges[stays], self.world.ranges.pop(goes)
        self.world.closed.add(goes)
        records: dict[bytes, bytes | None] = {**absorbed.records}
        batch = Batch(stays, part.epoch, part.number + 1, [], records=records)
        batch.absorbs.append((goes, absorbed.epoch))
        batch.resolved = self._parts(interval, pick, count)
        part.interval = interval
        part.horizon = max(part.horizon, absorbed.horizon)
        part.applied = max(part.applied, absorbed.applied)
        self._send(batch)

    @rule(pick=picks, back=st.integers(0, 1), written=writes)
    def settle(self, pick: int, back: int, written: dict[bytes, bytes | None]) -> None:
        """Ask for the last batch, or for one that never came; that one may not come late."""
        range_id, part = self._picked(pick)
        number = part.number + 1 - back
        if number in {0, *range(part.skipped)}:
            return
        applied = number <= part.number and number != part.skipped
        for _time in range(2):
            assert self.store.settle(range_id, part.epoch, number) is applied
        if not applied:
            part.number = part.skipped = number
            late = CommittedWrites(self.clock + 1, written)
            with pytest.raises(Fenced):
                self.store.apply(Batch(range_id, part.epoch, number, [late]))
        self._all_durable()

    @rule(pick=picks)
    def take_over(self, pick: int) -> None:
        """Open a range at the next epoch; the one before is fenced."""
        range_id, part = self._picked(pick)
        late = Batch(range_id, part.epoch, part.number + 1, [])
        self._open(range_id)
        with pytest.raises(Fenced):
            self.store.apply(late)
        self._all_durable()

    @rule(pick=picks, step=st.integers(1, 9), limit=st.integers(1, 5), steps=st.integers(1, 9))
    def prune(self, pick: int, step: int, limit: int, steps: int) -> None:
        """Raise the horizon of a range and prune it a little; whoever may read, reads the same."""
        range_id, part = self._picked(pick)
        part.horizon = max(part.horizon, min(part.horizon + step, self._horizon_max(part.interval)))
        for _step in range(steps):
            done = self.store.prune(range_id, part.interval, part.horizon, limit, epoch=part.epoch)
            assert 0 <= done <= limit
        self._sync()
        self.look_everywhere()

    def look_everywhere(self) -> None:
        """Scan every range at every timestamp it retains, up to some age."""
        for part in self.world.ranges.values():
            for at in range(max(part.horizon, self.clock - 20), self.clock + 1):
                expected = self.world.versions.scan(part.interval, at, 99, reverse=False)
                found = self.store.scan(part.interval, at=at, limit=99)
                require_same_scan(found, expected, 99, self.world.horizon_of)

    # What happens to the store.

    @rule(keep=st.integers(0, 3), how=st.sampled_from(["sync", "crash", "reopen"]))
    def restart(self, keep: int, how: str) -> None:
        """Make everything durable, or open the store again, after a crash or in good order."""
        if how == "sync":
            self._sync()
            return
        if how == "reopen":
            self.store = self.home.reopen(self.store)
        elif isinstance(self.store, MemoryStore):
            kept = min(keep, len(self.moments))
            self.world = deepcopy(self.moments[kept - 1] if kept else self.durable)
            self.store = self.store.crash(kept=kept)
            assert isinstance(self.home, MemoryHome)
            self.home.store = self.store
        else:
            self.store = self.home.crash()
        self._opened()

    # What readers find.

    @rule(
        interval=intervals, back=st.integers(0, 12), limit=st.integers(1, 9), reverse=st.booleans()
    )
    def read(self, interval: KeyInterval, back: int, limit: int, *, reverse: bool) -> None:
        """Read at a timestamp that the ranges of what is read retain, and now."""
        at = max(self.clock - back, self.world.horizon(interval))
        horizon_of = self.world.horizon_of
        expected = self.world.versions.scan(interval, at, 99, reverse=reverse)
        found = self.store.scan(interval, at=at, limit=limit, reverse=reverse)
        require_same_scan(found, expected, limit, horizon_of, reverse=reverse)
        newest = self.world.versions.scan(interval, self.clock, 99, reverse=reverse)
        found = self.store.scan_newest(interval, limit=limit, reverse=reverse)
        require_same_scan(found, newest, limit, horizon_of, reverse=reverse)
        for key in KEYS:
            horizon = horizon_of(key)
            at = max(self.clock - back, horizon)
            cell, known = self.store.get(key, at), self.world.versions.get(key, at)
            assert lasting(cell, horizon) == lasting(known, horizon)
            assert cell in {None, known}
        self.verify()

    @rule(back=st.integers(0, 12), length=st.integers(0, 12))
    def changes(self, back: int, length: int) -> None:
        """Ask for changes, retained or not; the parts of a transaction count as one."""
        after = max(self.clock - back, 0)
        if after < self.world.horizon():
            with pytest.raises(SnapshotTooOld):
                self.store.changes(after, after + length, 99)
            return
        found = [
            (change.timestamp, list(change.writes))
            for change in self.store.changes(after, after + length, 99)
        ]
        expected = self.world.versions.changes(after, after + length)
        assert self._one_by_one(found) == self._one_by_one(expected)

    def _one_by_one(self, told: Told) -> Told:
        """What is certain of changes, all of one timestamp together, in the order told."""
        certain = self.world.versions.certain(told, self.world.horizon_of)
        return [
            (timestamp, sorted(write for _timestamp, writes in parts for write in writes))
            for timestamp, parts in groupby(certain, key=lambda one: one[0])
        ]

    def verify(self) -> None:
        """Nothing is ever found wrong, and every range is as it should be."""
        assert self.store.verify() == []
        for range_id, part in self.world.ranges.items():
            assert self.store.range_records(range_id) == part.records
            assert self.store.range_epoch(range_id) == part.epoch
            assert self.store.prune_horizon(range_id) == part.horizon
        for range_id in self.world.closed:
            assert self.store.range_epoch(range_id) == EPOCH_MAX
            assert self.store.range_records(range_id) == {}
            with pytest.raises(Fenced):
                self.store.open_range(range_id, EPOCH_MAX)

    def teardown(self) -> None:
        """Resolve and prune everything: nothing but what is there for ever may be left."""
        self.verify()
        for range_id, part in self.world.ranges.items():
            resolved = self._parts(part.interval, 0, len(self.world.decided))
            self._send(Batch(range_id, part.epoch, part.number + 1, [], resolved=resolved))
        assert not self.world.decided
        self.verify()
        self.look_everywhere()
        self.clock += LIFETIME_MAX + 1
        for range_id, part in self.world.ranges.items():
            part.horizon = self.clock
            while self.store.prune(range_id, part.interval, part.horizon, 3):
                pass
        assert rows_of_versions(self.store, range(1, self.ids + 1)) == 0
        left = self.store.scan_newest(ALL_KEYS, limit=99)
        assert not any(expiry_of(cell) for _key, cell in left)
        self.read(ALL_KEYS, 0, 99, reverse=False)
        self.store.close()

    def _picked(self, pick: int) -> tuple[int, ModelRange]:
        ids = sorted(self.world.ranges)
        range_id = ids[pick % len(ids)]
        return range_id, self.world.ranges[range_id]

    def _horizon_max(self, interval: KeyInterval) -> int:
        """Below what may still be resolved in an interval. After a merge it may be above."""
        waiting = [one.timestamp - 1 for one in self.world.decided if one.reaches(interval)]
        return min([self.clock, *waiting])

    def _one_range(
        self,
        part: ModelRange,
        gap: int,
        written: dict[bytes, bytes | None],
        *erased: KeyInterval,
        lifetime: int | None = None,
    ) -> CommittedWrites:
        """A commit of what of these writes lies in a range and is not locked."""
        self.clock += gap
        gone = filter(None, (clipped(one, part.interval) for one in erased))
        free = {
            key: value
            for key, value in written.items()
            if part.interval.contains(key) and self.world.free(key)
        }
        unlocked = tuple(filter(self.world.unlocked, gone))
        return CommittedWrites(self.clock, free, unlocked, expiries_of(free, self.clock, lifetime))

    def _parts(self, interval: KeyInterval, first: int, count: int) -> list[CommittedWrites]:
        """Parts of decided transactions in an interval, taken from them, the last first."""
        decided = self.world.decided
        turned = [decided[(first + n) % len(decided)] for n in range(min(count, len(decided)))]
        parts = [transaction.take(interval) for transaction in reversed(turned)]
        self.world.decided = [one for one in decided if one.writes or one.erased]
        return [part for part in parts if part is not None]

    def _send(self, batch: Batch) -> None:
        """Apply a batch to the store and to the model."""
        self.store.apply(batch)
        part = self.world.ranges[batch.range_id]
        part.number = batch.number
        commits = sorted([*batch.commits, *batch.resolved], key=lambda one: one.timestamp)
        for commit in commits:
            self.world.versions.apply(commit)
            part.applied = max(part.applied, commit.timestamp)
        for name, value in batch.records.items():
            part.records.pop(name, None)
            if value is not None:
                part.records[name] = value
        self.moments.append(deepcopy(self.world))

    def _remember(self) -> None:
        """Count what the model was told after a batch as part of it."""
        self.moments[-1] = deepcopy(self.world)

    def _sync(self) -> None:
        self.store.sync()
        self._all_durable()

    def _all_durable(self) -> None:
        self.durable = deepcopy(self.world)
        self.moments: list[World] = []

    def _open(self, range_id: int) -> None:
        part = self.world.ranges[range_id]
        part.epoch += 1
        state = self.store.open_range(range_id, part.epoch)
        found = (state.batch_number, state.applied, state.prune_horizon, state.records)
        assert found == (part.number, part.applied, part.horizon, part.records)

    def _opened(self) -> None:
        for range_id in self.world.ranges:
            self._open(range_id)
        self._all_durable()


class MemoryMachine(RangesMachine):
    """The memory store, which loses what was not synced."""

    def make_home(self) -> Home:
        """A home in memory."""
        return MemoryHome()


class RocksMachine(RangesMachine):
    """The RocksDB store, whose crash is a killed process."""

    def make_home(self) -> Home:
        """A directory."""
        self.folder = Path(tempfile.mkdtemp(prefix="fastness-test-"))
        return RocksHome(self.folder / "database")

    def teardown(self) -> None:
        """Close every store and remove their directories."""
        super().teardown()
        assert isinstance(self.home, RocksHome)
        self.home.close()
        shutil.rmtree(self.folder)


TestMemoryRangesAgainstModel = MemoryMachine.TestCase
TestMemoryRangesAgainstModel.settings = settings(max_examples=150, stateful_step_count=50)
TestRocksRangesAgainstModel = RocksMachine.TestCase
TestRocksRangesAgainstModel.settings = settings(max_examples=8, stateful_step_count=25)
