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

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    )
    from fastness.client.transactional import transactional
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

_HOMES = {
    "fastness.client": (
        *("AsyncDatabase", "AsyncTransaction", "AtLeast", "Database", "DatabaseStat", "Freshness"),
        *("Transaction", "Within", "open", "open_async"),
    ),
    "fastness.client.transactional": ("transactional",),
    "fastness.encoding.subspaces": ("Subspace",),
    "fastness.encoding.timestamps": ("Timestamp", "from_datetime", "to_datetime"),
    "fastness.encoding.tuples": ("Versionstamp", "pack", "range_of", "unpack"),
    "fastness.errors": ("FastnessError",),
    "fastness.hosting": ("Watch",),
    "fastness.limits": ("Limits",),
    "fastness.transactions": ("Page", "Usage"),
}
"""Where each name is; the same as above, for the interpreter."""

_MODULES = ("errors", "limits", "model")
"""What is also reached as an attribute after `import fastness` alone."""


def __getattr__(name: str) -> object:
    """Load what is asked for, at its first use (PEP 562).

    The pytest plugin is imported by every run of pytest where Fastness is installed, and with it
    this module: whoever tests something else should not wait for a database.
    """
    if name in _MODULES:
        return importlib.import_module(f"fastness.{name}")
    for home, names in _HOMES.items():
        if name in names:
            found: object = getattr(importlib.import_module(home), name)
            # From now on it is an attribute like any other: `pack` is called a lot.
            globals()[name] = found
            return found
    raise AttributeError(f"module 'fastness' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
