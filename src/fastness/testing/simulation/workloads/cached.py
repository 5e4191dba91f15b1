"""Few keys read far more often than written: what near caches serve, and must never serve late."""

from __future__ import annotations

from random import Random

from fastness.testing.cached_reads import check_cached_reads
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload


class CachedReads(SimulatedWorkload):
    """Bursts of reads of single keys, of several in one transaction, and of an interval."""

    kind = "cached"
    observes = True

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(1, 3)
        self.writes = random.uniform(0.03, 0.2)
        self.burst = random.randint(2, 8)

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Write a little, or read a lot."""
        if random.random() < self.writes:
            await self._write(database, random)
            return
        for _ in range(self.burst):
            keys = self.some_keys(random, random.choice((1, 1, 2, 4)), self.numbers)
            if len(keys) == 1 and random.random() < 0.7:
                await database.get(self.kind, keys[0])
            else:
                await self._read(database, keys, scans=random.random() < 0.3)
            await self.pause(random)

    async def observe(self, database: RecordedDatabase, random: Random) -> None:
        """Read one key."""
        (key,) = self.some_keys(random, 1, self.numbers)
        await database.get(self.kind, key)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read every key."""
        for place in self.places:
            for number in range(self.numbers):
                await database.get(self.kind, self.key(place, number))

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_cached_reads`."""
        return [check_cached_reads(self.attempts(ledger))]

    async def _write(self, database: RecordedDatabase, random: Random) -> None:
        keys = self.some_keys(random, random.choice((1, 1, 2, 3)), self.numbers)
        deletes = random.random() < 0.2
        reads = random.random() < 0.3

        async def write(tx: RecordedTransaction) -> None:
            if reads:
                await tx.get_many(keys)
            for key in keys:
                if deletes:
                    tx.delete(key)
                else:
                    tx.set(key, self.value())

        await database.run(self.kind, write)

    async def _read(self, database: RecordedDatabase, keys: list[bytes], *, scans: bool) -> None:
        async def read(tx: RecordedTransaction) -> None:
            for key in keys:
                await tx.get(key)
            if scans:
                prefix = keys[0][:1] + self.kind.encode()
                await tx.scan(prefix, prefix + b"\xff", limit=100)

        await database.run(self.kind, read)
