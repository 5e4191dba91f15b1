"""Durable commits: one writer, many threads, many tasks; each waits until it is on disk.

Every commit writes one small value under a key of its own, so nobody conflicts: what is
measured is the path to the disk. The peers have no way to let commits of several writers
share a sync from Python, so beside many writers of Fastness they commit one by one, which is
the most they reach.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import fastness
from benchmarks.contenders.contract import Contender
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.lmdb_environment import LMDBEnvironment
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contenders.sqlite_database import SQLiteDatabase
from benchmarks.contests import (
    Contestant,
    contest,
    dealt,
    latencies,
    repeating,
    tasks_together,
    threads_together,
)
from benchmarks.rows import Row, Target, at_least, floor_row, rate_row
from benchmarks.samples import Round, Series
from benchmarks.settings import Settings
from benchmarks.workload import VALUE_BYTES, key

ASYNC_NAME = "Fastness, asyncio"
THREADS_NAME = "Fastness, threads"
TASKS_NAME = "Fastness, tasks"
PEERS = (RawRocksDB, LMDBEnvironment, SQLiteDatabase)
COMMITS_PER_SECOND = 15_000.0

Keys = Callable[[int], list[bytes]]


def _fresh_keys() -> Keys:
    """A source of keys never written before, each time the next `count`."""
    numbers = itertools.count()
    return lambda count: [key(number) for number in itertools.islice(numbers, count)]


class AsyncFastness:
    """An `AsyncDatabase` with an event loop of its own, driven round by round."""

    def __init__(self, directory: Path) -> None:
        self._runner = asyncio.Runner()
        self._value = bytes(VALUE_BYTES)
        self._database = self._runner.run(fastness.open_async(f"file:{directory}"))

    def play(self, keys: list[bytes], tasks: int) -> Round:
        """A round in which so many tasks commit the keys, each its share."""
        return self._runner.run(tasks_together(self._commit, dealt(keys, tasks)))

    async def _commit(self, key: bytes) -> None:
        await self._database.run(self._put, key)

    async def _put(self, tx: fastness.AsyncTransaction, key: bytes) -> None:
        tx.set(key, self._value)

    def close(self) -> None:
        """Release the directory and end the loop."""
        self._runner.run(self._database.close())
        self._runner.close()


def _alone(contender: Contender, keys: Keys, count: int) -> Round:
    return latencies(repeating(contender.commit), keys(count))


@contextmanager
def _peers(place: Path) -> Iterator[list[Contender]]:
    with ExitStack() as opened:
        found: list[Contender] = []
        for kind in PEERS:
            directory = place / kind.name.replace(" ", "-")
            directory.mkdir(parents=True)
            peer: Contender = kind(directory)
            opened.callback(peer.close)
            found.append(peer)
        yield found


def one_writer(settings: Settings) -> list[Row]:
    """One thread, then one task, commits one value after another."""
    place, count, keys = settings.directory / "one-writer", settings.commits, _fresh_keys()
    with ExitStack() as opened:
        peers = opened.enter_context(_peers(place))
        ours = FastnessDatabase(place / "sync")
        opened.callback(ours.close)
        tasks = AsyncFastness(place / "async")
        opened.callback(tasks.close)
        contestants = [
            Contestant(one.name, partial(_alone, one, keys, count)) for one in (ours, *peers)
        ]
        contestants.insert(1, Contestant(ASYNC_NAME, lambda: tasks.play(keys(count), 1)))
        series = contest(contestants, rounds=settings.rounds)
    return [
        *_beside_peers("durable commit, one thread", FastnessDatabase.name, series, 0.8),
        *_beside_peers("durable commit, one task", ASYNC_NAME, series, 0.5),
    ]


def many_writers(settings: Settings) -> list[Row]:
    """Threads, then tasks, commit at once; the peers commit as many one by one."""
    place, keys = settings.directory / "many-writers", _fresh_keys()
    together, writers = settings.commits_together, settings.writers
    with ExitStack() as opened:
        peers = opened.enter_context(_peers(place))
        threads = FastnessDatabase(place / "threads")
        opened.callback(threads.close)
        tasks = AsyncFastness(place / "tasks")
        opened.callback(tasks.close)
        contestants = [
            Contestant(
                THREADS_NAME,
                lambda: threads_together(threads.commit, dealt(keys(together), writers)),
            ),
            Contestant(TASKS_NAME, lambda: tasks.play(keys(together), writers)),
        ]
        contestants += [
            Contestant(one.name, partial(_alone, one, keys, settings.commits)) for one in peers
        ]
        series = contest(contestants, rounds=settings.rounds)
    rows: list[Row] = []
    for name, kind in ((THREADS_NAME, "threads"), (TASKS_NAME, "tasks")):
        what = f"durable commits, {writers} {kind}"
        rows.append(floor_row(what, series[name], target=at_least(COMMITS_PER_SECOND)))
        rows += _beside_peers(what, name, series, sqlite_bound=2.5)
    return rows


def _beside_peers(
    what: str,
    name: str,
    series: dict[str, Series],
    raw_bound: float | None = None,
    *,
    sqlite_bound: float | None = None,
) -> list[Row]:
    bounds = {RawRocksDB.name: raw_bound, SQLiteDatabase.name: sqlite_bound}
    rows: list[Row] = []
    for peer in PEERS:
        bound = bounds.get(peer.name)
        target: Target | None = None if bound is None else at_least(bound)
        rows.append(rate_row(what, series[name], series[peer.name], target=target))
    return rows
