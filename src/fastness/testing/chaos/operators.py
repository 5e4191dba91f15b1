"""An operator who splits, merges, hands over and moves ranges while faults strike.

What it asks for may fail, or be interrupted by whatever strikes: then it goes on to something else.
That nothing is lost by it is for the judges to say.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from random import Random

from fastness.errors import FastnessError
from fastness.operations.control import Control, Seen, controlling
from fastness.testing.simulation.workloads import PLACES, REGION

PAUSE_S = 4.0
CHANGE_S = 25.0
"""How long one change may take."""
RANGES_MAX = 24
"""Beyond these it merges."""
RANGES_MIN = 8


class Operator:
    """See the module's page; idle unless `busy` is set."""

    def __init__(self, coordinator: str, random: Random) -> None:
        self.done: Counter[str] = Counter()
        self.busy = asyncio.Event()
        self._coordinator = coordinator
        self._random = random
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Come to an end after the change under way."""
        self._stopping.set()
        self.busy.set()

    async def run(self) -> None:
        """Change one thing after another while it is busy, until `stop`."""
        while not self._stopping.is_set():
            await self.busy.wait()
            with suppress(FastnessError, TimeoutError):
                async with asyncio.timeout(CHANGE_S), controlling(self._coordinator) as control:
                    await self._change(control)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.expovariate(1.0 / PAUSE_S)):
                    await self._stopping.wait()

    async def _change(self, control: Control) -> None:
        seen = await control.look(reports=False)
        random, one = self._random, self._random.choice(seen.ranges)
        kind = self._kind(len(seen.ranges))
        match kind:
            case "split":
                await control.split(self._key())
            case "merge":
                await control.merge(one.range_id)
            case "transfer":
                await control.transfer(one.range_id, random.choice(seen.nodes).shown)
            case _:
                await control.move(one.range_id, self._other_store(seen, one.store))
        self.done[kind] += 1

    def _kind(self, ranges: int) -> str:
        if ranges <= RANGES_MIN:
            return "split"
        if ranges >= RANGES_MAX:
            return "merge"
        return self._random.choice(("split", "merge", "transfer", "transfer", "move"))

    def _key(self) -> bytes:
        """Amid the keys of a place, or of what must be contiguous."""
        letter = bytes([self._random.randrange(ord("a"), ord("z"))])
        return self._random.choice((*PLACES, REGION)) + letter

    def _other_store(self, seen: Seen, store: str) -> str:
        others = [name for name in seen.stores if name != store]
        return self._random.choice(others or [store])
