"""The bank: transfers between accounts of many ranges, and snapshots of all of them."""

from __future__ import annotations

from random import Random

from fastness.testing.bank import check_bank
from fastness.testing.history import Read, Write
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload
from fastness.testing.simulation.workloads.registers import scalar

BALANCE = 100


class Bank(SimulatedWorkload):
    """Every transfer keeps the sum."""

    kind = "bank"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        each = random.randint(1, 3)
        self.accounts = [self.key(place, number) for place in self.places for number in range(each)]
        self.snapshots = random.uniform(0.3, 0.7)

    async def prepare(self, database: RecordedDatabase) -> None:
        """Fill the accounts."""

        async def fill(tx: RecordedTransaction) -> None:
            for account in self.accounts:
                tx.set(account, b"%d" % BALANCE)

        await database.run("setup", fill)

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """A snapshot, or a transfer."""
        if random.random() < self.snapshots:
            await self._look(database, random)
        else:
            source, target = random.sample(self.accounts, 2)
            amount = random.randint(1, BALANCE // 3)
            await database.run(self.kind, lambda tx: _transfer(tx, source, target, amount))

    async def conclude(self, database: RecordedDatabase) -> None:
        """One more snapshot."""
        await self._look(database, self.random)

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_bank`."""
        accounts = [account.hex() for account in self.accounts]
        history = ledger.history(self.kind)
        return [check_bank(history, accounts=accounts, total=len(accounts) * BALANCE)]

    async def _look(self, database: RecordedDatabase, random: Random) -> None:
        accounts = random.sample(self.accounts, len(self.accounts))
        at_once = random.random() < 0.5

        async def look(tx: RecordedTransaction) -> None:
            if at_once:
                values = await tx.get_many(accounts)
            else:
                values = [await tx.get(account) for account in accounts]
            for account, value in zip(accounts, values, strict=True):
                tx.note(Read(account.hex(), scalar(value)))

        if random.random() < 0.5:
            await database.snapshot(self.kind, look)
        else:
            await database.run(self.kind, look)


async def _transfer(tx: RecordedTransaction, source: bytes, target: bytes, amount: int) -> None:
    balances: list[int] = []
    for account in (source, target):
        found = await tx.get(account)
        tx.note(Read(account.hex(), scalar(found)))
        if found is None:
            return
        balances.append(int(found))
    if balances[0] < amount:
        return
    for account, balance in ((source, balances[0] - amount), (target, balances[1] + amount)):
        tx.note(Write(account.hex(), balance))
        tx.set(account, b"%d" % balance)
