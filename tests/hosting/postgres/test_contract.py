"""The contract of a store far away, kept by PostgreSQL."""

from __future__ import annotations

import pytest

from tests.hosting.postgres.reached import OnPostgres
from tests.hosting.remote_conformance import Reached, RemoteStoreSuite

pytestmark = pytest.mark.process


class TestPostgresStore(RemoteStoreSuite):
    """What every `RemoteStore` promises a node."""

    @pytest.fixture
    def reached(self, dsn: str) -> Reached:
        """A database of its own."""
        return OnPostgres(dsn)
