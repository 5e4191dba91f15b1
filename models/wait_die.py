"""Waiting and dying: no transaction waits for another that waits for it, exhaustively.

    python -m models wait_die

What is modelled. Transactions across ranges prepare in each of their ranges, in any order, and
keep what they have locked until both prepares are done and the decision is applied. A prepare
that meets the lock of an older one dies, and with it its transaction; one that meets a
younger's waits. Who is older is told by the first attempt's timestamp and, where two share
one, by the id. A one-range commit holds nothing while it waits, never dies, and locks only for the
moment of its batch. A transaction that starved has reserved what it will write: a younger
prepare that needs it dies too, for it may hold locks elsewhere that the starving one waits to
read.

What is promised: whatever happens, everybody ends; nobody waits for ever.

Bounds: two or three transactions, two ranges, each transaction tried once.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from models.checker import Model, Scenario, Steps


class Rule(Enum):
    """A rule of the protocol, left out to see what it is for."""

    YOUNGER_DIES = "a younger prepare waits for an older one as well"
    NO_TIES = "of two first attempts with one timestamp, neither is the older"
    WAITS_WITHOUT_LOCKS = "a one-range commit locks what is free while it waits for the rest"
    RESERVED_KILLS = "a younger prepare waits for a reservation instead of dying of it"


class Actor(NamedTuple):
    """A transaction: what it locks, by range, and when it was first tried."""

    name: str
    first_attempt: int
    needs: tuple[str, ...]
    """The keys it locks in each of its ranges, a letter each."""
    reserves: str = ""
    """What it has reserved, for it starved; it reads `needs` before it ends."""


class World(NamedTuple):
    """Who holds what, and who has ended."""

    locks: frozenset[tuple[str, str]] = frozenset()
    """Key and who holds it."""
    prepared: frozenset[tuple[str, str]] = frozenset()
    """The keys of one range, and whose prepare is done there."""
    ended: frozenset[str] = frozenset()


class Actors:
    """What some transactions may do next."""

    def __init__(self, *actors: Actor) -> None:
        """The order in which they are given is that of their ids."""
        self.actors = actors

    def steps(self, world: World, without: Rule | None) -> Steps[World]:
        """Everything that can happen next."""
        for actor in self.actors:
            if actor.name in world.ended:
                continue
            if actor.reserves:
                yield from self._reads(world, actor)
            elif len(actor.needs) == 1:
                yield from self._commits(world, actor, without)
            else:
                for keys in actor.needs:
                    if (keys, actor.name) not in world.prepared:
                        yield from self._prepares(world, actor, keys, without)
                if all((keys, actor.name) in world.prepared for keys in actor.needs):
                    yield f"{actor.name} is decided, and applied", _end(world, actor)

    def stuck(self, world: World) -> str:
        """Who waits for ever, where nothing more can happen."""
        waiting = [actor.name for actor in self.actors if actor.name not in world.ended]
        return f"{' and '.join(waiting)} wait for ever" if waiting else ""

    def _prepares(
        self, world: World, actor: Actor, keys: str, without: Rule | None
    ) -> Steps[World]:
        for other in self._in_the_way(world, actor, keys):
            ends_by_itself = len(other.needs) == 1 and not other.reserves
            dies = not ends_by_itself and self._older(other, actor, without)
            if other.reserves and without is Rule.RESERVED_KILLS:
                dies = False
            if dies and without is not Rule.YOUNGER_DIES:
                yield f"{actor.name} meets {other.name} on {keys}, and dies", _end(world, actor)
                return
        if not self._in_the_way(world, actor, keys):
            locked = world.locks | {(key, actor.name) for key in keys}
            prepared = world.prepared | {(keys, actor.name)}
            yield f"{actor.name} prepares {keys}", world._replace(locks=locked, prepared=prepared)

    def _in_the_way(self, world: World, actor: Actor, keys: str) -> list[Actor]:
        """Who holds any of the keys, or has reserved it and is older."""
        found = []
        for other in self.actors:
            if other is actor or other.name in world.ended:
                continue
            holds = any((key, other.name) in world.locks for key in keys)
            reserved = set(keys) & set(other.reserves) and self._older(other, actor, None)
            if holds or reserved:
                found.append(other)
        return found

    def _older(self, one: Actor, other: Actor, without: Rule | None) -> bool:
        if one.first_attempt != other.first_attempt or without is Rule.NO_TIES:
            return one.first_attempt < other.first_attempt
        return self.actors.index(one) < self.actors.index(other)

    def _commits(self, world: World, actor: Actor, without: Rule | None) -> Steps[World]:
        (keys,) = actor.needs
        if not self._in_the_way(world, actor, keys):
            yield f"{actor.name} commits {keys} in one range", _end(world, actor)
        elif without is Rule.WAITS_WITHOUT_LOCKS:
            free = {key for key in keys if not self._in_the_way(world, actor, key)}
            mine = {(key, actor.name) for key in free}
            if not mine <= world.locks:
                what = f"{actor.name} locks {''.join(sorted(free))}, and waits for the rest"
                yield what, world._replace(locks=world.locks | mine)

    def _reads(self, world: World, actor: Actor) -> Steps[World]:
        """It reads what it needs, which waits for whoever has prepared it, and commits."""
        if not any(self._in_the_way(world, actor, keys) for keys in actor.needs):
            yield f"{actor.name} reads, commits, and gives its reservation up", _end(world, actor)


def _end(world: World, actor: Actor) -> World:
    return World(
        locks=frozenset(pair for pair in world.locks if pair[1] != actor.name),
        prepared=frozenset(pair for pair in world.prepared if pair[1] != actor.name),
        ended=world.ended | {actor.name},
    )


def _scenario(name: str, actors: Actors, *needs: Rule) -> Scenario[World, Rule]:
    return Scenario(
        name=name,
        start=World(),
        steps=actors.steps,
        wrong=lambda _world: "",
        stuck=actors.stuck,
        needs=needs,
    )


MODEL = Model(
    rules=tuple(Rule),
    scenarios=(
        _scenario(
            "two transactions across the same two ranges",
            Actors(Actor("T1", 1, ("a", "b")), Actor("T2", 2, ("a", "b"))),
            Rule.YOUNGER_DIES,
        ),
        _scenario(
            "two transactions first tried at one timestamp",
            Actors(Actor("T1", 1, ("a", "b")), Actor("T2", 1, ("a", "b"))),
            Rule.NO_TIES,
        ),
        _scenario(
            "a one-range commit between two transactions across ranges",
            Actors(Actor("T1", 1, ("a", "b")), Actor("T2", 2, ("k", "b")), Actor("W", 3, ("ak",))),
            Rule.WAITS_WITHOUT_LOCKS,
        ),
        _scenario(
            "a starving transaction and a younger one across ranges",
            Actors(Actor("T1", 2, ("a", "b")), Actor("T2", 1, ("b",), reserves="a")),
            Rule.RESERVED_KILLS,
        ),
    ),
)
