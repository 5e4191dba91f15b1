"""Point reads: many in one transaction, and each in a transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from benchmarks.contenders.contract import Contender
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.lmdb_environment import LMDBEnvironment
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contenders.sqlite_database import SQLiteDatabase
from benchmarks.contests import Contestant, Operation, Session, contest, latencies, throughput
from benchmarks.rows import Row, Target, at_most, cost_row
from benchmarks.samples import Percentiles, Series
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
        alone = _compare(settings, {one.name: _alone(one) for one in found}, keys)
    return [
        *_rows("read in one transaction", together, TARGETS),
        *_rows("begin, read, end", alone, {}),
    ]


def _alone(contender: Contender) -> Session:
    @contextmanager
    def session() -> Iterator[Operation]:
        yield contender.read

    return session


Compared = dict[str, tuple[Series, Percentiles | None]]


def _compare(settings: Settings, sessions: dict[str, Session], keys: Sequence[bytes]) -> Compared:
    """Throughput in alternating rounds, then one round of single timings each."""
    plain = contest(
        [
            Contestant(name, partial(throughput, session, keys))
            for name, session in sessions.items()
        ],
        rounds=settings.rounds,
    )
    single = {
        name: Series(name, [latencies(session, keys)]).percentiles()
        for name, session in sessions.items()
    }
    return {name: (plain[name], single[name]) for name in sessions}


def _rows(what: str, compared: Compared, targets: dict[str, Target]) -> list[Row]:
    ours, own_percentiles = compared[FastnessDatabase.name]
    return [
        cost_row(
            what,
            ours,
            theirs,
            target=targets.get(name),
            percentiles=own_percentiles,
            peer_percentiles=percentiles,
        )
        for name, (theirs, percentiles) in compared.items()
        if name != FastnessDatabase.name
    ]
