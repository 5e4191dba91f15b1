"""Commits over two ranges in two stores: what they cost beside one-range commits, and others.

The keys are divided in the middle; each half is a range in a store of its own, and one node serves
both. A transaction writes two keys, of one half or of both. What is compared is the median latency:
of one task that rests between two transactions, so that nothing is left to do for the one before
(after a commit is acknowledged the other range still has to write it down); of one that does not
rest, whose next transaction meets that; and of many together.

Then somebody else commits one key at a time in one range, while transactions of either kind are
begun beside at a steady pace: if those over two ranges held anything longer than they must, the
bystander would wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from random import Random

import fastness
from benchmarks.clients.contract import VALUE
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import KEYS_DRAWN, Loop
from benchmarks.contests import Contestant, contest
from benchmarks.rows import Row, at_most, median_row
from benchmarks.samples import Round
from benchmarks.servers.cluster import cluster_servers, url_of
from benchmarks.settings import Settings
from benchmarks.spells import tasks_for
from benchmarks.workload import SEED, entries, key

ONE, TWO = "in one range", "over two stores"
TIMES = 2.5
BYSTANDER = 1.2
REST_S = 0.02
PACE_S = 0.05
"""A transaction is begun beside the bystander so often."""

Operation = Callable[[bytes], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Halves:
    """Two ranges, and transactions within one of them or over both."""

    database: fastness.AsyncDatabase
    entries: int

    @property
    def border(self) -> int:
        """The number of the first key of the second range."""
        return self.entries // 2

    async def within(self, drawn: bytes) -> object:
        """Write two keys of one range."""
        number = int.from_bytes(drawn, "big") % self.border
        return await self._write(key(number), key((number + 1) % self.border))

    async def across(self, drawn: bytes) -> object:
        """Write a key of each range."""
        number = int.from_bytes(drawn, "big") % self.border
        return await self._write(key(number), key(self.border + number))

    async def _write(self, one: bytes, other: bytes) -> object:
        return await self.database.run(_write_both, one, other)

    async def bystand(self, drawn: bytes) -> object:
        """Write one key that no transaction of the others is likely to write now."""
        number = int.from_bytes(drawn, "big") % self.border
        return await self.database.set(key(number), VALUE)


async def _write_both(tx: fastness.AsyncTransaction, one: bytes, other: bytes) -> None:
    tx.set(one, VALUE)
    tx.set(other, VALUE)


def numbers(count: int) -> list[bytes]:
    """So many random numbers, as what a round goes through."""
    random = Random(SEED)
    return [random.randbytes(8) for _ in range(count)]


@contextmanager
def halves(loop: Loop, url: str, count: int) -> Iterator[Halves]:
    """A client of two ranges that are divided at `key(count // 2)`, loaded."""
    client = loop.run(FastnessClient.open(url))
    try:
        loop.run(client.load(entries(count)))
        yield Halves(client.database, count)
    finally:
        loop.run(client.close())


def cluster_crossing(settings: Settings) -> list[Row]:
    """Two stores, one node."""
    count = settings.served_entries
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        place = settings.directory / "cluster-crossing"
        servers = opened.enter_context(cluster_servers(place, stores=2))
        realm = servers.realm("crossing", [key(count // 2)])
        node = opened.enter_context(realm.serving())
        both = opened.enter_context(halves(loop, url_of(node), count))
        return [
            _compared(loop, both, settings, tasks=1, rest_s=REST_S),
            _compared(loop, both, settings, tasks=1),
            _compared(loop, both, settings, tasks=settings.concurrent),
            _beside(loop, both, settings),
        ]


def _compared(
    loop: Loop, both: Halves, settings: Settings, *, tasks: int, rest_s: float = 0.0
) -> Row:
    drawn = numbers(KEYS_DRAWN)

    def play(operation: Operation) -> Round:
        return loop.run(tasks_for(settings.spell_s, operation, drawn, tasks, rest_s=rest_s))

    series = contest(
        [
            Contestant(TWO, partial(play, both.across)),
            Contestant(ONE, partial(play, both.within)),
        ],
        rounds=settings.rounds,
    )
    how = f"{tasks} tasks" if tasks > 1 else "one task that rests" if rest_s else "one task"
    what = f"cluster: p50 of a commit of two keys {TWO}, {how}"
    return median_row(what, series[TWO], series[ONE], target=at_most(TIMES))


def _beside(loop: Loop, both: Halves, settings: Settings) -> Row:
    """Somebody's one-range commits, beside transactions of either kind at one pace."""
    drawn = numbers(KEYS_DRAWN)

    def play(others: Operation) -> Round:
        return loop.run(_paced(settings.spell_s, both.bystand, others, drawn))

    series = contest(
        [
            Contestant(TWO, partial(play, both.across)),
            Contestant(ONE, partial(play, both.within)),
        ],
        rounds=settings.rounds,
    )
    what = f"cluster: p50 of somebody else's commit, beside 20/s {TWO}"
    theirs = series[ONE]
    theirs.name = f"beside 20/s {ONE}"
    return median_row(what, series[TWO], theirs, target=at_most(BYSTANDER))


async def _paced(
    seconds: float, operation: Operation, others: Operation, drawn: list[bytes]
) -> Round:
    """A round of one task, beside which the others are begun again and again."""

    async def begin() -> None:
        async with asyncio.TaskGroup() as group:
            for one in reversed(drawn):
                group.create_task(_awaited(others(one)))
                await asyncio.sleep(PACE_S)

    beside = asyncio.create_task(begin())
    try:
        return await tasks_for(seconds, operation, drawn, 1)
    finally:
        beside.cancel()
        with suppress(asyncio.CancelledError):
            await beside


async def _awaited(work: Awaitable[object]) -> None:
    await work
