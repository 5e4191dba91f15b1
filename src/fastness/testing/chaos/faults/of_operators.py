"""What operators do: restart everything in turn, each member once the one before is back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fastness.errors import DeadlineExceeded
from fastness.testing.chaos.arena import Arena, Touch
from fastness.testing.chaos.faults.contract import Blow, Fault

BACK_S = 120.0
LOOK_S = 0.1


def _roll(arena: Arena, names: Sequence[str], what: str) -> Blow:
    """Stop each orderly (a node drains), start it again, and wait until all is whole."""
    cluster = arena.cluster
    for name in names:
        cluster.stop_member(name)
        cluster.resume(name)
        give_up = time.monotonic() + BACK_S
        while not cluster.is_whole():
            if time.monotonic() > give_up:
                raise DeadlineExceeded(f"{name} was restarted, and not back after {BACK_S:.0f} s")
            time.sleep(LOOK_S)
    return Blow(member=what, touch=Touch(everything=True), lasts_s=0.0, heal=_nothing)


def _nothing() -> None:
    """All is back."""


def _nodes(arena: Arena) -> Blow:
    return _roll(arena, [one.place.name for one in arena.cluster.nodes], "every node")


def _etcd(arena: Arena) -> Blow:
    leader = arena.cluster.etcd_leader()
    names = [one.place.name for one in arena.cluster.etcd if one.place.name != leader]
    return _roll(arena, [*names, leader], "every member of etcd")


def _stores(arena: Arena) -> Blow:
    """Standbys first, primaries last."""
    names = []
    for store in arena.cluster.stores:
        names += [*arena.cluster.standbys_of(store), arena.cluster.primary_of(store)]
    return _roll(arena, names, "every server of every store")


OPERATORS = (
    Fault(name="roll-nodes", strike=_nodes),
    Fault(name="roll-etcd", strike=_etcd),
    Fault(name="roll-stores", strike=_stores),
)
