"""One connection on an event loop: an `asyncio.Protocol` around a `Link`.

Frames to be sent wait in `waiting` until its owner flushes it, so that most of those of one turn of
the loop leave in one write. A peer that does not read makes bytes pile up: a connection that was
accepted then takes nothing more from it, and beyond `limits.connection_write_bytes` it is ended.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from ipaddress import ip_address
from typing import Protocol, cast

from fastness.errors import FastnessError, LimitExceeded, Overloaded, Unreachable
from fastness.limits import Limits
from fastness.runtime.process import Address
from fastness.transport.counts import TransportCounts
from fastness.transport.dialing import hung_up
from fastness.transport.grants import Grant, Peer
from fastness.transport.links import DialedLink, Link, farewell, is_malformed
from fastness.wire.handshake import Welcome

HIGH_WATER_BYTES = 1024 * 1024
"""Unread bytes from which a peer that was accepted is not listened to."""

RECEIVE_BYTES = 256 * 1024
"""What is read from a connection at once."""

ASKED_AFTER = 2
GIVEN_UP_AFTER = 4
"""Sweeps without a sign of life, two of them in `limits.keepalive_ms`."""


class Owner(Protocol):
    """What a connection needs of the process it belongs to."""

    limits: Limits
    counts: TransportCounts
    connection_class: type[Connection]
    receive_buffer: memoryview
    """Where all of them read to, one after the other."""

    def connected(self, connection: Connection) -> None:
        """The line stands, the handshake begins."""
        ...

    def opened(self, connection: Connection) -> None:
        """The handshake ended well."""
        ...

    def unlinked(self, connection: Connection, error: FastnessError) -> None:
        """Nothing comes or goes over it any more, for this reason. Told once."""
        ...

    def gone(self, connection: Connection) -> None:
        """The line is closed. Told at least once, if it ever stood."""
        ...

    def deliver(self, sender: Address, messages: list[bytes]) -> None:
        """Messages arrived."""
        ...


class Connection(asyncio.Protocol):
    """See the module's page. `grant` is what the other side may do, once it is open."""

    def __init__(self, owner: Owner, link: Link, *, dialed: Address = "") -> None:
        """A line that is still to stand; `dialed` is whom this process wants, if it dialed."""
        self.dialed = dialed
        self.link = link
        self.opening: asyncio.Future[None] | None = None
        """Who waits for the handshake, where this process dialed."""
        self.accepting: asyncio.Task[None] | None = None
        """What sets the line up, where it was accepted."""
        self.is_begun = False
        """Whether that has begun."""
        self.peer: Peer | None = None
        self.grant: Grant | None = None
        self.welcome: Welcome | None = None
        """What the other side granted, where this process dialed."""
        self.agent = ""
        self.answers_pings = True
        self.names: list[Address] = []
        """What its owner sends to it by."""
        self.waiting: list[bytes] = []
        """Lengths and messages in turn, for the next flush."""
        self.frame_bytes = 0
        """The longest message the other side takes."""
        self.since_ns = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.ended: FastnessError | None = None
        """Why it was unlinked."""
        self._owner = owner
        self._counts = owner.counts
        self._transport: asyncio.Transport | None = None
        self._is_open = False
        self.is_slow = False
        """Whether more waits for the other side than it has read lately."""
        self._silence = 0
        self._unread = 0
        self._handed = 0

    @property
    def stands(self) -> bool:
        """Whether the line was ever set up."""
        return self._transport is not None

    # ------------------------------------------------------- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line stands."""
        self._transport = cast("asyncio.Transport", transport)
        if self.ended is not None:
            # Given up meanwhile. Not every loop tells of the end of what it had begun to close.
            self._transport.abort()
            self._owner.gone(self)
            return
        if not self.dialed:
            self.peer = peer_of(transport)
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        keep_alive(transport.get_extra_info("socket"), self._owner.limits.keepalive_ms)
        self._owner.connected(self)
        self._write_outgoing()

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        self._silence = 0
        size = len(data)
        counts = self._counts
        counts.bytes_in += size
        self.bytes_in += size
        link = self.link
        try:
            messages = link.feed(data)
        except FastnessError as error:
            self._break(error)
            return
        if link.has_news:
            self._heed()
        if messages and self.ended is None:
            counts.frames_in += len(messages)
            self._owner.deliver(link.peer, messages)
        if link.ended is not None:
            self.end(link.ended, tell=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is closed."""
        if self.ended is None:
            if self.link.is_amid:
                self._counts.malformed += 1
            where = self.dialed or self.link.peer or "a peer in its handshake"
            amid_handshake = bool(self.dialed) and not self._is_open
            reason = "" if exc is None else str(exc)
            self._unlink(hung_up(where, amid_handshake=amid_handshake, reason=reason))
        self._owner.gone(self)

    def pause_writing(self) -> None:
        """The other side does not read as fast as this one writes."""
        self.is_slow = True
        if not self.dialed and self._transport is not None:
            # A client must go on reading, or both sides might wait for each other.
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.is_slow = False
        if not self.dialed and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # ------------------------------------------------------ what its owner calls

    def flush(self) -> None:
        """Write what waits, at once."""
        waiting = self.waiting
        if self.ended is not None or not waiting:
            waiting.clear()
            return
        data = b"".join(waiting)
        counts = self._counts
        counts.frames_out += len(waiting) // 2
        waiting.clear()
        self._write(data)

    def end(self, error: FastnessError, *, tell: bool = True) -> None:
        """Let what was written leave, say why if it can be said, and close."""
        transport = self._transport
        if self.ended is None and transport is not None and tell:
            self.flush()
            transport.write(farewell(error))
        self._unlink(error)
        if transport is not None:
            transport.close()

    def abort(self, error: FastnessError) -> None:
        """Close at once; what was not sent never will be."""
        self._unlink(error)
        if self._transport is not None:
            self._transport.abort()

    def sweep(self) -> None:
        """Half of `limits.keepalive_ms` has passed: ask, or give up, whoever is silent."""
        transport = self._transport
        if not self._is_open or transport is None:
            return
        unread = transport.get_write_buffer_size()
        handed = self.bytes_out - unread
        if self._unread and handed > self._handed:
            # It reads, however slowly. Without a backlog writing proves nothing: the system
            # takes what fits into its own buffers even when nobody is there.
            self._silence = min(self._silence, 1)
        self._unread, self._handed = unread, handed
        self._silence += 1
        if self._silence >= GIVEN_UP_AFTER:
            if unread:
                self._counts.slow += 1
            else:
                self._counts.dead += 1
            limit = self._owner.limits.keepalive_ms
            self.abort(Unreachable(f"{self.link.peer} was silent for {2 * limit} ms"))
        elif self._silence >= ASKED_AFTER and self.answers_pings:
            self.link.ping()
            self._write_outgoing()
        elif not self.answers_pings and not unread:
            # The system's own probes tell whether it is there.
            self._silence = 0

    # -------------------------------------------------------------------- inside

    def _heed(self) -> None:
        link = self.link
        link.has_news = False
        if link.is_open and not self._is_open and link.ended is None:
            self._is_open = True
            self.frame_bytes = link.peer_frame_bytes
            if isinstance(link, DialedLink):
                self.welcome = link.welcome
            self._owner.opened(self)
        if self.ended is None:
            self._write_outgoing()

    def _write_outgoing(self) -> None:
        if self.link.outgoing:
            self._write(b"".join(self.link.take()))

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        size = len(data)
        self.bytes_out += size
        self._counts.bytes_out += size
        transport.write(data)
        if self.is_slow:
            limit = self._owner.limits.connection_write_bytes
            if transport.get_write_buffer_size() > limit:
                self._counts.slow += 1
                self.abort(
                    Overloaded(f"{self.link.peer} does not read: more than {limit} bytes wait")
                )

    def _break(self, error: FastnessError) -> None:
        counts = self._counts
        if isinstance(error, LimitExceeded):
            counts.oversized += 1
        elif is_malformed(error):
            counts.malformed += 1
        self.end(error)

    def _unlink(self, error: FastnessError) -> None:
        if self.ended is None:
            self.ended = error
            self._owner.unlinked(self, error)


class BufferedConnection(Connection, asyncio.BufferedProtocol):
    """One on asyncio's own loop, which would make and throw away 256 KiB for each read.

    That costs several times what everything else here does. What was read is copied out at once,
    so all the connections of a process share one buffer.
    """

    def __init__(self, owner: Owner, link: Link, *, dialed: Address = "") -> None:
        super().__init__(owner, link, dialed=dialed)
        self._buffer = owner.receive_buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - there is only this one
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes arrived there."""
        self.data_received(bytes(self._buffer[:nbytes]))


def connection_class(loop: asyncio.AbstractEventLoop) -> type[Connection]:
    """The kind of connection that is best on a loop; others read without such waste."""
    return BufferedConnection if isinstance(loop, asyncio.SelectorEventLoop) else Connection


def keep_alive(line: socket.socket | None, keepalive_ms: int) -> None:
    """Have the system notice that the other host is gone, even if nobody reads or writes."""
    if line is None or line.family not in (socket.AF_INET, socket.AF_INET6):
        return
    seconds = max(1, keepalive_ms // 1_000)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", seconds),
        ("TCP_KEEPALIVE", seconds),
        ("TCP_KEEPINTVL", max(1, seconds // 3)),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 2 * keepalive_ms),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            line.setsockopt(socket.IPPROTO_TCP, option, value)


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """What the system and TLS tell of the other end."""
    line = transport.get_extra_info("socket")
    encrypted = transport.get_extra_info("ssl_object") is not None
    certificate = transport.get_extra_info("peercert") or None
    if line is not None and line.family == socket.AF_UNIX:
        return Peer(host="", is_local=True, uid=_user_at(line), is_encrypted=encrypted)
    name = transport.get_extra_info("peername") or ("0.0.0.0", 0)  # noqa: S104 - nobody's address
    host = str(name[0])
    return Peer(
        host=host,
        port=int(name[1]),
        is_local=ip_address(host.partition("%")[0]).is_loopback,
        is_encrypted=encrypted,
        certificate=certificate,
    )


def _user_at(line: socket.socket) -> int | None:
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    _pid, uid, _gid = struct.unpack("3i", line.getsockopt(socket.SOL_SOCKET, option, 12))
    return int(uid)


__all__ = ["RECEIVE_BYTES", "Connection", "Owner", "connection_class", "keep_alive", "peer_of"]
