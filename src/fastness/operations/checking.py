"""Checking a whole database: the store's own tables first, then what typed records imply.

Everything is read. It runs beside writers and beside the process that holds the directory, and
its memory does not grow with the data. Records are checked by the schema that the database
itself holds, so no class of the application is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from fastness.client import AsyncDatabase, Database
from fastness.errors import SchemaError, StoreDamaged
from fastness.limits import Limits
from fastness.model import rebuilt_schema
from fastness.model.operations import TypedOperations, read_schema
from fastness.model.operations import findings as record_findings
from fastness.operations.findings import CheckReport, Finding
from fastness.operations.importing import import_mark
from fastness.operations.progress import OnProgress, Progress, unwatched
from fastness.transactions import Engine

FINDINGS_MAX = 1_000
"""More are not listed: a database this wrong is restored, not repaired by hand."""


def check(database: Database | AsyncDatabase, *, progress: OnProgress = unwatched) -> CheckReport:
    """Read everything and report what is wrong; raises only where reading cannot go on.

    The store's tables (checksums, order, versions that do not overlap, log and history that
    agree), then whether an import is unfinished, then every record, index entry and total.
    Records are not compared in a store found damaged: what they say there proves nothing.
    """
    embedded = database.embedded
    store = embedded.store
    size = store.size()
    total = size.newest_keys + size.history_versions + size.log_entries
    rows = 0

    def read(done: int) -> None:
        nonlocal rows
        rows = done
        progress(Progress("store", done, total, "rows"))

    found = [Finding("store", one.place, one.what) for one in store.verify(read)]
    reader = _CountingReads(embedded.engine, progress)
    if found:
        return CheckReport(store.identity, tuple(found), rows, records=0)
    for finding in (*_unfinished_import(database), *_records(reader, database.limits)):
        if len(found) >= FINDINGS_MAX:
            break
        found.append(finding)
    return CheckReport(store.identity, tuple(found), rows, reader.entries)


class _CountingReads(TypedOperations):
    """Reads that tell how many entries they have seen."""

    __slots__ = ("_progress", "entries")

    def __init__(self, engine: Engine, progress: OnProgress) -> None:
        super().__init__(engine, read_only=True)
        self._progress = progress
        self.entries = 0

    def unchecked_scan(
        self, begin: bytes, end: bytes, limit: int, reverse: bool, *, snapshot: bool = False
    ) -> tuple[list[tuple[bytes, bytes]], bool]:
        """As every scan, and counted."""
        found = super().unchecked_scan(begin, end, limit, reverse, snapshot=snapshot)
        self.entries += len(found[0])
        self._progress(Progress("records", self.entries, None, "entries"))
        return found


def _records(tx: _CountingReads, limits: Limits) -> Iterator[Finding]:
    """What is wrong with typed records, by the schema stored beside them."""
    try:
        tx.schema = rebuilt_schema(read_schema(tx, limits))
        for one in record_findings(tx):
            yield Finding("records", one.place, f"{one.what}, at key {one.key!r}")
    except (SchemaError, StoreDamaged) as error:
        yield Finding("records", "schema", str(error))


def _unfinished_import(database: Database | AsyncDatabase) -> Iterator[Finding]:
    try:
        mark = import_mark(database)
    except StoreDamaged as error:
        yield Finding("import", "mark", str(error))
        return
    if mark is not None and not mark.complete:
        yield Finding(
            "import",
            f"line {mark.line}",
            f"the import of export {mark.id} stopped after {mark.entries} entries: run it again "
            "to go on",
        )
