"""Addresses: where a process is, and which process is meant.

::

    HOST:PORT               a seed: whoever answers there by now
    unix:PATH               the same on this machine
    HOST:PORT#INCARNATION   one process; the incarnation is random, new at every start, so that
    unix:PATH#INCARNATION   nothing that was meant for a dead process reaches its successor
    client/ID               a process that only dials: reached over connections of its own
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from fastness.errors import InvalidOption
from fastness.runtime.process import Address

CLIENT_PREFIX = "client/"
UNIX_PREFIX = "unix:"
PORT_MAX = 65_535
UNIX_PATH_BYTES_MAX = 103
"""What fits into a socket address everywhere (Linux takes 107, macOS 103)."""

_EXAMPLE = "write HOST:PORT, such as 127.0.0.1:3278 or [::1]:3278, or unix:PATH"


class TcpPlace(NamedTuple):
    """A host and a port; port 0, only to listen on, stands for any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixPlace(NamedTuple):
    """The path of a Unix socket."""

    path: str

    def __str__(self) -> str:
        return UNIX_PREFIX + self.path


Place = TcpPlace | UnixPlace


def place_of(address: Address) -> Place:
    """Where an address or a seed leads; `InvalidOption` shows what it should look like."""
    text = seed_of(address)
    if text.startswith(UNIX_PREFIX):
        return _unix_place(text)
    host, separator, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    if not separator or not host or "/" in host or (":" in host and not bracketed):
        raise InvalidOption(f"{address!r} is no address: {_EXAMPLE}")
    if not (port.isascii() and port.isdigit() and int(port) <= PORT_MAX):
        raise InvalidOption(f"port {port!r} of {address!r} is not 0 to {PORT_MAX}: {_EXAMPLE}")
    return TcpPlace(host, int(port))


def _unix_place(text: str) -> UnixPlace:
    path = text.removeprefix(UNIX_PREFIX)
    size = len(path.encode(errors="surrogateescape"))
    if not path or "\0" in path or size > UNIX_PATH_BYTES_MAX:
        raise InvalidOption(
            f"{text!r} has a path of {size} bytes: a Unix socket's has 1 to {UNIX_PATH_BYTES_MAX}, "
            "none of them zero; choose a shorter one"
        )
    return UnixPlace(path)


def seed_of(address: Address) -> Address:
    """An address without its incarnation: whoever is there by now."""
    return address.partition("#")[0]


def is_seed(address: Address) -> bool:
    """Whether an address names a place and no process."""
    return "#" not in address and not is_client(address)


def is_client(address: Address) -> bool:
    """Whether an address is that of a process nobody can dial."""
    return address.startswith(CLIENT_PREFIX)


def node_address(place: Place) -> Address:
    """The address of a process that starts now and is dialed at `place`."""
    if "#" in str(place):
        raise InvalidOption(f"{place} has a '#', which separates the incarnation: rename it")
    return f"{place}#{secrets.token_hex(8)}"


def client_address() -> Address:
    """The address of a process that starts now and only dials; nobody can guess it."""
    return CLIENT_PREFIX + secrets.token_hex(16)
