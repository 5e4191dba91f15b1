"""Processes that are killed, and processes that are paused and wake up."""

from __future__ import annotations

from functools import partial

from fastness.testing.chaos.arena import Arena, Touch
from fastness.testing.chaos.faults.contract import DOWN_S, LONG_S, PATRONI_TTL_S, Blow, Fault


def _node(arena: Arena, *, pauses: bool) -> Blow:
    """Paused, it sleeps while its leases are taken, and wakes with what it thinks it holds."""
    name = arena.node()
    (arena.cluster.pause if pauses else arena.cluster.kill)(name)
    return Blow(
        member=name,
        touch=arena.touch_of(name),
        lasts_s=LONG_S if pauses else DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _postgres(arena: Arena) -> Blow:
    name = arena.cluster.primary_of(arena.store())
    postmaster = arena.postmaster(name)
    arena.cluster.kill_postgres(name)
    return Blow(
        member=name,
        touch=arena.touch_of(name),
        lasts_s=0.0,
        heal=_nothing,
        deposed=name,
        postmaster=postmaster,
    )


def _nothing() -> None:
    """Patroni starts it again."""


def _primary(arena: Arena, *, pauses: bool) -> Blow:
    """PostgreSQL with its Patroni: another is promoted once the lock in etcd has run out.

    A paused one wakes as a primary that was deposed, and does not know it yet.
    """
    name = arena.cluster.primary_of(arena.store())
    (arena.cluster.pause if pauses else arena.cluster.kill)(name)
    return Blow(
        member=name,
        touch=arena.touch_of(name),
        lasts_s=PATRONI_TTL_S * 1.5 if pauses else DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _standby(arena: Arena, *, pauses: bool) -> Blow:
    name = arena.standby(arena.store())
    (arena.cluster.pause if pauses else arena.cluster.kill)(name)
    return Blow(
        member=name,
        touch=arena.touch_of(name),
        lasts_s=LONG_S if pauses else DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _etcd(arena: Arena, *, leads: bool, pauses: bool = False) -> Blow:
    name = arena.cluster.etcd_leader() if leads else arena.etcd_follower()
    (arena.cluster.pause if pauses else arena.cluster.kill)(name)
    return Blow(
        member=name,
        touch=Touch(),
        lasts_s=LONG_S if pauses else DOWN_S,
        heal=partial(arena.cluster.resume, name),
    )


def _quorum(arena: Arena) -> Blow:
    """All members but one: leases cannot be renewed, and everything stops until they are back."""
    names = [one.place.name for one in arena.cluster.etcd][1:]
    for name in names:
        arena.cluster.kill(name)

    def heal() -> None:
        for name in names:
            arena.cluster.resume(name)

    return Blow(member=" and ".join(names), touch=Touch(everything=True), lasts_s=LONG_S, heal=heal)


MEMBERS = (
    Fault(name="kill-node", strike=partial(_node, pauses=False), pairs=True),
    Fault(name="pause-node", strike=partial(_node, pauses=True)),
    Fault(name="kill-postgres", strike=_postgres, pairs=True),
    Fault(name="kill-primary", strike=partial(_primary, pauses=False)),
    Fault(name="pause-primary", strike=partial(_primary, pauses=True)),
    Fault(name="kill-standby", strike=partial(_standby, pauses=False), pairs=True),
    Fault(name="pause-standby", strike=partial(_standby, pauses=True)),
    Fault(name="kill-etcd-leader", strike=partial(_etcd, leads=True)),
    Fault(name="kill-etcd-follower", strike=partial(_etcd, leads=False), pairs=True),
    Fault(name="pause-etcd-leader", strike=partial(_etcd, leads=True, pauses=True)),
    Fault(name="lose-etcd-quorum", strike=_quorum),
)
