"""The RocksDB store: the contract, kept in a directory."""

from __future__ import annotations

import pytest

from tests.storage.conformance import StoreConformance
from tests.storage.expiry_conformance import ExpiryConformance
from tests.storage.homes import Home, RocksHome
from tests.storage.ranges_conformance import RangesConformance


class TestRocksStore(StoreConformance, RangesConformance, ExpiryConformance):
    """The contract, kept by the RocksDB store."""

    @pytest.fixture
    def home(self, rocks_home: RocksHome) -> Home:
        """A home in a directory."""
        return rocks_home
