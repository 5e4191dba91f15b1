"""How large a cluster must be: machines from the processor time that each request was seen to take.

A plan multiplies what `cluster_costs` measured with the rates of a mix of requests, and divides by
what a machine is meant to give. Nothing else is in it: every figure is either measured, or one of
the assumptions in this module. Microseconds of the machine measured on stand for those of the
machine planned for; whoever has another one measures there, and publishes again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.cluster_costs import (
    DRAW,
    ETCD,
    HIT,
    IDLE,
    MISS,
    NODE,
    ONE,
    PRIMARIES,
    RENEWED,
    STANDBYS,
    TWO,
    WARM,
    cost_of,
    draws_of,
)
from benchmarks.processor import CLIENT

US_PER_S = 1_000_000.0
NODE_SHARE = 0.6
"""Of one core: a node computes on one, and above this waits grow steeply."""
STORE_CORES, STORE_SHARE = 16, 0.5
"""A store's machine; what it keeps is for vacuum, checkpoints, backups and the hour after a
failover."""
SPARE_NODES, LEAST_NODES = 1, 3
"""One more than is needed, so that one may fail or be upgraded."""
MEMBERS = 3
IDLE_NODES = 2
"""Nodes that were there while nothing was asked."""
RATES = (10_000, 1_000_000, 10_000_000)
"""Requests a second of all clients together."""

Costs = Mapping[str, float]
"""Microseconds, and draws, of a request by the `what` of its row; less than a tick is not there."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What requests consist of: how many of each kind there are for one request."""

    name: str
    kinds: Mapping[str, float]


MIXES = (
    Mix(
        "95% answered by near caches",
        # A renewal is two requests: a write, and the next read of the client that cached it.
        {HIT: 0.95, WARM: 0.022, MISS: 0.01, RENEWED: 0.008, TWO: 0.002},
    ),
    Mix(
        "95% answered by the memory of nodes",
        {WARM: 0.95, MISS: 0.04, ONE: 0.008, TWO: 0.002},
    ),
)
UNSHARED = {ONE: 1.0, RENEWED: 1.0, TWO: 1.0}
"""Draws for each, if no two commits share one: the most there can be, but for a few by the
clock."""


class Plan(NamedTuple):
    """What one rate of one mix takes. Cores are busy ones, machines are what to provide."""

    rate: int
    client_cores: float
    node_cores: float
    """What nodes use for requests, and for draws that others ask the oracle for."""
    nodes: int
    primary_cores: float
    standby_cores: float
    stores: int
    etcd_cores: float
    members: int
    draws: float
    """Requests for timestamps a second, shared as they were when measured."""
    draws_most: float
    """The same, if no two commits shared one."""


def plan(costs: Costs, mix: Mix, rate: int) -> Plan:
    """Machines for so many requests a second."""
    draws = rate * sum(share * costs.get(draws_of(kind), 0.0) for kind, share in mix.kinds.items())
    most = rate * sum(share * UNSHARED.get(kind, 0.0) for kind, share in mix.kinds.items())
    # The oracle answers each draw, and the node that asks has about as much to do.
    asking = 2 * most * costs.get(cost_of(DRAW, NODE), 0.0) / US_PER_S
    node_cores = _cores(costs, mix, NODE, rate) + asking
    primary_cores = _cores(costs, mix, PRIMARIES, rate)
    usable = NODE_SHARE - costs.get(cost_of(IDLE, NODE), 0.0) / US_PER_S
    nodes = max(LEAST_NODES, math.ceil(node_cores / usable) + SPARE_NODES)
    etcd_of_one = costs.get(cost_of(IDLE, ETCD), 0.0) / US_PER_S / IDLE_NODES
    return Plan(
        rate=rate,
        client_cores=_cores(costs, mix, CLIENT, rate),
        node_cores=node_cores,
        nodes=nodes,
        primary_cores=primary_cores,
        standby_cores=_cores(costs, mix, STANDBYS, rate),
        stores=max(1, math.ceil(primary_cores / (STORE_CORES * STORE_SHARE))),
        etcd_cores=etcd_of_one * nodes,
        members=MEMBERS,
        draws=draws,
        draws_most=most,
    )


def oracle_draws(costs: Costs) -> float:
    """Draws a second that the oracle answers on a node that does nothing else."""
    return NODE_SHARE * US_PER_S / costs[cost_of(DRAW, NODE)]


def saturation(costs: Costs, mix: Mix) -> tuple[float, float]:
    """Requests a second at which the oracle is full: if no draw is shared, and as measured."""
    one = plan(costs, mix, int(US_PER_S))
    full = oracle_draws(costs) * US_PER_S
    return full / one.draws_most, full / one.draws if one.draws else math.inf


def _cores(costs: Costs, mix: Mix, part: str, rate: int) -> float:
    us = sum(share * costs.get(cost_of(kind, part), 0.0) for kind, share in mix.kinds.items())
    return rate * us / US_PER_S
