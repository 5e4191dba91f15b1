"""The blows that fall on a cluster amid its work, and how it bore them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from examples.files.cluster.probing import Probe
from fastness.errors import Unreachable
from fastness.laptop.cluster import LaptopCluster

REST_S = 3.0
"""After a blow everything must have been whole so long before the next."""
PATIENCE_S = 120.0
LOOK_S = 0.05


@dataclass(slots=True)
class Blow:
    """One SIGKILL."""

    what: str
    member: str
    begin: float
    whole_s: float = 0.0
    """Until every member was there again, and every standby followed."""
    standstill_s: list[float] = field(default_factory=list)
    """How long writes to each space waited, at longest."""


def strike(
    cluster: LaptopCluster, probes: Sequence[Probe], saying: Callable[[str], object]
) -> list[Blow]:
    """Kill a node, a primary and etcd's leader, one after another, each once all is whole."""
    blows = []
    for what, find, kill in (
        ("node", _busiest_node, _kill),
        ("PostgreSQL primary", _primary, LaptopCluster.kill_postgres),
        ("etcd leader", LaptopCluster.etcd_leader, _kill),
    ):
        member = find(cluster)
        saying(f"SIGKILL: {what} {member}")
        blows.append(_one(cluster, probes, Blow(what, member, time.monotonic()), kill))
    return blows


def _busiest_node(cluster: LaptopCluster) -> str:
    return max(cluster.nodes, key=lambda node: len(node.ranges())).place.name


def _primary(cluster: LaptopCluster) -> str:
    return cluster.primary_of(next(iter(cluster.stores)))


def _kill(cluster: LaptopCluster, member: str) -> None:
    """Kill it; like anything that died by itself it is started again."""
    cluster.kill(member)
    cluster.resume(member)


def _one(
    cluster: LaptopCluster,
    probes: Sequence[Probe],
    blow: Blow,
    kill: Callable[[LaptopCluster, str], None],
) -> Blow:
    kill(cluster, blow.member)
    if blow.what.startswith("PostgreSQL"):
        _await_another_primary(cluster, blow.member)
    cluster.await_whole(PATIENCE_S)
    blow.whole_s = time.monotonic() - blow.begin
    # What waited answers only now.
    time.sleep(REST_S)
    end = blow.begin + blow.whole_s
    blow.standstill_s = [probe.standstill_s(blow.begin, end) for probe in probes]
    return blow


def _await_another_primary(cluster: LaptopCluster, killed: str) -> None:
    """Patroni still takes the dead one for the primary for a moment: whole it only seems."""
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        try:
            if cluster.primary_of(killed.rpartition("-")[0]) != killed:
                return
        except Unreachable:
            pass  # Nobody is, for a moment.
        time.sleep(LOOK_S)
    raise Unreachable(f"Patroni promoted nobody in the place of {killed} in {PATIENCE_S:.0f} s")
