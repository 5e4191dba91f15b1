"""The contract of every store's rows, kept by PostgreSQL: versions, ranges, expiry."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hosting.postgres.synchronous import PostgresHome
from tests.storage.conformance import StoreConformance
from tests.storage.expiry_conformance import ExpiryConformance
from tests.storage.homes import Home
from tests.storage.ranges_conformance import RangesConformance

pytestmark = pytest.mark.process


class TestPostgresRows(StoreConformance, RangesConformance, ExpiryConformance):
    """All that is not about files of this process: a batch is durable when it is applied."""

    @pytest.fixture
    def home(self, dsn: str) -> Iterator[Home]:
        """A database of its own."""
        home = PostgresHome(dsn)
        yield home
        home.close()

    # A failed step of writing files: what a killed server leaves is in `test_killed.py`.
    test_a_failed_write_closes_the_store = None  # type: ignore[assignment]  # not run here
    test_a_batch_of_all_kinds_is_whole_or_absent = None  # type: ignore[assignment]  # not run here
    # Entries of others are not looked at here at all, so there is none to pass over.
    test_entries_of_others_are_passed_over_in_steps = None  # type: ignore[assignment]  # not run here
