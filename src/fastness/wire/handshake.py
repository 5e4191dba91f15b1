"""The frames of the transport itself: how a connection begins, is kept, and ends.

::

    dialer                                   whoever listens
      |-- Hello: versions, who I am, token, whom I want -->|
      |<-- Welcome: version, who I am, what you may -------|     or a Refusal, and the end
      |<=========== messages, both ways ==================>|
      |-- Ping n -->|  |<-- Pong n --|                           either way
      |<-- Refusal: why this connection ends --------------|     either way

They are marked as frames of the transport by the top bit of their length (`transport.framing`),
so messages never need to be looked into. Their form never changes with the protocol version,
which is only agreed on here: fields may be added at the end, and unknown ones are skipped.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from fastness.errors import InvalidEncoding
from fastness.wire.messages import PROTOCOL, Refusal

MAGIC = "fastness"
PROTOCOLS: tuple[int, ...] = (PROTOCOL,)
"""The versions this program speaks, the best last."""

HANDSHAKE_BYTES_MAX = 16 * 1024
"""The longest frame anybody may send before the connection is open."""


class Role(StrEnum):
    """What a peer may do, from the least to the most."""

    READ_ONLY = "read-only"
    READ_WRITE = "read-write"
    ADMIN = "admin"
    NODE = "node"
    """A node of the same cluster; only such a peer may go by the address of a node."""


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=90):
    """The first frame of whoever dials.

    `wanted` is a full address, or a seed: then whoever answers there is meant. A peer that only
    reads while a call of its is out says that it does not answer pings, and is left in peace.
    """

    magic: str
    versions: list[int]
    address: str
    credential: str
    wanted: str
    answers_pings: bool = True
    agent: str = ""
    """The program, for whoever looks at the connections of a server."""


class Welcome(msgspec.Struct, frozen=True, array_like=True, tag=91):
    """The answer that opens the connection.

    `address` is the full address of whoever answered. Every key the peer names must begin with
    `prefix`. `frame_bytes` is the longest frame that will be taken.
    """

    version: int
    address: str
    role: str
    prefix: bytes
    token: str
    """The name of the token the credential was found to be."""
    frame_bytes: int
    keepalive_ms: int
    takes_traces: bool = False
    """Whether messages may carry a trace; a peer that does not know them refuses the frame."""


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=92):
    """Are you there?"""

    number: int


class Pong(msgspec.Struct, frozen=True, array_like=True, tag=93):
    """Yes."""

    number: int


Control = Hello | Welcome | Ping | Pong | Refusal

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Control).decode


def encode_control(frame: Control) -> bytes:
    """The bytes of a frame of the transport, without its length."""
    return _encode(frame)


def decode_control(data: bytes) -> Control:
    """The frame these bytes are, or `InvalidEncoding`."""
    try:
        frame: Control = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEncoding(
            f"a frame of the transport cannot be decoded ({error}): {data[:40]!r}"
        ) from error
    return frame


def best_version(offered: list[int]) -> int:
    """The best version both sides speak, 0 where there is none."""
    return next((version for version in reversed(PROTOCOLS) if version in offered), 0)
