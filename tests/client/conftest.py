"""Fixtures of this folder: a database of every engine, under a driven clock."""

from __future__ import annotations

from tests.transactions.databases import any_database_url, clock, database

__all__ = ["any_database_url", "clock", "database"]
