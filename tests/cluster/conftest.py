"""Servers for all tests of this folder, and a realm for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.realm import Realm, realms


@pytest.fixture(scope="session")
def new_realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Realm]]:
    """Makes realms."""
    with realms(tmp_path_factory.mktemp("cluster")) as make:
        yield make


@pytest.fixture
def realm(new_realm: Callable[[], Realm]) -> Iterator[Realm]:
    """One that nothing is in yet."""
    made = new_realm()
    yield made
    made.close()
