"""Duties of which each group allows one holder: write skew and phantoms, tried on purpose."""

from __future__ import annotations

from random import Random

from fastness.testing.exclusion import check_exclusion
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload

_KEYS = 8
"""Of each interval."""


class Duties(SimulatedWorkload):
    """Pairs of keys in two places, and intervals that may lie across ranges."""

    kind = "duty"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.pairs: list[list[bytes]] = []
        for number in range(random.randint(1, 4)):
            places = random.sample(self.places, 2)
            if random.random() < self.local:
                places = [places[0], places[0]]
            self.pairs.append([self.key(place, 2 * number + at) for at, place in enumerate(places)])
        self.intervals = [
            [self.region + b"%02d/%02d" % (group, number) for number in range(_KEYS)]
            for group in range(random.randint(1, 3))
        ]

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Take a duty if nobody has it, or leave it."""
        by_interval = random.random() < 0.5
        group = random.choice(self.intervals if by_interval else self.pairs)
        key = random.choice(group)
        leaves = random.random() < 0.4

        async def take(tx: RecordedTransaction) -> None:
            held = await self._look(tx, group, by_interval=by_interval)
            if not held:
                tx.set(key, self.value())
            elif leaves:
                for each in held:
                    tx.delete(each)

        await database.run(self.kind, take)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Look at every group."""
        for group in self.intervals:
            await self._look_alone(database, group, by_interval=True)
        for group in self.pairs:
            await self._look_alone(database, group, by_interval=False)

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_exclusion`."""
        return [check_exclusion(self.attempts(ledger), [*self.pairs, *self.intervals])]

    async def _look_alone(
        self, database: RecordedDatabase, group: list[bytes], *, by_interval: bool
    ) -> None:
        async def look(tx: RecordedTransaction) -> None:
            await self._look(tx, group, by_interval=by_interval)

        await database.snapshot(self.kind, look)

    async def _look(
        self, tx: RecordedTransaction, group: list[bytes], *, by_interval: bool
    ) -> list[bytes]:
        """The keys that are present."""
        if by_interval:
            page = await tx.scan(group[0], group[-1] + b"\x00", limit=100)
            return [key for key, _ in page.entries]
        values = await tx.get_many(group)
        return [key for key, value in zip(group, values, strict=True) if value is not None]
