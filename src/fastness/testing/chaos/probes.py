"""Probes: who stood still, and for how long.

Each first range has one, which writes one key and reads one key of it all the time, a little apart,
and notes when answers came. A read is a latest one, past every cache. What probes read and write is
recorded and judged like everything else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count, pairwise
from typing import NamedTuple

from fastness.errors import FastnessError
from fastness.testing.recording import RecordedDatabase, RecordedTransaction

KIND = "probe"
REST_S = 0.2
"""Between two writes, or two reads: it measures, and is no load."""


class Pause(NamedTuple):
    """The longest time without an answer that touches an interval, in seconds."""

    longest_s: float = 0.0
    back_after_s: float = 0.0
    """When it ended, counted from the beginning of the interval."""

    @classmethod
    def of(cls, answers: Sequence[float], begin: float, end: float) -> Pause:
        """Of the times at which answers came, in order. One that goes on ends with the interval."""
        gaps = [
            Pause(right - left, right - begin)
            for left, right in pairwise([*answers, max([end, *answers[-1:]])])
            if right > begin and left < end
        ]
        return max(gaps, default=Pause())


class Probe:
    """Writes and reads of one range."""

    def __init__(self, key: bytes, open_face: Callable[[], RecordedDatabase]) -> None:
        self.key = key
        self.writes: list[float] = []
        self.reads: list[float] = []
        """When each answer came, by the monotonic clock."""
        self._faces = open_face(), open_face()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Write and read until `stop`."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write())
            tasks.create_task(self._read())

    def stop(self) -> None:
        """Come to an end."""
        self._stopping.set()

    def serves_since(self, moment: float) -> bool:
        """Whether a write and a read were answered after a moment."""
        return min(self.writes[-1:] + self.reads[-1:], default=0.0) > moment and bool(self.writes)

    async def _write(self) -> None:
        numbers = count(1)

        async def put(tx: RecordedTransaction) -> None:
            # Another one for each attempt, so that a read shows which one it saw.
            tx.set(self.key, b"%d" % next(numbers))

        while True:
            with suppress(FastnessError):
                await self._faces[0].run(KIND, put)
                self.writes.append(time.monotonic())
            if await self._rest():
                return

    async def _read(self) -> None:
        while True:
            with suppress(FastnessError):
                await self._faces[1].get(KIND, self.key)
                self.reads.append(time.monotonic())
            if await self._rest():
                return

    async def _rest(self) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_S):
                await self._stopping.wait()
        return self._stopping.is_set()
