"""Closed timestamps, and who follows changes up to them, exhaustively.

    python -m models closed_timestamps

What is modelled. A range holds p and q. A batch writes p: its block is requested, drawn by the
oracle, brought, and the batch is applied. T, a transaction across ranges, writes q: it is
prepared with a floor, decided at C, and applied some time later. The holder also hears of
timestamps from readers that show them. It raises its closed timestamp whenever it can: to what it
knows to have been issued, but not past the floor noted when a block still unapplied was
requested, nor past the floor of an intent not yet applied. The range may get another holder,
which then knows what the store holds; it may split between p and q, and merge again.
A split and a merge are batches of their own, so no other is under way.

A feed reads the changes of each key up to closed, at once whenever closed rises, since to read
later only frees it. A copy (a backup, a move) takes everything up to closed, and follows what is
above: in the protocol it has what the feed has. Old versions are pruned, up to closed at most.

What is promised:

* no commit appears at or below what a feed or a copy has been given as complete;
* who has read all that is closed is not told that what follows was pruned.

Bounds: one batch, one transaction, timestamps up to 3, one new holder, one split and one merge.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    ONLY_ISSUED = "closed follows the holder's clock, above what was issued"
    NOT_PAST_REQUESTED = "closed stops at a block that was brought, not at one requested"
    NOT_PAST_UNRESOLVED = "closed stops at the floor of undecided intents, not of unresolved ones"
    FLOORS_ARE_STORED = "a new holder takes a new floor for the intents it loads"
    UNDER_LEASE = "a deposed holder goes on closing"
    SPLIT_CARRIES_FLOORS = "a child of a split does not know the floors of its intents"
    MERGE_TAKES_LOWEST = "a merge takes the higher of two closed timestamps"
    COPY_FOLLOWS_CLOSED = "a copy follows changes from the highest applied on"
    PRUNED_BELOW_CLOSED = "the horizon rises to what was applied, past closed"


ISSUED_LATEST = 3
"""No later timestamp than this is drawn."""


class Stage(StrEnum):
    """How far the batch, or T, has come."""

    NEW = "new"
    REQUESTED = "requested"
    """A block was requested; T is prepared."""
    DRAWN = "drawn"
    """The oracle has drawn it, and the holder does not know; T is decided."""
    BROUGHT = "brought"
    APPLIED = "applied"
    LOST = "lost"


class Write(NamedTuple):
    """The batch, or T."""

    stage: Stage = Stage.NEW
    floor: int = 0
    at: int = 0


class Part(NamedTuple):
    """What the holder of a key knows, and what those who follow that key were given."""

    known: int = 0
    """The highest timestamp known to have been issued."""
    closed: int = 0
    given: int = 0
    """Up to where the changes of the key were given as complete: the highest closed so far."""


class Layout(StrEnum):
    """Which ranges there are."""

    ONE = "one range"
    SPLIT = "split"
    MERGED = "merged"


class World(NamedTuple):
    """One state of everything."""

    clock: int = 0
    batch: Write = Write()
    intent: Write = Write()
    p: Part = Part()
    q: Part = Part()
    """Equal to `p`, but for `given`, while one range holds both."""
    layout: Layout = Layout.ONE
    taken_over: bool = False
    wrong: str = ""


def steps(world: World, without: Rule | None) -> Steps[World]:
    """Everything that can happen next."""
    if world.clock < ISSUED_LATEST:
        at = world.clock + 1
        shown = world._replace(clock=at)
        yield f"a reader at R={at} shows it to the holder of p", _knows_p(shown, at)
        yield f"a reader at R={at} shows it to the holder of q", _knows_q(shown, at)
    yield from _batch(world)
    yield from _intent(world)
    yield from _closes(world, without)
    yield from _follows(world, without)
    yield from _changes(world, without)


def _knows_p(world: World, at: int) -> World:
    """The holder of p, which may be that of q too, learns that a timestamp was issued."""
    after = world._replace(p=world.p._replace(known=max(at, world.p.known)))
    if world.layout is not Layout.SPLIT:
        after = after._replace(q=world.q._replace(known=max(at, world.q.known)))
    return after


def _knows_q(world: World, at: int) -> World:
    if world.layout is not Layout.SPLIT:
        return _knows_p(world, at)
    return world._replace(q=world.q._replace(known=max(at, world.q.known)))


def _batch(world: World) -> Steps[World]:
    batch = world.batch
    if batch.stage is Stage.NEW:
        requested = Write(Stage.REQUESTED, floor=world.p.known)
        yield "a block is requested for the batch of p", world._replace(batch=requested)
    elif batch.stage is Stage.REQUESTED and world.clock < ISSUED_LATEST:
        at = world.clock + 1
        drawn = batch._replace(stage=Stage.DRAWN, at=at)
        yield f"the oracle draws {at} for it", world._replace(clock=at, batch=drawn)
    elif batch.stage is Stage.DRAWN:
        brought = world._replace(batch=batch._replace(stage=Stage.BROUGHT))
        yield "the block is brought", _knows_p(brought, batch.at)
    elif batch.stage is Stage.BROUGHT:
        applied = world._replace(batch=batch._replace(stage=Stage.APPLIED))
        yield f"the batch is applied at {batch.at}", _appears(applied, batch.at, world.p)


def _intent(world: World) -> Steps[World]:
    intent = world.intent
    if intent.stage is Stage.NEW:
        prepared = Write(Stage.REQUESTED, floor=world.q.known)
        yield f"T is prepared, floor {world.q.known}", world._replace(intent=prepared)
    elif intent.stage is Stage.REQUESTED and world.clock < ISSUED_LATEST:
        at = world.clock + 1
        decided = intent._replace(stage=Stage.DRAWN, at=at)
        yield f"T is decided at {at}", world._replace(clock=at, intent=decided)
    elif intent.stage is Stage.DRAWN:
        applied = world._replace(intent=intent._replace(stage=Stage.APPLIED))
        yield (
            f"T is applied at {intent.at}",
            _appears(_knows_q(applied, intent.at), intent.at, world.q),
        )


def _appears(world: World, at: int, part: Part) -> World:
    """A commit appears; whether it is too late for those who follow."""
    wrong = ""
    if at <= part.given:
        wrong = f"a commit appears at {at}, and all up to {part.given} was given as complete"
    return world._replace(wrong=wrong)


def _limit(world: World, key: str, without: Rule | None) -> int:
    """How far the holder of a key may close."""
    part = world.p if key == "p" else world.q
    together = world.layout is not Layout.SPLIT
    limit = part.known + (without is Rule.ONLY_ISSUED)
    batch, intent = world.batch, world.intent
    if key == "p" or together:
        if batch.stage in {Stage.REQUESTED, Stage.DRAWN}:
            if without is not Rule.NOT_PAST_REQUESTED:
                limit = min(limit, batch.floor)
        elif batch.stage is Stage.BROUGHT:
            limit = min(limit, batch.at - 1)
    if key == "q" or together:
        unresolved = {Stage.REQUESTED, Stage.DRAWN}
        if without is Rule.NOT_PAST_UNRESOLVED:
            unresolved = {Stage.REQUESTED}
        if intent.stage in unresolved:
            limit = min(limit, intent.floor)
    return limit


def _closed(part: Part, at: int) -> Part:
    return part._replace(closed=at, given=max(at, part.given))


def _closes(world: World, without: Rule | None) -> Steps[World]:
    limit = _limit(world, "p", without)
    if limit > world.p.closed:
        after = world._replace(p=_closed(world.p, limit))
        if world.layout is not Layout.SPLIT:
            after = after._replace(q=_closed(world.q, limit))
        yield f"the holder of p closes up to {limit}", after
    if world.layout is Layout.SPLIT:
        limit = _limit(world, "q", without)
        if limit > world.q.closed:
            closed = world._replace(q=_closed(world.q, limit))
            yield f"the holder of q closes up to {limit}", closed


def _follows(world: World, without: Rule | None) -> Steps[World]:
    """A copy is taken and versions are pruned, where they do not keep to closed."""
    applied = [one.at for one in (world.batch, world.intent) if one.stage is Stage.APPLIED]
    highest, closed = max([0, *applied]), world.p.closed
    if world.layout is not Layout.ONE or highest <= closed:
        return
    if without is Rule.COPY_FOLLOWS_CLOSED:
        yield (
            f"a copy takes everything up to {highest}",
            world._replace(p=world.p._replace(given=highest), q=world.q._replace(given=highest)),
        )
    if without is Rule.PRUNED_BELOW_CLOSED:
        yield (
            f"versions are pruned up to {highest}",
            world._replace(
                wrong=f"who has read all up to {closed}, which is closed, is refused what follows"
            ),
        )


def _changes(world: World, without: Rule | None) -> Steps[World]:
    """Another holder, a split, a merge."""
    idle = world.batch.stage in {Stage.NEW, Stage.APPLIED, Stage.LOST}
    if world.layout is Layout.ONE and not world.taken_over:
        yield "another node takes the range over", _taken_over(world, without)
    if world.layout is Layout.ONE and world.taken_over and without is Rule.UNDER_LEASE:
        yield (
            f"the deposed holder hears of {world.clock}, and closes up to it",
            world._replace(p=world.p._replace(given=world.clock)),
        )
    if world.layout is Layout.ONE and idle:
        intent = world.intent
        if without is Rule.SPLIT_CARRIES_FLOORS:
            intent = intent._replace(floor=ISSUED_LATEST)
        yield "the range splits between p and q", world._replace(layout=Layout.SPLIT, intent=intent)
    elif world.layout is Layout.SPLIT and idle:
        closed = min(world.p.closed, world.q.closed)
        if without is Rule.MERGE_TAKES_LOWEST:
            closed = max(world.p.closed, world.q.closed)
        known = max(world.p.known, world.q.known)
        yield (
            "the ranges merge",
            world._replace(
                layout=Layout.MERGED,
                p=_closed(world.p._replace(known=known), closed),
                q=_closed(world.q._replace(known=known), closed),
            ),
        )


def _taken_over(world: World, without: Rule | None) -> World:
    """A new holder knows what the store holds; a batch not applied is fenced, and lost."""
    batch, intent = world.batch, world.intent
    if batch.stage in {Stage.REQUESTED, Stage.DRAWN, Stage.BROUGHT}:
        batch = Write(Stage.LOST)
    stored = [one.at for one in (batch, intent) if one.stage is Stage.APPLIED]
    known = max([0, *stored])
    if without is Rule.FLOORS_ARE_STORED and intent.stage in {Stage.REQUESTED, Stage.DRAWN}:
        intent = intent._replace(floor=known)
    return world._replace(
        taken_over=True,
        batch=batch,
        intent=intent,
        p=world.p._replace(known=known, closed=0),
        q=world.q._replace(known=known, closed=0),
    )


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        Scenario(
            name="a batch, an intent, who follows them, and a changing range",
            start=World(),
            steps=steps,
            wrong=lambda world: world.wrong,
            needs=tuple(Rule),
        ),
    ),
)
