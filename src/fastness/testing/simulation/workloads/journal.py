"""Journals under versionstamped keys, followed page by page, that replay to the state."""

from __future__ import annotations

from random import Random

from fastness.testing.journals import check_journals, entry_of
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload

ENTRIES_MAX = 120
"""After so many a journal is closed, and the next one opened."""


class Journals(SimulatedWorkload):
    """A few journals in different places; what they tell of may lie in other ranges."""

    kind = "journal"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.open = list(range(random.randint(1, 3)))
        """The journals that are written to."""
        self.opened = len(self.open)
        self.written: dict[int, int] = {}
        self.keys = random.randint(1, 4)
        self.positions: dict[tuple[int, int], bytes] = {}
        """How far each process has followed each journal."""

    def prefix(self, journal: int) -> bytes:
        """Where a journal lies."""
        place = self.places[journal % len(self.places)]
        return b"%bjournal/%03d/" % (place, journal)

    def state(self, journal: int, number: int) -> bytes:
        """A key that a journal tells of, in the same place or the next one."""
        place = self.places[(journal + number) % len(self.places)]
        return self.key(place, journal * 100 + number)

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Write with an entry, follow a journal, or hold one against the state."""
        slot = random.randrange(len(self.open))
        journal = self._current(slot)
        roll = random.random()
        if roll < 0.5:
            numbers = random.sample(range(self.keys), random.randint(1, min(2, self.keys)))
            await database.run(self.kind, lambda tx: self._write(tx, journal, numbers))
        elif roll < 0.85:
            await self._follow(database, random.randrange(self.opened), random)
        else:
            await self._compare(database, journal)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read every journal whole, with its state."""
        for journal in range(self.opened):
            await self._compare(database, journal)

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_journals`."""
        prefixes = [self.prefix(journal) for journal in range(self.opened)]
        return [check_journals(self.attempts(ledger), prefixes)]

    def _current(self, slot: int) -> int:
        journal = self.open[slot]
        if self.written.get(journal, 0) >= ENTRIES_MAX:
            journal = self.open[slot] = self.opened
            self.opened += 1
        return journal

    async def _write(self, tx: RecordedTransaction, journal: int, numbers: list[int]) -> None:
        self.written[journal] = self.written.get(journal, 0) + 1
        # One entry for each transaction: two would have the same key.
        key, value = self.state(journal, numbers[0]), self.value()
        tx.set(key, value)
        tx.set_versionstamped_key(self.prefix(journal), entry_of(key, value))

    async def _follow(self, database: RecordedDatabase, journal: int, random: Random) -> None:
        """Go on where this process stopped, a page or two."""
        prefix = self.prefix(journal)
        end = prefix + b"\x80"
        place = (database.process, journal)
        begin = self.positions.get(place, prefix)
        limit = random.randint(1, 20)

        async def follow(tx: RecordedTransaction) -> bytes:
            last = begin
            page = await tx.scan(begin, end, limit=limit)
            if page.entries:
                last = page.entries[-1][0] + b"\x00"
            if page.continuation is not None:
                await self.pause(random)
                page = await tx.scan(begin, end, limit=limit, continuation=page.continuation)
                last = page.entries[-1][0] + b"\x00"
            return last

        self.positions[place] = await database.snapshot(self.kind, follow)

    async def _compare(self, database: RecordedDatabase, journal: int) -> None:
        """One snapshot of a whole journal and of everything it tells of."""
        prefix = self.prefix(journal)
        keys = [self.state(journal, number) for number in range(self.keys)]

        async def compare(tx: RecordedTransaction) -> None:
            await tx.scan(prefix, prefix + b"\x80", limit=10 * ENTRIES_MAX)
            await tx.get_many(keys)

        await database.snapshot(self.kind, compare)
