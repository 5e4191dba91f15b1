"""The files service of the examples, durable and embedded: what one of its operations costs.

The peer is raw RocksDB doing what each operation asks of a store (`traces`), with the same
bytes under the same keys in a database of the same contents: reads without a transaction,
writes in one batch with one sync, nothing packed, checked or decoded. `juicefs` shows the
same operations of other metadata engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import TypeVar

import fastness
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contests import (
    Contestant,
    Repetition,
    contest,
    latencies,
    repeated,
    repeating,
)
from benchmarks.juicefs import GETATTR, LOOKUP, MKDIR, RENAME, named
from benchmarks.nodes import everything
from benchmarks.rows import Row, at_most, cost_row, timed_row
from benchmarks.settings import Settings
from benchmarks.traces import Trace, recorded
from benchmarks.workload import SEED
from examples.files import service
from examples.files.schema import ROOT, SCHEMA, Entry, EntryId, SpaceId
from examples.files.service import Draft

RATIO = 3.0
FOLDER_ENTRIES = 1_000
OWNER = "ann"
QUOTA_BYTES = 10**15
CONTENT_BYTES = 16

Argument = TypeVar("Argument")
Perform = Callable[[fastness.Database | fastness.Transaction, Argument], object]


@dataclass(slots=True)
class Prepared:
    """What the space of the benchmark holds."""

    space: SpaceId
    made: EntryId
    """The folder in which folders are made."""
    listed: EntryId
    """The folder that is listed."""
    names: list[str] = field(default_factory=list)
    """Of the files in the root folder, which are looked up."""
    ids: list[EntryId] = field(default_factory=list)
    """All over the space."""
    renamed: list[EntryId] = field(default_factory=list)
    """Files that the service renames."""
    twins: list[EntryId] = field(default_factory=list)
    """As many, renamed only to record what a renaming reads and writes."""


def files(settings: Settings) -> list[Row]:
    """JuiceFS's operations, each beside the raw operations it needs."""
    place = settings.directory / "files"
    (place / "raw").mkdir(parents=True)
    url = f"file:{place / 'fastness'}"
    with fastness.open(url, schema=SCHEMA) as db:
        prepared = _prepare(db, settings)
    with fastness.open(url, schema=SCHEMA) as db, _raw_twin(db, place / "raw") as raw:
        return Bench(settings, db, raw, prepared).rows()


@contextmanager
def _raw_twin(db: fastness.Database, directory: Path) -> Iterator[RawRocksDB]:
    raw = RawRocksDB(directory)
    try:
        raw.load(everything(db))
        yield raw
    finally:
        raw.close()


def _prepare(db: fastness.Database, settings: Settings) -> Prepared:
    """A space with the folders and files that the operations need, and others around them."""
    service.create_user(db, OWNER)
    space = service.create_space(db, OWNER, "home", quota=QUOTA_BYTES).id
    made, listed, renamed = (
        service.create_folder(db, space, ROOT, name).id for name in ("made", "listed", "renamed")
    )
    prepared = Prepared(space, made, listed)
    prepared.names = [entry.name for entry in _fill(db, space, ROOT, settings.listed)]
    _fill(db, space, listed, settings.listed)
    some = [entry.id for entry in _fill(db, space, renamed, 2 * settings.operations)]
    prepared.renamed, prepared.twins = some[::2], some[1::2]
    for number in range(0, settings.files, FOLDER_ENTRIES):
        folder = service.create_folder(db, space, ROOT, f"folder-{number}")
        filled = _fill(db, space, folder.id, min(FOLDER_ENTRIES, settings.files - number))
        prepared.ids += [entry.id for entry in filled]
    return prepared


def _fill(db: fastness.Database, space: SpaceId, folder: EntryId, files: int) -> list[Entry]:
    random = Random(SEED)
    drafts = (
        Draft(
            folder=folder,
            name=f"report-{number:06}.txt",
            size=random.randrange(1 << 20),
            content=random.randbytes(CONTENT_BYTES),
        )
        for number in range(files)
    )
    entries: list[Entry] = []
    while some := list(islice(drafts, FOLDER_ENTRIES)):
        entries += service.create_many(db, space, some)
    return entries


