"""What every `RemoteStore` promises a node, run on each implementation."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any

from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import FastnessError, Fenced
from fastness.hosting.remote import RemoteStore, StoreAnswer, StorePrune, StoreRead
from fastness.ranges.requests import Scan
from fastness.storage.cells import value_of
from fastness.storage.contract import Batch, RangeState
from tests.storage.homes import commit

RANGE = 7


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

    def test_a_range_nobody_opened_has_no_number(self, reached: Reached) -> None:
        """So that the answer of a store that never heard of a range is not believed."""

        async def scenario() -> None:
            assert (await reached.read(b"a")).number == -1

        reached.run(scenario)
