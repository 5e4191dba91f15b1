"""Typed records to copy and to check."""

from __future__ import annotations

from fastness import Database, Transaction
from fastness.model import Count, Entity, Index, Sum


class Employee(Entity, key="id"):
    """A kind with every part a check looks at."""

    id: int
    name: str
    team: str
    salary: int = 0
    by_name = Index("name", unique=True)
    by_team = Index("team", "name", clustered=True)
    in_team = Count("team")
    cost = Sum("salary", "team")


def hire(database: Database, count: int) -> None:
    """Store employees, in two teams."""
    database.use(Employee)

    def insert(tx: Transaction) -> None:
        for at in range(count):
            tx.insert(Employee(id=at, name=f"name {at}", team=f"team {at % 2}", salary=at))

    database.run(insert)
