"""Every server started and loaded with the same entries, and a client of each on one loop.

A peer that cannot be had is left out of the contests, and named with the reason in `missing`,
from where it gets rows of its own.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.clients.contract import Client, counter_of
from benchmarks.clients.etcd_client import EtcdClient
from benchmarks.clients.fastness_client import FastnessClient
from benchmarks.clients.postgresql_client import PostgreSQLClient
from benchmarks.clients.redis_client import RedisClient
from benchmarks.contests import Contestant, dealt, tasks_together
from benchmarks.processor import with_cpu
from benchmarks.samples import Round
from benchmarks.servers import MISSING, Server
from benchmarks.servers.etcd import etcd
from benchmarks.servers.fastness_server import Serving, fastness_server
from benchmarks.servers.postgresql import postgresql
from benchmarks.servers.redis import redis
from benchmarks.settings import Settings
from benchmarks.workload import Entry, entries, sample
from fastness.invariants import check, present

T = TypeVar("T")
KEYS_DRAWN = 10_000
"""Random keys that the rounds of a contest go through, again and again."""
LOADERS = 64


class Loop:
    """One event loop for all clients: uvloop where it is installed, for every one of them."""

    def __init__(self) -> None:
        factory: Callable[[], asyncio.AbstractEventLoop] | None = None
        if importlib.util.find_spec("uvloop") is not None:
            factory = importlib.import_module("uvloop").new_event_loop
        self._runner = asyncio.Runner(loop_factory=factory)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The answer of `work`, run to its end."""
        return self._runner.run(work)

    def close(self) -> None:
        """End the loop."""
        self._runner.close()


@dataclass(slots=True)
class Field:
    """Those that take part."""

    loop: Loop
    serving: Serving
    """Our own server."""
    entries: list[Entry]
    keys: list[bytes]
    """Keys drawn at random, with repetition."""
    clients: dict[str, Client] = field(default_factory=dict)
    """By name, Fastness first."""
    servers: dict[str, Server] = field(default_factory=dict)
    """Of the peers that take part."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why the other peers do not."""

    def playing(self, name: str, play: Callable[[], Round]) -> Contestant:
        """A contestant whose rounds are played against that server, processor time included."""
        return Contestant(name, partial(with_cpu, play, [self.pid_of(name)]))

    def pid_of(self, name: str) -> int:
        """The process of a server."""
        server = self.servers.get(name)
        return self.serving.pid if server is None else server.pid

    def check_increments(self, done: dict[str, int]) -> None:
        """Nobody lost one: the counters of all entries add up to what was acknowledged."""
        for name, count in done.items():
            total = self.loop.run(_counted(self.clients[name], self.entries))
            check(total == count, f"{name} kept every increment")


async def _counted(client: Client, loaded: list[Entry]) -> int:
    total = 0

    async def count(key: bytes) -> None:
        nonlocal total
        # Not in one statement: that would read the total before the wait.
        value = await client.get(key)
        total += counter_of(present(value, "every key was loaded"))

    await tasks_together(count, dealt([key for key, _ in loaded], LOADERS))
    return total


@dataclass(frozen=True, slots=True)
class Peer:
    """How a peer comes to take part."""

    start: Callable[[Path], AbstractContextManager[Server]]
    connect: Callable[[int], Awaitable[Client]]


async def _redis_client(port: int) -> Client:
    return RedisClient(port)


async def _postgresql_client(port: int) -> Client:
    return await PostgreSQLClient.open(port)


async def _etcd_client(port: int) -> Client:
    return await EtcdClient.open(port)


PEERS = {
    RedisClient.name: Peer(redis, _redis_client),
    PostgreSQLClient.name: Peer(postgresql, _postgresql_client),
    EtcdClient.name: Peer(etcd, _etcd_client),
}


@contextmanager
def competing(settings: Settings, name: str) -> Iterator[Field]:
    """Fastness and every peer that can be had, loaded; all of it is stopped at the end."""
    place = settings.directory / name
    zeroed = [(key, bytes(8) + value[8:]) for key, value in entries(settings.served_entries)]
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        (place / "fastness").mkdir(parents=True)
        serving = opened.enter_context(fastness_server(place / "fastness"))
        found = Field(loop, serving, zeroed, sample(KEYS_DRAWN, settings.served_entries))
        _join(found, opened, FastnessClient.name, loop.run(FastnessClient.open(serving.url)))
        for peer_name, peer in PEERS.items():
            directory = place / peer_name
            directory.mkdir()
            try:
                server = opened.enter_context(peer.start(directory))
            except MISSING as missing:
                found.missing[peer_name] = str(missing)
                continue
            found.servers[peer_name] = server
            _join(found, opened, peer_name, loop.run(_awaited(peer.connect(server.port))))
        yield found


def _join(found: Field, opened: ExitStack, name: str, client: Client) -> None:
    opened.callback(lambda: found.loop.run(client.close()))
    found.loop.run(client.load(found.entries))
    found.clients[name] = client


async def _awaited(work: Awaitable[T]) -> T:
    return await work
