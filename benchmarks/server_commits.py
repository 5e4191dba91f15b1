"""Durable commits of one write over a socket: 64 at once, and one at a time.

All overwrite random keys that are there. The acknowledgement comes after the sync, on every
side: PostgreSQL's and etcd's defaults, Redis with `appendfsync always`.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from redis import Redis

import fastness
from benchmarks.clients.contract import VALUE, Client
from benchmarks.clients.etcd_client import EtcdClient
from benchmarks.clients.field import Field, competing
from benchmarks.clients.postgresql_client import PostgreSQLClient
from benchmarks.clients.redis_client import RedisClient
from benchmarks.contests import Contestant, contest
from benchmarks.rows import Row, at_least, at_most
from benchmarks.samples import Round
from benchmarks.server_rows import OURS, costs, rates
from benchmarks.settings import Settings
from benchmarks.spells import alone_for, tasks_for
from fastness.laptop.ports import HOST

TOGETHER = {
    RedisClient.name: at_least(1.2),
    PostgreSQLClient.name: at_least(3.0),
    EtcdClient.name: at_least(3.0),
}
ALONE = {RedisClient.name: at_most(1.5)}


def server_commits(settings: Settings) -> list[Row]:
    """One write, and the acknowledgement that it is on disk."""
    with competing(settings, "server-commits") as found:
        tasks = settings.concurrent
        together = _writing(found, settings, tasks)
        alone = _writing(found, settings, 1)
        in_a_thread = _alone_in_a_thread(found, settings)
        rows = rates(
            f"durable commits, {tasks} tasks",
            found,
            contest(together, rounds=settings.rounds),
            TOGETHER,
        )
        rows += costs(
            "durable commit, one task", found, contest(alone, rounds=settings.rounds), ALONE
        )
        return [*rows, *in_a_thread]


def _writing(found: Field, settings: Settings, tasks: int) -> list[Contestant]:
    def write(client: Client) -> Round:
        return found.loop.run(tasks_for(settings.spell_s, client.set, found.keys, tasks))

    return [found.playing(name, partial(write, client)) for name, client in found.clients.items()]


def _alone_in_a_thread(found: Field, settings: Settings) -> list[Row]:
    """The synchronous clients."""
    spell_s, keys = settings.spell_s, found.keys
    with ExitStack() as opened:
        ours = opened.enter_context(fastness.open(found.serving.url))
        contestants = [
            found.playing(OURS, lambda: alone_for(spell_s, lambda key: ours.set(key, VALUE), keys))
        ]
        server = found.servers.get(RedisClient.name)
        if server is not None:
            theirs: Any = opened.enter_context(Redis(host=HOST, port=server.port))
            contestants.append(
                found.playing(
                    RedisClient.name,
                    lambda: alone_for(spell_s, lambda key: theirs.set(key, VALUE), keys),
                )
            )
        series = contest(contestants, rounds=settings.rounds)
    rows = costs("durable commit, one thread", found, series, ALONE)
    return [row for row in rows if row.peer == RedisClient.name]
