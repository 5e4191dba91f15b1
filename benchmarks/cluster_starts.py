"""The start of a node that holds many ranges: it was stopped, and is started again.

It has every range's lease to claim and every range to open in its store. It has started once one
call has read a key of each range. A node that was stopped has released its leases; how long those
of one that was killed are waited for is a matter of `limits.lease_ms`, not of the work.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from statistics import median

import fastness
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import Loop
from benchmarks.cluster_ranges import borders
from benchmarks.processor import spent_ns
from benchmarks.rows import Row, Unit, at_most
from benchmarks.samples import NS_PER_S
from benchmarks.servers.cluster import cluster_servers, url_of
from benchmarks.settings import Settings
from benchmarks.workload import entries, key
from fastness.invariants import check
from fastness.laptop.daemon import running
from fastness.laptop.node import NodeMember

START_S = 5.0
EVERY = 16
"""A cluster is founded with each so manieth border: with all of them at once it cannot be."""


def cluster_starts(settings: Settings) -> list[Row]:
    """A key in every range, written before, read after each start."""
    ranges = settings.ranges_at_start
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        servers = opened.enter_context(cluster_servers(settings.directory / "cluster-starts"))
        divided = borders(ranges, ranges)
        realm = servers.realm("starts", divided[::EVERY])
        with realm.serving() as node:
            client = loop.run(FastnessClient.open(url_of(node)))
            # Which also waits until every range is served.
            loop.run(client.load(entries(ranges)))
            loop.run(client.close())
            loop.run(realm.divide([at for number, at in enumerate(divided) if number % EVERY]))
        taken, used = [], []
        for _ in range(settings.starts):
            member = realm.node()
            began_ns = time.perf_counter_ns()
            with running(member.daemon):
                loop.run(_read_all(member, ranges))
                taken.append((time.perf_counter_ns() - began_ns) / NS_PER_S)
                used.append((spent_ns([member.daemon.pid]) or 0) / NS_PER_S)
    what = f"cluster: start of a node with {ranges:,} ranges"
    return [
        Row(
            what=f"{what}, median of {len(taken)}",
            unit=Unit.SECONDS,
            figure=median(taken),
            target=at_most(START_S),
        ),
        Row(what=f"{what}, its processor time", unit=Unit.SECONDS, figure=median(used)),
    ]


async def _read_all(member: NodeMember, ranges: int) -> None:
    database = await fastness.open_async(url_of(member))
    try:
        found = await database.get_many([key(number) for number in range(ranges)])
        check(None not in found, "every range gave its key back")
    finally:
        await database.close()
