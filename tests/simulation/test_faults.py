"""Fault plans and the swarm: seeds differ in kind, every kind strikes, and all of it heals."""

from __future__ import annotations

from collections import Counter

import pytest

from fastness.errors import InvalidOption
from fastness.testing.simulation import KINDS, FaultPlan, Swarm, World
from tests.simulation.busy import Busy

LEASE_MS = 60.0
CALM_MS, FAULTS_MS = 200.0, 2_000.0

COUNTED = {
    "drop": "frame drop",
    "duplicate": "frame duplicate",
    "delay": "frame delay",
    "corrupt": "frame corrupt",
    "coordinator loss": "call drop",
    "store loss": "call drop",
    "store slow": "store was slow",
    "store refusal": "store refused a batch",
    "store undurable": "undurable batch visible",
}
"""Kinds that strike frames and calls one by one, and where those are counted."""
UNCOUNTED = ("drift", "store stale")
"""Kinds that change how others go: clocks, and what a failover leaves behind."""


def play(world: World, plan: FaultPlan, *, until_ms: float | None = None) -> Busy:
    """Play a plan on the busy service, heal the world, and see everybody get on."""
    busy, swarm = Busy(world), Swarm(world, plan)

    async def main() -> None:
        busy.start()
        await world.sleep(CALM_MS)
        assert busy.least() > 0
        swarm.begin(until_ms=until_ms)
        await world.sleep(FAULTS_MS)
        swarm.quiet()
        await world.sleep(CALM_MS)
        counts = world.counts.copy()
        busy.forget()
        await world.sleep(CALM_MS)
        assert busy.least() > 0
        counts["late batch refused"] = world.counts["late batch refused"]
        assert world.counts == counts

    world.run(main())
    return busy


def test_seeds_differ_in_kind() -> None:
    """Some are calm, some play one kind, some play all; every kind is played often."""
    plans = [FaultPlan.draw(seed) for seed in range(2_000)]
    sizes = Counter(len(plan.intensities) for plan in plans)
    assert 80 < sizes[0] < 260
    assert 300 < sizes[1] < 600
    assert 120 < sizes[len(KINDS)] < 300
    played = Counter(kind for plan in plans for kind in plan.intensities)
    assert all(400 < played[kind] < 1_200 for kind in KINDS)
    assert all(0.1 <= rate <= 1.0 for plan in plans for rate in plan.intensities.values())
    assert {plan.describe() for plan in plans if not plan.intensities} == {"calm"}


def test_a_plan_is_the_same_each_time_it_is_drawn() -> None:
    """By numbers and by names of seeds."""
    assert FaultPlan.draw(7) == FaultPlan.draw(7)
    assert FaultPlan.draw("nightly") == FaultPlan.draw("nightly")
    assert FaultPlan.draw(7) != FaultPlan.draw(8)


def test_a_disabled_kind_leaves_the_others_as_they_were() -> None:
    """What a shrinker needs: one kind less, everything else alike."""
    for seed in range(50):
        plan = FaultPlan.draw(seed)
        for kind in plan.intensities:
            fewer = FaultPlan.draw(seed, disabled=[kind])
            assert fewer == plan.without([kind])
            assert fewer.intensities == {
                other: rate for other, rate in plan.intensities.items() if other != kind
            }


def test_an_unknown_kind_is_refused() -> None:
    """A typing error must not switch nothing off."""
    with pytest.raises(InvalidOption, match="crsh"):
        FaultPlan.draw(1, disabled=["crsh"])
    with pytest.raises(InvalidOption, match="crsh"):
        FaultPlan({"crsh": 1.0})


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNCOUNTED])
def test_each_kind_strikes_alone_and_heals(kind: str) -> None:
    """It is counted, nothing else is struck, and everybody gets on when it is over."""
    with World(f"alone {kind}") as world:
        play(world, FaultPlan({kind: 1.0}, LEASE_MS))
    assert world.counts[COUNTED.get(kind, kind)] > 0
    others = {COUNTED.get(other, other) for other in KINDS} - {COUNTED.get(kind, kind)}
    assert not [name for name in world.counts if name in others and world.counts[name]]


def test_an_old_primary_is_left_behind_by_failovers() -> None:
    """The kind has no strikes of its own: it shows in what a failover leaves."""
    plan = FaultPlan({"store failover": 1.0, "store stale": 1.0}, LEASE_MS)
    lines: list[str] = []
    with World(3, write_line=lines.append) as world:
        play(world, plan)
    assert any("old primary answers 3 processes" in line for line in lines)


def test_a_pause_in_a_step_shows_on_the_clock() -> None:
    """A process finds that time has passed between two statements."""
    with World(4) as world:
        busy = play(world, FaultPlan({"pause in a step": 1.0}, LEASE_MS))
    assert busy.clocks["stalled"] > 0


def test_drift_is_for_the_world() -> None:
    """A plan without drift wants clocks that run exactly."""
    assert FaultPlan({"drift": 0.1}).drift_ppm > 0
    plan = FaultPlan({"drop": 0.1})
    with World(1, drift_ppm=plan.drift_ppm) as world:
        assert world.process("a").clock.rate_ppm == 0


def test_everything_at_once_heals() -> None:
    """Every kind struck, and in the end everybody gets on."""
    with World(5) as world:
        play(world, FaultPlan.everything(lease_ms=LEASE_MS))
    for kind in KINDS:
        if kind not in UNCOUNTED:
            assert world.counts[COUNTED.get(kind, kind)] > 0, kind


def test_no_new_faults_after_a_given_time() -> None:
    """What a shrinker needs: the same beginning, a shorter storm."""
    with World(6) as world:
        play(world, FaultPlan.everything(lease_ms=LEASE_MS), until_ms=CALM_MS + 1.0)
    strikes = sum(world.counts[kind] for kind in KINDS)
    assert strikes < 5


def test_a_quiet_swarm_begins_again() -> None:
    """Healing is not the end: faults may be played in several spells."""
    with World(7) as world:
        busy, swarm = Busy(world), Swarm(world, FaultPlan.everything(lease_ms=LEASE_MS))

        async def main() -> None:
            busy.start()
            for _ in range(3):
                struck = world.counts.total()
                swarm.begin()
                await world.sleep(FAULTS_MS / 4)
                swarm.quiet()
                assert world.counts.total() > struck
            await world.sleep(CALM_MS)
            busy.forget()
            await world.sleep(CALM_MS)
            assert busy.least() > 0

        world.run(main())
