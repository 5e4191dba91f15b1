"""Places to be dialed at: sockets that are bound, and say what is wrong when they cannot be."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from pathlib import Path

from fastness.errors import AddressUnavailable
from fastness.transport.addresses import Place, TcpPlace, UnixPlace, place_of

BACKLOG = 4_096
"""Connections the system keeps for us between two looks; it may allow fewer."""

UNIX_MODE = 0o600
"""Only the own user may connect, unless told otherwise."""


class Listener:
    """A socket to be dialed at. `tls` may be replaced at any time, for connections to come."""

    def __init__(self, line: socket.socket, place: Place) -> None:
        """Made by `bind`."""
        self.place = place
        """Where it is: with the port that was found free, if any was asked for."""
        self.tls: ssl.SSLContext | None = None
        self.socket = line
        self._file = _file_of(place)

    def __repr__(self) -> str:
        return f"<Listener {self.place}>"

    def close(self) -> None:
        """Take no more connections; those that were taken live on. Idempotent."""
        self.socket.close()
        if isinstance(self.place, UnixPlace) and self._file is not None:
            # Somebody else's socket may be there by now.
            if _file_of(self.place) == self._file:
                Path(self.place.path).unlink(missing_ok=True)
            self._file = None


def bind(where: str | Place, *, unix_mode: int = UNIX_MODE) -> Listener:
    """A listener at a place, or `AddressUnavailable`. Nobody is answered before it is served.

    A name with several addresses is bound at the first. A Unix socket left behind by a process
    that is gone is replaced.
    """
    place = place_of(where) if isinstance(where, str) else where
    if isinstance(place, UnixPlace):
        return _bind_unix(place, unix_mode)
    return _bind_tcp(place)


def _bind_tcp(place: TcpPlace) -> Listener:
    try:
        found = socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise _unavailable(place, error) from error
    family, kind, protocol, _name, address = found[0]
    line = socket.socket(family, kind, protocol)
    try:
        line.settimeout(0)
        # A server that restarts need not wait for connections of its predecessor to die out.
        line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            line.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        line.bind(address)
        line.listen(BACKLOG)
    except OSError as error:
        line.close()
        raise _unavailable(place, error) from error
    return Listener(line, TcpPlace(place.host, line.getsockname()[1]))


def _bind_unix(place: UnixPlace, mode: int) -> Listener:
    _remove_stale(place)
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(0)
        line.bind(place.path)
        # Nobody can connect before `listen`, so nobody slips in between.
        os.chmod(place.path, mode)  # noqa: PTH101 - the path is a string everywhere else here
        line.listen(BACKLOG)
    except OSError as error:
        line.close()
        raise _unavailable(place, error) from error
    return Listener(line, place)


def _remove_stale(place: UnixPlace) -> None:
    """Remove a socket nobody listens at; anything else is left for `bind` to stumble over."""
    try:
        if not stat.S_ISSOCK(os.stat(place.path).st_mode):  # noqa: PTH116 - as above
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        if probe.connect_ex(place.path) == errno.ECONNREFUSED:
            Path(place.path).unlink(missing_ok=True)


def _file_of(place: Place) -> tuple[int, int, int] | None:
    """Which file a Unix socket is: numbers of files are used again at once, so with its time."""
    if isinstance(place, TcpPlace):
        return None
    try:
        found = os.stat(place.path)  # noqa: PTH116 - as above
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_ctime_ns)


def _unavailable(place: Place, error: OSError) -> AddressUnavailable:
    is_tcp = isinstance(place, TcpPlace)
    if error.errno != errno.EADDRINUSE:
        what = "an address of this machine" if is_tcp else "a path in a folder that is there"
        return AddressUnavailable(
            f"cannot listen at {place}: {error.strerror or error}: name {what}"
        )
    if is_tcp:
        what = "the port is taken: see by whom ('ss -ltnp'), or choose another; 0 is any free one"
    else:
        what = "another process listens there, or a file is in the way: choose another path"
    return AddressUnavailable(f"cannot listen at {place}: {what}")
