"""PostgreSQL against the dumb model: ranges that split, merge and prune, and late commits."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import settings

from fastness.laptop.postgres import Postgres
from tests.hosting.postgres.synchronous import PostgresHome
from tests.servers.postgres import execute, new_database
from tests.storage.homes import Home
from tests.storage.test_many_ranges_against_model import RangesMachine

pytestmark = pytest.mark.process


class PostgresMachine(RangesMachine):
    """A database for each example."""

    server: ClassVar[Postgres]

    def make_home(self) -> Home:
        """A database of its own."""
        self.dsn = new_database(self.server)
        return PostgresHome(self.dsn)

    def teardown(self) -> None:
        """Close every store and drop the database."""
        super().teardown()
        assert isinstance(self.home, PostgresHome)
        self.home.close()
        execute(self.server.dsn(), f"DROP DATABASE {self.dsn.rpartition('/')[2]} WITH (FORCE)")


@pytest.fixture(scope="module", autouse=True)
def server(postgres: Postgres) -> None:
    """Where the machine finds its databases."""
    PostgresMachine.server = postgres


TestPostgresRangesAgainstModel = PostgresMachine.TestCase
TestPostgresRangesAgainstModel.settings = settings(max_examples=4, stateful_step_count=25)
