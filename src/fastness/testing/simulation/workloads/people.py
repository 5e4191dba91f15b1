"""People with unique addresses who follow each other: the typed model over many ranges."""

from __future__ import annotations

from random import Random
from typing import Any

from fastness.errors import RecordError
from fastness.model import Association, Entity, Index, Reference
from fastness.testing.ledger import Ledger
from fastness.testing.pairs import Beheld, check_pairs
from fastness.testing.recording import RecordedDatabase, RecordedTransaction
from fastness.testing.report import Report
from fastness.testing.simulation.workloads.contract import SimulatedWorkload

Who = tuple[int, int]
"""A person: team and number."""


class Person(Entity, key=("team", "number"), partition="team", kind="SimulatedPerson"):
    """Lives in the partition of a team; the index of addresses lies outside of all."""

    team: int
    number: int
    address: str
    by_address = Index("address", unique=True)


class Follows(Association, kind="SimulatedFollows"):
    """Its two ends lie in two partitions, perhaps in two ranges."""

    team: int
    number: int
    other_team: int
    other_number: int
    source = Reference(Person, "team", "number")
    target = Reference(Person, "other_team", "other_number")


RECORDS = (Person, Follows)


class People(SimulatedWorkload):
    """Each write also sets a plain key, so that its outcome can be told."""

    kind = "person"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.teams = random.randint(1, 4)
        self.numbers = random.randint(2, 4)
        self.addresses = random.randint(3, 12)
        self.looks = random.uniform(0.1, 0.4)
        self.beheld: list[Beheld] = []
        self._registered: dict[int, object] = {}

    async def prepare(self, database: RecordedDatabase) -> None:
        """Register the classes."""
        await self._use(database)

    async def _use(self, database: RecordedDatabase) -> None:
        """Let a client know the classes, once."""
        inner: Any = database.database
        if id(inner) not in self._registered:
            await inner.use(*RECORDS)
            # Kept, so that no other client can have its address.
            self._registered[id(inner)] = inner

    async def act(self, database: RecordedDatabase, random: Random) -> None:
        """Change somebody, or look at everybody."""
        await self._use(database)
        if random.random() < self.looks:
            await self._look(database)
            return
        who, other = self._somebody(random), self._somebody(random)
        address = f"{random.randrange(self.addresses)}@example.org"
        change = random.choice((self._insert, self._insert, self._move, self._remove, self._follow))
        mark = self.key(random.choice(self.places), random.randrange(4))
        reads = random.random() < 0.3

        async def run(tx: RecordedTransaction) -> None:
            if reads:
                await tx.get(mark)
            await change(tx.inner, who, other, address)
            tx.set(mark, self.value())

        try:
            await database.run(self.kind, run)
        except RecordError:
            # The address is taken, or the person is: just what is to be refused.
            return

    async def conclude(self, database: RecordedDatabase) -> None:
        """Look once more."""
        await self._use(database)
        await self._look(database)

    def judge(self, ledger: Ledger) -> list[Report]:  # noqa: ARG002 - it kept what was seen
        """As `check_pairs`."""
        return [check_pairs(self.beheld)]

    def _somebody(self, random: Random) -> Who:
        return (random.randrange(self.teams), random.randrange(self.numbers))

    async def _insert(self, tx: Any, who: Who, _other: Who, address: str) -> None:  # noqa: ANN401 - of any engine
        await tx.insert(Person(team=who[0], number=who[1], address=address))

    async def _move(self, tx: Any, who: Who, _other: Who, address: str) -> None:  # noqa: ANN401 - of any engine
        await tx.patch(Person, *who, address=address)

    async def _remove(self, tx: Any, who: Who, _other: Who, _address: str) -> None:  # noqa: ANN401 - of any engine
        for follows in [
            *await tx.query(Follows.by_source, *who),
            *await tx.query(Follows.by_target, *who),
        ]:
            ends = (follows.team, follows.number, follows.other_team, follows.other_number)
            await tx.remove(Follows, *ends)
        await tx.remove(Person, *who)

    async def _follow(self, tx: Any, who: Who, other: Who, _address: str) -> None:  # noqa: ANN401 - of any engine
        if await tx.fetch(Person, *who) is None or await tx.fetch(Person, *other) is None:
            return
        ends = (*who, *other)
        if await tx.fetch(Follows, *ends) is None:
            await tx.insert(
                Follows(team=who[0], number=who[1], other_team=other[0], other_number=other[1])
            )
        else:
            await tx.remove(Follows, *ends)

    async def _look(self, database: RecordedDatabase) -> None:
        found: list[Beheld] = []

        async def look(tx: RecordedTransaction) -> None:
            found.append(await _behold(tx))

        await database.snapshot(self.kind, look)
        self.beheld += found


async def _behold(tx: RecordedTransaction) -> Beheld:
    """Everything, listed in every way."""
    inner = tx.inner
    people: list[Person] = list(await inner.every(Person))
    names = [(one.team, one.number) for one in people]
    index = [(one.address, (one.team, one.number)) for one in await inner.query(Person.by_address)]
    ends: list[list[tuple[Who, Who]]] = [[], []]
    totals: dict[object, int] = {}
    for name in names:
        for side, way in enumerate((Follows.by_source, Follows.by_target)):
            ends[side] += [
                ((one.team, one.number), (one.other_team, one.other_number))
                for one in await inner.query(way, *name)
            ]
        totals[name] = await inner.count(Follows.by_source, *name)
    return Beheld(
        attempt=tx.attempt,
        records={(one.team, one.number): one.address for one in people},
        index=index,
        from_source=ends[0],
        from_target=ends[1],
        totals=totals,
    )
