"""PostgreSQL killed in the middle of batches: none acknowledged is lost, none comes twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fastness.encoding.timestamps import TIMESTAMP_MAX
from fastness.errors import Unreachable
from fastness.limits import Limits
from fastness.storage.contract import Change
from tests.hosting.postgres.reached import OnPostgres
from tests.hosting.remote_conformance import RANGE, batch
from tests.servers.postgres import new_database, postgres_server

pytestmark = pytest.mark.process

KILLS = 4
BATCHES_MAX = 40
"""Applied between two kills, at most."""


def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    """Each batch has a key of its own and the one of all: it shows if it is lost or there twice."""
    random = Random(7)
    with postgres_server(tmp_path / "server") as server:
        reached = OnPostgres(new_database(server), limits=Limits(store_wait_ms=500))
        applied: list[int] = []
        given_up: list[int] = []
        doubts = 0
        due = asyncio.Event()
        deadly = [0]
        """The batches after which the server is killed."""

        async def send(number: int) -> None:
            """Apply a batch as a node does, asking what became of it where that is not known."""
            nonlocal doubts
            answer: Any = await reached.ask(
                reached.store.apply, batch(1, number, hot=str(number), **{f"k{number}": "x"})
            )
            if isinstance(answer, Unreachable):
                doubts += 1
                while isinstance(answer, Unreachable):
                    answer = await reached.ask(reached.store.settle, RANGE, 1, number)
            assert answer in {None, True, False}
            (given_up if answer is False else applied).append(number)
            if number >= deadly[-1]:
                due.set()

        async def write(until: int) -> None:
            number = len(applied) + len(given_up)
            while number < until or not server.daemon.is_ready():
                number += 1
                await send(number)

        async def scenario() -> None:
            await reached.opened(1)
            for _kill in range(KILLS):
                done = len(applied) + len(given_up)
                writing = asyncio.create_task(write(done + BATCHES_MAX))
                deadly.append(done + random.randrange(1, BATCHES_MAX // 2))
                due.clear()
                await due.wait()
                await asyncio.to_thread(server.daemon.kill)
                await asyncio.to_thread(server.daemon.start)
                await writing
            changes: list[Change] = await reached.ask(
                reached.store.changes, 0, TIMESTAMP_MAX, 1 << 20
            )
            assert [change.timestamp - 1_000 for change in changes] == applied
            assert not set(applied) & set(given_up)
            assert (await reached.read(b"hot")).number == len(applied) + len(given_up)
            for change in changes:
                number = str(change.timestamp - 1_000).encode()
                assert change.writes == ((b"hot", number), (b"k" + number, b"x"))
            assert doubts >= 1

        reached.run(scenario)
