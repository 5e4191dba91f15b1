"""A database for each test of typed records: in this process, and once more behind a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.model.world import ALL, OWN_ENGINE_ONLY, World

PLACES = ("memory", "server")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have every test that makes worlds make them in each place, unless it is `own_engine_only`."""
    makes_worlds = "world" in metafunc.fixturenames or hasattr(metafunc.module, "World")
    if makes_worlds and metafunc.function not in OWN_ENGINE_ONLY:
        metafunc.parametrize("world_place", PLACES, indirect=True)


@pytest.fixture(autouse=True)
def world_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the worlds of a test are."""
    chosen: str = getattr(request, "param", "memory")
    monkeypatch.setattr(World, "place", chosen)
    return chosen


@pytest.fixture
def world(world_place: str) -> Iterator[World]:
    """A database that knows all classes of `tests.model.world`."""
    assert world_place == World.place
    with World(*ALL) as made:
        yield made
