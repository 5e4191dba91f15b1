"""The gate of a server: each request held against what its connection was granted.

============ ================================================================================
read-only    reads, cache leases, timestamps, the map
read-write   commits, decisions and reservations too
admin        splits, merges, transfers and draining too
node         everything: the node itself, and the other nodes of its cluster
============ ================================================================================

Then the key space (`reach.py`), then rates. Messages that end a transaction are never refused for
coming too fast, since others may wait for just them; they count all the same. Figures of the
time they take is kept beside (`latencies.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastness.errors import FastnessError, PermissionDenied, Unauthenticated
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    InvalidateAck,
    Prepare,
    RangeRequest,
    Read,
    RenewCache,
    Reserve,
    Resolve,
)
from fastness.runtime.process import Address
from fastness.server.access import Access, AccessGrant
from fastness.server.latencies import Latencies
from fastness.server.reach import operations_in, outside
from fastness.transport.grants import Grant
from fastness.wire.handshake import Role
from fastness.wire.messages import (
    Body,
    Drain,
    Draw,
    Frame,
    MapRequest,
    MergeRange,
    SplitRange,
    TakeRange,
    TransferLease,
)

Kinds = frozenset[type[Any]]
"""Classes of messages."""

_READING: Kinds = frozenset({Read, RenewCache, Draw, MapRequest, InvalidateAck})
_WRITING: Kinds = _READING | {CommitOne, Prepare, Decide, Reserve}
_RUNNING: Kinds = _WRITING | {SplitRange, MergeRange, TransferLease, Drain}
ALLOWED: dict[Role, Kinds] = {
    Role.READ_ONLY: _READING,
    Role.READ_WRITE: _WRITING,
    Role.ADMIN: _RUNNING,
    Role.NODE: _RUNNING | {Ask, Resolve, TakeRange},
}
"""What each role may ask for."""

_UNHURRIED: Kinds = frozenset({Decide, Ask, Resolve, InvalidateAck, RenewCache})
"""What is never told to come back later: others may wait for it."""


class Started:
    """A request that is being worked on, and the account it is kept under."""

    __slots__ = ("_access", "_began_ns", "_latencies", "_request")

    def __init__(self, access: Access | None, request: RangeRequest, latencies: Latencies) -> None:
        self._access = access
        self._request = request
        self._latencies = latencies
        self._began_ns = latencies.clock.boot_ns()
        if access is not None:
            access.usage.in_flight += 1

    def ended(self) -> None:
        """It is being answered: take note of how long it took."""
        access = self._access
        if access is not None:
            access.usage.in_flight -= 1
        self._latencies.record(self._request, self._began_ns, "" if access is None else access.name)


class ServerGate:
    """A `node.Gate` by grants. `grant_of` answers what the transport's handshake granted."""

    __slots__ = ("_grant_of", "_latencies", "_own", "closing")

    def __init__(
        self, own: Address, grant_of: Callable[[Address], Grant | None], latencies: Latencies
    ) -> None:
        """For the node at the address `own`, whose messages to itself pass."""
        self.closing: FastnessError | None = None
        """Why nothing new is let in any more."""
        self._own = own
        self._grant_of = grant_of
        self._latencies = latencies

    def refusal(self, sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """Why this is not acted on, `None` where it is."""
        grant = self._grant_of(sender)
        body = frame.body
        if not isinstance(grant, AccessGrant) or grant.access is None:
            return self._unaccounted(sender, grant, body)
        access = grant.access
        error = _forbidden(access, body) or self._hurried(access, body)
        if error is not None:
            access.usage.refused += 1
            return error
        access.spend(operations_in(body), size)
        return None

    def _unaccounted(
        self, sender: Address, grant: Grant | None, body: Body
    ) -> FastnessError | None:
        """Nodes, this one above all; nobody else is without an account."""
        if sender == self._own or (grant is not None and grant.role is Role.NODE):
            return None
        return Unauthenticated(
            f"{type(body).__name__} from {sender}, whose connection was closed: connect again"
        )

    def _hurried(self, access: Access, body: Body) -> FastnessError | None:
        if type(body) in _UNHURRIED:
            return None
        if self.closing is not None:
            return self.closing
        return access.too_fast(self._latencies.clock.boot_ns()) or access.too_many()

    def believes(self, sender: Address) -> bool:
        """Whoever may write everywhere has no need to lie, and could do worse."""
        if sender == self._own:
            return True
        grant = self._grant_of(sender)
        return grant is not None and not grant.prefix and grant.role is not Role.READ_ONLY

    def began(self, sender: Address, request: RangeRequest) -> Started:
        """Count it as in flight until it ends."""
        return Started(self._access_of(sender), request, self._latencies)

    def sent(self, to: Address, size: int) -> None:
        """Count the bytes of an answer."""
        access = self._access_of(to)
        if access is not None:
            access.send(size)

    def _access_of(self, address: Address) -> Access | None:
        grant = self._grant_of(address)
        return grant.access if isinstance(grant, AccessGrant) else None


def _forbidden(access: Access, body: Body) -> FastnessError | None:
    if access.ended:
        return access.over()
    if type(body) not in ALLOWED[access.role]:
        return PermissionDenied(
            f"{type(body).__name__} of token {access.name!r}, whose role is {access.role.value}: "
            f"use one that is {_least_role(type(body))}"
        )
    return outside(access, body) if access.prefix else None


def _least_role(kind: type[Any]) -> str:
    return next((role.value for role, kinds in ALLOWED.items() if kind in kinds), Role.NODE.value)
