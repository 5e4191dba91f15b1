"""Typed records in a cluster: the model runs on its transactions unchanged."""

from __future__ import annotations

import asyncio

import pytest

from fastness.client import AsyncTransaction
from fastness.errors import UniqueViolation
from fastness.model import Entity, Index
from tests.client.cluster.stages import Play, Stage


class Person(Entity, key="number"):
    """Somebody with an address of their own."""

    number: int
    name: str
    email: str
    by_name = Index("name")
    by_email = Index("email", unique=True)


def test_records_and_indexes(stage: Play) -> None:
    """Puts, queries over ranges, unique indexes, with a cache and without."""

    async def scenario(scene: Stage) -> None:
        async with (
            scene.client(schema=[Person]) as db,
            scene.client(schema=[Person], cache=True) as cached,
        ):

            async def add(tx: AsyncTransaction, number: int) -> None:
                await tx.insert(Person(number=number, name=f"n{number % 3}", email=f"{number}@x"))

            for number in range(9):
                await db.run(add, number)

            async def named(tx: AsyncTransaction, name: str) -> list[int]:
                return [one.number async for one in tx.query_all(Person.by_name, name)]

            for client in (db, cached, cached):
                assert await client.run(named, "n1") == [1, 4, 7]

            async def twice(tx: AsyncTransaction) -> None:
                await tx.insert(Person(number=99, name="n1", email="4@x"))

            with pytest.raises(UniqueViolation):
                await db.run(twice)

            async def rename(tx: AsyncTransaction) -> None:
                person = await tx.require(Person, 4)
                await tx.put(Person(number=4, name="n2", email=person.email))

            await cached.run(rename)
            for client in (db, cached):
                assert await client.run(named, "n1") == [1, 7]
                found = await client.transaction().fetch_by(Person.by_email, "4@x")
                assert found is not None
                assert found.name == "n2"

    stage(scenario, borders=(b"\xff\x01", b"\xff\x02", b"\xff\x02\x15"))


def test_one_builder_is_enough(stage: Play) -> None:
    """Clients that register the same index leave its building to one, and all can read it."""

    class Before(Entity, key="number", kind="Thing"):
        """Before."""

        number: int
        size: int

    class After(Entity, key="number", kind="Thing"):
        """With an index."""

        number: int
        size: int
        by_size = Index("size")

    async def scenario(scene: Stage) -> None:
        async with scene.client(schema=[Before]) as old:

            async def fill(tx: AsyncTransaction) -> None:
                for number in range(1_500):
                    await tx.put(Before(number=number, size=number % 3))

            await old.run(fill)
        clients = [scene.client() for _ in range(4)]
        await asyncio.gather(*(client.use(After) for client in clients))
        readable = (client.wait_until_readable(After.by_size, timeout=60) for client in clients)
        assert await asyncio.gather(*readable) == [True] * len(clients)

        async def count(tx: AsyncTransaction) -> int:
            return await tx.count(After.by_size, 1)

        for client in clients:
            assert await client.run(count) == 500
        commits = sorted(client.counts.commits.one_range for client in clients)
        assert sum(commits[:-1]) < commits[-1] + 10, commits
        for client in clients:
            await client.close()

    stage(scenario)


def test_an_index_is_built_under_clients(stage: Play) -> None:
    """One client adds an index and builds it; another with the same classes takes it up."""

    class Before(Entity, key="number", kind="Thing"):
        """Before."""

        number: int
        size: int

    class After(Entity, key="number", kind="Thing"):
        """With an index."""

        number: int
        size: int
        by_size = Index("size")

    async def scenario(scene: Stage) -> None:
        async with scene.client(schema=[Before]) as old:

            async def put(tx: AsyncTransaction, kind: type[Before | After], number: int) -> None:
                await tx.put(kind(number=number, size=number % 2))

            await old.run(put, Before, 1)
        async with (
            scene.client(schema=[After]) as new,
            scene.client(schema=[After], cache=True) as other,
        ):
            await other.run(put, After, 2)
            assert await new.build_indexes() == {}
            await other.run(put, After, 3)

            async def odd(tx: AsyncTransaction) -> list[int]:
                return [one.number async for one in tx.query_all(After.by_size, 1)]

            for client in (new, other):
                assert await client.run(odd) == [1, 3]

    stage(scenario)
