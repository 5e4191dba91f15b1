"""The rows of a store's five tables as bytes; the same in every engine that keeps bytes.

::

    newest    key                                         -> cell
    history   escaped key, 00, ended (8)                  -> cell
    log       commit timestamp (8), range id (8)          -> keys fresh, replaced, deleted
    expiry    gone from (8), key                          -> nothing
    state     'r', range id (8)                           -> six numbers (8 each), see `RangeRow`
              's', range id (8), name                     -> bytes of a record of the range
              'm', name                                   -> bytes of a mark
              'i'                                         -> identity, the directory's as well

Integers are big-endian, so rows sort as their numbers do. A key is escaped as in the tuple
layer: each 00 becomes 00 ff, and a single 00 ends it. Thus history rows sort by key first and
by the end of their version next, and no key's rows lie among another's.

A log row lists the keys a commit brought into being ("fresh"), those it gave a new value
("replaced") and those it took away ("deleted"). For the last two a history row with that very
timestamp exists until it is pruned; for the first two a version with it. So pruning knows every
row to remove without searching for it, and verification every row to expect. The range id
keeps apart what one transaction wrote, at one timestamp, in two ranges of this store; once they
are merged, the row of the surviving one may tell of both. A row whose keys belong to two ranges
after a split loses, when one side is pruned, the keys of that side.

An expiry row is written with a version that expires, and says from when on nobody sees it: its
expiry, or its commit where that is later. It goes when the version leaves the newest table, by
being overwritten, deleted or pruned, so that there is one for each that expires there.

Records of a range are rows it keeps for itself beside its versions: intents, transaction
records, outcomes. Their names sort, and are found by the range's prefix.

Every decoder raises `StoreDamaged` for bytes no encoder here wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

import msgspec

from fastness.encoding.intervals import KeyInterval, prefix_end
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import StoreDamaged
from fastness.invariants import check

TIMESTAMP_BYTES = 8


class Table(IntEnum):
    """The five tables of a store."""

    NEWEST = 0
    HISTORY = 1
    LOG = 2
    STATE = 3
    EXPIRY = 4


Put = tuple[Table, bytes, bytes | None]
"""A row to write; `None` removes it."""

IDENTITY_ROW = b"i"
RANGE_ROWS = KeyInterval(b"r", b"s")
"""The rows of the ranges, in the state table."""

_timestamp = Struct(">Q")
_log_key = Struct(">QQ")
_range_row = Struct(">QQQQQQ")

pack_timestamp = _timestamp.pack


def history_prefix(key: bytes) -> bytes:
    """What every history row of `key`, and of no other key, begins with."""
    return key.replace(b"\x00", b"\x00\xff") + b"\x00"


def history_row(key: bytes, ended: Timestamp) -> bytes:
    """The row of the version of `key` that was the newest until `ended`."""
    return key.replace(b"\x00", b"\x00\xff") + b"\x00" + pack_timestamp(ended)


def history_begin(key: bytes) -> bytes:
    """A bound at or below the history rows of `key` and above those of every lesser key."""
    return key.replace(b"\x00", b"\x00\xff")


def history_end(key: bytes) -> bytes:
    """A bound above every history row of `key` and at or below those of every greater key.

    The end of a version begins with a byte below 80; a greater key that goes on with a zero
    byte has 00 ff there.
    """
    return key.replace(b"\x00", b"\x00\xff") + b"\x00\xff"


def split_history_row(row: bytes) -> tuple[bytes, Timestamp]:
    """The key and the end of the version a history row holds."""
    split = len(row) - TIMESTAMP_BYTES
    escaped = row[: split - 1]
    key = escaped.replace(b"\x00\xff", b"\x00")
    if split < 1 or row[split - 1] != 0 or key.replace(b"\x00", b"\x00\xff") != escaped:
        raise StoreDamaged(f"history row {row!r} is not an escaped key and a timestamp")
    ended: int = _timestamp.unpack_from(row, split)[0]
    if ended > TIMESTAMP_MAX:
        raise StoreDamaged(f"history row {row!r} ends at {ended}, above every timestamp")
    return key, ended


def history_interval(interval: KeyInterval) -> KeyInterval:
    """The stretch of the history table that holds the keys of `interval`."""
    return KeyInterval(history_begin(interval.begin), history_begin(interval.end))


@dataclass(slots=True)
class LogEntry:
    """The keys one commit changed in one range, by what became of them."""

    timestamp: Timestamp
    range_id: int
    fresh: list[bytes]
    replaced: list[bytes]
    deleted: list[bytes]

    @property
    def ended(self) -> list[bytes]:
        """The keys of which the commit ended a version."""
        return self.replaced + self.deleted

    @property
    def keys(self) -> list[bytes]:
        """All of them."""
        return self.fresh + self.replaced + self.deleted


_log_encode = msgspec.msgpack.Encoder().encode
_log_decode = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes], list[bytes]]).decode


def log_row(timestamp: Timestamp, range_id: int) -> bytes:
    """The row of a commit of a range in the log; its least one at range 0."""
    return _log_key.pack(timestamp, range_id)


def log_value(fresh: list[bytes], replaced: list[bytes], deleted: list[bytes]) -> bytes:
    """What the log's row of a commit holds."""
    return _log_encode((fresh, replaced, deleted))


