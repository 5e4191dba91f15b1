"""The near cache: what a hit costs, and whether it ever shows anything that is not true.

A hit is a linearizable read that never leaves the process. It is compared with the same read
over the wire, by the same client at the same time. Then writers in threads of their own overwrite
a few keys without a pause, while the auditor draws a timestamp, looks at what the cache serves,
and compares it with the truth at that timestamp: one stale answer makes the ratio less than 1.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from time import perf_counter_ns

import fastness
from benchmarks.clients.contract import VALUE
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import Loop
from benchmarks.contests import Contestant, contest, repeating, throughput
from benchmarks.rows import Row, Unit, at_least, at_most, ceiling_row, rate_row
from benchmarks.samples import Round, Series
from benchmarks.servers.fastness_server import fastness_server
from benchmarks.settings import Settings
from benchmarks.spells import alone_for, tasks_for
from benchmarks.workload import entries, key
from fastness.client.cluster import ClusterClient, Verdict
from fastness.invariants import InvariantViolation

HOT_KEYS = 100
HIT_US = 3.0
TIMES_FASTER = 20.0
HIT, WIRE = "near cache", "over the wire"
WRITERS = 2
SAYS_S_MAX = 60.0
PAUSE_S = 0.001
"""Between two rounds of writes, so that some entries live long enough to be hit."""


def near_cache(settings: Settings) -> list[Row]:
    """One server, clients with `cache=on`."""
    place = settings.directory / "near-cache"
    place.mkdir(parents=True)
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        url = opened.enter_context(fastness_server(place)).url
        loop.run(_loaded(url))
        cached = f"{url}/?cache=on"
        return [
            *_hits_in_tasks(loop, cached, settings),
            *_hits_in_a_thread(cached, settings),
            *_consistency(loop, url, cached, settings),
        ]


async def _loaded(url: str) -> None:
    client = await FastnessClient.open(url)
    await client.load(entries(HOT_KEYS))
    await client.close()


def _hits_in_tasks(loop: Loop, url: str, settings: Settings) -> list[Row]:
    hot, spell_s = [key(number) for number in range(HOT_KEYS)], settings.spell_s
    database = loop.run(fastness.open_async(url))
    wired = partial(database.get, cache=False)
    try:
        series = contest(
            [
                Contestant(HIT, lambda: loop.run(_hits(database, hot, settings.reads))),
                Contestant(WIRE, lambda: loop.run(tasks_for(spell_s, wired, hot, 1))),
            ],
            rounds=settings.rounds,
        )
    finally:
        loop.run(database.close())
    return _hit_rows("one task", series)


async def _hits(database: fastness.AsyncDatabase, hot: list[bytes], reads: int) -> Round:
    """A round timed as a whole: reading the clock would cost as much as a hit."""
    get = database.get
    for one in hot:
        await get(one)
    start = perf_counter_ns()
    for one in itertools.islice(itertools.cycle(hot), reads):
        await get(one)
    return Round(reads, perf_counter_ns() - start, [])


def _hits_in_a_thread(url: str, settings: Settings) -> list[Row]:
    hot, spell_s = [key(number) for number in range(HOT_KEYS)], settings.spell_s
    with fastness.open(url) as database:
        wired = partial(database.get, cache=False)
        series = contest(
            [
                Contestant(HIT, partial(_hits_of_a_thread, database, hot, settings.reads)),
                Contestant(WIRE, partial(alone_for, spell_s, wired, hot)),
            ],
            rounds=settings.rounds,
        )
    return _hit_rows("one thread", series)


def _hits_of_a_thread(database: fastness.Database, hot: list[bytes], reads: int) -> Round:
    for one in hot:
        database.get(one)
    arguments = list(itertools.islice(itertools.cycle(hot), reads))
    return throughput(repeating(database.get), arguments)


def _hit_rows(how: str, series: dict[str, Series]) -> list[Row]:
    return [
        ceiling_row(f"near-cache hit, {how}", series[HIT], target=at_most(HIT_US)),
        rate_row(
            f"near-cache hit, {how}", series[HIT], series[WIRE], target=at_least(TIMES_FASTER)
        ),
    ]


# What it serves while others write.


def _consistency(loop: Loop, url: str, cached: str, settings: Settings) -> list[Row]:
    seconds = settings.spell_s * settings.rounds
    with _writers(url) as count:
        verdicts = loop.run(_audited(cached, seconds, count))
        written = count()
    proved = verdicts[Verdict.TRUE] + verdicts[Verdict.STALE]
    what = f"with {WRITERS} writers"
    return [
        Row(
            what=f"near cache, consistency ratio {what} ({proved:,} hits, {written:,} writes)",
            unit=Unit.SHARE,
            figure=verdicts[Verdict.TRUE] / proved,
            target=at_least(1.0),
        ),
        Row(
            what=f"near cache, hits of all audits {what}",
            unit=Unit.SHARE,
            figure=1 - verdicts[Verdict.MISS] / verdicts.total(),
        ),
    ]


async def _audited(url: str, seconds: float, written: Callable[[], int]) -> Counter[Verdict]:
    """Verdicts about hot keys, each audited and then read so that the cache holds it again.

    It goes on for so long, and until it has something to say: writes, and hits beside them.
    """
    verdicts: Counter[Verdict] = Counter()
    client = await fastness.open_async(url)
    if not isinstance(client, ClusterClient):
        raise InvariantViolation("a client of a server can be audited")

    async def audit(one: bytes) -> None:
        verdicts[(await client.audit(one)).verdict] += 1
        await client.get(one)

    try:
        hot = [key(number) for number in range(HOT_KEYS)]
        async with asyncio.timeout(seconds + SAYS_S_MAX):
            await tasks_for(seconds, audit, hot, WRITERS)
            while not (written() and verdicts[Verdict.TRUE] + verdicts[Verdict.STALE]):
                await tasks_for(seconds, audit, hot, WRITERS)
    finally:
        await client.close()
    return verdicts


@contextmanager
def _writers(url: str) -> Iterator[Callable[[], int]]:
    """Threads that overwrite hot keys until the end; how many writes were acknowledged."""
    stop, written = threading.Event(), [0] * WRITERS
    threads = [
        threading.Thread(target=_write, args=(url, number, stop, written))
        for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield lambda: sum(written)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _write(url: str, number: int, stop: threading.Event, written: list[int]) -> None:
    """Each thread has a client, and so a connection, of its own."""
    with fastness.open(url) as database:
        for at in itertools.cycle(range(number, HOT_KEYS, WRITERS)):
            if stop.wait(PAUSE_S):
                return
            database.set(key(at), VALUE)
            written[number] += 1
