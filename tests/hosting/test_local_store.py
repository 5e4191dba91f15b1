"""A store of this machine behind the contract of a store: its thread, its failures, its return."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import (
    DatabaseClosed,
    DiskFull,
    FastnessError,
    StoreError,
    StoreUnavailable,
    Unreachable,
)
from fastness.hosting import local_store
from fastness.hosting.local_store import LocalStore
from fastness.hosting.remote import StoreRead
from fastness.storage import MemoryStore, RocksStore, Store
from fastness.storage.faults import Step
from tests.hosting.remote_conformance import RANGE, Reached, RemoteStoreSuite, batch, values
from tests.hosting.test_failures import WRITE_STEPS, Failing
from tests.storage.homes import SMALL

PATIENCE_SECONDS = 60.0
NEVER, ALWAYS = -1, 10**15
"""How long a sync may take for the loop to wait for it."""


@pytest.fixture(params=[NEVER, ALWAYS], ids=["on-the-thread", "on-the-loop"], autouse=True)
def at_once_ns_max(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Where a commit on its own is carried out, from the second sync on."""
    bound: int = request.param
    monkeypatch.setattr(local_store, "AT_ONCE_NS_MAX", bound)
    return bound


class OnThisMachine(Reached):
    """On the real loop, over a store that is opened when the scenario begins."""

    def __init__(self, open_store: Callable[[], Store], *, reopens: bool = False) -> None:
        self._open_store = open_store
        self._reopens = reopens

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it on a loop of its own; the store is closed in the end."""

        async def main() -> None:
            reopen = self._open_store if self._reopens else None
            self.local = LocalStore(self._open_store(), reopen=reopen)
            self.store = self.local
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await scenario()
            finally:
                await self.local.close()

        asyncio.run(main())

    async def healed(self) -> None:
        """Wait until writes succeed again, asking the thread again and again."""
        while self.local.refusal is not None:
            await self.ask(self.local.changes, 0, 1, 1)


class TestLocalStore(RemoteStoreSuite):
    """The contract, over memory and over a directory."""

    @pytest.fixture(params=["memory", "directory"])
    def reached(self, request: pytest.FixtureRequest, tmp_path: Path) -> Reached:
        """A store of this machine."""
        if request.param == "memory":
            return OnThisMachine(MemoryStore)
        return OnThisMachine(lambda: RocksStore.open(tmp_path / "data", limits=SMALL))


def test_batches_that_wait_together_share_one_sync() -> None:
    """While one is written others queue up; all of them cost one more sync."""
    syncs: list[Step] = []
    reached = OnThisMachine(lambda: MemoryStore(faults=syncs.append))

    async def scenario() -> None:
        for range_id in range(1, 41):
            assert not isinstance(
                await reached.ask(reached.store.open_range, range_id, 1), FastnessError
            )
        syncs.clear()
        batches = [batch(1, 1, a="1") for _ in range(40)]
        for range_id, one in enumerate(batches, start=1):
            one.range_id = range_id
        answers = await asyncio.gather(*(reached.ask(reached.store.apply, one) for one in batches))
        assert answers == [None] * 40
        assert syncs.count(Step.APPLY_BEGIN) == 40
        assert syncs.count(Step.SYNC_BEGIN) < 40

    reached.run(scenario)


def test_a_commit_on_its_own_is_carried_out_where_that_is_quicker(at_once_ns_max: int) -> None:
    """On the loop once syncs are known to be short, on the thread while they are long."""
    loop_thread, synced_by = threading.get_ident(), list[int]()

    def note(step: Step) -> None:
        if step is Step.SYNC_BEGIN:
            synced_by.append(threading.get_ident())

    reached = OnThisMachine(lambda: MemoryStore(faults=note))

    async def scenario() -> None:
        await reached.opened(1)
        for number in (1, 2):
            # Nothing is under way any more, once the thread has said so and gone to rest.
            await reached.ask(reached.local.changes, 0, 1, 1)
            synced_by.clear()
            assert await reached.ask(reached.store.apply, batch(1, number, a="1")) is None
        assert (loop_thread in synced_by) == (at_once_ns_max == ALWAYS)
        assert len(synced_by) == 1

    reached.run(scenario)


def test_a_closed_store_answers_so() -> None:
    """What was asked before is done; what is asked after is refused, and nothing hangs."""
    reached = OnThisMachine(MemoryStore)

    async def scenario() -> None:
        await reached.opened(1)
        written = asyncio.ensure_future(reached.ask(reached.store.apply, batch(1, 1, a="1")))
        await asyncio.sleep(0)
        await reached.local.close()
        assert await written is None
        answer = await reached.ask(reached.store.apply, batch(1, 2, a="1"))
        assert isinstance(answer, DatabaseClosed)
        await reached.local.close()

    reached.run(scenario)


@pytest.mark.parametrize("step", WRITE_STEPS)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_store_that_closed_itself_is_opened_again(
    step: Step, number: int, tmp_path: Path
) -> None:
    """The batch is in doubt until it is settled; what was acknowledged is there; writes go on."""
    failing = Failing()
    opened = 0

    def open_store() -> Store:
        nonlocal opened
        opened += 1
        return RocksStore.open(tmp_path / "data", limits=SMALL, faults=failing)

    reached = OnThisMachine(open_store, reopens=True)

    async def scenario() -> None:
        store = reached.store
        await reached.opened(1)
        assert await reached.ask(store.apply, batch(1, 1, a="1")) is None
        failing.fail_next(step, number)
        answer = await reached.ask(store.apply, batch(1, 2, a="2"))
        assert isinstance(answer, DiskFull if number == errno.ENOSPC else StoreUnavailable)
        found = await reached.read(b"a")
        assert opened == 2
        await reached.healed()
        applied = await reached.ask(store.settle, RANGE, 1, 2)
        assert isinstance(applied, bool)
        assert values(found) == values(await reached.read(b"a")) == [b"2" if applied else b"1"]
        assert await reached.ask(store.apply, batch(1, 3, a="3")) is None
        assert values(await reached.read(b"a")) == [b"3"]

    reached.run(scenario)


def test_while_it_cannot_be_opened_readers_are_told_to_come_back(tmp_path: Path) -> None:
    """Reads are refused retryably, writes with what is wrong, until opening succeeds."""
    failing = Failing()
    broken = False

    def open_store() -> Store:
        if broken:
            raise StoreUnavailable("the disk is gone")
        return RocksStore.open(tmp_path / "data", limits=SMALL, faults=failing)

    reached = OnThisMachine(open_store, reopens=True)

    async def scenario() -> None:
        nonlocal broken
        store = reached.store
        await reached.opened(1)
        assert await reached.ask(store.apply, batch(1, 1, a="1")) is None
        broken = True
        failing.fail_next(Step.APPLY_BEGIN, errno.EIO)
        assert isinstance(await reached.ask(store.apply, batch(1, 2, a="2")), StoreError)
        with pytest.raises(Unreachable, match="opened again"):
            store.read_at_once(StoreRead(RANGE, [b"a"], TIMESTAMP_MAX))
        assert isinstance(await reached.ask(store.settle, RANGE, 1, 2), StoreUnavailable)
        assert store.refusal is not None
        assert "the disk is gone" in str(store.refusal)
        broken = False
        await reached.healed()
        assert await reached.ask(store.settle, RANGE, 1, 2) is False
        assert values(await reached.read(b"a")) == [b"1"]

    reached.run(scenario)


def test_a_store_in_memory_that_failed_stays_closed() -> None:
    """There is nothing to open again: readers and writers are told that it is closed."""
    failing = Failing()
    reached = OnThisMachine(lambda: MemoryStore(faults=failing))

    async def scenario() -> None:
        await reached.opened(1)
        failing.fail_next(Step.SYNC_BEGIN, errno.EIO)
        for number in (1, 2):
            answer = await reached.ask(reached.store.apply, batch(1, number, a="1"))
            assert isinstance(answer, StoreUnavailable)
        answer = await reached.ask(reached.store.read, StoreRead(RANGE, [], TIMESTAMP_MAX))
        assert isinstance(answer, FastnessError)

    reached.run(scenario)


def test_a_mistake_of_the_program_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    """Its asker hears of it, it is logged with its traceback, and the thread goes on."""
    reached = OnThisMachine(MemoryStore)

    async def scenario() -> None:
        await reached.opened(1)
        assert await reached.ask(reached.store.apply, batch(1, 1, a="1")) is None
        answer = await reached.ask(reached.store.apply, batch(1, 1, a="1"))
        assert isinstance(answer, StoreUnavailable)
        assert await reached.ask(reached.store.apply, batch(1, 2, a="2")) is None

    reached.run(scenario)
    assert "InvariantViolation" in caplog.text
