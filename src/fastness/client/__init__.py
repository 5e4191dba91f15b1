"""`open`, `Database`, `AsyncDatabase`: one API for every engine."""

from fastness.client.async_database import AsyncDatabase
from fastness.client.database import Database
from fastness.client.embedded import DatabaseStat
from fastness.client.opening import open, open_async
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.client.transactional import transactional

__all__ = [
    "AsyncDatabase",
    "AsyncTransaction",
    "Database",
    "DatabaseStat",
    "Transaction",
    "open",
    "open_async",
    "transactional",
]
