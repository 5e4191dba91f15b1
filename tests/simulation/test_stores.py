"""Stores: answers in doubt, late originals, failovers, and old primaries that still answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import DiskFull, FastnessError, Fenced, Unreachable
from fastness.hosting.remote import RemoteStore, StoreAnswer, StorePrune, StoreRead
from fastness.ranges.requests import Scan
from fastness.storage.cells import value_of
from fastness.storage.contract import Batch, CommittedWrites, RangeState
from fastness.testing.simulation import Rates, SimulatedStoreClient, StoreRates, World

RANGE = 7


@pytest.fixture
def world() -> Iterator[World]:
    """A world where nothing goes wrong yet."""
    with World(6) as world:
        yield world


class Holder:
    """Somebody who holds a range of a store and writes to it, one batch after the other."""

    def __init__(self, world: World, name: str = "holder", *, patience_ms: float = 200.0) -> None:
        self.process = world.process(name)
        self.client = world.store_for(self.process, "store", patience_ms=patience_ms)
        self.epoch = 0
        self.number = 0

    async def ask(self, request: Callable[..., None], *args: object) -> Any:  # noqa: ANN401 - whatever the store answers
        """Ask the store and wait for its answer; errors come back as values."""
        answered: asyncio.Future[Any] = self.process.future()
        request(*args, answered.set_result)
        return await answered

    async def open(self, epoch: int) -> RangeState:
        """Open the range; its state."""
        state = await self.ask(self.client.open_range, RANGE, epoch)
        assert isinstance(state, RangeState)
        self.epoch, self.number = epoch, state.batch_number
        return state

    async def write(self, value: bytes) -> FastnessError | None:
        """Write the next batch; its error."""
        self.number += 1
        error: FastnessError | None = await self.ask(self.client.apply, self.batch(value))
        return error

    async def settle(self) -> bool | FastnessError:
        """Whether the last batch was applied."""
        settled: bool | FastnessError = await self.ask(
            self.client.settle, RANGE, self.epoch, self.number
        )
        return settled

    def batch(self, value: bytes) -> Batch:
        """The next batch: one key gets a value."""
        commit = CommittedWrites(1_000 * self.epoch + self.number, {b"key": value})
        return Batch(RANGE, self.epoch, self.number, [commit])

    async def read(self) -> tuple[bytes | None, int]:
        """The value of the key, and the batch number it was read at."""
        answer = await self.answer()
        assert isinstance(answer, StoreAnswer), answer
        cell = answer.cells[0]
        return (None if cell is None else value_of(cell)), answer.number

    async def answer(self) -> StoreAnswer | FastnessError:
        """What the store answers to a read."""
        request = StoreRead(RANGE, [b"key"], TIMESTAMP_MAX, Scan(b"", b"\xff", 10))
        answer: StoreAnswer | FastnessError = await self.ask(self.client.read, request)
        return answer


def run(world: World, scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario in its world."""

    async def main() -> None:
        await scenario()

    world.run(main())


def test_it_is_a_remote_store(world: World) -> None:
    """It has all that `hosting.remote.RemoteStore` promises."""
    store: RemoteStore = world.store_for(world.process("a"), "store")
    assert isinstance(store, SimulatedStoreClient)


def test_what_was_answered_can_be_read(world: World) -> None:
    """Batches, reads with scans, changes and pruning reach the store and come back."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        assert await holder.read() == (None, 0)
        assert await holder.write(b"one") is None
        assert await holder.write(b"two") is None
        assert await holder.read() == (b"two", 2)
        answer = await holder.answer()
        assert isinstance(answer, StoreAnswer)
        assert [key for key, _cell in answer.entries] == [b"key"]
        changes = await holder.ask(holder.client.changes, 0, TIMESTAMP_MAX, 10)
        assert [change.timestamp for change in changes] == [1_001, 1_002]
        asked = StorePrune(RANGE, holder.epoch, (b"", b"\xff"), 1_002, 10)
        pruned = await holder.ask(holder.client.prune, asked)
        assert pruned > 0
        answer = await holder.answer()
        assert isinstance(answer, StoreAnswer)
        assert answer.prune_horizon == 1_002
        assert world.now_ms > 7.0

    run(world, scenario)


def test_a_later_epoch_fences_the_earlier(world: World) -> None:
    """The first holder's batches are refused once a second has opened the range."""
    first, second = Holder(world, "first"), Holder(world, "second")

    async def scenario() -> None:
        await first.open(1)
        await first.write(b"one")
        await second.open(2)
        assert isinstance(await first.write(b"two"), Fenced)
        assert isinstance(await first.settle(), Fenced)
        assert await second.read() == (b"one", 1)

    run(world, scenario)