def log_entry(row: bytes, value: bytes) -> LogEntry:
    """The commit a row of the log tells of."""
    if len(row) != _log_key.size:
        raise StoreDamaged(f"log row {row!r} is not a timestamp and a range id")
    timestamp, range_id = _log_key.unpack(row)
    try:
        return LogEntry(timestamp, range_id, *_log_decode(value))
    except msgspec.DecodeError as error:
        raise StoreDamaged(f"the log row of {timestamp} cannot be decoded: {error}") from error


def log_timestamp(row: bytes) -> Timestamp:
    """The timestamp of the commit whose log row this is."""
    timestamp: int = _timestamp.unpack_from(row)[0]
    return timestamp


def log_without(entry: LogEntry, interval: KeyInterval) -> tuple[list[bytes], ...]:
    """An entry's fresh, replaced and deleted keys that lie outside an interval."""
    begin, end = interval
    return tuple(
        [key for key in keys if not begin <= key < end]
        for keys in (entry.fresh, entry.replaced, entry.deleted)
    )


def log_union(row: bytes, one: bytes, two: bytes) -> bytes:
    """The row of a transaction whose two parts came into one range."""
    first, second = log_entry(row, one), log_entry(row, two)
    check(not set(first.keys) & set(second.keys), "parts of a transaction write different keys")
    return log_value(
        first.fresh + second.fresh,
        first.replaced + second.replaced,
        first.deleted + second.deleted,
    )


def expiry_row(gone_from: Timestamp, key: bytes) -> bytes:
    """The row of a version of `key` that nobody sees from `gone_from` on."""
    return pack_timestamp(gone_from) + key


def split_expiry_row(row: bytes) -> tuple[Timestamp, bytes]:
    """From when on nobody sees the version an expiry row is of, and its key."""
    if len(row) < TIMESTAMP_BYTES:
        raise StoreDamaged(f"expiry row {row!r} is not a timestamp and a key")
    gone_from: int = _timestamp.unpack_from(row)[0]
    if gone_from > TIMESTAMP_MAX:
        raise StoreDamaged(f"expiry row {row!r} is of {gone_from}, above every timestamp")
    return gone_from, row[TIMESTAMP_BYTES:]


class RangeRow(NamedTuple):
    """What a store keeps durably of one range."""

    epoch: int = 0
    batch_number: int = 0
    """The number used last, by a batch applied or one given up."""
    applied: Timestamp = 0
    """The highest commit timestamp applied."""
    prune_horizon: Timestamp = 0
    skipped: int = 0
    """The last number used up without a batch, so that the batch can never be applied."""
    committed: Timestamp = 0
    """The highest timestamp of a commit of this range alone: those rise."""


def range_row(range_id: int) -> bytes:
    """The state row of a range."""
    return b"r" + pack_timestamp(range_id)


def record_row(range_id: int, name: bytes) -> bytes:
    """The state row of a record of a range."""
    return b"s" + pack_timestamp(range_id) + name


def record_rows(range_id: int) -> KeyInterval:
    """The stretch of the state table that holds the records of a range, and nothing else."""
    begin = record_row(range_id, b"")
    return KeyInterval(begin, prefix_end(begin))


def mark_row(name: str) -> bytes:
    """The state row of a mark."""
    return b"m" + name.encode()


def range_value(row: RangeRow) -> bytes:
    """What the state row of a range holds."""
    return _range_row.pack(*row)


def decode_range_value(value: bytes) -> RangeRow:
    """The range a state row tells of."""
    if len(value) != _range_row.size:
        raise StoreDamaged(f"a range's state row holds {len(value)} bytes, not {_range_row.size}")
    row = RangeRow(*_range_row.unpack(value))
    if row.applied > TIMESTAMP_MAX or row.prune_horizon > TIMESTAMP_MAX:
        raise StoreDamaged(f"a range's state row holds impossible timestamps: {row}")
    if row.committed > row.applied or row.skipped > row.batch_number:
        raise StoreDamaged(f"a range's state row contradicts itself: {row}")
    return row


def decode_range_id(row: bytes) -> int:
    """The id of the range whose state row this is."""
    if len(row) != 1 + TIMESTAMP_BYTES:
        raise StoreDamaged(f"state row {row!r} does not name a range")
    range_id: int = _timestamp.unpack_from(row, 1)[0]
    return range_id


def split_record_row(row: bytes) -> tuple[int, bytes]:
    """The id of the range whose record this is, and the record's name."""
    if len(row) < 1 + TIMESTAMP_BYTES or row[:1] != b"s":
        raise StoreDamaged(f"state row {row!r} does not name a record of a range")
    range_id: int = _timestamp.unpack_from(row, 1)[0]
    return range_id, row[1 + TIMESTAMP_BYTES :]
