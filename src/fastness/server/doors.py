"""The places a server listens at: bound before anything else, opened once there is a node.

Binding first finds a port that is taken before a database is opened or created, and tells which
port was found free where any would do.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import NamedTuple

from fastness.server.settings import Settings
from fastness.transport.addresses import Place, TcpPlace, UnixPlace, node_address
from fastness.transport.grants import Authenticate
from fastness.transport.listening import Listener, bind
from fastness.transport.network import NetworkProcess

OWN_USER_MODE = 0o600
EVERYBODY_MODE = 0o666
"""Tokens keep strangers out of a Unix socket; without them the file's mode does."""

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - to be recognized, not to be listened at


class Url(NamedTuple):
    """How a client names a door."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.rest}"


@dataclass(slots=True)
class Doors:
    """Everything a server listens at for clients."""

    listeners: list[Listener] = field(default_factory=list)

    @property
    def address(self) -> str:
        """A fresh address of the process behind them."""
        return node_address(self.listeners[0].place)

    def open(
        self, process: NetworkProcess, authenticate: Authenticate, tls: ssl.SSLContext | None
    ) -> None:
        """Let clients in."""
        for listener in self.listeners:
            process.serve(listener, authenticate=authenticate, tls=_tls_at(listener.place, tls))

    def renew(self, tls: ssl.SSLContext | None) -> None:
        """Use another certificate for connections to come."""
        for listener in self.listeners:
            listener.tls = _tls_at(listener.place, tls)

    def shut(self, process: NetworkProcess) -> None:
        """Let nobody in any more; who is in stays."""
        for listener in self.listeners:
            process.stop_listening(listener)

    def close(self) -> None:
        """Give the places back, as far as they were not opened."""
        for listener in self.listeners:
            listener.close()

    def urls(self) -> list[str]:
        """How clients name them, each."""
        return [str(url_of(listener.place)) for listener in self.listeners]


def bind_doors(settings: Settings) -> Doors:
    """Bind everything that settings name, or nothing and `AddressUnavailable`."""
    doors = Doors()
    try:
        for text in settings.listen:
            doors.listeners.append(bind(text))
        if settings.unix:
            mode = EVERYBODY_MODE if settings.tokens else OWN_USER_MODE
            doors.listeners.append(bind(UnixPlace(settings.unix), unix_mode=mode))
    except BaseException:
        doors.close()
        raise
    return doors


def url_of(place: Place) -> Url:
    """How a client names a place; one on all interfaces by the name of this host."""
    if isinstance(place, UnixPlace):
        return Url("fastness+unix", place.path)
    if place.host in _EVERYWHERE:
        return Url("fastness", str(TcpPlace(socket.gethostname(), place.port)))
    return Url("fastness", str(place))


def _tls_at(place: Place, tls: ssl.SSLContext | None) -> ssl.SSLContext | None:
    return tls if isinstance(place, TcpPlace) else None
