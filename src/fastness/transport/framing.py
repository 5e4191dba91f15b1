"""Frames in a stream of bytes: cut out on one side, wrapped on the other. No I/O.

::

    length (4 bytes, big-endian)   that many bytes
    top bit of the length          set: a frame of the transport itself (`wire.handshake`),
                                   clear: a message, which is not looked into

A stream may be cut anywhere; what has arrived of an unfinished frame is kept, never more than
the longest frame allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from fastness.errors import LimitExceeded

HEADER_BYTES = 4
CONTROL = 1 << 31
LENGTH_MAX = CONTROL - 1

_header = Struct(">I")
pack_length = _header.pack
_unpack_from = _header.unpack_from


def control_frame(payload: bytes) -> bytes:
    """A frame of the transport, as it goes over the line."""
    return pack_length(CONTROL | len(payload)) + payload


def message_frame(payload: bytes) -> bytes:
    """A message, as it goes over the line."""
    return pack_length(len(payload)) + payload


class FrameSplitter:
    """Cuts frames out of the pieces of one stream, in the order they arrive.

    `control` is called with each frame of the transport; it may change `frame_bytes_max`.
    """

    __slots__ = ("_control", "_needed", "_partial", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int, control: Callable[[bytes], object]) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._control = control
        self._partial: bytearray | None = None
        self._needed = HEADER_BYTES

    @property
    def is_amid(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self._partial is not None

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole by now.

        `LimitExceeded` as soon as a length is too great, and whatever `control` raises: the
        stream is of no use any more.
        """
        partial = self._partial
        if partial is not None:
            partial += data
            if len(partial) < self._needed:
                return []
            data = bytes(partial)
            self._partial = None
        messages: list[bytes] = []
        size = len(data)
        place = 0
        needed = HEADER_BYTES
        while size - place >= HEADER_BYTES:
            head: int = _unpack_from(data, place)[0]
            length = head & LENGTH_MAX
            if length > self.frame_bytes_max:
                raise _too_long(length, self.frame_bytes_max)
            begin = place + HEADER_BYTES
            end = begin + length
            if end > size:
                needed = HEADER_BYTES + length
                break
            place = end
            if head == length:
                messages.append(data[begin:end])
            else:
                self._control(data[begin:end])
        if place < size:
            self._partial = bytearray(data[place:])
            self._needed = needed
        return messages


def _too_long(length: int, limit: int) -> LimitExceeded:
    return LimitExceeded(
        f"a frame of {length} bytes exceeds the {limit} that are taken (limit frame_bytes): "
        "split what it carries"
    )
