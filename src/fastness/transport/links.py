"""One end of a connection without the connection: bytes in, messages and bytes to send out.

::

    DialedLink     sends Hello, waits for Welcome       |
    AcceptedLink   waits for Hello, sends Welcome       |  then open: messages, pings, pongs
    either         a Refusal, sent or received, is the end

Whoever owns the connection feeds what arrives, writes what `take` gives, and closes when `feed`
raises: the error is the reason, and `farewell` says it to the other side.
"""

from __future__ import annotations

from collections.abc import Callable

from fastness.errors import FastnessError, InvalidEncoding, LimitExceeded, ProtocolMismatch
from fastness.runtime.process import Address
from fastness.transport.framing import FrameSplitter, control_frame
from fastness.wire.handshake import (
    HANDSHAKE_BYTES_MAX,
    MAGIC,
    PROTOCOLS,
    Control,
    Hello,
    Ping,
    Pong,
    Welcome,
    best_version,
    decode_control,
    encode_control,
)
from fastness.wire.messages import Refusal
from fastness.wire.refusals import error_of

_HANDSHAKE_BYTE = b"\x80"
"""What every stream of this protocol begins with: a short frame of the transport."""

_TLS_BYTES = (b"\x14", b"\x15", b"\x16")
"""What a stream of TLS begins with."""


class Link:
    """What both ends have alike. `is_open` tells whether messages may come and go."""

    def __init__(self, frame_bytes: int) -> None:
        """Take frames of up to `frame_bytes` once open."""
        self.is_open = False
        self.peer: Address = ""
        """The address of the other side, once open."""
        self.peer_frame_bytes = frame_bytes
        """The longest frame the other side takes."""
        self.outgoing: list[bytes] = []
        """Frames of the transport to be written, in order, before anything else."""
        self._frame_bytes = frame_bytes
        self.ended: FastnessError | None = None
        """Why the other side ends the connection, once it said so."""
        self.has_news = False
        """Whether frames of the transport arrived that its owner has not looked into."""
        self._begun = False
        self._pings = 0
        self._splitter = FrameSplitter(HANDSHAKE_BYTES_MAX, self._take)

    @property
    def is_amid(self) -> bool:
        """Whether part of a frame has arrived and the rest has not."""
        return self._splitter.is_amid

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole by now; raises when the connection is of no use any more."""
        if not self._begun:
            _require_handshake(data, self.describes_server)
            self._begun = True
        messages = self._splitter.feed(data)
        if messages and not self.is_open:
            raise InvalidEncoding("a message arrived before the handshake: say Hello first")
        return messages

    describes_server = False
    """Whether the other side is one that was dialed, for what errors say."""

    def take(self) -> list[bytes]:
        """What is to be written, once."""
        taken, self.outgoing = self.outgoing, []
        return taken

    def ping(self) -> None:
        """Ask whether the other side is there."""
        self._pings += 1
        self._send(Ping(self._pings))

    def _open(self, peer: Address) -> None:
        self.peer = peer
        self.is_open = True
        self._splitter.frame_bytes_max = self._frame_bytes

    def _send(self, frame: Control) -> None:
        self.outgoing.append(control_frame(encode_control(frame)))

    def _take(self, payload: bytes) -> None:
        frame = decode_control(payload)
        self.has_news = True
        if type(frame) is Refusal:
            self.ended = error_of(frame)
        elif not self.is_open:
            self._shake(frame)
        elif type(frame) is Ping:
            self._send(Pong(frame.number))
        elif type(frame) is not Pong:
            raise InvalidEncoding(f"{type(frame).__name__} arrived on an open connection")

    def _shake(self, frame: Control) -> None:
        raise NotImplementedError


class DialedLink(Link):
    """The end that dialed."""

    describes_server = True

    def __init__(self, hello: Hello, frame_bytes: int) -> None:
        super().__init__(frame_bytes)
        self.welcome: Welcome | None = None
        self._wanted = hello.wanted
        self._send(hello)

    def _shake(self, frame: Control) -> None:
        if type(frame) is not Welcome:
            raise InvalidEncoding(f"{type(frame).__name__} arrived in place of a welcome")
        if frame.version not in PROTOCOLS:
            raise ProtocolMismatch(
                f"{self._wanted} chose protocol version {frame.version}, this process speaks "
                f"{list(PROTOCOLS)}: upgrade the older side"
            )
        self.welcome = frame
        self.peer_frame_bytes = frame.frame_bytes
        self._open(frame.address)


class AcceptedLink(Link):
    """The end that was dialed. `admit`, to be set, judges a Hello: it welcomes it, or raises."""

    def __init__(self, frame_bytes: int) -> None:
        super().__init__(frame_bytes)
        self.hello: Hello | None = None
        self.admit: Callable[[Hello], Welcome]

    def _shake(self, frame: Control) -> None:
        if type(frame) is not Hello or frame.magic != MAGIC:
            raise InvalidEncoding(f"{type(frame).__name__} arrived in place of a Hello of {MAGIC}")
        if not best_version(frame.versions):
            raise ProtocolMismatch(
                f"the peer speaks protocol versions {frame.versions[:10]}, this process "
                f"{list(PROTOCOLS)}: upgrade the older side"
            )
        welcome = self.admit(frame)
        self.hello = frame
        self._open(frame.address)
        self._send(welcome)


def farewell(error: FastnessError) -> bytes:
    """The last frame of a connection: why it ends."""
    return control_frame(encode_control(Refusal(code=error.code, message=str(error))))


def _require_handshake(data: bytes, from_server: bool) -> None:
    first = data[:1]
    if first == _HANDSHAKE_BYTE:
        return
    side = "the server" if from_server else "the peer"
    if first in _TLS_BYTES:
        remedy = "connect with TLS" if from_server else "this port is without TLS: turn it off"
        raise InvalidEncoding(f"{side} speaks TLS on a connection without: {remedy}")
    raise InvalidEncoding(f"{side} does not speak this protocol, it began with {data[:24]!r}")


def is_malformed(error: FastnessError) -> bool:
    """Whether a connection ended for bytes that make no sense."""
    return isinstance(error, InvalidEncoding | LimitExceeded | ProtocolMismatch)
