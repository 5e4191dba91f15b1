"""Statements that a store carries out for each commit, as a node holds more and more ranges.

They are counted by PostgreSQL itself, which is told to log each one it executes in the database
of the cluster: batches, reads, and whatever a node does beside them. A prepared statement is one
round trip. Commits are of one key of a random range, many together; batches of all ranges that
have any go to the store in one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import Loop
from benchmarks.contests import dealt, tasks_together
from benchmarks.rows import Row, Unit, at_most
from benchmarks.samples import spread
from benchmarks.servers.cluster import ClusterServers, cluster_servers, url_of
from benchmarks.servers.postgresql import carry_out
from benchmarks.settings import Settings
from benchmarks.workload import entries, key, sample
from fastness.laptop.postgres import Postgres

SAME = 1.25
COUNTS = 3
"""Each number of ranges is counted so often."""
LOGGED = {
    "log_statement": "'all'",
    # Each line begins with its database.
    "log_line_prefix": "'%d|'",
    "log_parameter_max_length": "0",
}


def cluster_ranges(settings: Settings) -> list[Row]:
    """A realm for each number of ranges, all on the same servers."""
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        servers = opened.enter_context(cluster_servers(settings.directory / "cluster-ranges"))
        counted = {ranges: _counted(loop, servers, settings, ranges) for ranges in settings.ranges}
    first = settings.ranges[0]
    return [_row(ranges, counted[ranges], counted[first]) for ranges in settings.ranges[1:]]


def borders(ranges: int, of: int) -> list[bytes]:
    """What divides the first `of` keys into so many ranges of equal size."""
    return [key(of * number // ranges) for number in range(1, ranges)]


def _row(ranges: int, counted: Sequence[float], counted_first: Sequence[float]) -> Row:
    return Row(
        what=f"cluster: statements of the store for each commit, {ranges} ranges",
        unit=Unit.SHARE,
        figure=median(counted),
        peer="with 1 range",
        peer_figure=median(counted_first),
        ratio=spread([one / first for one, first in zip(counted, counted_first, strict=True)]),
        target=at_most(SAME),
    )


def _counted(loop: Loop, servers: ClusterServers, settings: Settings, ranges: int) -> list[float]:
    """Statements for each commit, counted some times."""
    (pair,) = servers.stores.values()
    realm = servers.realm(f"ranges-{ranges}", borders(ranges, settings.served_entries))
    with realm.serving() as node:
        client = loop.run(FastnessClient.open(url_of(node)))
        try:
            loop.run(client.load(entries(settings.served_entries)))
            drawn = sample(settings.counted_commits, settings.served_entries)
            shares = dealt(drawn, settings.concurrent)
            with _statements(pair.primary, realm.database) as statements:
                counted = []
                for _ in range(COUNTS):
                    before = statements()
                    loop.run(tasks_together(client.set, shares))
                    counted.append((statements() - before) / len(drawn))
                return counted
        finally:
            loop.run(client.close())


@contextmanager
def _statements(server: Postgres, database: str) -> Iterator[Callable[[], int]]:
    """How many prepared statements were carried out in a database since the beginning."""
    log = server.daemon.log
    for name, value in LOGGED.items():
        carry_out(server, f"ALTER SYSTEM SET {name} = {value}")
    carry_out(server, "SELECT pg_reload_conf()")
    begun = f"{database}|LOG:  execute ".encode()
    try:
        yield lambda: executed(log, begun)
    finally:
        for name in LOGGED:
            carry_out(server, f"ALTER SYSTEM RESET {name}")
        carry_out(server, "SELECT pg_reload_conf()")


def executed(log: Path, begun: bytes) -> int:
    """The lines of a log that begin so."""
    with log.open("rb") as lines:
        return sum(line.startswith(begun) for line in lines)
