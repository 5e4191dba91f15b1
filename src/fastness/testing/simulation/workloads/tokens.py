"""Tokens that move between keys of many ranges, and long scans that must find each once."""

from __future__ import annotations

from random import Random

from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload
from fastness.testing.tokens import check_tokens


class Tokens(SimulatedWorkload):
    """Its keys are contiguous; pages are small, and time passes between them."""

    kind = "token"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.slots = random.randint(8, 60)
        self.tokens = [b"token %d" % number for number in range(random.randint(2, self.slots // 2))]
        self.page = random.randint(1, 6)
        self.scans = random.uniform(0.1, 0.4)
        self.place = dict(enumerate(random.sample(range(self.slots), len(self.tokens))))
        """Where each token was heard of last; only a hint."""

    def slot(self, number: int) -> bytes:
        """The key of a slot."""
        return self.region + b"%04d" % number

    async def prepare(self, database: RecordedDatabase) -> None:
        """Put every token somewhere."""

        async def fill(tx: RecordedTransaction) -> None:
            for number, token in enumerate(self.tokens):
                tx.set(self.slot(self.place[number]), token)

        await database.run("setup", fill)

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Move one or two tokens, or look for all of them."""
        if random.random() < self.scans:
            await self._look(database, random)
            return
        moved = random.sample(range(len(self.tokens)), random.randint(1, 2))
        targets = random.sample(range(self.slots), len(moved))
        moves = list(zip(moved, targets, strict=True))
        await database.run(self.kind, lambda tx: self._move(tx, moves))

    async def conclude(self, database: RecordedDatabase) -> None:
        """Look once more."""
        await self._look(database, self.random)

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_tokens`."""
        begin, end = self.region, self.region + b"\xff"
        return [check_tokens(self.attempts(ledger), self.tokens, begin=begin, end=end)]

    async def _move(self, tx: RecordedTransaction, moves: list[tuple[int, int]]) -> None:
        for number, target in moves:
            source = self.place[number]
            if source == target:
                continue
            found, there = await tx.get_many([self.slot(source), self.slot(target)])
            if found != self.tokens[number]:
                self.place[number] = await self._whereabouts(tx, number)
            elif there is None:
                tx.delete(self.slot(source))
                tx.set(self.slot(target), found)
                self.place[number] = target

    async def _whereabouts(self, tx: RecordedTransaction, number: int) -> int:
        """Where a token is, found by a scan."""
        for key, token in await tx.scan_all(self.region, self.region + b"\xff", limit=100):
            if token == self.tokens[number]:
                return int(key[len(self.region) :])
        return self.place[number]

    async def _look(self, database: RecordedDatabase, random: Random) -> None:
        reverse = random.random() < 0.3
        begin, end = self.region, self.region + b"\xff"

        async def look(tx: RecordedTransaction) -> None:
            page = await tx.scan(begin, end, limit=self.page, reverse=reverse)
            while page.continuation is not None:
                await self.pause(random)
                page = await tx.scan(
                    begin, end, limit=self.page, reverse=reverse, continuation=page.continuation
                )

        await database.snapshot(self.kind, look)
