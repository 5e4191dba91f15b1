"""Every message between processes, and the frames they travel in.

::

    frame = msgpack array [version, kind, number, issued, body]
            or, from a client that traces, [version, kind, number, issued, body, trace]

    CALL    a request; `number` is chosen by the sender and comes back in the answer
    ANSWER  the answer to the call of that number
    NOTICE  needs no answer of its own (`number` 0)

`issued` is the highest timestamp the sender knows to have been issued: knowledge of it spreads
with every message, and leaseholders take floors from it. The body is one of the structures
below, tagged by a small integer. A frame that is not exactly this is refused as a whole
(`InvalidEncoding`), one of another version with `ProtocolMismatch`; neither is acted on.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import InvalidEncoding, ProtocolMismatch
from fastness.placement.descriptors import Descriptor
from fastness.ranges.requests import (
    Ask,
    CommitOne,
    Decide,
    Decision,
    Done,
    Grant,
    Invalidate,
    InvalidateAck,
    Pending,
    Prepare,
    Prepared,
    Read,
    ReadAnswer,
    RenewCache,
    Reserve,
    Resolve,
    Resolved,
)
from fastness.wire.figures import FiguresAnswer, FiguresRequest
from fastness.wire.reports import NodeReport, ReportRequest

PROTOCOL = 1
FRAME_BYTES_MAX = 32 * 1024 * 1024


class Draw(msgspec.Struct, frozen=True, array_like=True, tag=60):
    """To the oracle: issue `count` consecutive timestamps.

    With `reading` the one timestamp asked for is only read at. Where the ceiling is in the way of
    a new one, the highest that was issued does as well: nothing is committed above it so far.
    """

    count: int
    reading: bool = False


class Drawn(msgspec.Struct, frozen=True, array_like=True, tag=61):
    """A block of `count` timestamps from `first` on, issued after the request arrived."""

    first: Timestamp
    count: int


class MapRequest(msgspec.Struct, frozen=True, array_like=True, tag=62):
    """To any node: the range map and the oracle's place."""


class MapAnswer(msgspec.Struct, frozen=True, array_like=True, tag=63):
    """What the node knows; `oracle` is the holder's address, empty while there is none."""

    descriptors: list[Descriptor]
    oracle: str
    nodes: list[str]


class SplitRange(msgspec.Struct, frozen=True, array_like=True, tag=64):
    """To the leaseholder: split the range at `key`, which becomes the right child's begin."""

    range_id: int
    generation: int
    key: bytes


class MergeRange(msgspec.Struct, frozen=True, array_like=True, tag=65):
    """To the leaseholder: absorb the neighbour on the right, held by the same node."""

    range_id: int
    generation: int


class TransferLease(msgspec.Struct, frozen=True, array_like=True, tag=66):
    """To the leaseholder: hand the range to the node at address `to`."""

    range_id: int
    generation: int
    to: str


class MoveRange(msgspec.Struct, frozen=True, array_like=True, tag=71):
    """To the leaseholder: carry the range to another store; answered once it is served there."""

    range_id: int
    generation: int
    store: str


class TakeRange(msgspec.Struct, frozen=True, array_like=True, tag=67):
    """From a node that released a range, to the one that should claim it."""

    range_id: int


class Drain(msgspec.Struct, frozen=True, array_like=True, tag=68):
    """To a node: hand every lease over and take no new one; answered when it holds none."""


class Refusal(msgspec.Struct, frozen=True, array_like=True, tag=80):
    """An error of the taxonomy, by its stable code; nothing was done unless it says otherwise.

    `descriptors` corrects a stale map (`range_moved`), `oracle` a stale oracle address;
    `retry_after_ms` is how long to wait before asking again (`overloaded` and its kinds), 0
    where it is not known.
    """

    code: str
    message: str
    key: bytes = b""
    winner: Timestamp = 0
    descriptors: list[Descriptor] = []
    oracle: str = ""
    retry_after_ms: int = 0


Body = (
    Read
    | CommitOne
    | Prepare
    | Decide
    | Ask
    | Resolve
    | Reserve
    | RenewCache
    | ReadAnswer
    | Prepared
    | Decision
    | Pending
    | Resolved
    | Done
    | Grant
    | Invalidate
    | InvalidateAck
    | Draw
    | Drawn
    | MapRequest
    | MapAnswer
    | SplitRange
    | MergeRange
    | TransferLease
    | MoveRange
    | TakeRange
    | Drain
    | FiguresRequest
    | FiguresAnswer
    | ReportRequest
    | NodeReport
    | Refusal
)


class Kind(IntEnum):
    """What a frame is."""

    CALL = 0
    ANSWER = 1
    NOTICE = 2


CALL, ANSWER, NOTICE = int(Kind.CALL), int(Kind.ANSWER), int(Kind.NOTICE)


class Frame(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """One message on its way; see the module's page."""

    version: int
    kind: int
    number: int
    issued: Timestamp
    body: Body
    trace: bytes = b""
    """The span this belongs to, as `tracing.context` packs it; to be ignored where it is not."""


class _Plain(msgspec.Struct, array_like=True):
    """A frame as nearly all are, so that those without a trace carry nothing of it."""

    version: int
    kind: int
    number: int
    issued: Timestamp
    body: Body


class _Head(msgspec.Struct, array_like=True):
    version: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode
_decode_head = msgspec.msgpack.Decoder(_Head).decode


def encode_frame(kind: int, number: int, issued: Timestamp, body: Body) -> bytes:
    """The bytes of a frame."""
    return _encode(_Plain(PROTOCOL, kind, number, issued, body))


def encode_traced(kind: int, number: int, issued: Timestamp, body: Body, trace: bytes) -> bytes:
    """The bytes of a frame for a peer that takes traces; an empty one is left out."""
    if not trace:
        return encode_frame(kind, number, issued, body)
    return _encode(Frame(PROTOCOL, kind, number, issued, body, trace))


def decode_frame(data: bytes) -> Frame:
    """The frame these bytes are, or `InvalidEncoding`, or `ProtocolMismatch`."""
    if len(data) > FRAME_BYTES_MAX:
        raise InvalidEncoding(
            f"a frame of {len(data)} bytes exceeds FRAME_BYTES_MAX={FRAME_BYTES_MAX}: split it"
        )
    try:
        frame = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _refuse_other_version(data)
        raise InvalidEncoding(f"a frame cannot be decoded ({error}): {data[:40]!r}") from error
    if frame.version != PROTOCOL:
        raise _mismatch(frame.version)
    if not (0 <= frame.kind <= NOTICE and frame.number >= 0 and 0 <= frame.issued <= TIMESTAMP_MAX):
        raise InvalidEncoding(
            f"a frame of kind {frame.kind}, number {frame.number}, issued {frame.issued} is out "
            "of bounds"
        )
    return frame


def _refuse_other_version(data: bytes) -> None:
    try:
        version = _decode_head(data).version
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    if version != PROTOCOL:
        raise _mismatch(version)


def _mismatch(version: int) -> ProtocolMismatch:
    return ProtocolMismatch(
        f"a frame of protocol version {version} arrived, this process speaks {PROTOCOL}: upgrade "
        "the older side"
    )
