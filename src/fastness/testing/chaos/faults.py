"""What strikes: each fault hurts the cluster through its arena, and says how it is healed.

A fault is struck in a thread (`LaptopCluster` waits where it must). It lasts `lasts_s`, then it is
healed; from then on the cluster has to become whole by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from fastness.limits import Limits
from fastness.testing.chaos.arena import Arena, Touch

LONG_PAUSE_S = Limits().lease_ms * 2.5 / 1_000
"""Longer than a lease and the hesitation of whoever takes it over."""
SHORT_S = 1.0
DOWN_S = 6.0


@dataclass(slots=True, kw_only=True)
class Blow:
    """One fault that was struck."""

    member: str
    """Whom it hit."""
    touch: Touch
    lasts_s: float
    heal: Callable[[], object]
    failover: str = ""
    """The store in which another primary must come up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault."""

    name: str
    strike: Callable[[Arena], Blow]
    pairs: bool = False
    """Whether another of these may strike meanwhile: members of different sorts fail."""
    bound_s: float = 0.0
    """How soon ranges must serve again by the specification, counted from the blow; 0: no bound."""


def _kill_node(arena: Arena) -> Blow:
    name = arena.node()
    arena.cluster.kill(name)
    return Blow(
        member=name,
        touch=Touch(nodes=frozenset({arena.address(name)})),
        lasts_s=DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _pause_node(arena: Arena) -> Blow:
    """The leaseholder sleeps, its leases are taken, and it wakes with what it thinks it holds."""
    name = arena.node()
    arena.cluster.pause(name)
    return Blow(
        member=name,
        touch=Touch(nodes=frozenset({arena.address(name)})),
        lasts_s=LONG_PAUSE_S,
        heal=partial(arena.cluster.resume, name),
    )


def _kill_postgres(arena: Arena) -> Blow:
    store = arena.store()
    name = arena.cluster.primary_of(store)
    arena.cluster.kill_postgres(name)
    return Blow(
        member=name,
        touch=Touch(stores=frozenset({store})),
        lasts_s=0.0,
        heal=lambda: None,
        failover=store,
    )


def _kill_primary(arena: Arena) -> Blow:
    """PostgreSQL and its Patroni: promoted only once the lock in etcd has run out."""
    store = arena.store()
    name = arena.cluster.primary_of(store)
    arena.cluster.kill(name)
    return Blow(
        member=name,
        touch=Touch(stores=frozenset({store})),
        lasts_s=DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _kill_standby(arena: Arena) -> Blow:
    store = arena.store()
    name = arena.standby(store)
    arena.cluster.kill(name)
    return Blow(
        member=name,
        touch=Touch(stores=frozenset({store})),
        lasts_s=DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _kill_etcd(arena: Arena, *, leader: bool) -> Blow:
    name = arena.cluster.etcd_leader() if leader else arena.etcd_follower()
    arena.cluster.kill(name)
    return Blow(
        member=name, touch=Touch(), lasts_s=DOWN_S, heal=partial(arena.cluster.resume, name)
    )


_ALL = (
    Fault(name="kill-node", strike=_kill_node, pairs=True, bound_s=10.0),
    Fault(name="pause-node", strike=_pause_node, bound_s=10.0),
    Fault(name="kill-postgres", strike=_kill_postgres, pairs=True),
    Fault(name="kill-primary", strike=_kill_primary),
    Fault(name="kill-standby", strike=_kill_standby, pairs=True),
    Fault(name="kill-etcd-leader", strike=partial(_kill_etcd, leader=True)),
    Fault(name="kill-etcd-follower", strike=partial(_kill_etcd, leader=False), pairs=True),
)

FAULTS = {fault.name: fault for fault in _ALL}
"""Every kind by name."""
