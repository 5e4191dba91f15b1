"""Taking connections: from the socket to a handshake that ended well, or the reason why not.

Nobody is let in before the first frame has told a credential that `authenticate` takes. Until
then little is spent on a connection: it has `limits.handshake_ms`, may send one short frame, and
when `limits.connections_unauthenticated` are in that state the oldest makes room for the next.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from fastness.errors import (
    FastnessError,
    InvalidOption,
    Overloaded,
    PermissionDenied,
    Unreachable,
)
from fastness.runtime.looped import SECONDS_PER_MILLISECOND
from fastness.runtime.process import Address
from fastness.transport.addresses import is_client, is_seed
from fastness.transport.connections import Connection, Owner
from fastness.transport.grants import Authenticate, Grant, Peer
from fastness.transport.links import AcceptedLink, farewell
from fastness.transport.listening import Listener
from fastness.transport.switchboard import Switchboard
from fastness.wire.handshake import Hello, Role, Welcome, best_version

ACCEPTED_AT_ONCE = 16

ACCEPT_PAUSE_S = 0.1
"""After a connection could not be accepted for want of file descriptors or memory."""

TLS_SHUTDOWN_S = 1.0
"""How long the end of a TLS connection waits for the other side's: one that blocks reads none."""

ADDRESS_CHARACTERS_MAX = 300


_GRAPHIC = re.compile(r"[!-~]+").fullmatch


