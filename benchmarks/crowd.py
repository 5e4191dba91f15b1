"""What many clients cost a server that has nothing to do: idle connections, then watches on them.

Every connection is a client of its own, and each watches a few keys. Then one key is written,
and its watch must fire: what was measured works.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import fastness
from benchmarks.clients.contract import VALUE
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.field import Loop
from benchmarks.rows import Row, Unit, at_most
from benchmarks.servers.fastness_server import fastness_server
from benchmarks.settings import Settings
from benchmarks.workload import entries, key
from fastness.laptop.processes import resident_bytes

MORE_MB = 200.0
BYTES_PER_MB = 1_000_000
OPENED_TOGETHER = 50
"""So many handshakes at once, within what a server takes of strangers."""
FIRES_S = 30.0


def crowd(settings: Settings) -> list[Row]:
    """The memory of the server's process, before and after they came."""
    place = settings.directory / "crowd"
    place.mkdir(parents=True)
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        serving = opened.enter_context(fastness_server(place))
        return loop.run(_measured(serving.url, serving.pid, settings))


async def _measured(url: str, pid: int, settings: Settings) -> list[Row]:
    loader = await FastnessClient.open(url)
    await loader.load(entries(settings.watches))
    clients: list[fastness.AsyncDatabase] = []
    try:
        alone = resident_bytes(pid)
        for _ in range(0, settings.idle_connections, OPENED_TOGETHER):
            some = min(OPENED_TOGETHER, settings.idle_connections - len(clients))
            clients += await asyncio.gather(*(fastness.open_async(url) for _ in range(some)))
        connected = resident_bytes(pid)
        watches = await _watching(clients, settings.watches)
        watched = resident_bytes(pid)
        await loader.database.set(key(0), VALUE)
        async with asyncio.timeout(FIRES_S):
            await watches[0].wait_async()
    finally:
        await asyncio.gather(*(client.close() for client in clients))
        await loader.close()
    connections = f"{settings.idle_connections:,} idle connections"
    return [
        _row(f"memory of the server, more for {connections}", connected - alone),
        _row(
            f"memory of the server, more for {connections} and {settings.watches:,} watches",
            watched - alone,
            bound=MORE_MB,
        ),
    ]


async def _watching(clients: list[fastness.AsyncDatabase], count: int) -> list[fastness.Watch]:
    """Watches of as many keys, dealt to the clients."""

    async def some(at: int) -> list[fastness.Watch]:
        return [await clients[at].watch(key(number)) for number in range(at, count, len(clients))]

    watches: list[fastness.Watch] = []
    for start in range(0, len(clients), OPENED_TOGETHER):
        turn = range(start, min(start + OPENED_TOGETHER, len(clients)))
        for found in await asyncio.gather(*(some(at) for at in turn)):
            watches += found
    return watches


def _row(what: str, more_bytes: int, *, bound: float | None = None) -> Row:
    # A page given back meanwhile must not make it nothing.
    figure = max(more_bytes, 1) / BYTES_PER_MB
    target = None if bound is None else at_most(bound)
    return Row(what=what, unit=Unit.MEGABYTES, figure=figure, target=target)
