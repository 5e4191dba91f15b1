"""What passes between members: stopped, in one direction or both, lost at random, slowed down."""

from __future__ import annotations

import shutil
import time
from functools import partial

from fastness.invariants import present
from fastness.testing.chaos.arena import Arena, Touch
from fastness.testing.chaos.faults.contract import LONG_S, PATRONI_TTL_S, Blow, Fault, Need
from fastness.testing.chaos.network import Cut

ALONE_S = 3.0
"""How long a primary is without its standbys before it is lost."""
LOSS_PERCENT = 30
SLOW_KBIT = 300
"""A link so slow that queues grow on it: hundreds of milliseconds."""


def _cut(arena: Arena, cut: Cut, touch: Touch, lasts_s: float = LONG_S) -> Blow:
    network = present(arena.network, "such faults are struck only where there is a network")
    number = network.cut(cut)
    way = "-/-" if cut.incoming and cut.outgoing else "<-/-" if cut.incoming else "-/->"
    how = f" {cut.percent}%" if cut.percent < 100 else ""
    return Blow(
        member=f"{cut.at} {way}{how} {' '.join(cut.peers)}",
        touch=touch,
        lasts_s=lasts_s,
        heal=partial(network.heal, number),
    )


def _node_from_etcd(arena: Arena, *, outgoing: bool = True, percent: int = 100) -> Blow:
    """Without `outgoing` its renewals arrive, and it does not hear that they did."""
    name = arena.node()
    peers = tuple(one.place.name for one in arena.cluster.etcd)
    cut = Cut(at=name, peers=peers, outgoing=outgoing, percent=percent)
    return _cut(arena, cut, arena.touch_of(name))


def _node_from_store(arena: Arena, *, outgoing: bool = True, percent: int = 100) -> Blow:
    """Only what this node holds in this store may stop: it keeps its leases all the while."""
    name, store = arena.node(), arena.store()
    peers = tuple(one.place.name for one in arena.cluster.stores[store].members)
    cut = Cut(at=name, peers=peers, outgoing=outgoing, percent=percent)
    touch = Touch(nodes=frozenset({name}), stores=frozenset({store}), both=True)
    return _cut(arena, cut, touch)


def _node_from_nodes(arena: Arena) -> Blow:
    """Its clients still reach it, and it reaches etcd; the oracle may be on the other side."""
    name = arena.node()
    peers = tuple(one.place.name for one in arena.cluster.nodes if one.place.name != name)
    return _cut(arena, Cut(at=name, peers=peers), Touch(everything=True))


def _primary_from_standbys(arena: Arena) -> Blow:
    """Commits wait for a standby that hears nothing."""
    cut = _primary_and_standbys(arena)
    return _cut(arena, cut, arena.touch_of(cut.at))


def _primary_and_standbys(arena: Arena) -> Cut:
    store = arena.store()
    name = arena.cluster.primary_of(store)
    return Cut(at=name, peers=tuple(arena.cluster.standbys_of(store)))


def _lost_primary(arena: Arena) -> Blow:
    """A primary is cut off from its standbys for a while, and then destroyed with its data.

    The cut stays, or what it had sent would still arrive: its system goes on sending for the dead.
    Patroni knows for sure that the synchronous standby has all that was acknowledged.
    """
    cut = _primary_and_standbys(arena)
    name = cut.at
    blow = _cut(arena, cut, arena.touch_of(name), lasts_s=0.0)
    heal = blow.heal

    def come_back() -> None:
        heal()
        arena.cluster.resume(name)

    try:
        time.sleep(ALONE_S)
        arena.cluster.kill(name)
        shutil.rmtree(arena.cluster.folder / name / "data")
    except BaseException:
        heal()
        raise
    blow.heal, blow.deposed = come_back, name
    return blow


def _primary_from_etcd(arena: Arena) -> Blow:
    """Patroni cannot keep its lock: it goes on with the consent of all others, or steps down."""
    name = arena.cluster.primary_of(arena.store())
    cut = Cut(at=name, peers=tuple(one.place.name for one in arena.cluster.etcd))
    return _cut(arena, cut, arena.touch_of(name), lasts_s=PATRONI_TTL_S + LONG_S)


def _etcd_apart(arena: Arena) -> Blow:
    """The leader of etcd from the other members: they elect another, it steps down."""
    name = arena.cluster.etcd_leader()
    peers = tuple(one.place.name for one in arena.cluster.etcd if one.place.name != name)
    return _cut(arena, Cut(at=name, peers=peers), Touch())


def _slow_node(arena: Arena) -> Blow:
    """All that a node sends waits in a queue."""
    network = present(arena.network, "such faults are struck only where there is a network")
    name = arena.node()
    network.slow_down(name, kbit=SLOW_KBIT)
    return Blow(
        member=name,
        touch=arena.touch_of(name),
        lasts_s=LONG_S,
        heal=partial(network.speed_up, name),
    )


LINKS = tuple(
    Fault(name=name, strike=strike, needs=Need.NETWORK)
    for name, strike in (
        ("cut-node-etcd", _node_from_etcd),
        ("deafen-node-etcd", partial(_node_from_etcd, outgoing=False)),
        ("lossy-node-etcd", partial(_node_from_etcd, percent=LOSS_PERCENT)),
        ("cut-node-store", _node_from_store),
        ("deafen-node-store", partial(_node_from_store, outgoing=False)),
        ("lossy-node-store", partial(_node_from_store, percent=LOSS_PERCENT)),
        ("cut-node-nodes", _node_from_nodes),
        ("cut-primary-standbys", _primary_from_standbys),
        ("cut-primary-etcd", _primary_from_etcd),
        ("lose-primary", _lost_primary),
        ("cut-etcd-leader", _etcd_apart),
        ("slow-node", _slow_node),
    )
)
