"""The asynchronous operations and their generated synchronous twin do the same."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from fastness.errors import SchemaError, UniqueViolation
from fastness.model import (
    AsyncTypedOperations,
    Schema,
    TypedOperations,
    build_all_async,
    findings_async,
    read_schema_async,
    register_async,
)
from tests.model.test_building import Plain, Rich
from tests.model.world import ALL, ONE, Item, Member, Team, User, World, own_engine_only
from tools import generate_sync

SOURCE = '''
async def pages(tx: AsyncThing) -> AsyncIterator[int]:
    """Awaited: async in text stays."""
    async for page in tx.all(await tx.first()):
        async with aclosing(page):  # await here
            yield await page.one(
                await page.two(),
            )
    run: Callable[[Callable[..., Awaitable[list[int]]]], Awaitable[None]] = from_(_async.x)
'''
TWIN = '''
def pages(tx: Thing) -> Iterator[int]:
    """Awaited: async in text stays."""
    for page in tx.all(tx.first()):
        with closing(page):  # await here
            yield page.one(
                page.two(),
            )
    run: Callable[[Callable[..., list[int]]], None] = from_(_sync.x)
'''


def test_the_twin_is_current() -> None:
    """What is checked in is what the generator writes."""
    assert generate_sync.outdated() == [], "run python tools/generate_sync.py"


def test_the_generator_changes_keywords_and_names_only() -> None:
    """Text, comments and layout stay; every asynchronous construct has a synchronous form."""
    assert generate_sync.synchronous(SOURCE) == TWIN


def test_an_outdated_twin_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file, a changed one and one without source are each named."""
    for name in ("operations.py", "tables.py", "stray.py"):
        (tmp_path / name).write_text("changed = True\n", encoding="utf-8")
    monkeypatch.setattr(generate_sync, "TARGET", tmp_path)
    outdated = {path.name for path in generate_sync.outdated()}
    assert {"operations.py", "tables.py", "stray.py", "reads.py"} <= outdated


def test_both_kinds_have_the_same_operations() -> None:
    """Equal names with equal parameters; the asynchronous ones are awaited or iterated."""
    for name, method in inspect.getmembers(TypedOperations, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("fastness.model"):
            continue
        twin = getattr(AsyncTypedOperations, name)
        assert list(inspect.signature(method).parameters) == list(
            inspect.signature(twin).parameters
        ), name
        assert (
            inspect.iscoroutinefunction(twin)
            or inspect.isasyncgenfunction(twin)
            or name == "key_of"
        ), name


class AsyncWorld:
    """As `World`, asynchronous."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.schema = Schema(limits=world.limits)

    def begin(self) -> AsyncTypedOperations:
        """One transaction."""
        return AsyncTypedOperations(self.world.engine, schema=self.schema)

    async def refresh(self) -> None:
        """Register the classes of the build."""
        async with self.begin() as tx:
            registration = await register_async(tx, [Rich], self.world.limits)
        self.schema = registration.schema


async def work(world: World) -> None:
    """The story of a few records."""
    database = AsyncWorld(world)
    async with database.begin() as tx:
        database.schema = (await register_async(tx, ALL, world.limits)).schema
    async with database.begin() as tx:
        await tx.insert(User(id="ann", email="a@x"))
        team = await tx.insert(Team(id=ONE, title="t"))
        member = await tx.put(Member(user="ann", team=ONE))
        await tx.insert(Item(shop="s", id=1, title="a", price=3))
        await tx.insert(Item(shop="s", id=2, title="b", price=4))
        await tx.patch(Item, "s", 1, price=5)
        with pytest.raises(UniqueViolation):
            await tx.insert(User(id="bob", email="a@x"))
        assert await tx.follow(Member.target, member) == team
    tx = database.begin()
    assert [item.id async for item in tx.query_all(Item.by_price, "s")] == [1, 2]
    assert (await tx.query(Item.by_title, "s", limit=1)).continuation is not None
    assert [one.id for one in await tx.every(Item)] == [1, 2]
    assert await tx.total(Item.worth, "s") == 9
    assert await tx.count(Member.by_target, ONE) == 1
    assert (await tx.require(User, "ann")).email == "a@x"
    assert [found async for found in findings_async(tx)] == []
    async with database.begin() as tx:
        assert await tx.remove(Item, "s", 1) is not None
    assert world.wrong() == []


@own_engine_only("its asynchronous side is made of the engine")
def test_the_asynchronous_operations_work(world: World) -> None:
    """What one twin wrote the other reads."""
    asyncio.run(work(world))
    assert [one.id for one in world.begin().query(Item.by_price, "s")] == [2]


async def build(world: World) -> None:
    """An index, built asynchronously."""
    database = AsyncWorld(world)
    await database.refresh()

    async def run(function: object, *arguments: object) -> object:
        async with database.begin() as tx:
            assert callable(function)
            return await function(tx, *arguments)

    with pytest.raises(SchemaError, match="still being built"):
        await database.begin().query(Rich.by_tag, "n1")
    assert await build_all_async(run, database.refresh, lambda: False, 2) == {}
    assert [one.id for one in await database.begin().query(Rich.by_tag, "n1")] == [1]
    known = await read_schema_async(database.begin(), world.limits)
    assert known.stored == database.schema.stored


@own_engine_only("its asynchronous side is made of the engine")
def test_an_index_is_built_asynchronously() -> None:
    """The asynchronous builder does what the synchronous one does."""
    with World(Plain) as world:
        with world.begin() as tx:
            for number in range(5):
                tx.insert(Plain(group="g", id=number, tags=[f"n{number}"]))
        asyncio.run(build(world))
        world.use(Rich)
        assert world.wrong() == []
