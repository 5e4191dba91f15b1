"""What a machine does to a member: a wall clock that jumps, a disk that fills up."""

from __future__ import annotations

from functools import partial

from fastness.invariants import present
from fastness.testing.chaos.arena import Arena, Touch
from fastness.testing.chaos.faults.contract import LONG_S, Blow, Fault, Need

JUMPS_S = (-3_600, -20, 20, 3_600)
FULL_S = 12.0


def _jump(arena: Arena) -> Blow:
    """Nothing may stop: no promise rests on wall clocks, and the oracle follows none that jumps."""
    clocks = present(arena.clocks, "such faults are struck only where clocks can jump")
    name, seconds = arena.node(), arena.random.choice(JUMPS_S)
    clocks.jump(name, seconds)
    return Blow(
        member=f"{name} {seconds:+d} s",
        touch=Touch(),
        lasts_s=LONG_S,
        heal=partial(clocks.jump, name, 0),
    )


def _fill(arena: Arena) -> Blow:
    """The primary of the store whose servers have small disks."""
    disks = present(arena.disks, "such faults are struck only where there is a small disk")
    name = arena.cluster.primary_of(disks.store)
    disks.fill(name)
    return Blow(
        member=name, touch=arena.touch_of(name), lasts_s=FULL_S, heal=partial(disks.free, name)
    )


SURROUNDINGS = (
    Fault(name="jump-clock", strike=_jump, needs=Need.CLOCKS),
    Fault(name="fill-disk", strike=_fill, needs=Need.DISK),
)
