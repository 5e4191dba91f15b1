"""Fixtures of this folder: a database of every engine in this process, under a driven clock."""

from __future__ import annotations

import pytest

from fastness.client import Database
from tests.transactions.databases import clock, own_database, own_database_url

__all__ = ["clock", "own_database", "own_database_url"]


@pytest.fixture
def database(own_database: Database) -> Database:
    """A host is what is tested here, and a server has another."""
    return own_database


@pytest.fixture
def any_database_url(own_database_url: str) -> str:
    """Where it is."""
    return own_database_url
