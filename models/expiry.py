"""Values that expire: who may say so, and by which timestamp, exhaustively.

    python -m models expiry

What is modelled. p and q lie in two ranges and expire at timestamp 3. That is no commit: nothing
is locked or invalidated. S reads q, p and w at R. C reads p from the cache, whose lease runs; G
reads the latest p at its holder; both draw a timestamp to judge it by. T draws R, reads p, locks,
is validated, requests its timestamp, and writes w. The holder of p hears late of timestamps
that were issued. In the histories the expiry is one more transaction, which may have happened
at any time.

What is promised: strict serializability.

Bounds: one instant of expiry; each transaction once; timestamps up to 6.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from models.checker import History, Judge, Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    CACHED_JUDGED_AT_R = "a cached value is judged by the client's clock"
    LATEST_DRAWS = "a latest read is judged by the highest timestamp the holder has seen"
    COMMITS_BELOW_EXPIRY = "a commit that found a value alive may commit after its expiry"
    VALUE_CACHED_NOT_ABSENCE = "the holder fills the cache with the absence of what has expired"


EXPIRES_AT = 3
ISSUED_LATEST = 6


class World(NamedTuple):
    """One state of everything."""

    clock: int = 0
    heard: int = 0
    """The highest timestamp that the holder of p has seen."""
    snapshot: int = 0
    """R of S."""
    found: int | None = None
    """What T has read of p."""
    requested: bool = False
    """T has requested its timestamp, and holds the lock of w."""
    written: int = 0
    """T's commit timestamp."""
    absent_cached: bool = False
    history: History = History().begin("X")


JUDGE = Judge({"X": {"p": 1, "q": 1}, "T": {"w": 1}})


def _expired(at: int) -> int:
    return int(at >= EXPIRES_AT)


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    yield from _snapshot(world, without)
    yield from _latest(world, without)
    yield from _commits(world, without)
    if world.clock < EXPIRES_AT + 1:
        issued = world._replace(clock=world.clock + 1)
        yield f"timestamp {issued.clock} is issued to somebody", issued
    if world.heard < world.clock and without in {
        Rule.LATEST_DRAWS,
        Rule.VALUE_CACHED_NOT_ABSENCE,
    }:
        yield f"the holder of p sees {world.clock}", world._replace(heard=world.clock)
    if without is Rule.VALUE_CACHED_NOT_ABSENCE and _expired(world.heard):
        yield "the absence of p is cached", world._replace(absent_cached=True)


def _snapshot(world: World, without: Rule | None) -> Steps[World]:
    if not world.snapshot:
        if world.clock < ISSUED_LATEST:
            at = world.clock + 1
            yield (
                f"S draws R={at}",
                world._replace(clock=at, snapshot=at, history=world.history.begin("S")),
            )
    elif "S" not in dict(world.history.answered) and not world.requested:
        at = world.snapshot
        seen = {"p": _expired(at), "q": _expired(at), "w": int(0 < world.written <= at)}
        yield f"S reads {seen}", world._replace(history=world.history.answer("S", seen))
        if without is Rule.VALUE_CACHED_NOT_ABSENCE and world.absent_cached:
            seen["p"] = 1
            yield (
                f"S reads {seen}, p from the cache",
                world._replace(history=world.history.answer("S", seen)),
            )


def _latest(world: World, without: Rule | None) -> Steps[World]:
    """C reads p from the cache, G at its holder; each is one step, as late as possible."""
    for name, rule in (("C", Rule.CACHED_JUDGED_AT_R), ("G", Rule.LATEST_DRAWS)):
        if name in dict(world.history.answered):
            continue
        history = world.history.begin(name)
        if without is rule:
            p = 0 if name == "C" else _expired(world.heard)
            how = "its clock" if name == "C" else f"what the holder has seen, {world.heard}"
            answered = history.answer(name, {"p": p})
            yield f"{name} reads p={p}, judged by {how}", world._replace(history=answered)
        elif world.clock < ISSUED_LATEST:
            at = world.clock + 1
            p = _expired(at)
            yield (
                f"{name} draws R={at}, and reads p={p}",
                world._replace(clock=at, history=history.answer(name, {"p": p})),
            )


def _commits(world: World, without: Rule | None) -> Steps[World]:
    at = world.clock + 1
    if at > ISSUED_LATEST or "T" in dict(world.history.answered):
        return
    if world.found is None:
        yield (
            f"T draws R={at}, and reads p={_expired(at)}",
            world._replace(clock=at, found=_expired(at), history=world.history.begin("T")),
        )
    elif "T" not in world.history.begun:
        return
    elif not world.requested:
        yield "T locks w, is validated, and requests its timestamp", world._replace(requested=True)
    elif not world.found and _expired(at) and without is not Rule.COMMITS_BELOW_EXPIRY:
        yield (
            f"T draws {at}: what it read has expired, it fails",
            world._replace(clock=at, requested=False, history=world.history.refuse("T")),
        )
    else:
        seen = {"p": world.found}
        yield (
            f"T is durable at {at}, and answered",
            world._replace(
                clock=at, requested=False, written=at, history=world.history.answer("T", seen)
            ),
        )


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="two values that expire, and who reads them",
            start=World(),
            steps=steps,
            wrong=lambda world: JUDGE.wrong(world.history),
            needs=tuple(Rule),
        ),
    ),
)
