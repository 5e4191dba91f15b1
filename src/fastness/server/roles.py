"""What each role may ask for.

============ ================================================================================
read-only    reads, cache leases, timestamps, the map, figures
read-write   commits, decisions and reservations too
admin        splits, merges, transfers, draining, and all a node can tell of itself, too
node         everything: the node itself, and the other nodes of its cluster
============ ================================================================================
"""

from __future__ import annotations

from typing import Any

from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    InvalidateAck,
    Prepare,
    Read,
    RenewCache,
    Reserve,
    Resolve,
)
from fastness.wire.figures import FiguresRequest
from fastness.wire.handshake import Role
from fastness.wire.messages import (
    Drain,
    Draw,
    MapRequest,
    MergeRange,
    MoveRange,
    SplitRange,
    TakeRange,
    TransferLease,
)
from fastness.wire.reports import ReportRequest

Kinds = frozenset[type[Any]]
"""Classes of messages."""

_READING: Kinds = frozenset({Read, RenewCache, Draw, MapRequest, FiguresRequest, InvalidateAck})
_WRITING: Kinds = _READING | {CommitOne, Prepare, Decide, Reserve}
_RUNNING: Kinds = _WRITING | {
    SplitRange,
    MergeRange,
    TransferLease,
    MoveRange,
    Drain,
    ReportRequest,
}
ALLOWED: dict[Role, Kinds] = {
    Role.READ_ONLY: _READING,
    Role.READ_WRITE: _WRITING,
    Role.ADMIN: _RUNNING,
    Role.NODE: _RUNNING | {Ask, Resolve, TakeRange},
}
"""The messages of each role."""

UNHURRIED: Kinds = frozenset({Decide, Ask, Resolve, InvalidateAck, RenewCache})
"""What is never told to come back later: others may wait for it."""


def least_role(kind: type[Any]) -> str:
    """The role it takes to ask for this."""
    return next((role.value for role, kinds in ALLOWED.items() if kind in kinds), Role.NODE.value)
