"""The figures of a database, here and behind a server: equal in power, and no more than is due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

import fastness
from fastness import DatabaseStat
from fastness.client.cluster import ClusterClient
from fastness.errors import FastnessError, InvalidEncoding, Unreachable, UsageError
from fastness.limits import Limits
from fastness.node import ServerNode
from fastness.node.gate import OpenGate
from fastness.runtime.local import LocalNetwork
from fastness.runtime.process import Address
from fastness.storage import MemoryStore, RocksStore
from fastness.wire.figures import FiguresRequest
from fastness.wire.messages import Frame
from tests.client.servers import RunningServer

KEYS = 30


@pytest.fixture
def server() -> Iterator[RunningServer]:
    """A server over memory."""
    with RunningServer() as running:
        yield running


def fill(db: fastness.Database) -> None:
    """Write, overwrite, and read."""
    for number in range(KEYS):
        db.set(b"%d" % number, b"1")
        db.set(b"%d" % number, b"2")


def test_a_served_directory_tells_what_an_open_one_does(tmp_path: Path) -> None:
    """Identity, newest commit, sizes: from its server and, after it, from here."""
    store = RocksStore.open(tmp_path / "data", limits=Limits())
    with RunningServer(store) as server, fastness.open(server.url) as db:
        fill(db)
        served = db.stat()
    with fastness.open(f"file:{tmp_path / 'data'}", read_only=True) as db:
        opened = db.stat()
    assert served.store.identity == opened.store.identity
    assert served.store.applied == opened.store.applied
    # Estimates, which count a key twice while both its versions are in memory.
    assert KEYS <= opened.store.size.newest_keys <= served.store.size.newest_keys
    assert served.store.size.history_versions > 0
    assert 0 < served.store.batches <= 2 * KEYS
    assert served.commits == 2 * KEYS
    assert opened.server is None


def test_tasks_are_told_the_same(server: RunningServer) -> None:
    """The asynchronous client asks the same question."""

    async def asked() -> DatabaseStat:
        async with await fastness.open_async(server.url) as db:
            return await db.stat()

    with fastness.open(server.url) as db:
        fill(db)
        here, there = db.stat(), asyncio.run(asked())
    assert here.store.identity == there.store.identity == server.store.identity
    assert here.store.applied == there.store.applied
    assert here.server is not None
    assert there.server is not None
    assert here.server.is_ready
    assert here.server.agent == there.server.agent == f"fastness {fastness.__version__}"
    assert here.server.use is None, "no account is kept without a gate"


class Older(OpenGate):
    """Answers as a server that does not know the request."""

    def refusal(self, sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """As a frame with an unknown tag is refused."""
        if isinstance(frame.body, FiguresRequest):
            return InvalidEncoding("a frame cannot be decoded (invalid tag 69)")
        return super().refusal(sender, frame, size)


def test_a_server_older_than_the_request() -> None:
    """This process's figures are told all the same; those of the server are missing."""

    async def scenario() -> None:
        network = LocalNetwork()
        server = ServerNode(network.process("server#1"), MemoryStore(), Limits(), gate=Older())
        async with server, ClusterClient(network.process("client/1"), [server.address]) as client:
            await client.set(b"a", b"1")
            stat = await client.stat()
        assert (stat.commits, stat.server) == (1, None)
        with pytest.raises(UsageError, match="tells nothing of its store"):
            str(stat.store)

    asyncio.run(scenario())


def test_a_store_that_is_away_is_left_out() -> None:
    """While it is opened again the server tells of itself alone."""

    async def scenario() -> None:
        network = LocalNetwork()
        store = MemoryStore()
        server = ServerNode(network.process("server#1"), store, Limits())
        async with server, ClusterClient(network.process("client/1"), [server.address]) as client:
            assert (await client.stat()).store_told is not None
            store.close()
            stat = await client.stat()
            assert stat.server is not None
            assert stat.store_told is None

    asyncio.run(scenario())


def test_nobody_answers() -> None:
    """Figures of a server that went away are an error, as a read would be."""
    limits = Limits(operation_ms=200, call_ms=50)
    with RunningServer() as running, fastness.open(running.url, limits=limits) as db:
        db.stat()
        running.do(running.process.close())
        with pytest.raises(Unreachable):
            db.stat()
