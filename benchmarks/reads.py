"""Point reads: many in one transaction, and each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.contenders.contract import Contender
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.lmdb_environment import LMDBEnvironment
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contenders.sqlite_database import SQLiteDatabase
from benchmarks.contests import Repetition, Session, Timed, repeated, repeating
from benchmarks.rows import Row, Target, at_most, timed_row
from benchmarks.settings import Settings
from benchmarks.workload import entries, sample

TARGETS = {RawRocksDB.name: at_most(2.0), SQLiteDatabase.name: at_most(1.0)}


@contextmanager
def contenders(settings: Settings, name: str) -> Iterator[list[Contender]]:
    """Fastness and its peers, each loaded with the same entries; Fastness comes first."""
    place = settings.directory / name
    with ExitStack() as opened:
        found: list[Contender] = []
        for kind in (FastnessDatabase, RawRocksDB, LMDBEnvironment, SQLiteDatabase):
            directory = place / kind.name.replace(" ", "-")
            directory.mkdir(parents=True)
            contender: Contender = kind(directory)
            opened.callback(contender.close)
            found.append(contender)
        loaded = entries(settings.entries)
        for contender in found:
            contender.load(loaded)
        yield found


def point_reads(settings: Settings) -> list[Row]:
    """Random keys, all present, from a loaded and settled database."""
    keys = sample(settings.reads, settings.entries)
    with contenders(settings, "point-reads") as found:
        together = _compare(settings, {one.name: one.reading for one in found}, keys)
        alone = _compare(settings, {one.name: repeating(one.read) for one in found}, keys)
    return [
        *_rows("read in one transaction", together, TARGETS),
        *_rows("begin, read, end", alone, {}),
    ]


def _compare(
    settings: Settings, sessions: dict[str, Session[bytes]], keys: Sequence[bytes]
) -> dict[str, Timed]:
    return repeated(
        [Repetition(name, session, keys) for name, session in sessions.items()],
        rounds=settings.rounds,
    )


def _rows(what: str, timed: dict[str, Timed], targets: dict[str, Target]) -> list[Row]:
    return [
        timed_row(what, timed[FastnessDatabase.name], theirs, target=targets.get(name))
        for name, theirs in timed.items()
        if name != FastnessDatabase.name
    ]
