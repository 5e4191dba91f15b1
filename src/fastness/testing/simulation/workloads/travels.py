"""Time travel: snapshots read again, later and by others, at the same timestamp."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from fastness.errors import SnapshotTooOld
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload
from fastness.testing.time_travel import check_time_travel

_REMEMBERED = 24


class Travels(SimulatedWorkload):
    """Keys of a region are written, erased and scanned, now and in the past."""

    kind = "travel"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(5, 40)
        self.past: list[tuple[int, bytes, bytes]] = []
        """Timestamps, and the intervals that somebody read then."""

    def at(self, number: int) -> bytes:
        """A key of the region."""
        return self.region + b"%03d" % number

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Write, read now, or read the past again."""
        low = random.randrange(self.numbers)
        high = min(self.numbers, low + random.randint(1, 12))
        roll = random.random()
        if roll < 0.4:
            await database.run(self.kind, lambda tx: self._write(tx, random, low, high))
        elif roll < 0.7 or not self.past:
            begin, end = self.at(low), self.at(high)
            await database.snapshot(self.kind, lambda tx: _scan(tx, begin, end))
            self._remember(database, begin, end, random)
        else:
            await self._return(database, random)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read everything remembered once more."""
        while self.past:
            timestamp, begin, end = self.past[-1]
            # What lies below the retained window by now cannot be read again.
            with suppress(SnapshotTooOld):
                await database.snapshot(
                    self.kind,
                    lambda tx: _scan(tx, begin, end),  # noqa: B023 - awaited at once
                    at=timestamp,
                )
            self.past.pop()

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_time_travel`."""
        return [check_time_travel(self.attempts(ledger))]

    def _remember(
        self, database: RecordedDatabase, begin: bytes, end: bytes, random: Random
    ) -> None:
        last = database.last
        if last is None or not last.read_timestamp:
            return
        if len(self.past) >= _REMEMBERED:
            self.past.pop(random.randrange(_REMEMBERED))
        self.past.append((last.read_timestamp, begin, end))

    async def _write(self, tx: RecordedTransaction, random: Random, low: int, high: int) -> None:
        if random.random() < 0.15:
            await tx.delete_range(self.at(low), self.at(high))
        for number in {low: None, high - 1: None}:
            if random.random() < 0.7:
                tx.set(self.at(number), self.value())
            else:
                tx.delete(self.at(number))

    async def _return(self, database: RecordedDatabase, random: Random) -> None:
        """Read an interval of the past, or single keys of it."""
        timestamp, begin, end = random.choice(self.past)
        keys = [self.at(random.randrange(self.numbers)) for _ in range(3)]
        by_key = random.random() < 0.4

        async def read(tx: RecordedTransaction) -> None:
            if by_key:
                await tx.get_many(keys)
            else:
                await _scan(tx, begin, end)

        await database.snapshot(self.kind, read, at=timestamp)


async def _scan(tx: RecordedTransaction, begin: bytes, end: bytes) -> None:
    await tx.scan_all(begin, end, limit=10)
