"""Linearizable point reads over a socket: 64 at once, 64 in one call, one at a time.

Beside the asynchronous clients there are the synchronous ones of Fastness and of redis-py, one
at a time. A pipeline is redis-py's way of asking for many keys at once, by hand; `get_many` is
ours.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from redis import Redis

import fastness
from benchmarks.clients.contract import Client
from benchmarks.clients.etcd_client import EtcdClient
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import Field, competing
from benchmarks.clients.postgresql_client import PostgreSQLClient
from benchmarks.clients.redis_client import RedisClient
from benchmarks.contests import Contestant, contest
from benchmarks.rows import Row, Unit, at_least, at_most, missing_row, rate_row
from benchmarks.samples import Round, Series
from benchmarks.server_rows import OURS, costs, rates
from benchmarks.settings import Settings
from benchmarks.spells import alone_for, tasks_for, weighed
from fastness.laptop.ports import HOST

TOGETHER = {
    RedisClient.name: at_least(5.0),
    PostgreSQLClient.name: at_least(6.0),
    EtcdClient.name: at_least(10.0),
}
ALONE = {RedisClient.name: at_most(1.3)}
PIPELINE = "redis-py, pipeline"
IN_ONE_CALL = "Fastness, get_many"


def server_reads(settings: Settings) -> list[Row]:
    """Random keys, all present."""
    with competing(settings, "server-reads") as found:
        rows = _together(found, settings)
        rows += _alone(found, settings)
        rows += _alone_in_a_thread(found, settings)
    return rows


def reading(found: Field, client: Client, seconds: float, tasks: int) -> Round:
    """A round of point reads."""
    return found.loop.run(tasks_for(seconds, client.get, found.keys, tasks))


def _together(found: Field, settings: Settings) -> list[Row]:
    tasks, spell_s = settings.concurrent, settings.spell_s
    contestants = [
        found.playing(name, partial(reading, found, client, spell_s, tasks))
        for name, client in found.clients.items()
    ]
    contestants += [
        Contestant(name, partial(_batches, found, many, spell_s, tasks))
        for name, many in _many_keys(found).items()
    ]
    series = contest(contestants, rounds=settings.rounds)
    what = f"point reads, {tasks} tasks"
    rows = rates(what, found, series, TOGETHER)
    rows += _beside_pipeline(what, found, series[OURS], series)
    call = f"point reads, {tasks} keys in one call"
    return [*rows, *_beside_pipeline(call, found, series[IN_ONE_CALL], series)]


def _many_keys(found: Field) -> dict[str, Callable[[list[bytes]], Any]]:
    """What reads many keys at once, by the name of the contestant."""
    ours, theirs = found.clients[OURS], found.clients.get(RedisClient.name)
    many: dict[str, Callable[[list[bytes]], Any]] = {}
    if isinstance(ours, FastnessClient):
        many[IN_ONE_CALL] = ours.database.get_many
    if isinstance(theirs, RedisClient):
        many[PIPELINE] = theirs.get_pipelined
    return many


def _batches(found: Field, many: Callable[[list[bytes]], Any], spell_s: float, size: int) -> Round:
    """A round of one task that reads so many keys at once; each counts."""
    drawn = [found.keys[at : at + size] for at in range(0, len(found.keys) - size, size)]
    numbers = iter(range(len(drawn)))

    async def next_batch(_key: bytes) -> object:
        nonlocal numbers
        at = next(numbers, None)
        if at is None:
            numbers = iter(range(len(drawn)))
            at = next(numbers)
        answer: object = await many(drawn[at])
        return answer

    return weighed(found.loop.run(tasks_for(spell_s, next_batch, found.keys, 1)), size)


def _beside_pipeline(what: str, found: Field, ours: Series, series: dict[str, Series]) -> list[Row]:
    if PIPELINE in series:
        return [rate_row(what, ours, series[PIPELINE])]
    reason = found.missing[RedisClient.name]
    return [missing_row(what, ours, Unit.PER_SECOND, peer=PIPELINE, reason=reason)]


def _alone(found: Field, settings: Settings) -> list[Row]:
    contestants = [
        found.playing(name, partial(reading, found, client, settings.spell_s, 1))
        for name, client in found.clients.items()
    ]
    series = contest(contestants, rounds=settings.rounds)
    return costs("point read, one task", found, series, ALONE)


def _alone_in_a_thread(found: Field, settings: Settings) -> list[Row]:
    """The synchronous clients."""
    spell_s, keys = settings.spell_s, found.keys
    with ExitStack() as opened:
        ours = opened.enter_context(fastness.open(found.serving.url))
        contestants = [found.playing(OURS, partial(alone_for, spell_s, ours.get, keys))]
        server = found.servers.get(RedisClient.name)
        if server is not None:
            theirs: Any = opened.enter_context(Redis(host=HOST, port=server.port))
            play = partial(alone_for, spell_s, theirs.get, keys)
            contestants.append(found.playing(RedisClient.name, play))
        series = contest(contestants, rounds=settings.rounds)
    rows = costs("point read, one thread", found, series, ALONE)
    return [row for row in rows if row.peer == RedisClient.name]
