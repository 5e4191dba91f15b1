"""Databases for tests: in this process and behind a server, under a clock that only tests move.

A driven database has no upkeep thread: `database.embedded.upkeep_step()` does its work when a
test says so. Behind a server the clock is the server's; a client has that of the machine. What
cannot be tested there takes the fixtures that begin with `own` and says why (tests/README.md).
Folders take these fixtures into their own conftest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

import fastness
from fastness.client import AsyncDatabase, AsyncEmbeddedBacking, Database, EmbeddedBacking
from fastness.client.embedded import Embedded
from fastness.client.opening import open_store
from fastness.limits import Limits
from fastness.runtime import Clock, ManualClock
from fastness.storage import MemoryStore, RocksStore, Store
from fastness.storage.faults import Faults
from tests.client.servers import RunningServer

ENGINES = ("memory", "file")
SERVER = "server"
PLACES = (*ENGINES, SERVER)


def url_of(engine: str, directory: Path) -> str:
    """A URL of an empty database of this engine; a directory is created when it is opened."""
    return "memory:" if engine == "memory" else f"file:{directory / 'database'}"


def store_with_faults(engine: str, directory: Path, faults: Faults) -> Store:
    """An empty store of this engine that calls `faults` at each step of a write."""
    if engine == "memory":
        return MemoryStore(faults=faults)
    return RocksStore.open(directory / "database", faults=faults)


def driven(
    store: Store, clock: Clock, *, limits: Limits | None = None, durable: bool = True
) -> Database:
    """A database over a store, without background work of its own."""
    embedded = Embedded(
        store,
        url="driven:",
        limits=limits or Limits(),
        durable=durable,
        clock=clock,
        upkeep=False,
    )
    return Database(EmbeddedBacking(embedded))


def twin_of(database: Database) -> AsyncDatabase:
    """The asynchronous face of the same engine."""
    return AsyncDatabase(AsyncEmbeddedBacking(database.embedded))


@asynccontextmanager
async def beside(database: Database) -> AsyncIterator[AsyncDatabase]:
    """An asynchronous face beside this one: of the same engine, or of the same server."""
    url = database.stat().url
    if not url.startswith("fastness"):
        yield twin_of(database)
        return
    async with await fastness.open_async(url, limits=database.limits) as other:
        yield other


@contextmanager
def driven_database(url: str, clock: Clock, *, limits: Limits | None = None) -> Iterator[Database]:
    """A database at a URL ("server": of its own), without background work; closed at the end."""
    if url != SERVER:
        with driven(open_store(url), clock, limits=limits) as database:
            yield database
        return
    with (
        RunningServer(clock=clock, limits=limits) as server,
        fastness.open(server.url, limits=limits) as database,
    ):
        yield database


@pytest.fixture(params=PLACES)
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What to give to `driven_database`, once per engine and once for a server."""
    return SERVER if request.param == SERVER else url_of(request.param, tmp_path)


@pytest.fixture(params=ENGINES)
def own_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database that this process opens itself, once per engine."""
    return url_of(request.param, tmp_path)


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def database(any_database_url: str, clock: ManualClock) -> Iterator[Database]:
    """An empty database under the driven clock, once per engine and once behind a server."""
    with driven_database(any_database_url, clock) as database:
        yield database


@pytest.fixture
def own_database(own_database_url: str, clock: ManualClock) -> Iterator[Database]:
    """An empty database of this process under the driven clock, once per engine."""
    with driven_database(own_database_url, clock) as database:
        yield database


__all__ = [
    "ENGINES",
    "PLACES",
    "any_database_url",
    "beside",
    "clock",
    "database",
    "driven",
    "driven_database",
    "own_database",
    "own_database_url",
    "store_with_faults",
    "twin_of",
    "url_of",
]
