"""What a node tells the other nodes, and whoever runs the cluster: all it holds, and how it fares.

Clients get `figures.FiguresAnswer`, which tells a tenant nothing of others. This tells everything,
for the balancer and for `fastness cluster`.
"""

from __future__ import annotations

import msgspec

from fastness.encoding.timestamps import Timestamp

TIDYING = "tidying"
"""Done to a range while something that a move left behind is being removed."""


class RangeReport(msgspec.Struct, frozen=True, array_like=True):
    """A range as its leaseholder sees it."""

    range_id: int
    generation: int
    epoch: int
    requests_s: float
    """Requests per second, averaged over the last intervals of `limits.balance_ms`."""
    is_measured: bool
    """Whether it was held for long enough that the average means something."""
    split_key: bytes
    """Where about half of the requests go to either side; empty where no key parts them."""
    may_commit: bool
    """Whether the lease of its predecessor is over for certain."""
    doing: str
    """The change under way (a split, say, or `TIDYING`), empty while there is none."""
    undecided: int
    """Transactions it holds locks of, or decisions it still spreads."""
    prune_horizon: Timestamp
    closed: Timestamp
    size_bytes: int = 0
    """Of its newest versions, estimated; 0: not known."""
    half_key: bytes = b""
    """Where about half of those bytes lie to either side; empty: not known, or nowhere."""
    lease_ms: int = 0
    """How long its lease still runs unless it is renewed."""


class StoreReport(msgspec.Struct, frozen=True, array_like=True):
    """A store as a node reaches it."""

    name: str
    problem: str = ""
    """Why it is not open, empty while it is."""
    refusal: str = ""
    """Why it takes no writes for now, empty while it does."""
    size_bytes: int = 0
    """On its disks, 0: not known."""
    keys: int = 0
    """Estimated."""


class ReportRequest(msgspec.Struct, frozen=True, array_like=True, tag=75):
    """To any node: what it holds and how it fares."""


class NodeReport(msgspec.Struct, frozen=True, array_like=True, tag=76):
    """Of the node that was asked."""

    name: str
    version: str
    """Of the program."""
    protocols: list[int]
    state: str
    """`serving`, `draining`, or `waiting` for a session at the coordinator."""
    is_oracle: bool
    wall_ms: int
    """Its wall clock as it answers."""
    issued: Timestamp
    """The highest timestamp it knows to have been issued."""
    uptime_ms: int
    ranges: list[RangeReport]
    stores: list[StoreReport]
    counts: dict[str, int]
    """What it has counted since it started, as `/metrics` shows it."""
