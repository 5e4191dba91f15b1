"""Sessions that expire: opened, renewed while alive, used, and gone for everybody at one moment."""

from __future__ import annotations

from random import Random

from fastness.testing.expiry import check_expiry
from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload

_MILLISECOND = 1 << 18
"""In timestamps."""

LIFETIMES_MS = (3, 30, 300, 3_000)


class Sessions(SimulatedWorkload):
    """Lifetimes are short, so that many expire between a read and the commit.

    Some outlive what a range retains: pruning passes by while they are alive, and after. Where
    there are many, most are left alone once opened.
    """

    kind = "session"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.numbers = random.choice((1, 2, 3, 20))
        self.lifetime_ms = random.choice(LIFETIMES_MS)
        self.newest = 0
        """The highest timestamp heard of."""

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Open, use, renew, or look at sessions."""
        keys = self.some_keys(random, random.randint(1, 2), self.numbers)
        roll = random.random()
        if roll < 0.25 or not self.newest:
            await database.run(self.kind, lambda tx: self._open(tx, keys, random))
        elif roll < 0.55:
            await database.run(self.kind, lambda tx: self._use(tx, keys, random))
        elif roll < 0.75:
            await database.get(self.kind, keys[0])
        else:
            await database.snapshot(self.kind, lambda tx: self._look(tx, keys))
        self._learn(database)

    async def conclude(self, database: RecordedDatabase) -> None:
        """Look at all of them."""
        keys = [self.key(place, n) for place in self.places for n in range(self.numbers)]
        await database.snapshot(self.kind, lambda tx: self._look(tx, keys))

    def judge(self, ledger: Ledger) -> list[Report]:
        """As `check_expiry`."""
        return [check_expiry(self.attempts(ledger))]

    def _learn(self, database: RecordedDatabase) -> None:
        last = database.last
        if last is not None:
            self.newest = max(self.newest, last.read_timestamp, last.writes_at)

    def _expiry(self, random: Random) -> int:
        """A moment soon after the newest one known; the distant future before any is known."""
        if not self.newest:
            return (1 << 63) - 1
        usual = random.random() < 0.6
        lifetime_ms = self.lifetime_ms if usual else random.choice(LIFETIMES_MS)
        return self.newest + int(random.uniform(0.2, 1.5) * lifetime_ms * _MILLISECOND)

    async def _open(self, tx: RecordedTransaction, keys: list[bytes], random: Random) -> None:
        for key in keys:
            tx.set(key, self.value(), expires_at=self._expiry(random))

    async def _use(self, tx: RecordedTransaction, keys: list[bytes], random: Random) -> None:
        """Count the use of sessions that are alive, and renew some."""
        alive = [key for key in keys if await tx.get(key) is not None]
        await self.pause(random)
        for key in alive:
            tx.add(key + b"/uses", 1)
            if random.random() < 0.5:
                tx.set(key, self.value(), expires_at=self._expiry(random))
        if not alive:
            tx.set(keys[0], self.value(), expires_at=self._expiry(random))

    async def _look(self, tx: RecordedTransaction, keys: list[bytes]) -> None:
        await tx.get_many(keys)
        prefix = keys[0][:1] + self.kind.encode()
        await tx.scan(prefix, prefix + b"\xff", limit=100)