def test_a_lost_request_was_not_applied(world: World) -> None:
    """Cut off on the way there: in doubt for the holder, and settled as not applied."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        cut = world.network.cut(["holder"], ["store"])
        assert isinstance(await holder.write(b"lost"), Unreachable)
        cut.heal()
        assert await holder.settle() is False
        assert await holder.settle() is False
        assert await holder.write(b"next") is None
        assert await holder.read() == (b"next", 2)

    run(world, scenario)


def test_a_lost_answer_hides_a_batch_that_was_applied(world: World) -> None:
    """Cut off on the way back: in doubt all the same, and settled as applied."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        cut = world.network.cut(["store"], ["holder"])
        assert isinstance(await holder.write(b"applied"), Unreachable)
        cut.heal()
        assert await holder.settle() is True
        assert await holder.read() == (b"applied", 1)

    run(world, scenario)


def test_a_late_original_cannot_apply_once_it_was_settled(world: World) -> None:
    """A batch that arrives after its holder gave it up is refused, however far others are."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        late = 0
        for number in range(30):
            world.network.set_call_rates("store", Rates(delay=1.0, delay_ms_max=30_000.0))
            error = await holder.write(b"late %d" % number)
            world.network.set_call_rates("store", Rates())
            if error is not None:
                assert isinstance(error, Unreachable)
                late += await holder.settle() is False
        assert late > 3
        value, number = await holder.read()
        await world.sleep(60_000)
        assert await holder.read() == (value, number)
        assert world.counts["late batch refused"] == late

    run(world, scenario)


def test_a_late_original_applies_if_nobody_settled_it(world: World) -> None:
    """A batch in doubt may be applied long after its holder heard `Unreachable`."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        world.store("store").pause(1_000)
        assert isinstance(await holder.write(b"late"), Unreachable)
        assert world.store("store").home.range_number(RANGE) == 0
        await world.sleep(1_000)
        assert await holder.read() == (b"late", 1)
        assert await holder.settle() is True

    run(world, scenario)


def test_a_store_refuses_batches(world: World) -> None:
    """A refused batch was not applied; the next may be, under its number."""
    holder = Holder(world)

    async def scenario() -> None:
        await holder.open(1)
        world.store("store").rates = StoreRates(refused=1.0)
        assert isinstance(await holder.write(b"refused"), DiskFull)
        world.store("store").rates = StoreRates()
        holder.number -= 1
        assert await holder.write(b"taken") is None
        assert await holder.read() == (b"taken", 1)

    run(world, scenario)
    assert world.counts["store refused a batch"] == 1


def test_a_store_is_slow(world: World) -> None:
    """Some requests take as long as the rates say."""
    holder = Holder(world, patience_ms=10_000.0)

    async def scenario() -> None:
        await holder.open(1)
        world.store("store").rates = StoreRates(slow=1.0, slow_ms_max=5_000.0)
        before = world.now_ms
        for _ in range(10):
            await holder.read()
        assert world.now_ms - before > 5_000.0

    run(world, scenario)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_failover_loses_what_was_visible_and_not_durable(world: World, kept: int) -> None:
    """A batch may be seen, never answered, and then be gone, or not: settling tells."""
    holder, witness = Holder(world), Holder(world, "witness")
    store = world.store("store")

    async def scenario() -> None:
        await holder.open(1)
        assert await holder.write(b"durable") is None
        store.rates = StoreRates(undurable=1.0, undurable_ms_max=100_000.0)
        writing = holder.process.spawn(holder.write(b"visible"), name="write")
        await world.sleep(20)
        assert await witness.read() == (b"visible", 2)
        assert store.fail_over(kept=kept) == 1 - kept
        assert await witness.read() == ((b"visible", 2) if kept else (b"durable", 1))
        assert isinstance(await writing, Unreachable)
        store.rates = StoreRates()
        assert await holder.settle() is bool(kept)
        assert await holder.write(b"after") is None
        assert await holder.read() == (b"after", 3)

    run(world, scenario)
    assert world.counts["undurable batch lost"] == 1 - kept


def test_an_acknowledged_batch_survives_every_failover(world: World) -> None:
    """Whatever a store does to those that are in doubt."""
    holder = Holder(world)
    store = world.store("store")

    async def scenario() -> None:
        await holder.open(1)
        store.rates = StoreRates(undurable=0.7, undurable_ms_max=20.0)
        acknowledged = 0
        for number in range(100):
            if number % 5 == 0:
                world.call_later(number % 7, store.fail_over)
            error = await holder.write(b"%d" % number)
            if error is None or await holder.settle() is True:
                acknowledged = number
            value, _number = await holder.read()
            assert value == b"%d" % acknowledged

    run(world, scenario)
    assert world.counts["undurable batch lost"] > 3
    assert world.counts["store failover"] == 20


def test_nobody_writes_during_an_outage(world: World) -> None:
    """Between two primaries writes wait."""
    holder = Holder(world, patience_ms=5_000.0)

    async def scenario() -> None:
        await holder.open(1)
        world.store("store").fail_over(outage_ms=1_000.0)
        before = world.now_ms
        assert await holder.write(b"one") is None
        assert world.now_ms - before > 1_000.0

    run(world, scenario)


