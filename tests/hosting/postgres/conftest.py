"""A server for all tests of this folder, and a database for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastness.laptop.postgres import Postgres
from tests.servers.postgres import new_database, postgres_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server."""
    with postgres_server(tmp_path_factory.mktemp("postgres") / "server") as server:
        yield server


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """A fresh database, nothing prepared in it."""
    return new_database(postgres)
