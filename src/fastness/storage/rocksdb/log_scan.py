"""A walk over the records of a write-ahead log file, without their checksums.

RocksDB tests each record's checksum when it replays the log. What it does not notice is a
stretch of zeros that begins where a record would: it takes the rest of that 32 KiB block for
unused and goes on with the next. Records are numbered without gaps, so this walk does
notice: zeros may stand only at the very end, and each record begins where the one before
it ended. One step per record, about half a microsecond.

Format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB; a record has a
checksum (4 bytes), a length (2), a type (1: full, 2: first, 3: middle, 4: last), little-endian;
a batch begins with its sequence number (8) and its count of entries (4).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from fastness.errors import StoreDamaged
from fastness.storage.rocksdb.translation import RESTORE

BLOCK_BYTES = 32 * 1024
RECORD_HEADER_BYTES = 7
_record_header = Struct("<IHB")
_batch_header = Struct("<QI")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Where a batch stands in a log file, and the sequence numbers it takes."""

    offset: int
    first_sequence: int
    last_sequence: int


def log_files(tables: Path) -> list[Path]:
    """The log files of a database in their order."""
    found = [path for path in tables.glob("*.log") if path.stem.isdecimal()]
    return sorted(found, key=lambda path: int(path.stem))


def batches(path: Path) -> Iterator[LogBatch]:
    """The batches of a log file in order; `StoreDamaged` for zeros or gaps between them."""
    expected: int | None = None
    with path.open("rb") as file:
        for offset, head in _batch_heads(file, path):
            first, count = _batch_header.unpack(head)
            if expected is not None and first != expected:
                raise StoreDamaged(
                    f"{path} at byte {offset} goes on with write {first} where write {expected} "
                    f"should follow: {RESTORE}"
                )
            expected = first + count
            yield LogBatch(offset, first, expected - 1)


def last_sequence(tables: Path) -> int:
    """The last sequence number in the log files, 0 if they are empty. Checks them all.

    A file may be deleted meanwhile by an owner, who has written its content to tables.
    """
    last = 0
    for path in log_files(tables):
        with suppress(FileNotFoundError):
            for batch in batches(path):
                last = batch.last_sequence
    return last


def _batch_heads(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """The offset and the first bytes of each batch, gathered from fragments if need be."""
    start, head = 0, b""
    for offset, kind, fragment in _fragments(file, path):
        if kind in {_FULL, _FIRST}:
            start, head = offset, fragment
        elif len(head) < _batch_header.size:
            head += fragment
        else:
            continue
        if len(head) >= _batch_header.size:
            yield start, head[: _batch_header.size]


def _fragments(file: BinaryIO, path: Path) -> Iterator[tuple[int, int, bytes]]:
    """The offset, type and first bytes of each physical record, up to a torn end."""
    base, zeros_from = 0, -1
    while block := file.read(BLOCK_BYTES):
        at = 0
        while at + RECORD_HEADER_BYTES <= len(block):
            _checksum, length, kind = _record_header.unpack_from(block, at)
            if kind == 0 and length == 0:
                zeros_from = base + at if zeros_from < 0 else zeros_from
                break
            if zeros_from >= 0:
                raise _zeroed(path, zeros_from, base + at)
            body = at + RECORD_HEADER_BYTES
            if kind > _LAST or body + length > len(block):
                return  # a torn end, or damage that RocksDB's checksums find
            yield base + at, kind, block[body : body + min(length, _batch_header.size)]
            at = body + length
        if any(block[at:]) and zeros_from >= 0:
            raise _zeroed(path, zeros_from, base + at)
        base += len(block)


def _zeroed(path: Path, begin: int, after: int) -> StoreDamaged:
    return StoreDamaged(
        f"{path} holds zeros from byte {begin} on, with records after them (byte {after}): "
        f"{RESTORE}"
    )
