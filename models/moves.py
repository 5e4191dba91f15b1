"""A range that moves to another store, broken off and begun again, with requests that come late.

    python -m models moves

What is modelled. A holds a range and moves it: it records the target, opens it, drops what earlier
residents left in the interval there, opens it again, loads all there is, rests, loads the last, and
flips the range's descriptor. B may take the range over at any time before the flip, while A, who
does not know, goes on. B removes what the record tells of: it opens the target at a higher epoch,
drops its rows, closes it, and moves the range itself, to the same interval of the same store under
another id. Clients commit wherever the range is served. Every drop and every load that was ever
sent may be carried out by the store at any later time, once more or for the first time.

What is promised: whoever serves the range has every acknowledged commit, and nothing else.

Rows are modelled as how many of the commits they hold, and whether there are others' among them.
Left out are digests (they find mistakes, not races), pruning, and the removal of the source.
Bounds: two commits, two moves, one load of each of which the answer is lost.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple, TypeVar

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    RECORDED_FIRST = "the target is opened without a record that tells of it"
    WAY_CLEARED = "what earlier residents left in the interval stays"
    CLEARED_AT_ITS_OWN_EPOCH = "the way is cleared at the epoch at which is loaded"
    LOADS_NUMBERED = "a load is fenced by its epoch alone, not by its number"
    LAST_AT_REST = "the last load is made while the range still commits"
    FLIP_COMPARES = "the flip puts the new descriptor in place of whatever there is"
    CLOSED_AT_LAST = "a target given up is emptied, and not closed"


class Phase(IntEnum):
    """How far a move is."""

    IDLE = 0
    RECORDED = 1
    OPENED = 2
    CLEARED = 3
    BUILDING = 4
    COPIED = 5
    RESTING = 6
    READY = 7
    OVER = 8


class Tidying(IntEnum):
    """How far B is with what A's move left behind."""

    NOT_HOLDING = 0
    FOUND = 1
    OPENED = 2
    DROPPED = 3
    DONE = 4


class Mover(NamedTuple):
    """A move, as its node sees it."""

    phase: Phase = Phase.IDLE
    number: int = 0
    """Of the load sent last."""
    doubted: bool = False
    """Whether an answer was lost once."""


class Target(NamedTuple):
    """The row of a range being built, in the store it is carried to."""

    epoch: int = 0
    number: int = 0
    closed: bool = False


class Late(NamedTuple):
    """A request that the store may carry out at any time: a load of `rows`, or a drop."""

    child: int
    epoch: int
    number: int = 0
    rows: int | None = None


COMMITS = 2
RAISED = 3
"""The epoch at which B opens the target that A's record tells of."""


T = TypeVar("T")


def _with(pair: tuple[T, T], place: int, one: T) -> tuple[T, T]:
    """The pair with another one in a place."""
    return (one, pair[1]) if place == 0 else (pair[0], one)


class World(NamedTuple):
    """One state of everything."""

    acknowledged: int = 1
    source: int = 1
    """Commits in the source."""
    rows: int = 0
    """Commits in the interval of the other store."""
    others: bool = True
    """Whether rows of earlier residents are there."""
    holder: int = 0
    """Whose epoch the source is open at: 0 is A, 1 is B."""
    served: int | None = None
    """The child that the descriptor names, `None`: the source."""
    movers: tuple[Mover, Mover] = (Mover(), Mover())
    targets: tuple[Target, Target] = (Target(), Target())
    tidying: Tidying = Tidying.NOT_HOLDING
    recorded: bool = False
    """Whether the source has a record of child 0."""
    late: frozenset[Late] = frozenset()

    def moving(self, who: int, phase: Phase, **changes: object) -> World:
        """A mover in another phase."""
        mover = self.movers[who]._replace(phase=phase, **changes)
        return self._replace(movers=_with(self.movers, who, mover))

    def targeting(self, child: int, target: Target) -> World:
        """The row of a target changed."""
        return self._replace(targets=_with(self.targets, child, target))


NAMES = ("A", "B")


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    yield from _clients(world)
    yield from _mover(world, 0, without)
    if world.holder == 0 and world.served is None:
        found = Tidying.FOUND if world.recorded else Tidying.DONE
        yield "B takes the range over", world._replace(holder=1, tidying=found)
    yield from _tidying(world, without)
    if world.tidying is Tidying.DONE:
        yield from _mover(world, 1, without)
    for request in world.late:
        after = _carried_out(world, request, without)
        if after is not None:
            what = "drop" if request.rows is None else "load"
            yield f"a late {what} of child {request.child} is carried out", after


def _clients(world: World) -> Steps[World]:
    if world.acknowledged == COMMITS:
        return
    if world.served is not None:
        more = world._replace(rows=world.rows + 1, acknowledged=world.acknowledged + 1)
        target = world.targets[world.served]
        more = more.targeting(world.served, target._replace(number=target.number + 1))
        yield f"a commit in child {world.served}", more
    elif world.movers[world.holder].phase not in {Phase.RESTING, Phase.READY}:
        more = world._replace(source=world.source + 1, acknowledged=world.acknowledged + 1)
        yield f"a commit in the source, by {NAMES[world.holder]}", more


def _mover(world: World, who: int, without: Rule | None) -> Steps[World]:
    if world.movers[who].phase < Phase.BUILDING:
        yield from _clearing(world, who, without)
    else:
        yield from _building(world, who, without)


