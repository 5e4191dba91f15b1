"""What every `RemoteStore` promises a node, run on each implementation."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import FastnessError, Fenced
from fastness.hosting.carrying import portion_in
from fastness.hosting.remote import (
    RemoteStore,
    StoreAnswer,
    StoreDrop,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.invariants import InvariantViolation
from fastness.ranges.requests import Scan
from fastness.storage import Load, MemoryStore
from fastness.storage.cells import lasting, value_of
from fastness.storage.contract import Batch, Change, CommittedWrites, Inherited, RangeState
from tests.storage.homes import commit

RANGE = 7
BUILT = 21
HORIZON = 30


class Reached(ABC):
    """A store as a process reaches it."""

    store: RemoteStore

    @abstractmethod
    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a scenario on the loop of that process; `store` is there from its beginning."""

    async def ask(self, request: Callable[..., None], *args: object) -> Any:  # noqa: ANN401 - whatever the store answers
        """Ask the store and wait for its answer; errors come back as values."""
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        request(*args, answered.set_result)
        return await answered

    async def opened(self, epoch: int) -> RangeState:
        """The range's state, opened at an epoch."""
        state = await self.ask(self.store.open_range, RANGE, epoch)
        assert isinstance(state, RangeState)
        return state

    async def read(self, *keys: bytes, at: int = TIMESTAMP_MAX) -> StoreAnswer:
        """What the store answers to a read of keys, and of everything."""
        request = StoreRead(RANGE, list(keys), at, Scan(b"", b"\xff", 10))
        at_once = self.store.read_at_once(request)
        answer = await self.ask(self.store.read, request)
        assert isinstance(answer, StoreAnswer)
        assert at_once in (None, answer)
        return answer


def batch(epoch: int, number: int, **writes: str | None) -> Batch:
    """A batch of one commit whose timestamp rises with epoch and number."""
    return Batch(RANGE, epoch, number, [commit(1_000 * epoch + number, **writes)])


def values(answer: StoreAnswer) -> list[bytes | None]:
    """The values of the cells."""
    return [None if cell is None else value_of(cell) for cell in answer.cells]


