"""The shape of a range, its durable records, and what split and merge make of them. Pure.

A range keeps small rows of its own beside its data (`Store.range_records`), each under a name:

::

    shape               Shape: interval and generation; the store's word stands, the coordinator's
                        descriptor follows it
    i + id              Intent: a participant's part, prepared and undecided
    d + id              Verdict: a decision whose spans have not all answered yet
    o + range, batch    outcomes written with that batch of that range (8 bytes each): pairs of
                        id and commit timestamp, 0 for aborted
    h                   the outcome horizon
    w                   the newest commit in which writes were declared without a value
    m>                  Elsewhere: a move was begun, and what it built there may have to go
    m<                  Elsewhere: a move has ended here, and what lies there has to go

A split gives each child what overlaps it; a merge takes the union, and of horizons the higher
(CONSISTENCY, section 3.7). Both are functions from records to records, so that the state in
memory is only ever loaded from records, never transformed in place.
"""

from __future__ import annotations

import msgspec

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import StoreDamaged
from fastness.ranges.identity import TransactionId, anchor_of
from fastness.ranges.intents import Intent, clip_intent, join_intents
from fastness.ranges.requests import Interval

SHAPE_RECORD = b"shape"
HORIZON_RECORD = b"h"
DECLARED_RECORD = b"w"
INTENT = b"i"
VERDICT = b"d"
OUTCOMES = b"o"

MOVING = b"m>"
MOVED = b"m<"

Records = dict[bytes, bytes]


class Shape(msgspec.Struct, frozen=True, array_like=True):
    """The interval of a range and its generation, raised by every split and merge."""

    range_id: int
    begin: bytes
    end: bytes
    generation: int
    absorbed: list[int] = []
    """Ids of the ranges it took in by its last merge: their descriptors go."""
    born: list[tuple[int, bytes]] = []
    """Id and begin of the child its last split made: it needs a descriptor."""

    @property
    def interval(self) -> KeyInterval:
        """The keys of the range."""
        return KeyInterval(self.begin, self.end)


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """A durable decision, and the spans that have not answered yet."""

    timestamp: Timestamp
    spans: list[Interval]


class Elsewhere(msgspec.Struct, frozen=True, array_like=True):
    """A range of another store that holds, or may hold, what this one does.

    Whoever removes it there opens it at `epoch` first, and raises that here before each try: so
    no late step of an earlier try does any harm.
    """

    store: str
    range_id: int
    epoch: int


Outcome = tuple[TransactionId, Timestamp]

_encode = msgspec.msgpack.Encoder().encode
_decode_shape = msgspec.msgpack.Decoder(Shape).decode
_decode_intent = msgspec.msgpack.Decoder(Intent).decode
_decode_verdict = msgspec.msgpack.Decoder(Verdict).decode
_decode_elsewhere = msgspec.msgpack.Decoder(Elsewhere).decode
_decode_outcomes = msgspec.msgpack.Decoder(list[Outcome]).decode


def encode_record(value: Shape | Intent | Verdict | Elsewhere | list[Outcome]) -> bytes:
    """The bytes of a record."""
    return _encode(value)


def decode_shape(data: bytes) -> Shape:
    """The shape these bytes are; `StoreDamaged` for others."""
    try:
        return _decode_shape(data)
    except msgspec.DecodeError as error:
        raise _damaged("shape", data, error) from error


def decode_intent(data: bytes) -> Intent:
    """The intent these bytes are."""
    try:
        return _decode_intent(data)
    except msgspec.DecodeError as error:
        raise _damaged("intent", data, error) from error


def decode_verdict(data: bytes) -> Verdict:
    """The verdict these bytes are."""
    try:
        return _decode_verdict(data)
    except msgspec.DecodeError as error:
        raise _damaged("verdict", data, error) from error


def decode_elsewhere(data: bytes) -> Elsewhere:
    """The range elsewhere these bytes name."""
    try:
        return _decode_elsewhere(data)
    except msgspec.DecodeError as error:
        raise _damaged("range elsewhere", data, error) from error


def decode_outcomes(data: bytes) -> list[Outcome]:
    """The outcomes of one batch."""
    try:
        return _decode_outcomes(data)
    except msgspec.DecodeError as error:
        raise _damaged("list of outcomes", data, error) from error


def _damaged(what: str, data: bytes, error: Exception) -> StoreDamaged:
    return StoreDamaged(f"a range's record is no {what} ({error}): {data[:40]!r}; restore a backup")


def outcomes_name(range_id: int, number: int) -> bytes:
    """The name of the outcomes of one batch; no two ranges ever use the same."""
    return OUTCOMES + range_id.to_bytes(8, "big") + number.to_bytes(8, "big")


def encode_timestamp(timestamp: Timestamp) -> bytes:
    """The bytes of a record that holds one timestamp."""
    return timestamp.to_bytes(8, "big")


def horizon_of(records: Records) -> Timestamp:
    """The outcome horizon among these records, 0 for none."""
    return _timestamp(records, HORIZON_RECORD)


def declared_of(records: Records) -> Timestamp:
    """The newest commit in which writes were declared without a value, 0 for none."""
    return _timestamp(records, DECLARED_RECORD)


def _timestamp(records: Records, name: bytes) -> Timestamp:
    return int.from_bytes(records.get(name, b""), "big")


def split_records(records: Records, shape: Shape, key: bytes) -> tuple[Records, Records]:
    """The records of the left and of the right child of a split at `key`, without shapes."""
    left, right = KeyInterval(shape.begin, key), KeyInterval(key, shape.end)
    return _within(records, left), _within(records, right)


def _within(records: Records, interval: KeyInterval) -> Records:
    """What a range of this interval keeps of the records."""
    kept: Records = {}
    for name, data in records.items():
        if name == SHAPE_RECORD:
            continue
        if name[:1] == INTENT:
            part = clip_intent(decode_intent(data), interval)
            if part is not None:
                kept[name] = encode_record(part)
        elif name[:1] == VERDICT:
            # The decision lies where its key does: whoever holds the key answers for it.
            if interval.contains(anchor_of(name[1:])):
                kept[name] = data
        else:
            # Outcomes bind every child, since either may be asked for the whole transaction.
            kept[name] = data
    return kept


def moved_records(records: Records, shape: Shape, source: Elsewhere) -> Records:
    """The records of a range that goes on in another store, under another id: all that bind it."""
    moved = {name: data for name, data in records.items() if name not in (SHAPE_RECORD, MOVING)}
    moved[SHAPE_RECORD] = encode_record(shape)
    moved[MOVED] = encode_record(source)
    return moved


def merge_records(left: Records, right: Records) -> Records:
    """The records of the range two neighbours make, without shapes."""
    merged = {name: data for name, data in left.items() if name != SHAPE_RECORD}
    for name, data in right.items():
        if name == SHAPE_RECORD:
            continue
        if name[:1] == INTENT and name in merged:
            both = join_intents(decode_intent(merged[name]), decode_intent(data))
            merged[name] = encode_record(both)
        else:
            merged[name] = data
    for name in (HORIZON_RECORD, DECLARED_RECORD):
        # Of either timestamp the higher one holds for the whole.
        highest = max(_timestamp(left, name), _timestamp(right, name))
        if highest:
            merged[name] = encode_timestamp(highest)
    return merged