def _built_at(without: Rule | None) -> int:
    """The epoch at which is loaded."""
    return 1 if without is Rule.CLEARED_AT_ITS_OWN_EPOCH else 2


def _clearing(world: World, who: int, without: Rule | None) -> Steps[World]:
    name, mover = NAMES[who], world.movers[who]
    if mover.phase is Phase.IDLE:
        if world.holder != who or world.served is not None:
            return
        known = who == 0 and without is not Rule.RECORDED_FIRST
        after = world._replace(recorded=world.recorded or known)
        yield f"{name} records its target", after.moving(who, Phase.RECORDED)
    elif mover.phase is Phase.RECORDED:
        yield f"{name} opens its target", _opened(world, who, 1, Phase.OPENED)
    elif mover.phase is Phase.OPENED and without is Rule.WAY_CLEARED:
        yield f"{name} drops nothing", world.moving(who, Phase.CLEARED)
    elif mover.phase is Phase.OPENED:
        yield f"{name} clears the way", _sent(world, who, Late(who, 1), Phase.CLEARED, without)
    elif without is Rule.CLEARED_AT_ITS_OWN_EPOCH:
        yield f"{name} begins to load", world.moving(who, Phase.BUILDING)
    else:
        after = _opened(world, who, _built_at(without), Phase.BUILDING)
        yield f"{name} opens its target again", after


def _building(world: World, who: int, without: Rule | None) -> Steps[World]:
    name, mover = NAMES[who], world.movers[who]
    if mover.phase is Phase.BUILDING:
        yield from _load(world, who, Phase.COPIED, without)
    elif mover.phase is Phase.COPIED and without is Rule.LAST_AT_REST:
        yield f"{name} takes all for carried", world.moving(who, Phase.READY)
    elif mover.phase is Phase.COPIED:
        yield f"{name} lets the range rest", world.moving(who, Phase.RESTING)
    elif mover.phase is Phase.RESTING:
        yield from _load(world, who, Phase.READY, without)
    elif mover.phase is Phase.READY:
        after = world.moving(who, Phase.OVER)
        if world.served is None and (world.holder == who or without is Rule.FLIP_COMPARES):
            after = after._replace(served=who)
        yield f"{name} flips the descriptor, or finds it changed", after


def _opened(world: World, child: int, epoch: int, phase: Phase) -> World:
    """A target opened by its mover, which gives up where it is fenced."""
    target = world.targets[child]
    if target.closed or target.epoch >= epoch:
        return world.moving(child, Phase.OVER)
    return world.targeting(child, target._replace(epoch=epoch)).moving(child, phase)


def _load(world: World, who: int, phase: Phase, without: Rule | None) -> Steps[World]:
    name, mover, epoch = NAMES[who], world.movers[who], _built_at(without)
    load = Late(who, epoch, mover.number + 1, world.source)
    numbered = world.moving(who, mover.phase, number=load.number)
    yield f"{name} loads", _sent(numbered, who, load, phase, without)
    target = world.targets[who]
    if not mover.doubted and not target.closed and target.epoch == epoch:
        # Asked after it, the store uses its number up.
        used = numbered.targeting(who, target._replace(number=load.number))
        used = used._replace(late=used.late | {load})
        again = used.moving(who, mover.phase, doubted=True)
        yield f"{name} loads, hears nothing, and asks: it never will be", again


def _sent(world: World, who: int, request: Late, phase: Phase, without: Rule | None) -> World:
    """A request carried out at once; it may come again. Its mover gives up where it is fenced."""
    after = _carried_out(world, request, without)
    if after is None:
        return world.moving(who, Phase.OVER)
    return after._replace(late=after.late | {request}).moving(who, phase)


def _carried_out(world: World, request: Late, without: Rule | None) -> World | None:
    """What a store makes of a request, `None` where it is fenced."""
    target = world.targets[request.child]
    if target.closed or target.epoch != request.epoch:
        return None
    if request.rows is None:
        return world._replace(rows=0, others=False)
    if request.number != target.number + 1 and without is not Rule.LOADS_NUMBERED:
        return None
    target = target._replace(number=max(target.number, request.number))
    return world.targeting(request.child, target)._replace(rows=request.rows)


def _tidying(world: World, without: Rule | None) -> Steps[World]:
    target = world.targets[0]
    if world.tidying is Tidying.FOUND:
        opened = world.targeting(0, target._replace(epoch=RAISED))
        yield "B opens what A left behind", opened._replace(tidying=Tidying.OPENED)
    elif world.tidying is Tidying.OPENED:
        dropped = world._replace(rows=0, others=False, late=world.late | {Late(0, RAISED)})
        yield "B drops what A left behind", dropped._replace(tidying=Tidying.DROPPED)
    elif world.tidying is Tidying.DROPPED:
        closed = target._replace(closed=without is not Rule.CLOSED_AT_LAST)
        yield "B closes it", world.targeting(0, closed)._replace(tidying=Tidying.DONE)


def wrong(world: World) -> str:
    """The promise that is broken."""
    if world.served is None:
        return "" if world.source == world.acknowledged else "the source lacks a commit"
    if world.rows < world.acknowledged:
        return f"child {world.served} is served, and lacks a commit that was acknowledged"
    return f"child {world.served} is served with rows of others" if world.others else ""


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="a move, its heir and a move of the heir's, with late drops and loads",
            start=World(),
            steps=steps,
            wrong=wrong,
            needs=tuple(Rule),
        ),
    ),
)
