"""Blind atomic operations that share a batch, exhaustively.

    python -m models atomic_operations

What is modelled. T1 and T2 add 1 to a counter, T3 takes 1 from it and must not leave it below 0.
They share the lock; each joins the open batch when its invalidations are complete, for a
cache of some other key may be slow. The open batch closes when the one before is durable; then
its members are evaluated, in the order in which they joined, each on what those before it left.
A member that cannot be evaluated is dropped with an error, and the others go on.

What is promised: the counter is the sum of what was acknowledged, and nobody sees less than 0.

Bounds: three operations, any number of batches.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    EVALUATED_AT_CLOSE = "an operation is evaluated under the lock, before it joins"
    EACH_ON_THE_LAST = "each member is evaluated on the stored value, not on the last member's"
    DROPPED_WITHOUT_EFFECT = "what a dropped member would have left is what the next one sees"
    CLOSED_AFTER_DURABLE = "a batch is evaluated while the one before is being written"


ADDED = (1, 1, -1)
"""What T1, T2 and T3 add."""


class Stage(StrEnum):
    """How far an operation has come."""

    NEW = "new"
    LOCKED = "locked"
    JOINED = "joined"
    WRITTEN = "being written"
    ACKNOWLEDGED = "acknowledged"
    DROPPED = "dropped"


class World(NamedTuple):
    """One state of everything."""

    stages: tuple[Stage, ...] = (Stage.NEW,) * len(ADDED)
    early: tuple[int, ...] = (0,) * len(ADDED)
    """What each made of the counter under the lock, where it is evaluated too early."""
    stored: int = 0
    joined: tuple[int, ...] = ()
    """The open batch, in the order of joining."""
    writing: tuple[tuple[int, int], ...] = ()
    """The batches being written: the last value of each, and how many members it has."""


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    for index, stage in enumerate(world.stages):
        name = f"T{index + 1}"
        if stage is Stage.NEW:
            held = [one for one, other in enumerate(world.stages) if other is Stage.LOCKED]
            base = world.early[held[-1]] if held else world.stored
            early = base + ADDED[index] if without is Rule.EVALUATED_AT_CLOSE else 0
            if early >= 0:
                locked = _stage(world, index, Stage.LOCKED)
                yield (
                    f"{name} shares the lock",
                    locked._replace(early=(*world.early[:index], early, *world.early[index + 1 :])),
                )
        elif stage is Stage.LOCKED:
            joined = _stage(world, index, Stage.JOINED)
            yield f"{name} joins", joined._replace(joined=(*world.joined, index))
    if world.joined and (not world.writing or without is Rule.CLOSED_AFTER_DURABLE):
        yield _closed(world, without)
    if world.writing:
        (value, members), *later = world.writing
        after = world._replace(stored=value, writing=tuple(later))
        for index, stage in enumerate(world.stages):
            if stage is Stage.WRITTEN and members & 1 << index:
                after = _stage(after, index, Stage.ACKNOWLEDGED)
        yield f"the batch is durable: the counter is {value}", after


def _closed(world: World, without: Rule | None) -> tuple[str, World]:
    """The open batch is evaluated, and on its way."""
    value, members, after = world.stored, 0, world
    last = value
    for index in world.joined:
        base = world.stored if without is Rule.EACH_ON_THE_LAST else last
        result = base + ADDED[index]
        if without is Rule.EVALUATED_AT_CLOSE:
            result = world.early[index]
        if result >= 0:
            members |= 1 << index
            value = last = result
            after = _stage(after, index, Stage.WRITTEN)
        else:
            after = _stage(after, index, Stage.DROPPED)
            if without is Rule.DROPPED_WITHOUT_EFFECT:
                last = result
    names = " ".join(f"T{index + 1}" for index in world.joined)
    closed = after._replace(joined=(), writing=(*world.writing, (value, members)))
    return f"the batch of {names} closes", closed


def _stage(world: World, index: int, stage: Stage) -> World:
    return world._replace(stages=(*world.stages[:index], stage, *world.stages[index + 1 :]))


def wrong(world: World) -> str:
    """The promise that is broken."""
    acknowledged = sum(
        added
        for added, stage in zip(ADDED, world.stages, strict=True)
        if stage is Stage.ACKNOWLEDGED
    )
    if world.stored != acknowledged:
        return f"the counter is {world.stored}, and {acknowledged} was acknowledged"
    return "the counter is below 0" if world.stored < 0 else ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="three operations on one counter",
            start=World(),
            steps=steps,
            wrong=wrong,
            needs=tuple(Rule),
        ),
    ),
)