def test_an_old_primary_answers_reads_with_old_numbers(world: World) -> None:
    """A client that has not noticed reads what was, even after it has written since."""
    holder, other = Holder(world), Holder(world, "other")

    async def scenario() -> None:
        await holder.open(1)
        await holder.write(b"old")
        world.store("store").fail_over(stale_ms=300.0, stale_for=frozenset(["holder"]))
        assert await holder.write(b"new") is None
        assert await holder.read() == (b"old", 1)
        assert await other.read() == (b"new", 2)
        newcomer = Holder(world, "holder")
        assert await newcomer.read() == (b"new", 2)
        await world.sleep(300)
        assert await holder.read() == (b"new", 2)

    run(world, scenario)
    assert world.counts["read at an old primary"] == 1


def test_opening_or_settling_a_range_leaves_the_old_primary(world: World) -> None:
    """The barrier reaches the real primary, and so does every read after it."""
    holder = Holder(world)
    store = world.store("store")

    async def scenario() -> None:
        await holder.open(1)
        await holder.write(b"old")
        store.fail_over(stale_ms=1_000.0, stale_for=frozenset(["holder"]))
        await holder.write(b"new")
        assert await holder.read() == (b"old", 1)
        await holder.open(2)
        assert await holder.read() == (b"new", 2)
        store.fail_over(stale_ms=1_000.0, stale_for=frozenset(["holder"]))
        await holder.write(b"newer")
        assert await holder.read() == (b"new", 2)
        await holder.settle()
        assert await holder.read() == (b"newer", 3)

    run(world, scenario)


def test_a_write_in_doubt_drops_every_answer_still_to_come(world: World) -> None:
    """What the old primary showed of a batch that was lost never reaches its holder."""
    holder = Holder(world, patience_ms=100.0)
    store = world.store("store")

    async def scenario() -> None:
        await holder.open(1)
        await holder.write(b"durable")
        store.rates = StoreRates(undurable=1.0, undurable_ms_max=100_000.0)
        writing = holder.process.spawn(holder.write(b"lost"), name="write")
        await world.sleep(10)
        store.fail_over(kept=0, stale_ms=10_000.0, stale_for=frozenset(["holder"]))
        assert await holder.read() == (b"lost", 2)
        store.rates = StoreRates(slow=1.0, slow_ms_max=150.0)
        await world.sleep(80)
        reading = [holder.process.spawn(holder.answer(), name="read") for _ in range(20)]
        assert isinstance(await writing, Unreachable)
        answers = [await one for one in reading]
        assert any(isinstance(answer, Unreachable) for answer in answers)
        store.rates = StoreRates()
        assert await holder.settle() is False
        assert await holder.read() == (b"durable", 2)

    run(world, scenario)


def test_a_request_of_a_dead_process_is_never_sent(world: World) -> None:
    """A crash before a write keeps it from being applied, one after it does not."""
    first, second = Holder(world, "first"), Holder(world, "second")
    told: list[object] = []

    async def scenario() -> None:
        await first.open(1)
        first.number = 1
        first.process.strike_after(0, first.process.crash)
        first.client.apply(first.batch(b"never"), told.append)
        await second.open(2)
        second.number = 1
        second.client.apply(second.batch(b"sent"), told.append)
        second.process.crash()
        await world.sleep(1_000)
        assert await Holder(world, "witness").read() == (b"sent", 1)

    run(world, scenario)
    assert not told


def test_healing_ends_everything(world: World) -> None:
    """Rates, outages and old primaries are gone."""
    holder = Holder(world)
    store = world.store("store")

    async def scenario() -> None:
        await holder.open(1)
        store.rates = StoreRates(refused=1.0)
        store.fail_over(outage_ms=1e6, stale_ms=1e6, stale_for=frozenset(["holder"]))
        store.heal()
        assert await holder.write(b"one") is None
        assert await holder.read() == (b"one", 1)

    run(world, scenario)


def test_judges_miss_nothing_that_was_pruned(world: World) -> None:
    """A late step of before a merge prunes up to the horizon of the union: all is remembered."""
    store = world.store("store")
    home = store.home
    for number in (1, 2):
        home.open_range(number, 1)
    for number, at in ((1, 10), (2, 20)):
        home.apply(Batch(1, 1, number, [CommittedWrites(at, {b"a": b"%d" % at})]))
    whole = store.log()
    home.prune(2, KeyInterval(b"m", b"z"), 30, 10)
    home.apply(Batch(1, 1, 3, [], absorbs=[(2, 1)]))
    store.prune(lambda _rows: None, StorePrune(1, 1, (b"", b"m"), 15, 10))
    assert not home.logged()
    assert store.log() == whole
