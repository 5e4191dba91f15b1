"""The coordinator inside a server: the contract, and what a restart finds of it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from fastness.errors import StoreDamaged, Unreachable
from fastness.hosting.local_coordinator import LocalCoordinator
from fastness.hosting.local_store import LocalStore
from fastness.hosting.marks import CEILING_MARK, PLACEMENT_MARK
from fastness.node.waiting import pause
from fastness.placement.cluster_view import (
    decode_descriptor,
    decode_oracle,
    encode_counter,
    encode_descriptor,
)
from fastness.placement.coordinator import CEILING, ORACLE, Put
from fastness.placement.descriptors import Descriptor, OracleDescriptor
from fastness.runtime.local import LocalNetwork
from fastness.storage import MemoryStore, RocksStore, Store
from fastness.storage.faults import Step
from tests.hosting.test_failures import Failing
from tests.placement.coordinator_conformance import CoordinatorSuite, Surroundings
from tests.storage.homes import SMALL

PATIENCE_SECONDS = 60.0
HELD = Descriptor(1, b"", b"\xff", 1, "local", epoch=4, holder="server#1", session=3)


class InOneProcess(Surroundings):
    """On the real loop, over a store of this machine."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        self._open_store = open_store

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run it on a loop of its own; the store is closed in the end."""

        async def main() -> None:
            network = LocalNetwork()
            self.process = network.process("server")
            self.store = LocalStore(self._open_store())
            try:
                self.coordinator = LocalCoordinator(self.process, self.store)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await scenario()
            finally:
                await self.store.close()
                await network.close()

        asyncio.run(main())

    def reached(self, _name: str) -> LocalCoordinator:
        """By a call."""
        return self.coordinator

    async def wait(self, milliseconds: float) -> None:
        """By the process's timers."""
        await pause(self.process, milliseconds)


class TestLocalCoordinator(CoordinatorSuite):
    """The contract."""

    @pytest.fixture
    def surroundings(self) -> Surroundings:
        """Over memory."""
        return InOneProcess(MemoryStore)


def directory(path: Path) -> InOneProcess:
    """Over a directory, which each run finds as the one before left it."""
    return InOneProcess(lambda: RocksStore.open(path / "data", limits=SMALL))


def test_a_restart_finds_everything_released(tmp_path: Path) -> None:
    """Whoever held a range or the oracle is dead; what is bound to a session is gone."""
    place = directory(tmp_path)

    async def first() -> None:
        coordinator = place.coordinator
        session = await coordinator.open_session(60_000)
        oracle = encode_descriptor(OracleDescriptor(2, "server#1", session))
        puts = [
            Put("sessions/1", b"", session),
            Put("nodes/server#1", b"", session),
            Put("ranges/1", encode_descriptor(HELD)),
            Put("ranges/2", b"to be deleted"),
            Put(ORACLE, oracle),
            Put(CEILING, encode_counter(77)),
        ]
        assert await coordinator.write({}, puts) is not None
        assert await coordinator.write({}, [], ("ranges/2",)) is not None

    async def second() -> None:
        revision, entries = await place.coordinator.read("")
        assert list(entries) == [CEILING, ORACLE, "ranges/1"]
        assert all(0 < entry.revision <= revision for entry in entries.values())
        found = decode_descriptor(entries["ranges/1"].value)
        assert (found.released, found.epoch, found.holder) == (True, 4, "server#1")
        assert decode_oracle(entries[ORACLE].value).released
        assert entries[CEILING].value == encode_counter(77)
        await place.coordinator.lower_ceiling(70)

    async def third() -> None:
        assert place.store.mark(CEILING_MARK) == encode_counter(70)

    for scenario in (first, second, third):
        place.run(scenario)


def test_an_epoch_opened_by_somebody_else_is_known(tmp_path: Path) -> None:
    """An embedded database opens ranges without asking: the next claim is above its epoch."""
    place = directory(tmp_path)

    async def serve() -> None:
        await place.coordinator.write({}, [Put("ranges/1", encode_descriptor(HELD))])

    async def look() -> None:
        _revision, entries = await place.coordinator.read("ranges/")
        assert decode_descriptor(entries["ranges/1"].value).epoch == 9

    place.run(serve)
    store = RocksStore.open(tmp_path / "data", limits=SMALL)
    store.open_range(1, 9)
    store.close()
    place.run(look)


def test_what_the_store_did_not_take_was_not_written() -> None:
    """The writer is told that it may have been; nobody sees it; the next try is free to win."""
    failing = Failing()
    place = InOneProcess(lambda: MemoryStore(faults=failing))

    async def scenario() -> None:
        coordinator = place.coordinator
        failing.fail_next(Step.RECORD_BEGIN, errno.EIO)
        with pytest.raises(Unreachable, match="did not take"):
            await coordinator.write({CEILING: 0}, [Put(CEILING, encode_counter(5))])
        assert (await coordinator.read(""))[1] == {}

    place.run(scenario)


def test_what_nobody_needs_after_a_crash_costs_no_write() -> None:
    """Sessions and nodes are kept in memory alone."""
    steps: list[Step] = []
    place = InOneProcess(lambda: MemoryStore(faults=steps.append))

    async def scenario() -> None:
        session = await place.coordinator.open_session(60_000)
        await place.coordinator.write({}, [Put("sessions/1", b"", session)])
        await place.coordinator.end_session(session)
        assert steps == []

    place.run(scenario)


def test_marks_of_another_program_are_refused() -> None:
    """What cannot be read is damage, and says where."""
    store = MemoryStore()
    store.record({PLACEMENT_MARK: b"\xc1"})
    place = InOneProcess(lambda: store)

    async def scenario() -> None:
        raise AssertionError("it was opened all the same")

    with pytest.raises(StoreDamaged, match="placement"):
        place.run(scenario)
