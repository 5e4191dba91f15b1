"""The gate of a server: each request held against what its connection was granted.

First the role (`roles.py`), then the key space (`reach.py`), then rates. Messages that end a
transaction are never refused for coming too fast, since others may wait for just them; they count
all the same. The time requests take is kept beside (`latencies.py`).

Every request of every client passes here, so nothing is looked at that a grant does not limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

from fastness.encoding.intervals import KeyInterval, prefix_end
from fastness.errors import FastnessError, PermissionDenied, Unauthenticated
from fastness.ranges.requests import RangeRequest
from fastness.runtime.process import Address
from fastness.server.access import Access, AccessGrant
from fastness.server.latencies import Latencies
from fastness.server.reach import operations_in, outside
from fastness.server.roles import UNHURRIED, least_role
from fastness.transport.grants import Grant
from fastness.wire.figures import TokenUse
from fastness.wire.handshake import Role
from fastness.wire.messages import Body, Frame


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

    def ended(self, _error: FastnessError | None) -> None:
        """It is being answered: take note of how long it took."""
        access = self._access
        if access is not None:
            access.usage.in_flight -= 1
        self._latencies.record(self._request, self._began_ns, "" if access is None else access.name)


class ServerGate:
    """A `node.Gate` by grants. `grant_of` answers what the transport's handshake granted."""

    __slots__ = ("_count_connections", "_grant_of", "_latencies", "_own", "closing")

    def __init__(
        self,
        own: Address,
        grant_of: Callable[[Address], Grant | None],
        latencies: Latencies,
        count_connections: Callable[[], None],
    ) -> None:
        """For the node at the address `own`, whose messages to itself pass.

        `count_connections` brings the accounts' up to date.
        """
        self.closing: FastnessError | None = None
        """Why nothing new is let in any more."""
        self._own = own
        self._grant_of = grant_of
        self._latencies = latencies
        self._count_connections = count_connections

    def refusal(self, sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """Why this is not acted on, `None` where it is."""
        grant = self._grant_of(sender)
        body = frame.body
        if not isinstance(grant, AccessGrant) or grant.access is None:
            return self._unaccounted(sender, grant, body)
        access = grant.access
        error = None
        if access.ended or type(body) not in access.kinds or access.prefix:
            error = _forbidden(access, body)
        if error is None and (access.is_limited or self.closing is not None):
            error = self._hurried(access, body)
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
        if type(body) in UNHURRIED:
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

    def use(self, sender: Address) -> TokenUse | None:
        """The account of the sender's token."""
        access = self._access_of(sender)
        if access is None:
            return None
        self._count_connections()
        return TokenUse(token=access.name, **asdict(access.usage))

    def space_of(self, sender: Address) -> KeyInterval | None:
        """The prefix that a grant is bound to, as an interval."""
        grant = self._grant_of(sender)
        if grant is None or not grant.prefix:
            return None
        return KeyInterval(grant.prefix, prefix_end(grant.prefix))

    def sees_store(self, sender: Address) -> bool:
        """Whoever is bound to a key space shares the store with others."""
        grant = self._grant_of(sender)
        return sender == self._own or (grant is not None and not grant.prefix)

    def _access_of(self, address: Address) -> Access | None:
        grant = self._grant_of(address)
        return grant.access if isinstance(grant, AccessGrant) else None


def _forbidden(access: Access, body: Body) -> FastnessError | None:
    if access.ended:
        return access.over()
    if type(body) not in access.kinds:
        return PermissionDenied(
            f"{type(body).__name__} of token {access.name!r}, whose role is {access.role.value}: "
            f"use one that is {least_role(type(body))}"
        )
    return outside(access, body) if access.prefix else None
