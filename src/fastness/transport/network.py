"""`NetworkProcess`: a `Process` on an event loop, over TCP and Unix sockets, with or without TLS.

::

    send(to) --- a connection is open ----> its waiting list -> one write for most of this turn
         |------ none, but it can be dialed -> waits for the handshake, or is dropped
         `------ none, and it cannot -------> dropped

One connection serves one other process, in both directions: a client is reached over those it
opened, a node over whichever of both sides dialed. Whoever is dialed under one name answers under
its own full address, and is then sent to by either. All of it runs on one thread.

Frames of one turn leave in one write, but no more than `FRAMES_AT_ONCE`: while this side goes on
with its turn the other can begin. Without that bound many tasks that commit together fall into
step: all of them wait while the server works, and the server waits while they do, so that two
processors do the work of one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial

from fastness.errors import (
    DatabaseClosed,
    FastnessError,
    InvalidOption,
    Unreachable,
)
from fastness.limits import Limits
from fastness.runtime.clock import Clock
from fastness.runtime.forking import own
from fastness.runtime.looped import SECONDS_PER_MILLISECOND, LoopedProcess, Note
from fastness.runtime.process import Address
from fastness.transport.accepting import TLS_SHUTDOWN_S, Acceptor
from fastness.transport.addresses import (
    Place,
    UnixPlace,
    client_address,
    is_client,
    is_seed,
    place_of,
)
from fastness.transport.connections import RECEIVE_BYTES, Connection, connection_class
from fastness.transport.counts import TransportCounts
from fastness.transport.dialing import (
    REMEMBERED_MAX,
    Failures,
    Lost,
    Queue,
    Undelivered,
    dial_error,
    not_reached,
    too_long,
    too_much_waits,
)
from fastness.transport.framing import pack_length
from fastness.transport.grants import NODE_GRANT, Authenticate, Grant, Peer, Session
from fastness.transport.links import DialedLink
from fastness.transport.listening import Listener, bind
from fastness.transport.switchboard import Switchboard
from fastness.wire.handshake import MAGIC, PROTOCOLS, Hello, Welcome

FRAMES_AT_ONCE = 16
"""Measured with 64 tasks that commit: 12,500 a second instead of 6,500, the same from 8 to 32."""

Judge = Callable[[Grant, Peer], FastnessError | None]


class NetworkProcess(LoopedProcess):
    """See the module's page. Made inside a running event loop; close it in the end.

    Without `address` it is a client, which only dials. A process that is to be dialed is given
    the address it is known by (`node_address(listener.place)`), and told to `serve`.
    """

    def __init__(
        self,
        address: Address | None = None,
        *,
        limits: Limits | None = None,
        credential: str = "",
        tls: ssl.SSLContext | None = None,
        agent: str = "",
        clock: Clock | None = None,
        note: Note | None = None,
    ) -> None:
        """`credential` and `tls` are for dialing; TLS is never used over a Unix socket."""
        if address is not None and (is_client(address) or is_seed(address)):
            raise InvalidOption(f"{address!r} names no node: make one with node_address")
        super().__init__(address or client_address(), clock=clock, note=note)
        self.limits = limits or Limits()
        self.counts = TransportCounts()
        self.lost: Lost | None = None
        """Hears of peers that are not connected any more, later as well."""
        self.undelivered: Undelivered | None = None
        """Hears of frames that certainly were not sent, and why, in a later turn of the loop."""
        self.credential = credential
        self.tls = tls
        self.agent = agent
        self.connection_class = connection_class(self._loop)
        self.receive_buffer = memoryview(bytearray(RECEIVE_BYTES))
        self._switchboard = Switchboard(self.counts)
        self._links = self._switchboard.links
        self._acceptor = Acceptor(self, self._switchboard)
        self._dials: dict[Address, asyncio.Task[None]] = {}
        self._queues: dict[Address, Queue] = {}
        self._via: dict[Address, Address] = {}
        """By which seed a process was reached."""
        self._failures = Failures(self.limits, self.random)
        self._dirty: list[Connection] = []
        self._is_corked = False
        self._flush_is_due = False
        self._sweeping: asyncio.TimerHandle | None = None
        own(self)

    # ---------------------------------------------------------------- sending

    def send(self, to: Address, frame: bytes) -> None:
        """Send a frame over the open connection, or the one that is opened for it."""
        connection = self._links.get(to)
        if connection is None:
            self._send_elsewhere(to, frame)
            return
        size = len(frame)
        if size > connection.frame_bytes:
            self.counts.oversized += 1
            self._drop([frame], too_long(to, size, connection.frame_bytes))
            return
        waiting = connection.waiting
        if not waiting:
            self._dirty.append(connection)
            if not self._is_corked and not self._flush_is_due:
                self._flush_is_due = True
                self._loop.call_soon(self._flush)
        waiting.append(pack_length(size))
        waiting.append(frame)
        if len(waiting) >= 2 * FRAMES_AT_ONCE:
            connection.flush()

    def _flush(self) -> None:
        self._flush_is_due = False
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()

    def deliver(self, sender: Address, messages: list[bytes]) -> None:
        """Hand messages on, then write whatever they were answered with."""
        receive = self._receive
        if receive is None:
            return
        self._is_corked = True
        try:
            for message in messages:
                receive(sender, message)
        finally:
            self._is_corked = False
            if self._dirty:
                self._flush()

    def _send_elsewhere(self, to: Address, frame: bytes) -> None:
        if self._closed:
            return
        if to == self.address:
            self._loop.call_soon(self.arrive, to, frame)
            return
        if is_client(to):
            self.counts.undeliverable += 1
            self._drop([frame], Unreachable(f"{to} is a client, and has no connection"))
            return
        queue = self._queues.get(to)
        if queue is None:
            queue = self._queues[to] = Queue()
            self._dial(to)
        if not queue.add(frame, self.limits.connection_write_bytes):
            self.counts.undeliverable += 1
            self._drop([frame], too_much_waits(to, self.limits.connection_write_bytes))

    def _drop(self, frames: list[bytes], reason: FastnessError) -> None:
        """These were not sent, and never will be."""
        self.note(f"{len(frames)} frames were dropped: {reason}")
        if self.undelivered is not None and not self._closed:
            self._loop.call_soon(self.undelivered, frames, reason)

    # ---------------------------------------------------------------- dialing

    async def reach(self, to: Address) -> Address:
        """Open a connection, if there is none; the full address of whoever answered.

        Raises why not: `Unreachable`, `Unauthenticated`, `PermissionDenied`, `ProtocolMismatch`,
        `Overloaded`, `InvalidOption` where the address or its certificate is wrong, or
        `DatabaseClosed` once the process is closed.
        """
        if to not in self._links:
            if self._closed:
                raise DatabaseClosed(f"{self.address} is closed: it reaches nobody any more")
            if to not in self._dials:
                self._dial(to)
            await self._opened(self._dials[to])
        connection = self._links.get(to)
        if connection is None:
            raise Unreachable(f"{to} hung up at once: try again")
        return connection.link.peer

    async def _opened(self, dial: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(dial)
        except (asyncio.CancelledError, FastnessError):
            if dial.done() and self._closed:
                raise DatabaseClosed(f"{self.address} was closed while it dialed") from None
            raise

    def welcome_of(self, address: Address) -> Welcome | None:
        """What a process that was dialed said when it opened, `None` without a connection."""
        connection = self._links.get(address)
        return None if connection is None else connection.welcome

    def reason(self, address: Address) -> FastnessError | None:
        """Why this address could not be dialed last time, `None` where it could."""
        return self._failures.reason(address)

    def _dial(self, to: Address) -> None:
        self._queues.setdefault(to, Queue())
        task = self.spawn(self._dialed(to), name=f"dial {to}")
        self._dials[to] = task
        task.add_done_callback(partial(self._dial_ended, to))

    async def _dialed(self, to: Address) -> None:
        pause_ms = self._failures.pause_ms(to)
        if pause_ms:
            await asyncio.sleep(pause_ms * SECONDS_PER_MILLISECOND)
        self.counts.dialed += 1
        hello = Hello(MAGIC, list(PROTOCOLS), self.address, self.credential, to, agent=self.agent)
        link = DialedLink(hello, self.limits.frame_bytes)
        connection = self.connection_class(self, link, dialed=to)
        opening = connection.opening = self._loop.create_future()
        try:
            async with asyncio.timeout(self.limits.handshake_ms * SECONDS_PER_MILLISECOND):
                await self._connect(self._via.get(to, to), connection)
                await opening
        except (FastnessError, OSError, TimeoutError, ValueError) as error:
            reason = dial_error(to, connection.ended or error, self.limits)
            raise reason from error
        finally:
            if not connection.link.is_open:
                if not opening.cancel() and not opening.cancelled():
                    # Known already; the loop need not report it.
                    opening.exception()
                connection.abort(Unreachable(f"{to} is not dialed any more"))

    async def _connect(self, to: Address, connection: Connection) -> None:
        place = place_of(to)
        if isinstance(place, UnixPlace):
            await self._loop.create_unix_connection(lambda: connection, place.path)
        else:
            await self._loop.create_connection(
                lambda: connection,
                place.host,
                place.port,
                ssl=self.tls,
                server_hostname=place.host if self.tls is not None else None,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S if self.tls is not None else None,
            )

    def _dial_ended(self, to: Address, task: asyncio.Task[None]) -> None:
        self._dials.pop(to, None)
        queue = self._queues.pop(to, None)
        # Those of a connection that opened have left with it.
        frames = [] if queue is None else queue.frames
        self.counts.undeliverable += len(frames)
        if task.cancelled():
            return
        error = task.exception()
        if frames:
            self._drop(frames, not_reached(to, error))
        if isinstance(error, FastnessError):
            self.counts.failed_dials += 1
            self._failures.add(to, error)
            self.note(f"{to} cannot be reached: {error}")

    # -------------------------------------------------------------- accepting

    def serve(
        self,
        where: Listener | Place | str,
        *,
        authenticate: Authenticate,
        tls: ssl.SSLContext | None = None,
    ) -> Listener:
        """Take connections at a place, or at a listener that was bound before, from now on.

        Any number of places may be served. `tls` of the listener may be replaced at any time;
        `stop_listening` keeps what was accepted. `AddressUnavailable` where nobody can listen.
        """
        if is_client(self.address):
            raise InvalidOption(f"{self.address} is a client: give a server an address")
        listener = where if isinstance(where, Listener) else bind(where)
        listener.tls = tls
        self._acceptor.start(listener, authenticate)
        return listener

    def stop_listening(self, listener: Listener) -> None:
        """Take no more connections there; those that were taken live on. Idempotent."""
        self._acceptor.stop(listener)

    # ------------------------------------------------- what connections tell (`Owner`)

    def connected(self, connection: Connection) -> None:
        """The line stands, the handshake begins."""
        self._switchboard.hold(connection)

    def opened(self, connection: Connection) -> None:
        """The handshake ended well."""
        connection.since_ns = self.clock.boot_ns()
        if connection.dialed:
            self._opened_dialed(connection)
        else:
            self._acceptor.proved(connection)
            self.counts.opened += 1
            self._switchboard.link(connection, connection.link.peer)
        if self._sweeping is None and not self._closed:
            self._sweep_later()

    def _opened_dialed(self, connection: Connection) -> None:
        dialed, peer = connection.dialed, connection.link.peer
        if is_client(peer) or is_seed(peer) or (dialed != peer and not is_seed(dialed)):
            connection.end(Unreachable(f"{peer} answered in place of {dialed}"))
            return
        self.counts.opened += 1
        connection.grant = NODE_GRANT
        self._failures.clear(dialed)
        if dialed != peer:
            self._via[peer] = dialed
            if len(self._via) > REMEMBERED_MAX:
                del self._via[next(iter(self._via))]
        present = self._links.get(peer, connection)
        for name in (peer, dialed):
            self._switchboard.link(present, name)
            queue = self._queues.pop(name, None)
            for frame in () if queue is None else queue.frames:
                self.send(name, frame)
        if connection.opening is not None and not connection.opening.done():
            connection.opening.set_result(None)
        if present is not connection:
            connection.end(Unreachable(f"{peer} is connected already"))

    def unlinked(self, connection: Connection, error: FastnessError) -> None:
        """Nothing comes or goes over it any more."""
        self._switchboard.unlink(connection)
        if self.lost is not None and not self._closed:
            for name in connection.names:
                if name not in self._links:
                    self._loop.call_soon(self.lost, name)
        # Lengths and messages in turn; none of what waits was ever written.
        frames, connection.waiting = connection.waiting[1::2], []
        if frames:
            self.counts.undeliverable += len(frames)
            self._drop(frames, not_reached(connection.link.peer, error))
        self._acceptor.proved(connection)
        if connection.opening is not None and not connection.opening.done():
            connection.opening.set_exception(error)

    def gone(self, connection: Connection) -> None:
        """The line is closed."""
        self._switchboard.release(connection)

    # ---------------------------------------------------------- looking, keeping

    def grant_of(self, address: Address) -> Grant | None:
        """What a peer may do, by its address; `None` where it is not connected."""
        if address == self.address:
            return NODE_GRANT
        connection = self._links.get(address)
        return None if connection is None else connection.grant

    def sessions(self) -> list[Session]:
        """Every open connection, the oldest first."""
        return [
            Session(
                one.link.peer,
                one.grant,
                one.peer,
                one.agent,
                one.since_ns,
                one.bytes_in,
                one.bytes_out,
                one.is_slow,
            )
            for one in self._switchboard.lines
            if one.grant is not None and one.link.is_open
        ]

    def review(self, judge: Judge) -> int:
        """End every accepted connection for which `judge` gives a reason; how many those were.

        For tokens that were revoked, and drains that have waited long enough.
        """
        ended = 0
        for one in self._switchboard.lines:
            if one.grant is None or one.peer is None or one.ended is not None:
                continue
            error = judge(one.grant, one.peer)
            if error is not None:
                one.end(error)
                ended += 1
        return ended

    def _sweep_later(self) -> None:
        seconds = self.limits.keepalive_ms * SECONDS_PER_MILLISECOND / 2
        self._sweeping = self._loop.call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        for connection in self._switchboard.lines:
            connection.sweep()
        if len(self._switchboard):
            self._sweep_later()

    # ---------------------------------------------------------------- closing

    async def close(self) -> None:
        """Tell every peer, let what was sent leave, and end everything. Idempotent.

        A peer that does not read is waited for no longer than `limits.handshake_ms`. Not to be
        called by a task of the process itself.
        """
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
        for listener in self._acceptor.listeners:
            self._acceptor.stop(listener)
        self._flush()
        reason = Unreachable(f"{self.address} is shutting down")
        for connection in self._switchboard.lines:
            if connection.link.is_open:
                connection.end(reason)
            else:
                connection.abort(reason)
        patience_s = self.limits.handshake_ms * SECONDS_PER_MILLISECOND
        await self._switchboard.emptied(patience_s)
        for connection in self._switchboard.lines:
            connection.abort(reason)
        await self._switchboard.emptied(patience_s)
        await self.end()

    def disown(self) -> None:
        """In a forked child: the connections, and the loop, are the parent's."""
        self._closed = True
        self._switchboard.clear()
        self._queues.clear()
        self._receive = None


__all__ = ["NetworkProcess"]
