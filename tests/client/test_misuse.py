"""Mistakes that newcomers make: each is refused at once, and told what to do instead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import fastness
from fastness.errors import InvalidOption, SchemaError, UsageError
from fastness.model import Entity


class Misused(Entity, key="id"):
    """The smallest kind."""

    id: str


async def write(tx: fastness.Transaction, value: bytes = b"") -> None:
    """A function for the other kind of database."""
    tx.set(b"key", value)


def test_an_async_function_given_to_a_database_is_refused() -> None:
    """It would never be awaited, and nothing written would look like a commit."""
    function: Callable[..., Any] = write
    with fastness.open("memory:") as db:
        with pytest.raises(UsageError, match=r"write is an async function.*open_async"):
            db.run(function)
        with pytest.raises(UsageError, match="nothing was done"):
            db.run(lambda tx: function(tx, b"value"))
        assert db.get(b"key") is None


def test_a_class_in_place_of_a_list_is_refused() -> None:
    """The message shows the list to write."""
    schema: Any = Misused
    with pytest.raises(SchemaError, match=r"is one class: give a list, schema=\[Misused\]"):
        fastness.open("memory:", schema=schema)


@pytest.mark.parametrize("timeout", [0, -1, "1", float("nan")])
def test_a_timeout_that_is_none_is_refused_before_anything_runs(timeout: Any) -> None:  # noqa: ANN401 - wrong on purpose
    """Not only at the first conflict, months later."""

    def never(tx: object) -> None:
        raise AssertionError(tx)

    async def nor_this() -> None:
        async with await fastness.open_async("memory:") as db:
            await db.run_within(timeout, lambda tx: tx.get(b"key"))

    with (
        fastness.open("memory:") as db,
        pytest.raises(InvalidOption, match="is not a positive number of seconds"),
    ):
        db.run_within(timeout, never)
    with pytest.raises(InvalidOption, match="is not a positive number of seconds"):
        asyncio.run(nor_this())


def test_a_database_shows_its_url() -> None:
    """In a REPL or a log one sees which database it is."""

    async def shown() -> str:
        async with await fastness.open_async("memory:") as db:
            return repr(db)

    with fastness.open("memory:") as db:
        assert repr(db) == "<Database memory:>"
    assert asyncio.run(shown()) == "<AsyncDatabase memory:>"
