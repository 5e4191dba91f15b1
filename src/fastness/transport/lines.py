"""One connection that is pumped: a socket that never blocks, and a `Link`.

::

    connecting -> TLS, if any -> handshake -> open -> ended
         `- the next address of the name, if this one does not answer
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from fastness.errors import FastnessError, LimitExceeded, Overloaded, Unreachable
from fastness.limits import Limits
from fastness.runtime.process import Address
from fastness.transport.addresses import Place, TcpPlace
from fastness.transport.connections import keep_alive
from fastness.transport.counts import TransportCounts
from fastness.transport.dialing import dial_error, hung_up
from fastness.transport.links import DialedLink, is_malformed
from fastness.transport.pump import Pump

_IN, _OUT = select.POLLIN, select.POLLOUT
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class LineOwner(Protocol):
    """What a line needs of the process it belongs to."""

    limits: Limits
    counts: TransportCounts
    pump: Pump
    receive_buffer: memoryview
    """Where all of them read to, one after the other."""

    def line_opened(self, line: Line) -> None:
        """The handshake ended well."""
        ...

    def line_ended(self, line: Line, error: FastnessError, unsent: list[bytes]) -> None:
        """It is of no use any more, and never sent these messages. Told once."""
        ...

    def deliver(self, sender: Address, messages: list[bytes]) -> None:
        """Messages arrived."""
        ...


class Line:
    """See the module's page."""

    def __init__(
        self, owner: LineOwner, dialed: Address, link: DialedLink, tls: ssl.SSLContext | None
    ) -> None:
        """A line that is still to be dialed."""
        self.dialed = dialed
        self.link = link
        self.names: list[Address] = []
        """What its owner sends to it by."""
        self.waiting: list[bytes] = []
        """Lengths and messages in turn, for the next flush."""
        self.frame_bytes = 0
        self.used_ns = 0
        """When it was last read or written."""
        self.ended: FastnessError | None = None
        self._owner = owner
        self._tls = tls
        self._socket: socket.socket | None = None
        self._number = -1
        self._addresses: list[tuple[int, Any]] = []
        self._hostname: str | None = None
        self._events = 0
        self._unsent = bytearray()
        self._step: Callable[[], None] = self._connected
        self._is_open = False

    # ----------------------------------------------------------------- opening

    def dial(self, place: Place) -> None:
        """Begin to connect. A name is looked up at once, which blocks."""
        try:
            if isinstance(place, TcpPlace):
                self._hostname = place.host
                found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
                self._addresses = [(one[0], one[4]) for one in found]
            else:
                self._addresses = [(socket.AF_UNIX, place.path)]
                self._tls = None
        except (OSError, UnicodeError) as error:
            self.end(dial_error(self.dialed, error, self._owner.limits))
            return
        self._next_address(OSError("it has no address"))

    def _next_address(self, error: OSError) -> None:
        while self._addresses:
            family, address = self._addresses.pop(0)
            self._drop_socket()
            try:
                line = socket.socket(family, socket.SOCK_STREAM)
            except OSError as failed:
                error = failed
                continue
            self._socket, self._number, self._events = line, line.fileno(), 0
            line.settimeout(0)
            if family != socket.AF_UNIX:
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                keep_alive(line, self._owner.limits.keepalive_ms)
            code = line.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                self._wait_for(_OUT)
                return
            error = OSError(code, os.strerror(code))
        self.end(dial_error(self.dialed, error, self._owner.limits))

    def _connected(self) -> None:
        line = self._line()
        code = line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._next_address(OSError(code, os.strerror(code)))
            return
        if self._tls is None:
            self._greet()
            return
        self._owner.pump.unwatch(self._number)
        self._socket = self._tls.wrap_socket(
            line, server_hostname=self._hostname, do_handshake_on_connect=False
        )
        self._events = 0
        self._step = self._shake_tls
        self._shake_tls()

    def _shake_tls(self) -> None:
        line = self._line()
        if not isinstance(line, ssl.SSLSocket):
            return
        try:
            line.do_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(_IN)
        except ssl.SSLWantWriteError:
            self._wait_for(_OUT)
        else:
            self._greet()

    def _greet(self) -> None:
        self._step = self._exchange
        self._wait_for(_IN)
        self._write(b"".join(self.link.take()))

    def _line(self) -> socket.socket:
        if self._socket is None:
            raise OSError(errno.EBADF, "the connection is closed")
        return self._socket

    # ---------------------------------------------------------- while it stands

    def handle(self, events: int) -> None:  # noqa: ARG002 - each step asks the socket itself
        """The socket is ready for what is to be done next."""
        try:
            self._step()
        except (OSError, ValueError) as error:
            self.end(self._reason(error))
        except FastnessError as error:
            if isinstance(error, LimitExceeded):
                self._owner.counts.oversized += 1
            elif is_malformed(error):
                self._owner.counts.malformed += 1
            self.end(error)

    def _reason(self, error: Exception) -> FastnessError:
        if self._is_open:
            return Unreachable(f"the connection to {self.dialed} broke ({error})")
        return dial_error(self.dialed, error, self._owner.limits)

    def _exchange(self) -> None:
        """Write what is left over, and read what is there."""
        if self._unsent:
            self._write(b"")
        line, buffer = self._line(), self._owner.receive_buffer
        while self.ended is None:
            try:
                size = line.recv_into(buffer)
            except _AGAIN:
                return
            if not size:
                self._hung_up()
                return
            self._take(bytes(buffer[:size]))
            # The system tells of what is left; TLS may have taken it from there already.
            if self._tls is None:
                return

    def _take(self, data: bytes) -> None:
        link, counts = self.link, self._owner.counts
        counts.bytes_in += len(data)
        messages = link.feed(data)
        if link.has_news:
            link.has_news = False
            if link.is_open and not self._is_open and link.ended is None:
                self._is_open = True
                self.frame_bytes = link.peer_frame_bytes
                self._owner.line_opened(self)
            if self.ended is None and link.outgoing:
                self._write(b"".join(link.take()))
        if messages and self.ended is None:
            counts.frames_in += len(messages)
            self._owner.deliver(link.peer, messages)
        if link.ended is not None:
            self.end(link.ended)

    def _hung_up(self) -> None:
        if self.link.is_amid:
            self._owner.counts.malformed += 1
        self.end(hung_up(self.dialed, amid_handshake=not self._is_open))

    def look(self) -> None:
        """Take what has arrived while nobody pumped, the end of the connection included."""
        if self._is_open:
            self.handle(_IN)

    # ----------------------------------------------------------------- writing

    def flush(self) -> None:
        """Write what waits, as far as the system takes it."""
        waiting = self.waiting
        if self.ended is None and waiting:
            data = b"".join(waiting)
            self._owner.counts.frames_out += len(waiting) // 2
            waiting.clear()
            try:
                self._write(data)
            except OSError as error:
                self.end(self._reason(error))
        waiting.clear()

    def _write(self, data: bytes) -> None:
        """Write behind what is left over from before."""
        self._owner.counts.bytes_out += len(data)
        backlog = self._unsent
        if not backlog:
            # Nearly always the system takes all of it at once.
            try:
                sent = self._line().send(data)
            except _AGAIN:
                sent = 0
            if sent == len(data):
                if self._events != _IN:
                    self._wait_for(_IN)
                return
            data = data[sent:]
        backlog += data
        del backlog[: self._pushed(backlog)]
        self._wait_for(_IN | _OUT if backlog else _IN)
        limit = self._owner.limits.connection_write_bytes
        if len(backlog) > limit:
            self._owner.counts.slow += 1
            self.end(Overloaded(f"{self.dialed} does not read: more than {limit} bytes wait"))

    def _pushed(self, data: bytearray) -> int:
        """How much of this the system takes at once."""
        line = self._line()
        size, sent = len(data), 0
        with memoryview(data) as view:
            while sent < size:
                try:
                    sent += line.send(view[sent:])
                except _AGAIN:
                    break
        return sent

    def _wait_for(self, events: int) -> None:
        if events != self._events:
            self._events = events
            self._owner.pump.watch(self._number, self, events)

    # ------------------------------------------------------------------ ending

    def end(self, error: FastnessError) -> None:
        """Close, for this reason. Idempotent."""
        if self.ended is None:
            self.ended = error
            self._drop_socket()
            # Lengths and messages in turn; none of what waits was ever written.
            frames, self.waiting = self.waiting[1::2], []
            self._unsent.clear()
            self._owner.line_ended(self, error, frames)

    def _drop_socket(self) -> None:
        line, self._socket = self._socket, None
        if line is not None:
            self._owner.pump.unwatch(self._number)
            with suppress(OSError):
                line.close()

    def disown(self) -> None:
        """In a forked child: let go of the socket, and of TLS, without a word on the line."""
        line, self._socket = self._socket, None
        if line is not None:
            with suppress(OSError):
                os.close(line.detach())
