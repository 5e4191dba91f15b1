"""Everything at once: every read and write there is, over few keys, judged by the replay alone."""

from __future__ import annotations

from random import Random

from fastness.testing.ledger import Ledger
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload

LETTERS = b"bdfhjlnprtvx"
_READS = ("get", "get", "get", "scan", "scan", "back", "many", "loose")
_WRITES = ("set", "set", "set", "delete", "erase", "add", "append", "stamp key", "stamp value")


class Mixture(SimulatedWorkload):
    """Keys of one letter each in one region, so that intervals cross ranges."""

    kind = "mixture"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.letters = bytes(sorted(random.sample(LETTERS, random.randint(3, len(LETTERS)))))
        self.writes = random.uniform(0.2, 0.6)
        self.spread = random.choice((1, 2, 4))

    def at(self, letter: int, rest: bytes = b"") -> bytes:
        """A key, or the edge of an interval."""
        return self.region + bytes([letter]) + rest

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """A transaction of up to six steps, or a snapshot of a few reads."""
        steps: list[tuple[str, int, int, int]] = []
        looks = random.random() < 0.3
        for _ in range(random.randint(1, 6)):
            writes = not looks and random.random() < self.writes
            place = random.randrange(len(self.letters))
            far = min(len(self.letters) - 1, place + random.randrange(self.spread))
            name = random.choice(_WRITES if writes else _READS)
            steps.append((name, self.letters[place], self.letters[far], random.randint(1, 9)))
        if looks and random.random() < 0.5:
            await database.snapshot(self.kind, lambda tx: self._steps(tx, steps))
        else:
            await database.run(self.kind, lambda tx: self._steps(tx, steps))

    async def conclude(self, database: RecordedDatabase) -> None:
        """Read it all."""
        await database.snapshot(self.kind, self._everything)

    async def _everything(self, tx: RecordedTransaction) -> None:
        await tx.scan_all(self.region, self.region + b"\xff", limit=7)

    def judge(self, ledger: Ledger) -> list[Report]:  # noqa: ARG002 - the replay sees to it
        """Nothing beyond the replay."""
        return []

    async def _steps(self, tx: RecordedTransaction, steps: list[tuple[str, int, int, int]]) -> None:
        stamped = False
        for name, low, high, amount in steps:
            if name in _READS:
                if not stamped:
                    await self._read(tx, name, low, high, amount)
            else:
                # What holds a stamp cannot be read before the commit.
                stamped = stamped or name.startswith("stamp")
                await self._write(tx, name, low, high, amount)

    async def _read(
        self, tx: RecordedTransaction, name: str, low: int, high: int, amount: int
    ) -> None:
        begin, end = self.at(low), self.at(high, b"\xff")
        match name:
            case "get":
                await tx.get(self.at(low))
            case "many":
                await tx.get_many([self.at(low), self.at(high), self.at(low, b"+n")])
            case "scan":
                page = await tx.scan(begin, end, limit=amount)
                if page.continuation is not None:
                    await tx.scan(begin, end, limit=amount, continuation=page.continuation)
            case "back":
                page = await tx.scan(begin, end, limit=amount, reverse=True)
                if page.continuation is not None:
                    token = page.continuation
                    await tx.scan(begin, end, limit=amount, reverse=True, continuation=token)
            case _:
                await tx.get(self.at(high), snapshot=True)
                await tx.scan(begin, end, limit=amount, snapshot=True)

    async def _write(
        self, tx: RecordedTransaction, name: str, low: int, high: int, amount: int
    ) -> None:
        match name:
            case "set":
                tx.set(self.at(low), self.value())
                if high != low:
                    tx.set(self.at(high, b"2"), self.value())
            case "delete":
                tx.delete(self.at(low))
            case "erase":
                await tx.delete_range(self.at(low), self.at(high, b"\xff"))
            case "add":
                tx.add(self.at(low, b"+n"), amount)
            case "append":
                tx.append(self.at(low, b",l"), self.value() + b" ")
            case "stamp key":
                tx.set_versionstamped_key(self.at(low, b"@"), self.value(), b"!")
            case _:
                tx.set_versionstamped_value(self.at(low, b"v"), b"<", b">")
