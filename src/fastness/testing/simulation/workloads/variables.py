"""Read-write registers, several in a transaction, half of the writes blind."""

from __future__ import annotations

from random import Random

from fastness.testing.history import Read, Write
from fastness.testing.ledger import Ledger
from fastness.testing.read_write_registers import check_read_write_registers
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload
from fastness.testing.simulation.workloads.registers import scalar

Step = tuple[bytes, bool, bool]
"""A key, and whether it is read, and then written."""


class Variables(SimulatedWorkload):
    """Judged by the cycles that unique values reveal."""

    kind = "variable"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(1, 4)
        self.writes = random.uniform(0.2, 0.7)

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Reads and writes of a few keys; a third of the reading ones only look."""
        keys = self.some_keys(random, random.randint(1, 5), self.numbers)
        looks = random.random() < 0.3
        steps: list[Step] = []
        for key in keys:
            writes = not looks and random.random() < self.writes
            reads = not writes or random.random() < 0.5
            steps.append((key, reads, writes))
        await database.run(self.kind, lambda tx: self._steps(tx, steps))

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read all of them at once."""
        steps: list[Step] = [
            (self.key(place, number), True, False)
            for place in self.places
            for number in range(self.numbers)
        ]
        await database.run(self.kind, lambda tx: self._steps(tx, steps))

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_read_write_registers`."""
        return [check_read_write_registers(ledger.history(self.kind))]

    async def _steps(self, tx: RecordedTransaction, steps: list[Step]) -> None:
        for key, reads, writes in steps:
            if reads:
                tx.note(Read(key.hex(), scalar(await tx.get(key))))
            if writes:
                value = self.value()
                tx.note(Write(key.hex(), scalar(value)))
                tx.set(key, value)
