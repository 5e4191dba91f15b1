"""Databases of every engine for the tests of the kit, through a plan of faults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import fastness
from fastness import AsyncDatabase, Database
from fastness.testing.kit import Faults, faulty
from tests.client.servers import RunningServer

ENGINES = ("memory", "file", "server")


@contextmanager
def place(engine: str, directory: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if engine == "server":
        with RunningServer() as server:
            yield server.url
        return
    yield "memory:" if engine == "memory" else f"file:{directory / 'database'}"


@contextmanager
def opened(url: str, faults: Faults) -> Iterator[Database]:
    """A database that meets the plan, for threads."""
    with faulty(fastness.open(url), faults) as database:
        yield database


@asynccontextmanager
async def opened_async(url: str, faults: Faults) -> AsyncIterator[AsyncDatabase]:
    """A database that meets the plan, for tasks."""
    async with faulty(await fastness.open_async(url), faults) as database:
        yield database
