"""`@transactional`: begin one, or join the one that is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import fastness
from fastness.client import AsyncDatabase, AsyncTransaction, Database, Transaction, transactional
from fastness.errors import Conflict, ForeignTransaction, TransactionClosed, UsageError
from tests.transactions.databases import beside


@transactional
def transfer(tx: Transaction, source: bytes, target: bytes, *, amount: int = 1) -> int:
    """Move an amount; how many accounts exist."""
    tx.add(source, -amount)
    tx.add(target, amount)
    return len(tx.get_many([source, target]))


@transactional
async def transfer_async(tx: AsyncTransaction, source: bytes, target: bytes) -> int:
    """The same for tasks."""
    tx.add(source, -1)
    tx.add(target, 1)
    return len(await tx.get_many([source, target]))


def counted(value: bytes | None) -> int:
    """A counter's value."""
    return int.from_bytes(value or b"", "little", signed=True)


def test_given_a_database_it_begins_and_commits(database: Database) -> None:
    """Arguments and result pass through, the name and the docstring stay."""
    assert transfer(database, b"a", b"b", amount=5) == 2
    assert [counted(value) for value in database.get_many([b"a", b"b"])] == [-5, 5]
    assert transfer.__name__ == "transfer"
    assert (transfer.__doc__ or "").startswith("Move an amount")


def test_given_a_transaction_it_joins(database: Database) -> None:
    """One commit for all of it, and none when whoever began it cancels."""
    with database.transaction() as tx:
        transfer(tx, b"a", b"b")
        transfer(tx, b"b", b"c", amount=1)
        assert database.get(b"a") is None
    values = [counted(value) for value in database.get_many([b"a", b"b", b"c"])]
    assert values == [-1, 0, 1]
    cancelled = database.transaction()
    transfer(cancelled, b"a", b"b")
    cancelled.cancel()
    assert counted(database.get(b"a")) == -1


def test_a_conflict_inside_a_joined_one_belongs_to_the_outer(database: Database) -> None:
    """Only whoever began the transaction can run it again."""
    attempts = []

    @transactional
    def inner(tx: Transaction) -> None:
        attempts.append("inner")
        tx.get(b"k")
        if len(attempts) == 2:
            database.set(b"k", b"1")
        tx.set(b"done", b"1")

    @transactional
    def outer(tx: Transaction) -> None:
        attempts.append("outer")
        inner(tx)

    outer(database)
    assert attempts == ["outer", "inner"] * 2


def test_both_kinds_and_nothing_else_are_taken(database: Database) -> None:
    """A database or transaction of the other kind, or no such thing: named, with what fits."""
    function: Any = transfer

    async def ask_both_ways() -> None:
        async with beside(database) as twin:
            await ask(twin)

    async def ask(twin: AsyncDatabase) -> None:
        for wrong in (twin, twin.transaction(), None, "db"):
            name = type(wrong).__name__
            with pytest.raises(
                ForeignTransaction,
                match=rf"transfer takes a Database or Transaction first, not {name}",
            ):
                function(wrong, b"a", b"b")
        asynchronous: Any = transfer_async
        for other in (database, database.transaction()):
            with pytest.raises(
                ForeignTransaction, match="takes a AsyncDatabase or AsyncTransaction first"
            ):
                await asynchronous(other, b"a", b"b")
        assert await transfer_async(twin, b"a", b"b") == 2
        async with twin.transaction() as tx:
            assert await transfer_async(tx, b"a", b"b") == 2

    asyncio.run(ask_both_ways())
    assert counted(database.get(b"b")) == 2


def test_a_transaction_that_has_ended_is_refused(database: Database) -> None:
    """Before anything of the function runs."""
    tx = database.transaction()
    tx.commit()
    with pytest.raises(TransactionClosed, match="begin a new one"):
        transfer(tx, b"a", b"b")


def test_generators_are_refused() -> None:
    """Their body would run after the commit: refused where they are declared."""

    def listing(tx: Transaction) -> Iterator[bytes]:
        yield tx.get(b"k") or b""

    async def listing_async(tx: AsyncTransaction) -> AsyncIterator[bytes]:
        yield await tx.get(b"k") or b""

    decorate: Any = transactional
    for function in (listing, listing_async):
        with pytest.raises(UsageError, match=f"{function.__name__} is a generator"):
            decorate(function)


def test_it_is_part_of_the_public_face(database: Database) -> None:
    """As users write it."""

    @fastness.transactional
    def look(tx: fastness.Transaction) -> bytes | None:
        return tx.get(b"k")

    assert look(database) is None
    tx = database.transaction()
    look(tx)
    tx.set(b"other", b"1")
    database.set(b"k", b"1")
    with pytest.raises(Conflict):
        tx.commit()
