"""Databases to copy from and to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fastness.client import Database, open


@pytest.fixture
def source() -> Iterator[Database]:
    """An empty database in memory."""
    with open("memory:") as database:
        yield database


@pytest.fixture
def target() -> Iterator[Database]:
    """Another one."""
    with open("memory:") as database:
        yield database
