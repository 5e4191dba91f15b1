"""Both stores against a dumb model, over random histories with crashes and pruning."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastness.encoding.intervals import KeyInterval
from fastness.errors import SnapshotTooOld
from fastness.storage import CommittedWrites, MemoryStore, Store
from fastness.storage.cells import expiry_of, lasting
from tests.storage.homes import ALL_KEYS, RANGE, Home, MemoryHome, RocksHome, Writer
from tests.storage.model import VersionModel, require_same_scan
from tests.storage.ranges_conformance import rows_of_versions

KEYS = [b"", b"\x00", b"\x00\xff", b"a", b"a\x00", b"a\x00\x01", b"ab", b"b", b"\xfe\xff"]
keys = st.sampled_from(KEYS)
intervals = st.tuples(keys, st.sampled_from([*KEYS, b"\xff"])).map(
    lambda ends: KeyInterval(min(ends), max(ends))
)
writes = st.dictionaries(keys, st.none() | st.binary(max_size=3), max_size=4)


class StoreMachine(RuleBasedStateMachine):
    """Random calls on a store, each answer compared with the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.home = self.make_home()
        self.store: Store = self.home.open()
        self.writer = Writer(self.store)
        self.model = VersionModel()
        self.synced = 0
        """How many of the model's commits no crash can take."""
        self.batches: list[int] = []
        """After each unsynced batch, how many commits there were."""
        self.clock = 0
        self.horizon = 0

    def make_home(self) -> Home:
        """The engine under test."""
        raise NotImplementedError

    @rule(
        gaps=st.lists(st.integers(1, 3), max_size=3),
        written=st.lists(writes, min_size=3, max_size=3),
        erased=st.lists(intervals, max_size=2),
        lifetime=st.none() | st.integers(-3, 9),
    )
    def apply(
        self,
        gaps: list[int],
        written: list[dict[bytes, bytes | None]],
        erased: list[KeyInterval],
        lifetime: int | None,
    ) -> None:
        """Write a batch of up to three commits."""
        commits = []
        for number, gap in enumerate(gaps):
            self.clock += gap
            values = written[number]
            expiries = {}
            if lifetime is not None:
                end = max(self.clock + lifetime, 1)
                expiries = {key: end for key in values if values[key] is not None}
            part = tuple(erased) if number == 1 else ()
            commits.append(CommittedWrites(self.clock, values, part, expiries or None))
        self.writer.apply(*commits)
        for commit in commits:
            self.model.apply(commit)
        self.batches.append(len(self.model.commits))

    @rule()
    def sync(self) -> None:
        """Make everything durable."""
        self.store.sync()
        self._all_durable()

    @rule(step=st.integers(1, 9), limit=st.integers(1, 5))
    def prune(self, step: int, limit: int) -> None:
        """Raise the horizon and prune a little."""
        self.horizon = min(self.horizon + step, self.clock)
        self.store.prune(RANGE, ALL_KEYS, self.horizon, limit)
        self.sync()

    @rule(keep=st.integers(0, 3))
    def crash(self, keep: int) -> None:
        """Lose the process; in memory also what was not synced but for a few batches."""
        if isinstance(self.store, MemoryStore):
            kept = min(keep, len(self.batches))
            commits = self.batches[kept - 1] if kept else self.synced
            self.store = self.store.crash(kept=kept)
            assert isinstance(self.home, MemoryHome)
            self.home.store = self.store
            del self.model.commits[commits:]
            self.clock = max(self.clock, self.horizon)
        else:
            self.store = self.home.crash()
        self._opened()

    @rule()
    def reopen(self) -> None:
        """Close in good order and open again."""
        self.store = self.home.reopen(self.store)
        self._opened()

    @precondition(lambda self: self.model.commits)
    @rule(key=keys, back=st.integers(0, 12))
    def get(self, key: bytes, back: int) -> None:
        """Read a key at a retained timestamp."""
        at = max(self.clock - back, self.horizon)
        for found, expected in (
            (self.store.get(key, at), self.model.get(key, at)),
            (self.store.newest(key), self.model.get(key, self.clock)),
        ):
            assert lasting(found, self.horizon) == lasting(expected, self.horizon)
            assert found in {None, expected}

    @rule(
        interval=intervals, back=st.integers(0, 12), limit=st.integers(1, 9), reverse=st.booleans()
    )
    def scan(self, interval: KeyInterval, back: int, limit: int, *, reverse: bool) -> None:
        """Scan an interval at a retained timestamp and now."""
        at = max(self.clock - back, self.horizon)
        expected = self.model.scan(interval, at, 999, reverse=reverse)
        found = self.store.scan(interval, at=at, limit=limit, reverse=reverse)
        require_same_scan(found, expected, limit, self.horizon_of, reverse=reverse)
        newest = self.model.scan(interval, self.clock, 999, reverse=reverse)
        found = self.store.scan_newest(interval, limit=limit, reverse=reverse)
        require_same_scan(found, newest, limit, self.horizon_of, reverse=reverse)

    @rule(back=st.integers(0, 12), length=st.integers(0, 12), limit=st.integers(1, 9))
    def changes(self, back: int, length: int, limit: int) -> None:
        """Ask for changes, retained or not."""
        after = max(self.clock - back, 0)
        if after < self.horizon:
            with pytest.raises(SnapshotTooOld):
                self.store.changes(after, after + length, limit)
            return
        changes = self.store.changes(after, after + length, limit)
        assert len(changes) <= limit
        found = [(change.timestamp, list(change.writes)) for change in changes]
        if len(found) == limit:
            length = found[-1][0] - after
        expected = self.model.changes(after, after + length)
        certain = self.model.certain(expected, self.horizon_of)
        assert self.model.certain(found, self.horizon_of) == certain

    def horizon_of(self, _key: bytes) -> int:
        """All keys are of one range."""
        return self.horizon

    @rule()
    def verify(self) -> None:
        """Nothing is ever found wrong."""
        assert self.store.verify() == []

    @invariant()
    def applied_is_the_highest(self) -> None:
        """The store knows the highest timestamp it applied."""
        assert self.store.applied == max((c.timestamp for c in self.model.commits), default=0)

    def teardown(self) -> None:
        """Check once more, prune until all that expires has, then close."""
        self.verify()
        self.horizon = self.clock + 10
        while self.store.prune(RANGE, ALL_KEYS, self.horizon, 3):
            pass
        assert rows_of_versions(self.store) == 0
        everything = self.model.scan(ALL_KEYS, self.clock, 999, reverse=False)
        expected = [(key, cell) for key, cell in everything if not expiry_of(cell)]
        assert self.store.scan_newest(ALL_KEYS, limit=999) == expected
        self.store.close()

    def _opened(self) -> None:
        self.writer = Writer(self.store)
        self._all_durable()

    def _all_durable(self) -> None:
        self.synced = len(self.model.commits)
        self.batches.clear()


class MemoryMachine(StoreMachine):
    """The memory store, which loses what was not synced."""

    def make_home(self) -> Home:
        """A home in memory."""
        return MemoryHome()


class RocksMachine(StoreMachine):
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


TestMemoryAgainstModel = MemoryMachine.TestCase
TestMemoryAgainstModel.settings = settings(max_examples=100, stateful_step_count=40)
TestRocksAgainstModel = RocksMachine.TestCase
TestRocksAgainstModel.settings = settings(max_examples=8, stateful_step_count=25)
