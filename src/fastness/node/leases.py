"""Leases a node holds, all of them under one session at the coordinator.

A lease runs from *before* the request that proved it was sent, for the time to live less a
hundredth; whoever takes over waits a hundredth more. So holder and successor agree as long as
their clocks run at rates within 1% of true time, whatever the time of day says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from fastness.errors import FastnessError
from fastness.placement.cluster_view import ClusterView
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND

_DRIFT = 100
"""One part in this many is the margin for clocks."""


def held_ns(lease_ms: int) -> int:
    """How long a lease runs for its holder, from before it was asked for."""
    whole = lease_ms * NANOSECONDS_PER_MILLISECOND
    return whole - whole // _DRIFT


def waited_ns(lease_ms: int) -> int:
    """How long a successor waits, from after it took over."""
    whole = lease_ms * NANOSECONDS_PER_MILLISECOND
    return whole + whole // _DRIFT


@dataclass(slots=True)
class Lease:
    """The right to a key of the coordinator, at this epoch, until then."""

    key: str
    epoch: int
    revision: int
    until_ns: int

    def left_ms(self, now_ns: int) -> float:
        """How long it still runs, 0 once it does not."""
        left = self.until_ns - now_ns
        return left / NANOSECONDS_PER_MILLISECOND if left > 0 else 0.0

    def proved(self, before_ns: int, lease_ms: int) -> None:
        """It was found to stand by something asked at `before_ns`."""
        self.until_ns = max(self.until_ns, before_ns + held_ns(lease_ms))


class Holding(Protocol):
    """What a node serves under a lease: a range, or the oracle."""

    lease: Lease

    def standing(self, view: ClusterView, session: int) -> int:
        """The revision at which the coordinator still names this holding, 0 if it does not."""
        ...

    def drop(self, error: FastnessError) -> None:
        """Stop serving at once; everybody who waits is told `error`."""
        ...


@dataclass(slots=True, eq=False)
class Tenure:
    """One session of this node, and what it holds under it."""

    session: int
    revision: int
    """Of the session's key."""
    alive: bool = True
    holdings: dict[str, Holding] = field(default_factory=dict)
    """By the coordinator's key, in the order they were taken."""