class Host(Owner, Protocol):
    """What taking connections needs of the process it is done for."""

    address: Address

    def spawn(self, coroutine: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run a coroutine as a task of the process."""
        ...

    def note(self, event: str) -> None:
        """A line of the process's story."""
        ...


class Acceptor:
    """See the module's page."""

    def __init__(self, host: Host, switchboard: Switchboard) -> None:
        self._host = host
        self._switchboard = switchboard
        self._loop = asyncio.get_running_loop()
        self._unproved: dict[Connection, asyncio.TimerHandle] = {}
        """Connections in their handshake, the oldest first."""
        self._served: dict[Listener, asyncio.TimerHandle | None] = {}
        """With what takes a listener up again after a failure."""
        self._handshake_s = host.limits.handshake_ms * SECONDS_PER_MILLISECOND

    @property
    def listeners(self) -> list[Listener]:
        """Those at which connections are taken."""
        return list(self._served)

    def start(self, listener: Listener, authenticate: Authenticate) -> None:
        """Take connections at a listener."""
        self._served[listener] = None
        self._loop.add_reader(listener.socket, self._accept, listener, authenticate)

    def stop(self, listener: Listener) -> None:
        """Take no more there, and close it."""
        if listener in self._served:
            self._loop.remove_reader(listener.socket)
            timer = self._served.pop(listener)
            if timer is not None:
                timer.cancel()
        listener.close()

    def proved(self, connection: Connection) -> None:
        """Its handshake is over, one way or the other."""
        timer = self._unproved.pop(connection, None)
        if timer is not None:
            timer.cancel()
            self._host.counts.unauthenticated = len(self._unproved)
        if connection.accepting is not None and not connection.stands:
            connection.accepting.cancel()

    def _accept(self, listener: Listener, authenticate: Authenticate) -> None:
        # No more in one turn: a flood must leave the loop time for those that are open.
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                line, _address = listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._host.counts.accept_errors += 1
                self._host.note(f"cannot accept a connection at {listener.place}: {error}")
                self._loop.remove_reader(listener.socket)
                self._served[listener] = self._loop.call_later(
                    ACCEPT_PAUSE_S, self.start, listener, authenticate
                )
                return
            line.settimeout(0)
            self._take(line, listener, authenticate)

    def _take(self, line: socket.socket, listener: Listener, authenticate: Authenticate) -> None:
        limits, counts = self._host.limits, self._host.counts
        counts.accepted += 1
        if len(self._switchboard) >= limits.connections:
            counts.refused_connections += 1
            _turn_away(line, listener, f"{limits.connections} connections (limit connections)")
            return
        if len(self._unproved) >= limits.connections_unauthenticated:
            self._expire(next(iter(self._unproved)))
        link = AcceptedLink(limits.frame_bytes)
        connection = self._host.connection_class(self._host, link)
        link.admit = partial(self._admit, connection, authenticate)
        self._switchboard.hold(connection)
        timer = self._loop.call_later(self._handshake_s, self._expire, connection)
        self._unproved[connection] = timer
        counts.unauthenticated = len(self._unproved)
        task = self._host.spawn(self._establish(line, listener.tls, connection), name="handshake")
        task.add_done_callback(partial(self._established, line, connection))
        connection.accepting = task

    async def _establish(
        self, line: socket.socket, tls: ssl.SSLContext | None, connection: Connection
    ) -> None:
        connection.is_begun = True
        times = {}
        if tls is not None:
            times = {
                "ssl_handshake_timeout": self._handshake_s,
                "ssl_shutdown_timeout": TLS_SHUTDOWN_S,
            }
        try:
            await self._loop.connect_accepted_socket(lambda: connection, line, ssl=tls, **times)
        except OSError as error:
            self._host.counts.refused_handshakes += 1
            self._host.note(f"TLS with a peer failed: {error}")
            connection.abort(Unreachable(f"TLS with a peer failed: {error}"))

    def _established(
        self, line: socket.socket, connection: Connection, _task: asyncio.Task[None]
    ) -> None:
        if connection.stands:
            return
        self._switchboard.release(connection)
        if not connection.is_begun:
            # From its first step on the loop has the socket, and closes it.
            line.close()

    def _expire(self, connection: Connection) -> None:
        """It has said too little for too long, or must make room."""
        self._host.counts.silent_handshakes += 1
        connection.abort(Unreachable("the handshake was not finished in time (handshake_ms)"))

    def _admit(self, connection: Connection, authenticate: Authenticate, hello: Hello) -> Welcome:
        host, peer = self._host, connection.peer
        if peer is None:
            raise Unreachable("the connection is closed")
        try:
            grant = self._judge(hello, peer, authenticate)
        except FastnessError as error:
            host.counts.refused_handshakes += 1
            host.note(f"{peer} was refused: {error}")
            raise
        connection.grant = grant
        connection.agent = hello.agent
        connection.answers_pings = hello.answers_pings
        return Welcome(
            best_version(hello.versions),
            host.address,
            grant.role,
            grant.prefix,
            grant.token,
            host.limits.frame_bytes,
            host.limits.keepalive_ms,
            takes_traces=True,
        )

    def _judge(self, hello: Hello, peer: Peer, authenticate: Authenticate) -> Grant:
        own = self._host.address
        if not is_seed(hello.wanted) and hello.wanted != own:
            raise Unreachable(f"{hello.wanted} is gone: {own} answers here now")
        address = hello.address
        if is_seed(address) or address == own or not _is_plain(address):
            raise InvalidOption(
                f"{address[:80]!r} is no address of a peer: make one up, client/ and 32 random "
                "hexadecimal digits"
            )
        grant = authenticate(hello.credential, peer)
        if not is_client(address) and grant.role is not Role.NODE:
            raise PermissionDenied(f"{address} is the address of a node, the token is not of one")
        other = self._switchboard.links.get(address)
        if other is not None and other.grant is not None and other.grant.token != grant.token:
            raise PermissionDenied(f"{address} is in use by another token")
        return grant


def _is_plain(address: Address) -> bool:
    """Whether an address can stand in a line of a log as it is."""
    return len(address) <= ADDRESS_CHARACTERS_MAX and _GRAPHIC(address) is not None


def _turn_away(line: socket.socket, listener: Listener, what: str) -> None:
    """Say why, if that can be said without waiting, and close."""
    with line:
        if listener.tls is None:
            line.settimeout(0)
            error = Overloaded(f"the server has {what}: try again later, or use fewer")
            with suppress(OSError):
                line.send(farewell(error))
