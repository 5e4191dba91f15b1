"""Processor time of each kind of request, in every process that has a part in it.

Two cores show nothing of what ten machines do, but a microsecond of a process is one wherever it
runs: docs/CAPACITY.md plans with these. Parts are the client (this process), the node, the
primaries, the standbys and etcd. Rounds of all kinds alternate and are long beside a tick; what
is told is the sum over them, less what the part takes in the same time while nothing is asked.
Many tasks ask at once, as a node in use is asked, and share what can be shared: frames, batches,
statements, timestamps.

Reads that find nothing in the node's memory are asked of a second node on the same servers,
which may remember nothing. Draws of timestamps are counted by the node that is the oracle.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns

import fastness
from benchmarks.clients.contract import VALUE
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import KEYS_DRAWN, Loop
from benchmarks.cluster_crossing import Halves, halves, numbers
from benchmarks.processor import CLIENT, Bill, Parts, billed
from benchmarks.rows import Row, Unit
from benchmarks.samples import NS_PER_S, NS_PER_US, Round
from benchmarks.servers.cluster import ClusterServers, cluster_servers, url_of
from benchmarks.settings import Settings
from benchmarks.spells import tasks_for
from benchmarks.workload import key, sample
from fastness.laptop.node import NodeMember
from fastness.laptop.ports import HOST

NODE, PRIMARIES, STANDBYS, ETCD = "node", "primaries", "standbys", "etcd"
PARTS = (CLIENT, NODE, PRIMARIES, STANDBYS, ETCD)

HIT, WARM, MISS = "near-cache hit", "read in the node's memory", "read in the store"
ONE, TWO = "commit of one key", "commit of a key in each of two ranges"
ALONE = "commit of one key, one at a time"
RENEWED = "commit of a key that a client caches, and that client's next read of it"
DRAW = "timestamp, drawn by itself"
IDLE = "second of nothing"
KINDS = (HIT, WARM, MISS, ONE, ALONE, TWO, RENEWED, DRAW, IDLE)

HOT_KEYS = 100
DRAWERS = 16
"""Clients that draw timestamps, each for one task, so that none shares a draw."""
FORGETFUL = ("--set", "limits.remembered_bytes=1")
DRAWS = re.compile(r"^fastness_node_draws_total (\d+)", re.MULTILINE)
DRAWS_LEAST = 0.001
"""Of a request that draws fewer, they are those of the clock."""
HTTP_S = 10.0


def cost_of(kind: str, part: str) -> str:
    """What the row of a kind of request in a part is called."""
    return f"cluster: CPU of {part}, {kind}"


def draws_of(kind: str) -> str:
    """What the row of the timestamps that a kind of request draws is called."""
    return f"cluster: draws of the oracle, {kind}"


@dataclass(frozen=True, slots=True)
class _Kind:
    """Rounds of one kind of request, and what takes part in them."""

    play: Callable[[], Round]
    parts: Parts
    draws: Callable[[], int]


def cluster_costs(settings: Settings) -> list[Row]:
    """Two stores, for each realm one node."""
    count = settings.served_entries
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        place = settings.directory / "cluster-costs"
        servers = opened.enter_context(cluster_servers(place, stores=2))
        border = [key(count // 2)]
        remembering, forgetting = servers.realm("costs", border), servers.realm("misses", border)
        node = opened.enter_context(remembering.serving())
        forgetful = opened.enter_context(forgetting.serving(FORGETFUL))
        both = opened.enter_context(halves(loop, url_of(node), count))
        cold = opened.enter_context(halves(loop, url_of(forgetful), count))
        cached = opened.enter_context(_client(loop, url_of(node, "/?cache=on")))
        drawers = [
            opened.enter_context(_client(loop, url_of(node)))
            for _ in range(min(DRAWERS, settings.concurrent))
        ]
        for realm in (remembering, forgetting):
            servers.settle(realm)
        rounds = _Rounds(loop, settings, both, cold, cached, drawers)
        kinds = {
            name: _Kind(play, _parts(servers, forgetful if name == MISS else node), _draws(node))
            for name, play in rounds.by_kind().items()
        }
        return rows_of(_measured(kinds, settings.cost_rounds))


@contextmanager
def _client(loop: Loop, url: str) -> Iterator[fastness.AsyncDatabase]:
    client = loop.run(FastnessClient.open(url))
    try:
        yield client.database
    finally:
        loop.run(client.close())


@dataclass(frozen=True, slots=True)
class _Rounds:
    """How each kind is played."""

    loop: Loop
    settings: Settings
    both: Halves
    cold: Halves
    cached: fastness.AsyncDatabase
    drawers: list[fastness.AsyncDatabase]

    def by_kind(self) -> Mapping[str, Callable[[], Round]]:
        """A round of each."""
        keys, drawn = sample(KEYS_DRAWN, self.settings.served_entries), numbers(KEYS_DRAWN)
        get, cold_get = self.both.database.get, self.cold.database.get
        return {
            HIT: lambda: self.loop.run(self._hits()),
            WARM: partial(self._together, get, keys),
            MISS: partial(self._together, cold_get, keys),
            ONE: partial(self._together, self.both.bystand, drawn),
            ALONE: partial(self._together, self.both.bystand, drawn, tasks=1),
            TWO: partial(self._together, self.both.across, drawn),
            RENEWED: partial(self._together, self._renew, keys),
            DRAW: lambda: self.loop.run(self._draws()),
            IDLE: lambda: self.loop.run(self._idle()),
        }

    def _together(
        self,
        operation: Callable[[bytes], Awaitable[object]],
        drawn: list[bytes],
        *,
        tasks: int | None = None,
    ) -> Round:
        together = tasks or self.settings.concurrent
        return self.loop.run(tasks_for(self.settings.cost_spell_s, operation, drawn, together))

    async def _hits(self) -> Round:
        """As many as there is time for; the clock is looked at once in a while."""
        get, hot = self.cached.get, [key(number) for number in range(HOT_KEYS)]
        done, start = 0, perf_counter_ns()
        end = start + round(self.settings.cost_spell_s * NS_PER_S)
        while perf_counter_ns() < end:
            for one in hot:
                await get(one)
            done += len(hot)
            # A reader that never waits would keep the lease of its cache from being renewed.
            await asyncio.sleep(0)
        return Round(done, perf_counter_ns() - start, [])

    async def _renew(self, one: bytes) -> None:
        await self.both.database.set(one, VALUE)
        await self.cached.get(one)

    async def _draws(self) -> Round:
        databases = itertools.cycle(self.drawers)
        of_task = {}

        async def draw(_key: bytes) -> object:
            task = asyncio.current_task()
            if task not in of_task:
                of_task[task] = next(databases)
            return await of_task[task].now()

        spell_s = self.settings.cost_spell_s
        return await tasks_for(spell_s, draw, [b""], len(self.drawers))

    async def _idle(self) -> Round:
        start = perf_counter_ns()
        await asyncio.sleep(self.settings.cost_spell_s)
        elapsed_ns = perf_counter_ns() - start
        return Round(1, elapsed_ns, [])


def _parts(servers: ClusterServers, node: NodeMember) -> Parts:
    pairs = servers.stores.values()
    return {
        NODE: [node.daemon.pid],
        PRIMARIES: [pair.primary.daemon.pid for pair in pairs],
        STANDBYS: [pair.standby.daemon.pid for pair in pairs],
        ETCD: [servers.etcd.daemon.pid],
    }


def _draws(node: NodeMember) -> Callable[[], int]:
    """Asks the node how many requests for timestamps it has answered as the oracle."""
    url = f"http://{HOST}:{node.place.admin_port}/metrics"

    def ask() -> int:
        with urllib.request.urlopen(url, timeout=HTTP_S) as answer:
            found = DRAWS.search(answer.read().decode())
        return int(found[1]) if found else 0

    return ask


def _measured(kinds: Mapping[str, _Kind], rounds: int) -> dict[str, tuple[Bill, int]]:
    """Alternating rounds after one each to warm up: the bill of each kind, and its draws."""
    for kind in kinds.values():
        kind.play()
    total: dict[str, tuple[Bill, int]] = {}
    for _ in range(rounds):
        for name, kind in kinds.items():
            before = kind.draws()
            bill = billed(kind.play, kind.parts)
            draws = kind.draws() - before
            if name in total:
                known, drawn = total[name]
                bill, draws = known.and_also(bill), drawn + draws
            total[name] = bill, draws
    return total


def rows_of(measured: Mapping[str, tuple[Bill, int]]) -> list[Row]:
    """A row for each part of each kind that took anything: less than a tick is nothing."""
    idle, idle_draws = measured[IDLE]
    rows = []
    for kind in KINDS:
        bill, draws = measured[kind]
        # What an idle second takes is told of a second, not of a request.
        resting = kind == IDLE
        count = bill.elapsed_ns / NS_PER_S if resting else float(bill.operations)
        share = 0.0 if resting else bill.elapsed_ns / idle.elapsed_ns
        for part in PARTS:
            spent = bill.cpu_ns[part] - idle.cpu_ns[part] * share
            if spent > 0:
                figure = spent / count / NS_PER_US
                rows.append(Row(what=cost_of(kind, part), unit=Unit.MICROSECONDS, figure=figure))
        drawn = (draws - idle_draws * share) / count
        if drawn >= DRAWS_LEAST:
            rows.append(Row(what=draws_of(kind), unit=Unit.SHARE, figure=drawn))
    return rows
