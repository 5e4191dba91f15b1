"""Reading an export into a database, in bounded transactions that an interruption cannot tear.

Each transaction also writes `IMPORT_KEY`: which export, how many of its lines, the digest so
far. So the mark and the data agree at every moment, and running the same import again goes
on where the last one stopped, or does nothing when it was complete. A stream that can seek is
read twice, first to see that all of it is sound: then a damaged export writes nothing at all.
Of one that cannot (a pipe), the lines before the damage are imported and the error counts them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import msgspec
from msgspec import Struct

from fastness.client import AsyncDatabase, Database, EmbeddedBacking, Transaction
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, InvalidOption, StoreDamaged
from fastness.limits import Limits
from fastness.operations.lines import Entry, LineReader
from fastness.operations.progress import OnProgress, Progress, unwatched
from fastness.operations.spaces import COPIED, IMPORT_KEY
from fastness.transactions.buffer import ENTRY_BYTES

TRANSACTION_ENTRIES = 4_096
TRANSACTION_SHARE = 0.5
"""Of a transaction's bytes: the rest is for the entry that passes it, expiries and the mark."""


class ImportMark(Struct, frozen=True):
    """How far an import has come, as stored under `IMPORT_KEY`."""

    id: str
    """Of the export."""
    line: int
    """The last line imported."""
    entries: int
    digest: str
    """Of every line up to that one."""
    complete: bool


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did."""

    origin: str
    """The identity of the database the export was taken from."""
    timestamp: Timestamp
    """The snapshot that was exported."""
    entries: int
    """Entries of the export, all of them in the database now."""
    written: int
    """Those that this call wrote; fewer when it went on after an interruption."""


def import_lines(
    database: Database | AsyncDatabase,
    stream: BinaryIO,
    *,
    overwrite: bool = False,
    verified: bool = False,
    progress: OnProgress = unwatched,
) -> ImportReport:
    """Bring an export into `database`, which must be empty or hold part of this same import.

    `overwrite=True` imports plain keys into a database that holds others, replacing those of
    the same name; an export with typed records always needs an empty one, since its indexes
    and schema would contradict those already there. `verified=True` says that the stream has
    just passed `verify_lines`. Nobody else should write meanwhile.
    Blocks: from a task call it by `asyncio.to_thread`.

    Raises `InvalidOption` for a database it may not touch, `StoreDamaged` with the line for a
    damaged or truncated export. Every message says what was imported.
    """
    face = Database(EmbeddedBacking(database.embedded))
    if not verified and stream.seekable():
        verify_lines(stream, face.limits, progress=progress)
    total = _bytes_left(stream)
    reader = LineReader(stream, face.limits)
    mark = _starting_mark(face, reader, overwrite=overwrite)
    if mark is not None and mark.complete:
        return _report(reader, mark.entries, 0)
    before = mark.entries if mark is not None else 0
    try:
        _skip(reader, mark)
        for entries in _chunks(reader, face.limits):
            advanced = _mark(reader, complete=False)
            face.run(_write, entries, advanced)
            mark = advanced
            progress(Progress("importing", reader.bytes, total, "bytes"))
        face.run(_write, [], _mark(reader, complete=True))
    except FastnessError as error:
        raise type(error)(f"{error}. {_imported(mark)}") from error
    return _report(reader, reader.entries, reader.entries - before)


def verify_lines(stream: BinaryIO, limits: Limits, *, progress: OnProgress = unwatched) -> int:
    """Read an export to its end and go back to its start; returns the number of entries.

    Raises what `import_lines` would, before anything is written.
    """
    start = stream.tell()
    total = _bytes_left(stream)
    try:
        reader = LineReader(stream, limits)
        for _entry in reader:
            if reader.entries % TRANSACTION_ENTRIES == 0:
                progress(Progress("verifying", reader.bytes, total, "bytes"))
    except FastnessError as error:
        raise type(error)(f"{error}. Nothing was imported") from error
    stream.seek(start)
    return reader.entries


def _bytes_left(stream: BinaryIO) -> int | None:
    """How much there is to read; `None` for a stream that cannot tell."""
    if not stream.seekable():
        return None
    start = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(start)
    return end - start


def import_mark(database: Database | AsyncDatabase) -> ImportMark | None:
    """What is known of the last import into a database, `None` if there was none."""
    with Database(EmbeddedBacking(database.embedded)).transaction(read_only=True) as tx:
        value = tx.unchecked_get(IMPORT_KEY)
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=ImportMark)
    except msgspec.MsgspecError as cause:
        raise StoreDamaged(f"the mark of the last import is damaged: {value[:80]!r}") from cause


def _report(reader: LineReader, entries: int, written: int) -> ImportReport:
    header = reader.header
    return ImportReport(header.identity, header.timestamp, entries, written)


def _starting_mark(face: Database, reader: LineReader, *, overwrite: bool) -> ImportMark | None:
    """Where to go on; `None` to begin. Refuses a database this export must not touch."""
    mark = import_mark(face)
    empty = not any(_occupied(face, interval) for interval in COPIED)
    if mark is not None and mark.id == reader.header.id and not (mark.complete and empty):
        return mark
    if empty:
        return None
    if mark is not None and not mark.complete:
        raise InvalidOption(
            f"the database holds {mark.entries} entries of export {mark.id}, whose import was "
            "interrupted: finish that one first, or import into a new database"
        )
    if reader.header.records:
        raise InvalidOption(
            "the export holds typed records with their indexes and schema, and the database is "
            "not empty: import into a new one"
        )
    if not overwrite:
        raise InvalidOption(
            "the database is not empty: import into a new one, or overwrite keys of the same "
            "name with overwrite=True (--overwrite)"
        )
    return None


def _occupied(face: Database, interval: KeyInterval) -> bool:
    with face.transaction(read_only=True) as tx:
        return bool(tx.unchecked_scan(interval.begin, interval.end, 1, reverse=False)[0])


def _skip(reader: LineReader, mark: ImportMark | None) -> None:
    """Read past the lines that are imported; they must be the very same ones."""
    if mark is None:
        return
    for _entry in islice(reader, mark.entries):
        pass
    if reader.entries != mark.entries or reader.state() != mark.digest:
        raise StoreDamaged(
            f"line {reader.line}: these are not the lines that were imported before the "
            "interruption; use the export that was imported then"
        )


def _chunks(reader: LineReader, limits: Limits) -> Iterator[list[Entry]]:
    """The entries of one transaction each; the reader stands behind the last of them."""
    bytes_wanted = int(limits.transaction_bytes * TRANSACTION_SHARE)
    entries_wanted = min(TRANSACTION_ENTRIES, max(1, limits.transaction_keys // 2))
    chunk: list[Entry] = []
    chunk_bytes = 0
    for entry in reader:
        chunk.append(entry)
        chunk_bytes += len(entry.key) + len(entry.value) + ENTRY_BYTES
        if chunk_bytes >= bytes_wanted or len(chunk) >= entries_wanted:
            yield chunk
            chunk, chunk_bytes = [], 0
    if chunk:
        yield chunk


def _write(tx: Transaction, entries: list[Entry], mark: ImportMark) -> None:
    """Write entries and, with them, how far the import has come."""
    for entry in entries:
        tx.unchecked_set(entry.key, entry.value, entry.expires_at)
    tx.unchecked_set(IMPORT_KEY, msgspec.json.encode(mark))


def _mark(reader: LineReader, *, complete: bool) -> ImportMark:
    return ImportMark(
        id=reader.header.id,
        line=reader.line,
        entries=reader.entries,
        digest=reader.state(),
        complete=complete,
    )


def _imported(mark: ImportMark | None) -> str:
    """What an error tells of the work that was done before it."""
    if mark is None:
        return "Nothing was imported"
    return (
        f"{mark.entries} entries, through line {mark.line}, are imported: run the import again "
        "with a sound copy of the same export to go on, or start over with a new database"
    )
