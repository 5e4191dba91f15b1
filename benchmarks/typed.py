"""Typed records: fetched by key, listed with the records in the index and by looking each up.

The peer is raw RocksDB with the same bytes under the same keys, copied out of our database. It
gets the bytes; we pack the key, validate, and answer an object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from time import perf_counter_ns

import fastness
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contests import (
    Contestant,
    Operation,
    Repetition,
    Session,
    contest,
    repeated,
    repeating,
)
from benchmarks.nodes import SPACE, Node, everything, load_nodes
from benchmarks.rows import Row, at_most, ceiling_row, cost_row, timed_row
from benchmarks.samples import Round
from benchmarks.settings import Settings
from benchmarks.workload import SEED
from fastness.encoding.intervals import KeyInterval
from fastness.model import RECORDS, IndexOf

FETCH_RATIO = 3.0
LISTED_US = 1.4

CLUSTERED = "clustered listing"
LOOKED_UP = "listing by lookups"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Our database, its raw twin, and what is in both."""

    db: fastness.Database
    raw: RawRocksDB
    ids: list[int]


@contextmanager
def _loaded(settings: Settings) -> Iterator[Loaded]:
    """Both hold the same bytes and were reopened, so that both read sorted tables."""
    place = settings.directory / "typed"
    (place / "raw").mkdir(parents=True)
    url = f"file:{place / 'fastness'}"
    with fastness.open(url, schema=[Node]) as db:
        ids = load_nodes(db, settings.entries, settings.listed)
    with fastness.open(url, schema=[Node]) as db:
        raw = RawRocksDB(place / "raw")
        try:
            raw.load(everything(db))
            yield Loaded(db, raw, ids)
        finally:
            raw.close()


def typed(settings: Settings) -> list[Row]:
    """Fetches of random records, then listings of whole folders."""
    with _loaded(settings) as loaded:
        return [*_fetches(settings, loaded), *_listings(settings, loaded)]


def _fetches(settings: Settings, loaded: Loaded) -> list[Row]:
    random = Random(SEED)
    ids = [random.choice(loaded.ids) for _ in range(settings.reads)]
    with loaded.db.transaction() as tx:
        keys = [tx.key_of(Node, SPACE, number) for number in ids]
    rows: list[Row] = []
    for what, session, target in (
        ("typed fetch in one transaction", _together(loaded.db), at_most(FETCH_RATIO)),
        ("begin, typed fetch, end", _alone(loaded.db), None),
    ):
        timed = repeated(
            [
                Repetition(FastnessDatabase.name, session, ids),
                Repetition(RawRocksDB.name, loaded.raw.reading, keys),
            ],
            rounds=settings.rounds,
        )
        ours, theirs = timed[FastnessDatabase.name], timed[RawRocksDB.name]
        rows.append(timed_row(what, ours, theirs, target=target))
    return rows


def _together(db: fastness.Database) -> Session[int]:
    @contextmanager
    def session() -> Iterator[Operation[int]]:
        with db.transaction() as tx:
            yield partial(tx.fetch, Node, SPACE)

    return session


def _alone(db: fastness.Database) -> Session[int]:
    def fetch(number: int) -> Node | None:
        with db.transaction() as tx:
            return tx.fetch(Node, SPACE, number)

    return repeating(fetch)


def _listings(settings: Settings, loaded: Loaded) -> list[Row]:
    """Every folder once, page by page, a transaction each; the cost of one entity."""
    folders = range(settings.entries // settings.listed)
    rows: list[Row] = []
    for what, index, scan in (
        (CLUSTERED, Node.by_name, _scan),
        (LOOKED_UP, Node.by_name_looked_up, _scan_and_get),
    ):
        with loaded.db.transaction() as tx:
            intervals = [tx.explain(index, SPACE, folder).interval for folder in folders]
        series = contest(
            [
                Contestant(
                    FastnessDatabase.name, partial(_list, loaded.db, index, folders, settings)
                ),
                Contestant(RawRocksDB.name, partial(scan, loaded.raw, intervals)),
            ],
            rounds=settings.rounds,
        )
        ours, theirs = series[FastnessDatabase.name], series[RawRocksDB.name]
        told = f"{what} of {settings.listed:,}, per entity"
        if index is Node.by_name:
            rows.append(ceiling_row(told, ours, target=at_most(LISTED_US)))
        rows.append(cost_row(told, ours, theirs))
    return rows


def _list(
    db: fastness.Database, index: IndexOf[Node], folders: Sequence[int], settings: Settings
) -> Round:
    count = 0
    start = perf_counter_ns()
    for folder in folders:
        with db.transaction() as tx:
            count += len(tx.query(index, SPACE, folder, limit=settings.listed))
    return Round(count, perf_counter_ns() - start, [])


def _scan(raw: RawRocksDB, intervals: Sequence[KeyInterval]) -> Round:
    start = perf_counter_ns()
    count = sum(len(raw.entries(*interval)) for interval in intervals)
    return Round(count, perf_counter_ns() - start, [])


def _scan_and_get(raw: RawRocksDB, intervals: Sequence[KeyInterval]) -> Round:
    count = 0
    start = perf_counter_ns()
    for interval in intervals:
        count += len([raw.read(RECORDS + value) for _key, value in raw.entries(*interval)])
    return Round(count, perf_counter_ns() - start, [])
