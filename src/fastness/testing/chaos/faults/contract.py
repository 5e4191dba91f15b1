"""What a fault is: it hurts the cluster through its arena, and says how it is healed.

A fault is struck in a thread (`LaptopCluster` waits where it must). It lasts `lasts_s`, then it is
healed; from then on the cluster has to become whole by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from fastness.laptop.patroni import TIMES
from fastness.limits import Limits
from fastness.testing.chaos.arena import Arena, Touch

LONG_S = Limits().lease_ms * 2.5 / 1_000
"""Longer than a lease and the hesitation of whoever takes it over."""
PATRONI_TTL_S = float(TIMES["ttl"])
"""How long Patroni's lock in etcd outlives its holder."""
DOWN_S = 6.0
"""How long who was killed stays down."""


class Need(Enum):
    """What a fault takes besides a cluster."""

    NETWORK = "a network of its own"
    CLOCKS = "clocks that can jump"
    DISK = "a small disk"


@dataclass(slots=True, kw_only=True)
class Blow:
    """One fault that was struck."""

    member: str
    """Whom it hit."""
    touch: Touch
    lasts_s: float
    heal: Callable[[], object]
    deposed: str = ""
    """A primary in whose place another must come up, or itself with another postmaster."""
    postmaster: int = 0
    """The process id of the one that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A kind of fault."""

    name: str
    strike: Callable[[Arena], Blow]
    pairs: bool = False
    """Whether another of these may strike meanwhile: members of different sorts fail."""
    needs: Need | None = None