class Bench:
    """The operations, on a prepared space and its raw twin."""

    def __init__(
        self, settings: Settings, db: fastness.Database, raw: RawRocksDB, prepared: Prepared
    ) -> None:
        self._settings = settings
        self._db = db
        self._raw = raw
        self._prepared = prepared
        schema, space = db.embedded.schema, prepared.space
        self._counters = frozenset(
            schema.total(total).key((space,)) for total in (Entry.entries, Entry.bytes_used)
        )
        self._numbers = count()

    def rows(self) -> list[Row]:
        """A row for each operation."""
        prepared, settings, random = self._prepared, self._settings, Random(SEED)
        names = [random.choice(prepared.names) for _ in range(settings.lookups)]
        ids = [random.choice(prepared.ids) for _ in range(settings.lookups)]
        folders = [prepared.listed] * settings.listings
        space = prepared.space
        return [
            self._writing(
                MKDIR,
                lambda place, name: service.create_folder(place, space, prepared.made, name),
                self._new_names,
                self._new_names,
            ),
            self._writing(
                RENAME,
                lambda place, renaming: service.move(place, space, renaming[0], name=renaming[1]),
                lambda: list(zip(prepared.renamed, self._new_names(), strict=True)),
                lambda: list(zip(prepared.twins, self._new_names(), strict=True)),
            ),
            self._reading(LOOKUP, lambda place, name: service.lookup(place, space, name), names),
            self._reading(GETATTR, lambda place, one: service.get_entry(place, space, one), ids),
            self._reading(
                f"list of {settings.listed:,}",
                lambda place, folder: service.list_folder(
                    place, space, folder, limit=settings.listed
                ),
                folders,
            ),
        ]

    def _new_names(self) -> list[str]:
        """Names for a round of durable operations, never given before."""
        return [f"name-{number:08}" for number in islice(self._numbers, self._settings.operations)]

    def _writing(
        self,
        operation: str,
        perform: Perform[Argument],
        ours: Callable[[], Sequence[Argument]],
        theirs: Callable[[], Sequence[Argument]],
    ) -> Row:
        """Every round does new work, so each of the peer's is recorded beforehand."""
        rounds = self._settings.rounds
        traces = [self._traces(perform, theirs()) for _ in range(1 + rounds)]
        raw_name = _raw_name(traces[0])
        waiting = iter(traces)
        series = contest(
            [
                Contestant(
                    FastnessDatabase.name,
                    lambda: latencies(repeating(partial(perform, self._db)), ours()),
                ),
                Contestant(raw_name, lambda: latencies(repeating(self._raw.replay), next(waiting))),
            ],
            rounds=rounds,
        )
        return cost_row(
            named(operation),
            series[FastnessDatabase.name],
            series[raw_name],
            target=at_most(RATIO),
        )

    def _reading(
        self, operation: str, perform: Perform[Argument], arguments: Sequence[Argument]
    ) -> Row:
        traces = self._traces(perform, arguments)
        raw_name = _raw_name(traces)
        timed = repeated(
            [
                Repetition(FastnessDatabase.name, repeating(partial(perform, self._db)), arguments),
                Repetition(raw_name, repeating(self._raw.replay), traces),
            ],
            rounds=self._settings.rounds,
        )
        return timed_row(
            named(operation),
            timed[FastnessDatabase.name],
            timed[raw_name],
            target=at_most(RATIO),
        )

    def _traces(self, perform: Perform[Argument], arguments: Sequence[Argument]) -> list[Trace]:
        return [recorded(self._db, self._counters, perform, argument) for argument in arguments]


def _raw_name(traces: Sequence[Trace]) -> str:
    """The peer's name tells what it does for each operation."""
    return f"{RawRocksDB.name}: {traces[0]}"
