"""`open`, `Database`, `AsyncDatabase`: one API for every engine."""

from fastness.client.async_database import AsyncDatabase
from fastness.client.database import Database
from fastness.client.embedded_backing import AsyncEmbeddedBacking, EmbeddedBacking
from fastness.client.figures import DatabaseStat, ServerStat, StoreStat
from fastness.client.freshness import AtLeast, Freshness, Within
from fastness.client.opening import open, open_async
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.client.transactional import transactional

__all__ = [
    "AsyncDatabase",
    "AsyncEmbeddedBacking",
    "AsyncTransaction",
    "AtLeast",
    "Database",
    "DatabaseStat",
    "EmbeddedBacking",
    "Freshness",
    "ServerStat",
    "StoreStat",
    "Transaction",
    "Within",
    "open",
    "open_async",
    "transactional",
]
