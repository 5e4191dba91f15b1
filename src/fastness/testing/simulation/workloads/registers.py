"""Registers: latest reads, blind writes and compare-and-sets of single keys."""

from __future__ import annotations

from random import Random

from fastness.testing.history import CompareAndSet, Read, Scalar, Write
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.registers import check_registers
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload


class Registers(SimulatedWorkload):
    """Judged for linearizability, key by key."""

    kind = "register"
    observes = True

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(1, 3)
        self.reads = random.uniform(0.3, 0.8)
        self.seen: dict[bytes, bytes | None] = {}

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """One operation on one key."""
        (key,) = self.some_keys(random, 1, self.numbers)
        roll = random.random()
        if roll < self.reads:
            await self._read(database, key)
        elif roll < (1 + self.reads) / 2:
            await self._write(database, key)
        else:
            await self._compare_and_set(database, key)

    async def observe(self, database: RecordedDatabase, random: Random) -> None:
        """Read one key."""
        (key,) = self.some_keys(random, 1, self.numbers)
        await self._read(database, key)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read every key."""
        for place in self.places:
            for number in range(self.numbers):
                await self._read(database, self.key(place, number))

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_registers`."""
        return [check_registers(ledger.history(self.kind))]

    async def _read(self, database: RecordedDatabase, key: bytes) -> None:
        attempt, value = await database.get(self.kind, key)
        self.seen[key] = value
        attempt.operations.append(Read(key.hex(), scalar(value)))

    async def _write(self, database: RecordedDatabase, key: bytes) -> None:
        value = self.value()

        async def write(tx: RecordedTransaction) -> None:
            tx.note(Write(key.hex(), scalar(value)))
            tx.set(key, value)

        await database.run(self.kind, write)

    async def _compare_and_set(self, database: RecordedDatabase, key: bytes) -> None:
        expected, value = self.seen.get(key), self.value()

        async def compare_and_set(tx: RecordedTransaction) -> None:
            found = await tx.get(key)
            if found == expected:
                tx.set(key, value)
            swapped = found == expected
            tx.note(CompareAndSet(key.hex(), scalar(expected), scalar(value), swapped))

        await database.run(self.kind, compare_and_set)


def scalar(value: bytes | None) -> Scalar:
    """A number as it was written; anything else as text, which checkers call garbage."""
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        return value.decode("latin-1")
