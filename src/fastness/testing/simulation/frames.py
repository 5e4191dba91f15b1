"""Frames as the network sees them: how one is shown to a reader, and how one is damaged.

Damage is bits flipped, a frame cut short, or another protocol version. A frame of this package
carries no checksum of its own (TCP and TLS do), so only damage that its decoder can see is done:
what would decode all the same is cut short instead. Frames of other protocols are damaged in any
way at all.
"""

from __future__ import annotations

from random import Random

from fastness.errors import InvalidEncoding, ProtocolMismatch
from fastness.wire.messages import PROTOCOL, Kind, decode_frame

FLIPPED_BITS_MAX = 3
VERSION_PLACE = 1
"""Where a frame has its version, after the one byte that says how many fields follow."""


def described(frame: bytes) -> str:
    """A frame in the lines of a trace: its message if it is one of this package."""
    try:
        message = decode_frame(frame)
    except (InvalidEncoding, ProtocolMismatch):
        return repr(frame)
    return f"{Kind(message.kind).name} {message.number} {message.body}"


def damaged(frame: bytes, random: Random) -> bytes:
    """The frame as it might arrive over a bad line."""
    if not frame:
        return b"\xc1"
    if not _decodes(frame):
        return random.choice((_flipped, _shortened))(frame, random)
    worse = random.choice((_flipped, _shortened, _of_another_version))(frame, random)
    return _shortened(frame, random) if _decodes(worse) else worse


def _flipped(frame: bytes, random: Random) -> bytes:
    bits = bytearray(frame)
    for place in random.sample(range(8 * len(bits)), random.randint(1, FLIPPED_BITS_MAX)):
        bits[place // 8] ^= 1 << place % 8
    return bytes(bits)


def _shortened(frame: bytes, random: Random) -> bytes:
    return frame[: random.randrange(len(frame))]


def _of_another_version(frame: bytes, random: Random) -> bytes:
    version = random.randrange(PROTOCOL + 1, 100)
    return frame[:VERSION_PLACE] + bytes([version]) + frame[VERSION_PLACE + 1 :]


def _decodes(frame: bytes) -> bool:
    try:
        decode_frame(frame)
    except (InvalidEncoding, ProtocolMismatch):
        return False
    return True
