"""Lists read and appended to, over many keys and ranges, judged exactly."""

from __future__ import annotations

from random import Random

from fastness.testing.history import Append, Read, Scalar
from fastness.testing.ledger import Ledger
from fastness.testing.list_append import check_list_append
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload
from fastness.testing.simulation.workloads.registers import scalar

APPENDS_MAX = 32
"""After so many a list gives way to a new one, so that lists stay short."""


_READ, _APPEND, _BLIND = range(3)
Step = tuple[bytes, int]
"""A list, and what is done with it."""


class Lists(SimulatedWorkload):
    """Elements are decimal numbers, each followed by a space; each is appended once."""

    kind = "list"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.randint(1, 3)
        self.blind = random.choice((0.0, 0.3, 0.7))
        """How many appends are atomic operations, which read nothing."""
        self.appends = random.uniform(0.3, 0.7)
        self.appended: dict[bytes, int] = {}
        self.renewed: dict[bytes, int] = {}

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """A transaction of a few reads and appends."""
        steps: list[Step] = []
        for slot in self.some_keys(random, random.randint(1, 4), self.numbers):
            key = self._current(slot)
            how = _READ
            if random.random() < self.appends:
                how = _BLIND if random.random() < self.blind else _APPEND
                self.appended[key] = self.appended.get(key, 0) + 1
            steps.append((key, how))
        await database.run(self.kind, lambda tx: self._steps(tx, steps))

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read every list, so that a lost append cannot hide in an old one."""
        keys = sorted(self.appended)
        for first in range(0, len(keys), 8):
            await self._read(database, keys[first : first + 8])

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_list_append`."""
        return [check_list_append(ledger.history(self.kind))]

    def _current(self, slot: bytes) -> bytes:
        """The list that stands in a slot now."""
        key = slot + b"/%d" % self.renewed.get(slot, 0)
        if self.appended.get(key, 0) >= APPENDS_MAX:
            self.renewed[slot] = self.renewed.get(slot, 0) + 1
            key = slot + b"/%d" % self.renewed[slot]
        return key

    async def _read(self, database: RecordedDatabase, keys: list[bytes]) -> None:
        steps: list[Step] = [(key, _READ) for key in keys]
        await database.run(self.kind, lambda tx: self._steps(tx, steps))

    async def _steps(self, tx: RecordedTransaction, steps: list[Step]) -> None:
        for key, how in steps:
            if how == _READ:
                tx.note(Read(_name(key), _elements(await tx.get(key))))
                continue
            # A new value for each attempt: whoever reads it shows which attempt wrote it.
            value = self.value()
            tx.note(Append(_name(key), scalar(value)))
            if how == _BLIND:
                tx.append(key, value + b" ")
            else:
                tx.set(key, (await tx.get(key) or b"") + value + b" ")


def _name(key: bytes) -> str:
    return f"{key[0]:x}{key[1:].decode()}"


def _elements(stored: bytes | None) -> tuple[Scalar, ...]:
    return tuple(scalar(element) for element in (stored or b"").split())
