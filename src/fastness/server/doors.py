"""The places a server listens at: bound before anything else, opened once there is a node.

Binding first finds a port that is taken before a database is opened or created, and tells which
port was found free where any would do.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from fastness.server.naming import advertised
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
    advertise: str = ""
    """HOST[:PORT] where others reach the first of them, empty: where it listens."""

    @property
    def place(self) -> Place:
        """Where others reach the process behind them."""
        return _reachable(advertised(self.advertise, self.listeners[0].place))

    @property
    def address(self) -> str:
        """A fresh address of that process."""
        return node_address(self.place)

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
        places = [self.place, *(listener.place for listener in self.listeners[1:])]
        return [str(url_of(place)) for place in places]


def bind_doors(settings: Settings) -> Doors:
    """Bind everything that settings name, or nothing and `AddressUnavailable`."""
    doors = Doors(advertise=settings.advertise)
    try:
        for text in settings.listen:
            doors.listeners.append(bind(text))
        if settings.unix:
            mode = EVERYBODY_MODE if settings.tokens else OWN_USER_MODE
            # Clients are in other folders, and are told this path.
            place = UnixPlace(str(Path(settings.unix).absolute()))
            doors.listeners.append(bind(place, unix_mode=mode))
    except BaseException:
        doors.close()
        raise
    return doors


def url_of(place: Place) -> Url:
    """How a client names a place."""
    if isinstance(place, UnixPlace):
        return Url("fastness+unix", place.path)
    return Url("fastness", str(_reachable(place)))


def _reachable(place: Place) -> Place:
    """A place as others name it; one on all interfaces by the name of this host."""
    if isinstance(place, TcpPlace) and place.host in _EVERYWHERE:
        return TcpPlace(socket.gethostname(), place.port)
    return place


def _tls_at(place: Place, tls: ssl.SSLContext | None) -> ssl.SSLContext | None:
    return tls if isinstance(place, TcpPlace) else None
