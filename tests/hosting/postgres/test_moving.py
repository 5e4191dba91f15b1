"""Versions carried out of PostgreSQL and into it, as between stores of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastness.laptop.postgres import Postgres
from tests.hosting.postgres.synchronous import PostgresHome
from tests.servers.postgres import new_database
from tests.storage import test_moving

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def homes(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The stores of those tests are databases."""
    made: list[PostgresHome] = []

    def store() -> object:
        made.append(PostgresHome(new_database(postgres)))
        return made[-1].open()

    monkeypatch.setattr(test_moving, "MemoryStore", store)
    yield
    for home in made:
        home.close()


@pytest.mark.parametrize("seed", range(6))
def test_what_was_carried_is_the_same(seed: int) -> None:
    """At every timestamp from the horizon on, in the log as well, and it goes on from there."""
    test_moving.test_what_was_carried_is_the_same(seed)


def test_loading_is_fenced_and_in_order() -> None:
    """By epoch and number, as batches are; a number that was given up stays unused."""
    test_moving.test_loading_is_fenced_and_in_order()


def test_changes_that_are_pruned_cannot_be_followed() -> None:
    """Whoever follows them begins again."""
    test_moving.test_changes_that_are_pruned_cannot_be_followed()