class CarriedInAndOut:
    """Carries what is in [b, d) from a memory store to the one reached, and back."""

    def __init__(self, reached: Reached, random: Random) -> None:
        self.reached = reached
        self.random = random
        self.far = MemoryStore()
        self.far.open_range(1, 1)
        self.names = [b"%c%c" % (one, two) for one in b"abc" for two in b"xyz"]
        self.names += [b"b" + b"long" * 1_000, b"b" + b"long" * 1_000 + b"er"]
        self.loads = 0

    def write(self, number: int) -> None:
        """A commit far away, at ten times its number."""
        random = self.random
        writes = {
            key: random.choice([None, b"%d" % number * 50])
            for key in random.sample(self.names, k=3)
        }
        alive = [key for key, value in writes.items() if value is not None]
        expiries = {alive[0]: 10 * number + 25} if alive and random.random() < 0.3 else None
        commit = CommittedWrites(10 * number, writes, (), expiries)
        self.far.apply(Batch(1, 1, number, [commit]))

    async def load(self, *, after: int, up_to: int) -> None:
        """One pass."""
        begin: bytes | None = b"b"
        while begin is not None:
            wanted = StoreSelection(1, (begin, b"d"), up_to, after, HORIZON, 200)
            portion = portion_in(self.far, wanted)
            self.loads += 1
            load = Load(BUILT, 1, self.loads, portion.keys, HORIZON)
            assert await self.reached.ask(self.reached.store.load, load) is None
            begin = portion.rest

    async def told(self, *, after: int, size: int) -> list[object]:
        """What the store reached tells of it, in portions."""
        keys: list[object] = []
        begin: bytes | None = b"b"
        while begin is not None:
            wanted = StoreSelection(BUILT, (begin, b"d"), 300, after, HORIZON, size)
            portion = await self.reached.ask(self.reached.store.versions, wanted)
            assert portion.number == self.loads
            keys += portion.keys
            begin = portion.rest
        return keys

    async def run(self) -> None:
        """The whole story."""
        ask, store = self.reached.ask, self.reached.store
        await self.reached.opened(1)
        assert await ask(store.apply, batch(1, 1, b="old", d="other")) is None
        await ask(store.open_range, BUILT, 1)
        drop = StoreDrop(BUILT, 1, (b"b", b"d"), 10)
        assert await ask(store.drop, drop) > 0
        assert await ask(store.drop, drop) == 0
        for number in range(1, 21):
            self.write(number)
        await self.load(after=0, up_to=200)
        for number in range(21, 31):
            self.write(number)
        await self.load(after=200, up_to=300)
        for after in (0, 250):
            whole = StoreSelection(1, (b"b", b"d"), 300, after, HORIZON, 1 << 20)
            for size in (100, 1 << 20):
                assert await self.told(after=after, size=size) == portion_in(self.far, whole).keys
        late = Load(BUILT, 1, self.loads, [(b"bx", [])], HORIZON)
        assert isinstance(await ask(store.load, late), FastnessError | InvariantViolation)
        assert await ask(store.settle, BUILT, 1, self.loads) is True
        born = Inherited(BUILT, 1, 300, HORIZON, {b"one": b"1"})
        last = Load(BUILT, 1, self.loads + 1, [], HORIZON, born)
        assert await ask(store.load, last) is None
        await self.look()
        state = await ask(store.open_range, BUILT, 2)
        assert (state.applied, state.prune_horizon, state.records) == (300, HORIZON, born.records)
        assert isinstance(await ask(store.drop, drop), Fenced)
        while await ask(store.drop, StoreDrop(BUILT, 2, (b"b", b"d"), 2)):
            pass
        self.loads += 1
        assert await self.told(after=0, size=1 << 20) == []
        assert not any(map(inside, await ask(store.changes, HORIZON, 300, 1_000)))
        await self.reached.opened(2)
        assert values(await self.reached.read(b"b", b"d")) == [None, b"other"]

    async def look(self) -> None:
        """The same is read at every timestamp, and the same changes are told."""
        ask, store, far = self.reached.ask, self.reached.store, self.far
        for at in range(HORIZON + 1, 302, 10):
            answer = await ask(store.read, StoreRead(BUILT, [], at, Scan(b"b", b"d", 100)))
            there = far.scan(KeyInterval(b"b", b"d"), at=at, limit=100)
            wanted = [one for one in there if lasting(one[1], HORIZON)]
            assert [one for one in answer.entries if lasting(one[1], HORIZON)] == wanted
        logged = await ask(store.changes, HORIZON, 300, 1_000)
        assert [(one.timestamp, inside(one)) for one in logged if inside(one)] == [
            (one.timestamp, inside(one)) for one in far.changes(HORIZON, 300, 1_000) if inside(one)
        ]


def inside(change: Change) -> list[tuple[bytes, bytes | None]]:
    """What a commit changed in [b, d)."""
    return [write for write in change.writes if b"b" <= write[0] < b"d"]


