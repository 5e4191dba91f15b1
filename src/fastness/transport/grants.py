"""Who is at the other end, and what it may do: what authentication sees and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastness.runtime.process import Address
from fastness.wire.handshake import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end of a connection that was accepted, as the operating system tells it."""

    host: str
    """Its IP address, empty over a Unix socket."""
    port: int = 0
    is_local: bool = False
    """Whether it is certainly on this machine: a Unix socket, or a loopback address."""
    uid: int | None = None
    """Its user, over a Unix socket where the system tells it."""
    is_encrypted: bool = False
    certificate: dict[str, Any] | None = field(default=None, repr=False)
    """The verified certificate of a TLS client, as `ssl.SSLSocket.getpeercert` gives it."""

    def __str__(self) -> str:
        if not self.host:
            return "unix" if self.uid is None else f"unix (user {self.uid})"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a peer may do: its role, its key space, and by which token it may."""

    role: Role
    prefix: bytes = b""
    """Every key it names must begin with this."""
    token: str = ""
    """The name of the token, for figures and logs; never its secret."""


Authenticate = Callable[[str, Peer], Grant]
"""From a credential (empty: none was sent) and a peer to a grant.

Raises `Unauthenticated` or `PermissionDenied`, or `Overloaded` where the token has too many
connections; the peer is told. Called on the loop: it must not block.
"""

NODE_GRANT = Grant(Role.NODE)


@dataclass(frozen=True, slots=True)
class Session:
    """One open connection, for whoever looks at a server."""

    address: Address
    grant: Grant
    peer: Peer | None
    """`None` where this process dialed."""
    agent: str
    since_ns: int
    """When it opened, by the boot clock."""
    bytes_in: int
    bytes_out: int
    is_slow: bool
    """Whether it does not read as fast as it is sent to; until it has, it is not listened to."""
