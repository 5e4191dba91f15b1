"""Versionstamped keys: writes whose key is known only with the commit timestamp, exhaustively.

    python -m models versionstamped_keys

What is modelled. A journal is an interval of keys that end in a stamp. T, across ranges, and U, of
one range, append to it; T is prepared with a floor, decided, and applied some time later.
Whatever a stamp may become is one interval, which each locks, invalidates and, prepared,
keeps as its intent, from its floor on. Such locks admit each other, and nothing else. V scans the
journal at R_V and writes something else; it is validated when it joins, and waits for what may
change its scan. P erases the journal. S scans it at R. G is served the cached scan of the journal.
The range may split at stamp 2, where that does not lie inside the interval.

What is promised:

* strict serializability of all that they read;
* two appended entries never share a key, and nobody who only appends fails or waits for another;
* nothing appears in either part of a split journal at or below where it was scanned.

Bounds: two appends, one scan that commits, one erasure, one snapshot, one cached scan, one split.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import History, Judge, Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    SCANS_WAIT = "a scan at R passes an interval where a prepared stamp may fall"
    INTERVAL_INVALIDATED = "an append does not invalidate cached scans of its interval"
    READERS_VALIDATED = "a commit that scanned the interval does not wait for a prepared append"
    ERASURES_WAIT = "an erasure passes an interval where a prepared stamp may fall"
    APPENDS_ADMIT_EACH_OTHER = "an append fails on another append that is prepared"
    STAMPED_WITH_COMMIT = "the stamp is taken when the append is prepared"
    NO_SPLIT_INSIDE = "a range splits inside the interval of a prepared append"


class Stage(StrEnum):
    """How far an append has come."""

    NEW = "new"
    LOCKED = "locked"
    DRAWN = "drawn"
    APPLIED = "applied"


class Append(NamedTuple):
    """T or U."""

    stage: Stage = Stage.NEW
    floor: int = 0
    at: int = 0
    stamp: int = 0

    @property
    def pending(self) -> bool:
        """Whether it holds its interval."""
        return self.stage in {Stage.LOCKED, Stage.DRAWN}


SPLIT_AT = 2
"""Stamps from this on belong to the right child."""


class World(NamedTuple):
    """One state of everything."""

    caching: bool = False
    """There is a cache, and neither V nor P."""
    clock: int = 0
    across: Append = Append()
    """T."""
    within: Append = Append()
    """U."""
    survives: bool = False
    """T's entry appeared after the erasure, which did not reach it."""
    erased: int = 0
    """The commit timestamp of P."""
    scanning: tuple[tuple[str, int], ...] | None = None
    """What V has scanned, until it ends."""
    scanned_at: int = 0
    written: int = 0
    """The commit timestamp of V."""
    snapshot: int = 0
    cached: tuple[tuple[str, int], ...] | None = None
    split: bool = False
    right_scanned: int = 0
    """At which timestamp the right child was scanned."""
    history: History = History()
    wrong: str = ""


JUDGE = Judge({"T": {"t": 1}, "U": {"u": 1}, "P": {"t": 0, "u": 0, "p": 1}, "V": {"v": 1}})


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    yield from _across(world, without)
    yield from _within(world, without)
    yield from _reads(world, without)
    if world.caching:
        yield from _caches(world)
    else:
        yield from _scans_and_writes(world, without)
        yield from _erases(world, without)
    if not world.caching:
        yield from _splits(world, without)


def _entries(world: World, at: int) -> dict[str, int]:
    """What the journal holds at a timestamp: T's entry, U's entry."""
    found = {}
    for name, append in (("t", world.across), ("u", world.within)):
        there = append.stage is Stage.APPLIED and append.at <= at
        erased = append.at < world.erased <= at and not (name == "t" and world.survives)
        found[name] = int(there and not erased)
    return found


def _across(world: World, without: Rule | None) -> Steps[World]:
    mine, at = world.across, world.clock + 1
    if mine.stage is Stage.NEW:
        stamp = at if without is Rule.STAMPED_WITH_COMMIT else 0
        keeps = without is Rule.INTERVAL_INVALIDATED
        yield (
            f"T is prepared, floor {world.clock}",
            world._replace(
                across=Append(Stage.LOCKED, floor=world.clock, stamp=stamp),
                cached=world.cached if keeps else None,
                history=world.history.begin("T"),
            ),
        )
    elif mine.stage is Stage.LOCKED:
        stamp = mine.stamp or at
        yield (
            f"T is decided at {at}, and answered",
            world._replace(
                clock=at,
                across=mine._replace(stage=Stage.DRAWN, at=at, stamp=stamp),
                history=world.history.answer("T"),
            ),
        )
    elif mine.stage is Stage.DRAWN:
        wrong = ""
        if world.within.stage is Stage.APPLIED and world.within.stamp == mine.stamp:
            wrong = f"T and U have both written the key with stamp {mine.stamp}"
        elif SPLIT_AT <= mine.stamp <= world.right_scanned:
            wrong = f"T appears at {mine.stamp} where the right child was scanned before"
        yield (
            f"T is applied at {mine.at}",
            world._replace(
                across=mine._replace(stage=Stage.APPLIED),
                survives=world.erased > mine.at,
                wrong=wrong,
            ),
        )


