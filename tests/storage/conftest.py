"""Homes of stores for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storage.homes import Home, MemoryHome, RocksHome


@pytest.fixture
def rocks_home(tmp_path: Path) -> Iterator[RocksHome]:
    """A directory of its own, whose stores are closed after the test."""
    home = RocksHome(tmp_path / "database")
    yield home
    home.close()


@pytest.fixture(params=["memory", "rocksdb"])
def home(request: pytest.FixtureRequest) -> Home:
    """A home of each engine in turn."""
    if request.param == "memory":
        return MemoryHome()
    found: RocksHome = request.getfixturevalue("rocks_home")
    return found
