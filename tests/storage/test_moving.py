"""Versions carried from one store to another: nothing is lost, nothing is added."""

from __future__ import annotations

from random import Random

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import Fenced, SnapshotTooOld
from fastness.storage import (
    Batch,
    CommittedWrites,
    Inherited,
    Load,
    MemoryStore,
    Selection,
    Store,
)
from fastness.storage.cells import lasting

KEYS = [b"%c%c" % (one, two) for one in b"abcd" for two in b"xyz"]
INSIDE = KeyInterval(b"b", b"d")
SOURCE, TARGET = 1, 2
EPOCH = 3


class Carrier:
    """Writes at random, and carries what is inside step by step meanwhile."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.source: Store = MemoryStore()
        self.target: Store = MemoryStore()
        self.source.open_range(SOURCE, 1)
        # The target has ranges, and leftovers of earlier residents, of its own.
        self.target.open_range(9, 1)
        leftovers = {b"a": b"stays", b"bx": b"goes", b"cz": b"goes", b"d": b"stays"}
        self.target.apply(Batch(9, 1, 1, [CommittedWrites(5, dict(leftovers))]))
        self.target.apply(Batch(9, 1, 2, [CommittedWrites(6, {b"bx": None, b"a": b"on"})]))
        self.target.open_range(TARGET, EPOCH)
        self.now = 10
        self.number = 0
        self.loads = 0
        self.horizon = 0

    def write(self) -> None:
        """Some commits."""
        random = self.random
        for _ in range(random.randint(0, 6)):
            self.now += random.randint(1, 5)
            writes = {
                key: random.choice([None, b"%d" % self.now])
                for key in random.sample(KEYS, k=random.randint(0, 4))
            }
            alive = [key for key, value in writes.items() if value is not None]
            expiries = None
            if alive and random.random() < 0.3:
                expiries = {alive[0]: self.now + random.randint(0, 30)}
            erased = (KeyInterval(b"bz", b"cy"),) if random.random() < 0.1 else ()
            commit = CommittedWrites(self.now, writes, erased, expiries)
            self.number += 1
            self.source.apply(Batch(SOURCE, 1, self.number, [commit]))

    def prune(self) -> None:
        """Remove what is below a horizon, or some of it."""
        self.horizon = max(self.horizon, self.now - self.random.randint(0, 30))
        everything = KeyInterval(b"", b"\xff")
        self.source.prune(SOURCE, everything, self.horizon, self.random.randint(1, 20))

    def clear(self) -> None:
        """Remove what is left of earlier residents."""
        while self.target.drop(TARGET, EPOCH, INSIDE, 2):
            pass

    def carry(self, after: int, up_to: int) -> None:
        """One pass."""
        begin: bytes | None = INSIDE.begin
        while begin is not None:
            wanted = Selection(KeyInterval(begin, INSIDE.end), up_to, after, self.horizon, 100)
            keys, begin = self.source.versions(SOURCE, wanted)
            if keys:
                self.loads += 1
                self.target.load(Load(TARGET, EPOCH, self.loads, keys, self.horizon))
            if self.random.random() < 0.5:
                self.write()

    def finish(self) -> None:
        """The last step."""
        born = Inherited(TARGET, EPOCH, self.now, self.horizon, {b"record": b"1"})
        self.loads += 1
        self.target.load(Load(TARGET, EPOCH, self.loads, [], self.horizon, born))
        self.target.sync()


@pytest.mark.parametrize("seed", range(40))
def test_what_was_carried_is_the_same(seed: int) -> None:
    """At every timestamp from the horizon on, in the log as well, and it goes on from there."""
    carrier = Carrier(Random(seed))
    source, target = carrier.source, carrier.target
    for _ in range(8):
        carrier.write()
        if carrier.random.random() < 0.4:
            carrier.prune()
    carrier.clear()
    after = 0
    for _ in range(3):
        up_to = carrier.now
        carrier.carry(after, up_to)
        after = up_to
    up_to = carrier.now
    carrier.random = Random(seed)
    begin: bytes | None = INSIDE.begin
    while begin is not None:
        wanted = Selection(KeyInterval(begin, INSIDE.end), up_to, after, carrier.horizon, 100)
        keys, begin = source.versions(SOURCE, wanted)
        carrier.loads += 1
        target.load(Load(TARGET, EPOCH, carrier.loads, keys, carrier.horizon))
    carrier.finish()
    horizon = carrier.horizon
    for at in [*range(max(1, horizon), carrier.now + 2), TIMESTAMP_MAX]:
        here = [(key, lasting(cell, horizon)) for key, cell in _scan(source, at)]
        there = [(key, lasting(cell, horizon)) for key, cell in _scan(target, at)]
        assert [one for one in here if one[1]] == [one for one in there if one[1]]
    changes = _changes(source, horizon)
    assert changes == _changes(target, horizon)
    assert changes or carrier.now - horizon < 40
    assert target.verify() == []
    assert target.range_records(TARGET) == {b"record": b"1"}
    assert target.get(b"a", TIMESTAMP_MAX) is not None
    # Life goes on there, pruning included.
    state = target.open_range(TARGET, EPOCH + 1)
    assert (state.batch_number, state.prune_horizon) == (carrier.loads, horizon)
    more = CommittedWrites(carrier.now + 1, {b"bx": b"more", b"cz": None})
    target.apply(Batch(TARGET, EPOCH + 1, state.batch_number + 1, [more]))
    while target.prune(TARGET, INSIDE, carrier.now + 1, 5):
        pass
    assert target.verify() == []
    # Here it can go.
    while source.drop(SOURCE, 1, INSIDE, 3):
        pass
    assert _scan(source, carrier.now) == []
    assert source.verify() == []


def _changes(store: Store, after: int) -> list[object]:
    inside = [
        (one.timestamp, [write for write in one.writes if INSIDE.contains(write[0])])
        for one in store.changes(after, TIMESTAMP_MAX, 1_000)
    ]
    return [(at, writes) for at, writes in inside if writes]


def _scan(store: Store, at: int) -> list[tuple[bytes, bytes]]:
    return store.scan(INSIDE, at=at, limit=100)


def test_loading_is_fenced_and_in_order() -> None:
    """By epoch and number, as batches are; a number that was given up stays unused."""
    store = MemoryStore()
    store.open_range(TARGET, 1)
    store.load(Load(TARGET, 1, 1, [], 0))
    assert store.settle(TARGET, 1, 1)
    assert not store.settle(TARGET, 1, 2)
    with pytest.raises(Fenced):
        store.load(Load(TARGET, 1, 2, [], 0))
    store.load(Load(TARGET, 1, 3, [], 0))
    store.open_range(TARGET, 2)
    with pytest.raises(Fenced):
        store.load(Load(TARGET, 1, 4, [], 0))
    with pytest.raises(Fenced):
        store.drop(TARGET, 1, INSIDE, 10)


def test_changes_that_are_pruned_cannot_be_followed() -> None:
    """Whoever follows them begins again."""
    store = MemoryStore()
    store.open_range(SOURCE, 1)
    store.apply(Batch(SOURCE, 1, 1, [CommittedWrites(10, {b"b": b"1"})]))
    store.prune(SOURCE, INSIDE, 12, 10)
    with pytest.raises(SnapshotTooOld):
        store.versions(SOURCE, Selection(INSIDE, 20, 11, 12, 100))
    assert store.versions(SOURCE, Selection(INSIDE, 20, 12, 12, 100)).keys == []


@pytest.mark.parametrize("limit", range(1, 8))
def test_a_word_of_the_log_whose_versions_were_pruned_goes_too(limit: int) -> None:
    """Pruning takes an entry in pieces: its versions may be gone while it stays."""
    store = MemoryStore()
    store.open_range(SOURCE, 1)
    store.apply(Batch(SOURCE, 1, 1, [CommittedWrites(10, {b"bx": b"1", b"cx": b"1"})]))
    store.apply(Batch(SOURCE, 1, 2, [CommittedWrites(20, {b"bx": None, b"cx": None})]))
    everything = KeyInterval(b"", b"\xff")
    store.prune(SOURCE, everything, 30, limit)
    while store.drop(SOURCE, 1, INSIDE, 1):
        pass
    # Nothing to take away, or to pass over.
    assert store.prune(SOURCE, everything, 30, 100) == 0
