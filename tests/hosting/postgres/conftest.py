"""A server for all tests of this folder, and a database for each.

`FASTNESS_POSTGRESQL=FOLDER` takes the programs of another version than the newest from a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastness.laptop.postgres import Postgres
from tests.servers.postgres import new_database, postgres_server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running server."""
    programs = os.environ.get("FASTNESS_POSTGRESQL")
    folder = tmp_path_factory.mktemp("postgres") / "server"
    with postgres_server(folder, Path(programs) if programs else None) as server:
        yield server


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """A fresh database, nothing prepared in it."""
    return new_database(postgres)
