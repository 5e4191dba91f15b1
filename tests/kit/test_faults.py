"""Planned faults, on every engine: what retries survive they survive, the rest is told truly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import fastness
from fastness import AsyncDatabase, AsyncTransaction, Database, Transaction
from fastness.errors import Conflict, InvalidOption, MaybeCommitted, Retryable, Unreachable
from fastness.model import Entity
from fastness.testing.kit import FaultKind, Faults
from tests.kit.engines import ENGINES, opened, opened_async, place

SURVIVED: dict[str, Callable[[Faults], None]] = {
    "conflict": lambda faults: faults.conflict(times=6, key=b"count"),
    "overloaded": lambda faults: faults.overloaded(times=2, retry_after_ms=1),
    "rate-limited": lambda faults: faults.rate_limited(times=2, retry_after_ms=1),
    "draining": lambda faults: faults.draining(),
    "unreachable-commit": lambda faults: faults.unreachable_commits(times=2),
    "unreachable-read": lambda faults: faults.unreachable(times=2),
}
"""What the library's own retries must get over."""


class Person(Entity, key="id"):
    """Somebody."""

    id: str
    name: str = ""


@pytest.fixture(params=ENGINES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database, once per engine."""
    with place(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def faults() -> Faults:
    """A plan without entries."""
    return Faults()


@fastness.transactional
def count(tx: Transaction) -> int:
    """Count, by reading and writing: done twice it shows."""
    number = int(tx.get(b"count") or b"0") + 1
    tx.set(b"count", b"%d" % number)
    return number


@fastness.transactional
async def count_async(tx: AsyncTransaction) -> int:
    """The same, awaited."""
    number = int(await tx.get(b"count") or b"0") + 1
    tx.set(b"count", b"%d" % number)
    return number


@pytest.mark.parametrize("plan", SURVIVED.values(), ids=SURVIVED)
def test_retries_survive(url: str, faults: Faults, plan: Callable[[Faults], None]) -> None:
    """`run`, `@transactional` and one-operation calls do their work once, after each fault."""
    with opened(url, faults) as database:
        plan(faults)
        assert count(database) == 1
        plan(faults)
        assert database.run(count) == 2
        assert faults.waiting == 0
        assert len(faults.met) > 1
        faults.conflict()
        database.add(b"other", 1)
        assert database.get(b"other") == (1).to_bytes(8, "little")
        assert database.get(b"count") == b"2"


@pytest.mark.parametrize("plan", SURVIVED.values(), ids=SURVIVED)
def test_retries_of_tasks_survive(url: str, faults: Faults, plan: Callable[[Faults], None]) -> None:
    """The same, awaited."""

    async def scenario(database: AsyncDatabase) -> None:
        plan(faults)
        assert await count_async(database) == 1
        plan(faults)
        assert await database.run(count_async) == 2
        assert faults.waiting == 0
        faults.conflict()
        await database.add(b"other", 1)
        assert await database.get(b"count") == b"2"

    _play(url, faults, scenario)


def _play(url: str, faults: Faults, scenario: Callable[[AsyncDatabase], Awaitable[None]]) -> None:
    async def play() -> None:
        async with opened_async(url, faults) as database:
            await scenario(database)

    asyncio.run(play())


@pytest.mark.parametrize("committed", [True, False], ids=["was", "was-not"])
def test_an_open_outcome(url: str, faults: Faults, *, committed: bool) -> None:
    """`MaybeCommitted` is not retried, runs no hooks, and `outcome` tells whether it happened."""
    hooks: list[int] = []
    with opened(url, faults) as database:
        faults.maybe_committed(committed=committed)
        tx = database.transaction()
        tx.on_commit(hooks.append)
        count(tx)
        with pytest.raises(MaybeCommitted) as caught:
            tx.commit()
        outcome = database.outcome(caught.value.transaction_id)
        assert (outcome is not None) is committed
        assert database.get(b"count") == (b"1" if committed else None)
        assert (hooks, tx.commit_timestamp) == ([], None)
        faults.maybe_committed(committed=committed)
        with pytest.raises(MaybeCommitted):
            count(database)
        assert int(database.get(b"count") or b"0") == 2 * committed


@pytest.mark.parametrize("committed", [True, False], ids=["was", "was-not"])
def test_an_open_outcome_of_a_task(url: str, faults: Faults, *, committed: bool) -> None:
    """The same, awaited."""

    async def scenario(database: AsyncDatabase) -> None:
        faults.maybe_committed(committed=committed)
        with pytest.raises(MaybeCommitted) as caught:
            await count_async(database)
        outcome = await database.outcome(caught.value.transaction_id)
        assert (outcome is not None) is committed
        assert await database.get(b"count") == (b"1" if committed else None)

    _play(url, faults, scenario)


def test_a_commit_that_fails_by_itself_keeps_the_fault(url: str, faults: Faults) -> None:
    """A real conflict is told as one; the open outcome waits for a commit that happens."""
    with opened(url, faults) as database:
        tx = database.transaction()
        count(tx)
        count(database)
        faults.maybe_committed(committed=True)
        with pytest.raises(Conflict):
            tx.commit()
        assert (faults.waiting, faults.met) == (1, [])
        with pytest.raises(MaybeCommitted):
            count(database)


def test_reads_of_every_kind_meet_faults(url: str, faults: Faults) -> None:
    """Each read call raises `Unreachable` once, in a transaction and outside."""
    with opened(url, faults) as database:
        database.set(b"a", b"1")
        tx = database.transaction()
        reads: list[Callable[[], object]] = [
            lambda: database.get(b"a"),
            lambda: database.get_many([b"a"]),
            lambda: database.scan(b"", b"b"),
            lambda: list(database.scan_all(b"", b"b")),
            lambda: tx.get(b"a"),
            lambda: tx.get_many([b"a"]),
            lambda: tx.scan(b"", b"b"),
            lambda: list(tx.scan_all(b"", b"b")),
        ]
        for read in reads:
            faults.unreachable()
            with pytest.raises(Unreachable):
                read()
            assert read()


def test_reads_of_tasks_meet_faults(url: str, faults: Faults) -> None:
    """The same, awaited."""

    async def scenario(database: AsyncDatabase) -> None:
        await database.set(b"a", b"1")
        tx = database.transaction()

        async def listed() -> object:
            return [entry async for entry in tx.scan_all(b"", b"b")]

        reads: list[Callable[[], Awaitable[object]]] = [
            lambda: database.get(b"a"),
            lambda: database.get_many([b"a"]),
            lambda: tx.get(b"a"),
            lambda: tx.get_many([b"a"]),
            lambda: tx.scan(b"", b"b"),
            listed,
        ]
        for read in reads:
            faults.unreachable()
            with pytest.raises(Unreachable):
                await read()
            assert await read()

    _play(url, faults, scenario)


def test_typed_records_meet_faults(url: str, faults: Faults) -> None:
    """Records are read and written through the plan; registering their classes is not."""
    with opened(url, faults) as database:
        faults.conflict()
        faults.unreachable()
        database.use(Person)
        assert faults.waiting == 2
        database.run(lambda tx: tx.insert(Person(id="ann", name="Ann")))
        assert faults.waiting == 0
        faults.unreachable()
        with pytest.raises(Unreachable), database.transaction() as tx:
            tx.fetch(Person, "ann")
        assert database.run(lambda tx: tx.fetch(Person, "ann")) == Person(id="ann", name="Ann")


def test_a_single_attempt_meets_one_fault(url: str, faults: Faults) -> None:
    """Without retries the error arrives, nothing is written, and reading alone meets nothing."""
    with opened(url, faults) as database:
        faults.pass_commits()
        faults.conflict(key=b"k")
        with database.transaction() as tx:
            tx.set(b"k", b"1")
        with database.transaction() as tx:
            tx.get(b"k")
        with pytest.raises(Conflict) as caught, database.transaction() as tx:
            tx.set(b"k", b"2")
        assert (caught.value.key, database.get(b"k")) == (b"k", b"1")
        assert faults.met == [FaultKind.CONFLICT]


def test_a_plan_can_be_dropped(faults: Faults) -> None:
    """What is cleared is met by nobody."""
    faults.conflict(times=3)
    faults.unreachable()
    faults.pass_reads()
    faults.clear()
    assert (faults.waiting, faults.next_commit()) == (0, None)


@pytest.mark.parametrize("times", [0, -1, 1 << 20, True, "2"])
def test_how_often_is_checked(faults: Faults, times: int) -> None:
    """A number of times that is none is refused with its value."""
    with pytest.raises(InvalidOption, match="times="):
        faults.conflict(times=times)
    with pytest.raises(InvalidOption, match="retry_after_ms=-1"):
        faults.overloaded(retry_after_ms=-1)


def test_retryable_faults_end_with_the_deadline(url: str, faults: Faults) -> None:
    """Faults without end are given up as real ones are."""
    with opened(url, faults) as database:
        faults.conflict(times=5_000)
        with pytest.raises(fastness.errors.DeadlineExceeded) as caught:
            database.run_within(0.05, count)
        assert isinstance(caught.value.__cause__, Retryable)


def test_both_faces_of_a_database_are_of_its_type(url: str, faults: Faults) -> None:
    """A database with a plan is a `Database` with the figures, limits and name of the other."""
    with fastness.open(url) as plain:
        wanted = (repr(plain), plain.limits)
    with opened(url, faults) as database:
        assert isinstance(database, Database)
        assert (repr(database), database.limits) == wanted
        assert database.stat().commits >= 0
        assert database.now() > 0