def _within(world: World, without: Rule | None) -> Steps[World]:
    mine, at = world.within, world.clock + 1
    if mine.stage is Stage.NEW:
        if world.across.pending and without is Rule.APPENDS_ADMIT_EACH_OTHER:
            failed = world._replace(wrong="U fails, which only appends")
            yield "U meets the lock of T, and fails", failed
            return
        keeps = without is Rule.INTERVAL_INVALIDATED
        yield (
            "U joins, and its batch is frozen",
            world._replace(
                within=Append(Stage.LOCKED, floor=world.clock),
                cached=world.cached if keeps else None,
                history=world.history.begin("U"),
            ),
        )
    elif mine.stage is Stage.LOCKED:
        drawn = mine._replace(stage=Stage.DRAWN, at=at, stamp=at)
        yield f"U draws {at}", world._replace(clock=at, within=drawn)
    elif mine.stage is Stage.DRAWN:
        yield (
            "U is durable, and answered",
            world._replace(
                within=mine._replace(stage=Stage.APPLIED), history=world.history.answer("U")
            ),
        )


def _scans_and_writes(world: World, without: Rule | None) -> Steps[World]:
    """V scans at R_V, and commits something else if its scan is still true."""
    at = world.clock + 1
    if world.scanning is None:
        if not world.scanned_at and not world.across.pending and not world.within.pending:
            found = _entries(world, at)
            yield (
                f"V scans {_told(found)} at R={at}",
                world._replace(
                    clock=at,
                    scanning=tuple(found.items()),
                    scanned_at=at,
                    history=world.history.begin("V"),
                ),
            )
        return
    waits = world.across.pending and without is not Rule.READERS_VALIDATED
    if waits or world.within.pending:
        return
    ended = world._replace(scanning=None)
    applied = [one.at for one in (world.across, world.within) if one.stage is Stage.APPLIED]
    if max([world.erased, *applied]) > world.scanned_at:
        yield (
            "V's scan is no longer true: it fails",
            ended._replace(history=world.history.refuse("V")),
        )
    else:
        yield (
            f"V commits at {at}, and is answered",
            ended._replace(
                clock=at, written=at, history=world.history.answer("V", dict(world.scanning))
            ),
        )


def _erases(world: World, without: Rule | None) -> Steps[World]:
    """P erases every entry there is."""
    waits = world.across.pending and without is not Rule.ERASURES_WAIT
    if not world.erased and not waits and not world.within.pending:
        at = world.clock + 1
        yield (
            f"P erases the journal at {at}, and is answered",
            world._replace(
                clock=at,
                erased=at,
                cached=None,
                history=world.history.begin("P").answer("P"),
            ),
        )


def _reads(world: World, without: Rule | None) -> Steps[World]:
    """S scans at R."""
    if not world.snapshot:
        at = world.clock + 1
        yield (
            f"S draws R={at}",
            world._replace(clock=at, snapshot=at, history=world.history.begin("S")),
        )
    elif "S" not in dict(world.history.answered):
        at = world.snapshot
        held_up = world.within.pending and at > world.within.floor
        if without is not Rule.SCANS_WAIT:
            held_up = held_up or (world.across.pending and at > world.across.floor)
        if not held_up:
            seen = _entries(world, at)
            seen["v"] = int(0 < world.written <= at)
            seen["p"] = int(0 < world.erased <= at)
            yield (
                f"S reads {_told(seen)} at R={at}",
                world._replace(history=world.history.answer("S", seen)),
            )


def _caches(world: World) -> Steps[World]:
    """The cache is filled, and G served from it."""
    if world.cached is None and not world.across.pending and not world.within.pending:
        found = _entries(world, world.clock)
        filled = world._replace(cached=tuple(found.items()))
        yield f"the scan {_told(found)} is cached", filled
    if world.cached is not None and "G" not in dict(world.history.answered):
        seen = dict(world.cached)
        history = world.history.begin("G").answer("G", seen)
        yield f"G is served {_told(seen)} from the cache", world._replace(history=history)


def _splits(world: World, without: Rule | None) -> Steps[World]:
    """The range splits under T's intent, which goes where its interval begins; one child is read.

    Above its floor the intent's interval may lie in the right child whole: then it goes there.
    """
    inside = world.across.floor + 1 < SPLIT_AT
    pending = world.across.pending
    if pending and not world.split and (not inside or without is Rule.NO_SPLIT_INSIDE):
        yield f"the range splits at stamp {SPLIT_AT}", world._replace(split=True)
    waits = pending and not inside
    if world.split and not world.right_scanned and not waits:
        at = world.clock + 1
        yield f"the right child is scanned at R={at}", world._replace(clock=at, right_scanned=at)


def _told(seen: dict[str, int]) -> str:
    return " ".join(f"{key}={value}" for key, value in seen.items())


def _wrong(world: World) -> str:
    """The promise that is broken."""
    return world.wrong or JUDGE.wrong(world.history)


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="a journal that is appended to, scanned and erased",
            start=World(),
            steps=steps,
            wrong=_wrong,
            needs=(
                Rule.SCANS_WAIT,
                Rule.READERS_VALIDATED,
                Rule.ERASURES_WAIT,
                Rule.APPENDS_ADMIT_EACH_OTHER,
                Rule.STAMPED_WITH_COMMIT,
                Rule.NO_SPLIT_INSIDE,
            ),
        ),
        Scenario(
            name="a journal that is appended to and cached",
            start=World(caching=True),
            steps=steps,
            wrong=_wrong,
            needs=(Rule.INTERVAL_INVALIDATED,),
        ),
    ),
)
