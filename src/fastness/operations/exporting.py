"""Writing a database out as JSON lines, at one snapshot, page after page.

No lock is held and no time is limited inside the retention window. From a database opened
read-only there is no window either: nobody prunes what it sees, which is how the command
line exports. From one that is written to meanwhile, an export that takes longer than
`limits.retention_ms` ends with `SnapshotTooOld`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from fastness.client import AsyncDatabase, Database, EmbeddedBacking
from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp, to_datetime
from fastness.hosting import InlineHost
from fastness.operations.lines import EXPORT_FORMAT, Entry, Header, LineWriter
from fastness.operations.progress import OnProgress, Progress, unwatched
from fastness.operations.spaces import COPIED, RECORDS
from fastness.storage import cells

PAGE_ENTRIES_MAX = 256
PAGE_BYTES = 4 << 20
"""What a page is aimed at; values at their limit may make one larger, up to 256 of them."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote."""

    identity: str
    timestamp: Timestamp
    entries: int
    bytes: int
    sha256: str


def export_lines(
    database: Database | AsyncDatabase,
    stream: BinaryIO,
    *,
    at: Timestamp | datetime | None = None,
    progress: OnProgress = unwatched,
) -> ExportReport:
    """Write everything `database` holds (as of `at`) to a binary stream; returns what it wrote.

    Keys, values, expiries, typed records with indexes and schema. Blocks: from a task call it
    by `asyncio.to_thread`. Raises `SnapshotTooOld` when pruning overtakes it.
    """
    embedded = database.embedded
    engine = embedded.engine
    newest = engine.read_timestamp()
    moment = embedded.moment(at)
    # A transaction checks that the moment was issued and is still retained.
    face = Database(EmbeddedBacking(embedded))
    with face.transaction(at=newest if moment is None else moment) as tx:
        tx.get(b"")
        timestamp = tx.read_timestamp
    header = Header(
        fastness_export=EXPORT_FORMAT,
        id=secrets.token_hex(16),
        identity=embedded.store.identity,
        timestamp=timestamp,
        taken=to_datetime(newest),
        records=any(_holds(engine, interval, timestamp) for interval in RECORDS),
    )
    total = embedded.store.size().newest_keys
    writer = LineWriter(stream, header)
    for interval in COPIED:
        for page in _pages(engine, interval, timestamp):
            writer.write(page)
            progress(Progress("exporting", writer.entries, total, "entries"))
    sha256 = writer.finish()
    return ExportReport(header.identity, timestamp, writer.entries, writer.bytes, sha256)


def _holds(engine: InlineHost, interval: KeyInterval, at: Timestamp) -> bool:
    return any(True for page in _pages(engine, interval, at) if page)


def _pages(engine: InlineHost, interval: KeyInterval, at: Timestamp) -> Iterator[list[Entry]]:
    """The entries alive at `at`, in pages of about `PAGE_BYTES`."""
    limit = PAGE_ENTRIES_MAX
    while interval.begin < interval.end:
        items = engine.scan(interval, at, limit, reverse=False)
        page = []
        for key, cell in items:
            value = cells.value_at(cell, at)
            if value is not None:
                page.append(Entry(key, value, cells.expiry_of(cell) or None))
        yield page
        if len(items) < limit:
            return
        interval = KeyInterval(successor(items[-1][0]), interval.end)
        page_bytes = sum(len(key) + len(cell) for key, cell in items)
        limit = max(1, min(PAGE_ENTRIES_MAX, PAGE_BYTES * limit // page_bytes))
