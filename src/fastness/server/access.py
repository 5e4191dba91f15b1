"""What one token's holders have: their rights, their rates, and an account of what they took.

Every connection made with one token shares one `Access`, so limits hold for all of them
together. It outlives a reload of the token file, which only changes what it allows.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastness.encoding.intervals import SYSTEM_END, prefix_end
from fastness.errors import FastnessError, Overloaded, RateLimited, Unauthenticated
from fastness.server.rates import Bucket
from fastness.server.roles import ALLOWED
from fastness.server.tokens import Allowance, Token
from fastness.transport.grants import Grant
from fastness.wire.handshake import Role


@dataclass(slots=True)
class Usage:
    """What was taken since the server started; `in_flight` and `connections` are of now."""

    operations: int = 0
    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused: int = 0
    limited: int = 0
    """Of the requests, those that came too fast."""
    in_flight: int = 0
    connections: int = 0


class Access:
    """See the module's page. Times are of the boot clock."""

    __slots__ = (
        "_bytes",
        "_operations",
        "allowance",
        "begin",
        "end",
        "ended",
        "is_limited",
        "kinds",
        "name",
        "prefix",
        "role",
        "usage",
    )

    def __init__(self, name: str, role: Role, prefix: bytes, allowance: Allowance) -> None:
        self.name = name
        self.role = role
        self.kinds = ALLOWED[role]
        """Messages its role may send."""
        self.prefix = prefix
        self.begin = prefix
        self.end = prefix_end(prefix) if prefix else SYSTEM_END
        self.allowance = Allowance()
        self.is_limited = False
        """Whether there is any rate, or number in flight, to look at."""
        self.ended = ""
        """Why its holders are no longer let in, empty while they are."""
        self.usage = Usage()
        self._operations: Bucket | None = None
        self._bytes: Bucket | None = None
        self.allow(allowance, 0)

    @property
    def is_everywhere(self) -> bool:
        """Whether it reaches all keys."""
        return not self.prefix

    def allow(self, allowance: Allowance, now_ns: int) -> None:
        """Take up other rates; what was overdrawn under the same rate stays so."""
        operations, size = allowance.operations_per_second, allowance.bytes_per_second
        if operations != self.allowance.operations_per_second:
            self._operations = Bucket(operations, now_ns) if operations else None
        if size != self.allowance.bytes_per_second:
            self._bytes = Bucket(size, now_ns) if size else None
        self.allowance = allowance
        self.is_limited = bool(operations or size or allowance.in_flight)

    def too_fast(self, now_ns: int) -> FastnessError | None:
        """The refusal of a request that comes before its time."""
        wait_ms = 0
        if self._operations is not None:
            wait_ms = self._operations.wait_ms(now_ns)
        if self._bytes is not None:
            wait_ms = max(wait_ms, self._bytes.wait_ms(now_ns))
        if wait_ms:
            self.usage.limited += 1
            return RateLimited(
                f"token {self.name!r} has used up {self._rates()}: come back in {wait_ms} ms, or "
                "have its limits raised",
                retry_after_ms=wait_ms,
            )
        return None

    def too_many(self) -> FastnessError | None:
        """The refusal of a request while too many of the token's are being worked on."""
        most = self.allowance.in_flight
        if most and self.usage.in_flight >= most:
            self.usage.limited += 1
            return Overloaded(
                f"{most} requests of token {self.name!r} are being worked on, its limit: wait for "
                "some to be answered"
            )
        return None

    def _rates(self) -> str:
        allowed = self.allowance
        rates = []
        if allowed.operations_per_second:
            rates.append(f"{allowed.operations_per_second:,} operations per second")
        if allowed.bytes_per_second:
            rates.append(f"{allowed.bytes_per_second:,} bytes per second")
        return " or ".join(rates)

    def crowded(self) -> FastnessError | None:
        """The refusal of one connection more than are allowed."""
        most = self.allowance.connections
        if most and self.usage.connections >= most:
            return Overloaded(
                f"{most} connections are open with token {self.name!r}, its limit: close some, or "
                "have it raised"
            )
        return None

    def over(self) -> FastnessError:
        """The refusal of whoever still comes with a token that has ended."""
        return Unauthenticated(
            f"token {self.name!r} is {self.ended}: ask whoever runs the server for another"
        )

    def spend(self, operations: int, size: int) -> None:
        """A request of so many operations and bytes is let in."""
        usage = self.usage
        usage.requests += 1
        usage.operations += operations
        usage.bytes_in += size
        if self._operations is not None:
            self._operations.spend(operations)
        if self._bytes is not None:
            self._bytes.spend(size)

    def send(self, size: int) -> None:
        """So many bytes go out to a holder."""
        self.usage.bytes_out += size
        if self._bytes is not None:
            self._bytes.spend(size)


@dataclass(frozen=True, slots=True)
class AccessGrant(Grant):
    """What a connection was granted, with the account it is kept under."""

    access: Access | None = None


def access_of(token: Token) -> Access:
    """A fresh account for a token."""
    return Access(token.name, token.role, token.key_space, token.allowance)


def grant_of(access: Access) -> AccessGrant:
    """What to tell the transport of somebody who was let in."""
    return AccessGrant(access.role, access.prefix, access.name, access)
