"""Hot counters changed by atomic additions, of which each must count exactly once."""

from __future__ import annotations

from random import Random

from fastness.testing.counters import ADDITIONS_MAX, check_counters
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload


class Counters(SimulatedWorkload):
    """Each attempt adds a power of four of its own; a full counter gives way to a new one."""

    kind = "counter"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(1, 2)
        self.reads = random.uniform(0.2, 0.5)
        self.added: dict[bytes, int] = {}
        self.renewed: dict[bytes, int] = {}

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Add to one or two counters, sometimes with a mark elsewhere, or read some."""
        slots = self.some_keys(random, random.randint(1, 2), self.numbers)
        if random.random() < self.reads:
            keys = [self._current(slot) for slot in slots]
            await self._look(database, keys, alone=random.random() < 0.5)
            return
        mark = self.key(random.choice(self.places), 99_999) if random.random() < 0.3 else None

        async def add(tx: RecordedTransaction) -> None:
            for slot in slots:
                key = self._current(slot)
                power = self.added.get(key, 0)
                self.added[key] = power + 1
                tx.add(key, 4**power)
            if mark is not None:
                tx.set(mark, self.value())

        await database.run(self.kind, add)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read every counter."""
        for key in sorted(self.added):
            await self._look(database, [key], alone=False)

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_counters`."""
        return [check_counters(self.attempts(ledger))]

    def _current(self, slot: bytes) -> bytes:
        """The counter that stands in a slot now."""
        key = slot + b"/%d" % self.renewed.get(slot, 0)
        if self.added.get(key, 0) >= ADDITIONS_MAX:
            self.renewed[slot] = self.renewed.get(slot, 0) + 1
            key = slot + b"/%d" % self.renewed[slot]
        return key

    async def _look(self, database: RecordedDatabase, keys: list[bytes], *, alone: bool) -> None:
        async def look(tx: RecordedTransaction) -> None:
            await tx.get_many(keys)

        if alone:
            for key in keys:
                await database.get(self.kind, key)
        else:
            await database.snapshot(self.kind, look)
