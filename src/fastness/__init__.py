"""Fastness: a strictly serializable, durable, typed metadata database.

    import fastness

    with fastness.open("file:./data") as db:
        db.set(b"greeting", b"hello")

        @fastness.transactional
        def move(tx, source, target):
            value = tx.get(source)
            tx.delete(source)
            tx.set(target, value)

        move(db, b"greeting", b"farewell")

`open` and `open_async` give a database: in memory ("memory:"), in a directory ("file:PATH") or
behind a server ("fastness://HOST:PORT"), all with the same calls. `fastness.errors` says what can
go wrong and what may be retried; `fastness.limits.Limits` what everything is bounded by.
"""

from fastness import errors
from fastness.client import (
    AsyncDatabase,
    AsyncTransaction,
    AtLeast,
    Database,
    DatabaseStat,
    Freshness,
    Transaction,
    Within,
    open,
    open_async,
    transactional,
)
from fastness.encoding.subspaces import Subspace
from fastness.encoding.timestamps import Timestamp, from_datetime, to_datetime
from fastness.encoding.tuples import Versionstamp, pack, range_of, unpack
from fastness.errors import FastnessError
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.transactions import Page, Usage

__version__ = "0.1.0"

__all__ = [
    "AsyncDatabase",
    "AsyncTransaction",
    "AtLeast",
    "Database",
    "DatabaseStat",
    "FastnessError",
    "Freshness",
    "Limits",
    "Page",
    "Subspace",
    "Timestamp",
    "Transaction",
    "Usage",
    "Versionstamp",
    "Watch",
    "Within",
    "errors",
    "from_datetime",
    "open",
    "open_async",
    "pack",
    "range_of",
    "to_datetime",
    "transactional",
    "unpack",
]