class RemoteStoreSuite:
    """Take it up in a class with a fixture `reached`."""

    def test_what_was_answered_can_be_read(self, reached: Reached) -> None:
        """Batches, reads with scans, changes and pruning reach the store and come back."""

        async def scenario() -> None:
            store = reached.store
            state = await reached.opened(1)
            assert (state.epoch, state.batch_number, state.applied) == (1, 0, 0)
            answer = await reached.read(b"a")
            assert (values(answer), answer.number) == ([None], 0)
            assert await reached.ask(store.apply, batch(1, 1, a="1", b="1")) is None
            assert await reached.ask(store.apply, batch(1, 2, a="2", b=None)) is None
            answer = await reached.read(b"a", b"b", b"c", b"a")
            assert (values(answer), answer.number) == ([b"2", None, None, b"2"], 2)
            assert [key for key, _cell in answer.entries] == [b"a"]
            answer = await reached.read(b"a", b"b", at=1_001)
            assert values(answer) == [b"1", b"1"]
            assert [key for key, _cell in answer.entries] == [b"a", b"b"]
            changes = await reached.ask(store.changes, 0, TIMESTAMP_MAX, 10)
            assert [change.timestamp for change in changes] == [1_001, 1_002]
            assert answer.prune_horizon == 0
            asked = StorePrune(RANGE, 1, (b"", b"\xff"), 1_002, 10)
            assert await reached.ask(store.prune, asked) > 0
            assert (await reached.read()).prune_horizon == 1_002
            assert store.refusal is None

        reached.run(scenario)

    def test_an_older_epoch_is_fenced(self, reached: Reached) -> None:
        """Once a higher epoch was opened nothing under a lower one is written, asked or pruned."""

        async def scenario() -> None:
            store = reached.store
            await reached.opened(1)
            await reached.opened(3)
            prune = StorePrune(RANGE, 1, (b"", b"\xff"), 1, 10)
            for answer in (
                await reached.ask(store.open_range, RANGE, 3),
                await reached.ask(store.apply, batch(1, 1, a="1")),
                await reached.ask(store.settle, RANGE, 1, 1),
                await reached.ask(store.prune, prune),
            ):
                assert isinstance(answer, Fenced)
            assert await reached.ask(store.apply, batch(3, 1, a="3")) is None
            assert values(await reached.read(b"a")) == [b"3"]

        reached.run(scenario)

    def test_what_became_of_a_batch_can_be_asked(self, reached: Reached) -> None:
        """One that was applied was; one that was not never will be, its number is used up."""

        async def scenario() -> None:
            store = reached.store
            await reached.opened(1)
            assert await reached.ask(store.apply, batch(1, 1, a="1")) is None
            assert await reached.ask(store.settle, RANGE, 1, 1) is True
            assert await reached.ask(store.settle, RANGE, 1, 2) is False
            assert isinstance(await reached.ask(store.apply, batch(1, 2, a="late")), FastnessError)
            assert await reached.ask(store.apply, batch(1, 3, a="3")) is None
            answer = await reached.read(b"a")
            assert (values(answer), answer.number) == ([b"3"], 3)

        reached.run(scenario)

    def test_a_range_keeps_its_records(self, reached: Reached) -> None:
        """What batches recorded is found by whoever opens the range next."""

        async def scenario() -> None:
            await reached.opened(1)
            recorded = batch(1, 1, a="1")
            recorded.records = {b"one": b"1", b"two": b"2"}
            assert await reached.ask(reached.store.apply, recorded) is None
            removed = batch(1, 2, a="2")
            removed.records = {b"two": None}
            assert await reached.ask(reached.store.apply, removed) is None
            state = await reached.opened(2)
            assert (state.records, state.batch_number) == ({b"one": b"1"}, 2)

        reached.run(scenario)

    @pytest.mark.parametrize("seed", range(3))
    def test_versions_are_carried_in_and_out(self, reached: Reached, seed: int) -> None:
        """What was loaded is what is told again, by keys and by changes, until it is dropped."""
        reached.run(lambda: CarriedInAndOut(reached, Random(seed)).run())

    @pytest.mark.parametrize("limit", range(1, 8))
    def test_words_of_the_log_are_dropped_whose_versions_were_pruned(
        self, reached: Reached, limit: int
    ) -> None:
        """Pruning takes an entry in pieces: its versions may be gone while it stays."""

        async def scenario() -> None:
            ask, store = reached.ask, reached.store
            await reached.opened(1)
            assert await ask(store.apply, batch(1, 1, b="1", c="1")) is None
            assert await ask(store.apply, batch(1, 2, b=None, c=None)) is None
            everything = (b"", b"\xff")
            await ask(store.prune, StorePrune(RANGE, 1, everything, 1_002, limit))
            while await ask(store.drop, StoreDrop(RANGE, 1, (b"b", b"d"), 1)):
                pass
            assert await ask(store.prune, StorePrune(RANGE, 1, everything, 1_002, 100)) == 0

        reached.run(scenario)

    def test_a_range_nobody_opened_has_no_number(self, reached: Reached) -> None:
        """So that the answer of a store that never heard of a range is not believed."""

        async def scenario() -> None:
            assert (await reached.read(b"a")).number == -1

        reached.run(scenario)
