"""One range of a cluster beside PostgreSQL itself: point reads of a warm set, durable commits.

The peer is asyncpg, a pool of 16, on the very server that holds the range, in a database of its
own there: the same disk, the same synchronous standby. Whatever the cluster costs, it costs on top
of that server. Processor time is that of node, primary, standby and etcd on our side, and of
primary and standby on the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from benchmarks.clients.contract import Client
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import KEYS_DRAWN, Loop
from benchmarks.clients.postgresql_client import PostgreSQLClient
from benchmarks.contests import Contestant, contest
from benchmarks.processor import with_cpu
from benchmarks.rows import Row, at_least, rate_row
from benchmarks.samples import Round
from benchmarks.servers.cluster import cluster_servers, url_of
from benchmarks.settings import Settings
from benchmarks.spells import tasks_for
from benchmarks.workload import entries, sample

READS = at_least(5.0)
COMMITS = at_least(1.5)


class _Side(NamedTuple):
    """A client, and the processes that serve it."""

    client: Client
    pids: Sequence[int]


def cluster_peers(settings: Settings) -> list[Row]:
    """Both loaded with the same entries, then in turns."""
    tasks = settings.concurrent
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        servers = opened.enter_context(cluster_servers(settings.directory / "cluster-peers"))
        (pair,) = servers.stores.values()
        node = opened.enter_context(servers.realm("peers").serving())
        ours = loop.run(FastnessClient.open(url_of(node)))
        opened.callback(lambda: loop.run(ours.close()))
        theirs = loop.run(PostgreSQLClient.open(pair.primary.port))
        opened.callback(lambda: loop.run(theirs.close()))
        every = (node.daemon.pid, *pair.pids, servers.etcd.daemon.pid)
        sides = [_Side(ours, every), _Side(theirs, pair.pids)]
        loaded = entries(settings.served_entries)
        for side in sides:
            loop.run(side.client.load(loaded))
        keys = sample(KEYS_DRAWN, settings.served_entries)

        def play(side: _Side, reading: bool) -> Round:
            operation = side.client.get if reading else side.client.set
            return loop.run(tasks_for(settings.spell_s, operation, keys, tasks))

        def row(what: str, *, reading: bool) -> Row:
            contestants = [
                Contestant(
                    one.client.name, partial(with_cpu, partial(play, one, reading), one.pids)
                )
                for one in sides
            ]
            series = contest(contestants, rounds=settings.rounds)
            target = READS if reading else COMMITS
            return rate_row(what, series[ours.name], series[theirs.name], target=target)

        return [
            row(f"cluster: point reads of a warm set, {tasks} tasks", reading=True),
            row(f"cluster: durable commits in one range, {tasks} tasks", reading=False),
        ]
