"""Leases over time: what renewals prove, what ends them, and writes whose answers are lost."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from fastness.errors import FastnessError
from fastness.node.coordination import Change, Coordination
from fastness.node.counts import Counts
from fastness.node.leases import Lease, held_ns, waited_ns
from fastness.node.session import SessionKeeper
from fastness.node.site import Site
from fastness.placement.cluster_view import ClusterView
from fastness.placement.coordinator import Entry, Put
from fastness.placement.membership import NodeRecord
from fastness.testing.simulation import Rates, World
from fastness.testing.simulation.coordinator import COORDINATOR
from fastness.testing.simulation.processes import SimulatedProcess
from tests.node.clusters import LIMITS


def test_holder_and_successor_agree_within_one_percent() -> None:
    """The slowest successor outwaits the fastest-ageing lease, at rates 1% apart from true."""
    for lease_ms in (1, 10, 999, 3_000):
        slow_holder_ns = held_ns(lease_ms) / 0.99
        fast_successor_ns = waited_ns(lease_ms) / 1.01
        assert slow_holder_ns <= fast_successor_ns + 1e-3


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    """An answer that comes late proves less; one overtaken by a newer proves nothing more."""
    lease = Lease("ranges/1", 1, 1, 0)
    lease.proved(1_000, 10)
    assert lease.until_ns == 1_000 + held_ns(10)
    assert lease.left_ms(1_000) == pytest.approx(9.9)
    lease.proved(500, 10)
    assert lease.until_ns == 1_000 + held_ns(10)
    assert lease.left_ms(lease.until_ns) == 0


@dataclass
class Hold:
    """Something held, that tells what became of it."""

    lease: Lease
    revision: int
    dropped: list[FastnessError] = field(default_factory=list)

    def standing(self, _view: ClusterView, _session: int) -> int:
        """The revision a test says it stands at."""
        return self.revision

    def drop(self, error: FastnessError) -> None:
        """Remember it."""
        self.dropped.append(error)


def with_site(scenario: Callable[[World, Site], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with a node's dealings, and nothing else of a node."""
    with World(seed=scenario.__name__) as world:
        process = world.process("node")
        site = Site(process, world.coordinator_for(process), {}, LIMITS)
        task = process.spawn(scenario(world, site), name="scenario")

        async def run() -> None:
            await task

        world.run(run())


async def until(world: World, condition: Callable[[], bool]) -> None:
    """Let the world go on until something is so."""
    future = world.process("clock").future()

    def look() -> None:
        if condition():
            future.set_result(None)
        else:
            world.call_later(5, look)

    look()
    await future


def test_renewals_prove_what_is_held() -> None:
    """While the key stands leases run on; once it does not they are dropped at once."""

    async def scenario(world: World, site: Site) -> None:
        keeper = SessionKeeper(site)
        site.spawn(keeper.run(NodeRecord(0)), name="keeper")
        await until(world, lambda: site.tenure is not None)
        tenure = site.tenure
        assert tenure is not None
        kept = Hold(Lease("ranges/1", 1, 1, site.boot_ns()), 2)
        lost = Hold(Lease("ranges/2", 1, 1, site.boot_ns()), 2)
        tenure.holdings |= {"ranges/1": kept, "ranges/2": lost}
        await until(world, lambda: kept.lease.left_ms(site.boot_ns()) > LIMITS.lease_ms / 2)
        assert not lost.dropped
        assert kept.lease.revision == 2
        lost.revision = 0
        await until(world, lambda: bool(lost.dropped))
        assert not kept.dropped
        assert tenure.alive
        world.coordinator.end_session(tenure.session)
        await until(world, lambda: bool(kept.dropped))
        assert site.counts.sessions_lost == 1
        await until(world, lambda: site.tenure is not None)
        assert site.counts.sessions == 2
        site.tenure = None

    with_site(scenario)


def test_leases_run_out_without_the_coordinator() -> None:
    """Nobody drops them: they just end, at the latest when the session may."""

    async def scenario(world: World, site: Site) -> None:
        site.spawn(SessionKeeper(site).run(NodeRecord(0)), name="keeper")
        await until(world, lambda: site.tenure is not None)
        tenure = site.tenure
        assert tenure is not None
        hold = Hold(Lease("ranges/1", 1, 1, site.boot_ns()), 1)
        tenure.holdings["ranges/1"] = hold
        await until(world, lambda: hold.lease.left_ms(site.boot_ns()) > 0)
        cut = world.network.cut([COORDINATOR], ["node"])
        await until(world, lambda: hold.lease.left_ms(site.boot_ns()) == 0)
        assert not hold.dropped
        assert tenure.alive
        cut.heal()
        await until(world, lambda: hold.lease.left_ms(site.boot_ns()) > 0 or bool(hold.dropped))

    with_site(scenario)


class HeldBack:
    """A coordinator whose answers to readings of everything are held back for a while."""

    def __init__(self, world: World, process: SimulatedProcess) -> None:
        self._coordinator: Any = world.coordinator_for(process)
        self.answered = False
        """Whether there is an answer to let go."""
        self.released = process.future()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else as it is
        return getattr(self._coordinator, name)

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """What was there when it was asked; told later."""
        reading: tuple[int, dict[str, Entry]] = await self._coordinator.read(prefix)
        self.answered = True
        await self.released
        return reading


def test_a_reading_from_before_a_session_does_not_end_it() -> None:
    """One that was on its way when the session was opened knows nothing of it, and is repeated."""
    with World(seed=0) as world:
        process = world.process("node")
        coordinator = HeldBack(world, process)
        site = Site(process, coordinator, {}, LIMITS)
        keeper = SessionKeeper(site)
        verdicts: list[bool] = []

        async def look() -> None:
            before_ns = await site.coordination.refresh()
            assert site.tenure is not None
            verdicts.append(keeper.verify(site.tenure, before_ns))

        async def scenario() -> None:
            site.spawn(look(), name="look")
            await until(world, lambda: coordinator.answered)
            site.spawn(keeper.run(NodeRecord(0)), name="keeper")
            await until(world, lambda: site.tenure is not None)
            coordinator.released.set_result(None)
            await until(world, lambda: bool(verdicts))
            assert verdicts == [True]
            assert site.tenure is not None
            assert site.counts.sessions == 1

        task = process.spawn(scenario(), name="scenario")

        async def run() -> None:
            await task

        world.run(run())


@pytest.mark.parametrize("seed", range(8))
def test_a_write_is_made_surely_once(seed: int) -> None:
    """With half of all calls lost, each of many writes is known, and happened exactly once."""
    with World(seed=seed) as world:
        process = world.process("node")
        coordination = Coordination(process, world.coordinator_for(process), LIMITS, Counts())
        world.network.set_call_rates(COORDINATOR, Rates(drop=0.3, delay=0.3))

        async def scenario() -> None:
            revision = 0
            for number in range(12):
                change = Change({"key": revision}, [Put("key", b"%d" % number)], "key")
                written = await coordination.write_surely(change)
                assert written is not None
                assert written > revision
                revision = written
            stale = Change({"key": 1}, [Put("key", b"stale")], "key")
            assert await coordination.write_surely(stale) is None
            assert world.coordinator.snapshot()["key"] == b"11"

        task = process.spawn(scenario(), name="scenario")

        async def run() -> None:
            await task

        world.run(run())
