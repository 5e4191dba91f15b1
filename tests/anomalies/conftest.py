"""Fixtures of this folder: databases of this process and behind a server, under a driven clock."""

from __future__ import annotations

from tests.transactions.databases import (
    any_database_url,
    clock,
    database,
    own_database,
    own_database_url,
)

__all__ = ["any_database_url", "clock", "database", "own_database", "own_database_url"]
