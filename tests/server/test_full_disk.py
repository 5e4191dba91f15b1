"""A disk that fills while a server serves: reads go on, writes are refused, and come back."""

from __future__ import annotations

import asyncio
import os
import resource
from dataclasses import replace
from pathlib import Path

import pytest

from fastness import AsyncDatabase
from fastness.errors import DiskFull, FastnessError
from tests.server.processes import LIMITS, ServerProcess, connected, play, serving

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

FILE_BYTES_MAX = 1 << 20
"""What a file may grow to, which is where this disk ends. The reserve is there before."""


def _limit(server: ServerProcess, size: int) -> None:
    """Let no file of the server's grow beyond this; its log is the test's own."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def _fill(client: AsyncDatabase) -> FastnessError:
    """Write until it fails."""
    for number in range(1_000):
        try:
            await client.set(b"fill %d" % number, os.urandom(100_000))
        except FastnessError as error:
            return error
    raise AssertionError("the disk never filled")


async def _until_refused(client: AsyncDatabase, server: ServerProcess) -> object:
    """Fill it until the server says everywhere that it refuses writes; the error it names.

    The commits that meet the failure itself may be in doubt, and the server looks for room by
    itself now and then, which it finds on this disk until it writes.
    """
    while True:
        if isinstance(await _fill(client), DiskFull):
            refused = await asyncio.to_thread(server.metric, "fastness_writes_refused")
            ready = await asyncio.to_thread(server.get, "/readyz")
            assert ready.status == 200
            if refused == 1 and "writes_refused" in ready.document:
                return ready.document["writes_refused"]["error"]


async def _until_written(client: AsyncDatabase) -> None:
    """Write until it succeeds."""
    while True:
        try:
            await client.set(b"after", b"2")
        except FastnessError:
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.1)
        else:
            return


def test_a_disk_that_fills(tmp_path: Path) -> None:
    """The reason is told, readers notice nothing, and room is noticed without a restart."""
    with serving(tmp_path / "data") as server:

        async def scenario() -> None:
            async with connected(server, limits=replace(LIMITS, commit_ms=2_000)) as client:
                await client.set(b"before", b"1")
                _limit(server, FILE_BYTES_MAX)
                assert await _until_refused(client, server) == "disk_full"
                assert await client.get(b"before") == b"1"
                _limit(server, resource.RLIM_INFINITY)
                await _until_written(client)
                assert await client.get(b"after") == b"2"

        play(scenario())
        assert server.end() == 0
