"""`open` and `open_async`: a URL picks the engine."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastness.client.async_database import AsyncDatabase
from fastness.client.database import Database
from fastness.client.embedded import Embedded
from fastness.errors import InvalidOption, InvalidUrl
from fastness.limits import Limits
from fastness.runtime import Clock
from fastness.storage import MemoryStore, Store

Durability = Literal["sync", "relaxed"]


def open(
    url: str,
    *,
    limits: Limits | None = None,
    durability: Durability = "sync",
    clock: Clock | None = None,
) -> Database:
    """Open a database.

    `url`: "memory:" (lost on close) or "file:PATH" (a directory, created if absent; one
    process owns it at a time). `durability="relaxed"` acknowledges commits before they
    are on disk: a power failure may lose the last second of them, never their order.
    `clock` is for tests.
    """
    return Database(open_embedded(url, limits=limits, durability=durability, clock=clock))


async def open_async(
    url: str,
    *,
    limits: Limits | None = None,
    durability: Durability = "sync",
    clock: Clock | None = None,
) -> AsyncDatabase:
    """As `open`, for asyncio: the same engines behind an `AsyncDatabase`."""
    embedded = await asyncio.to_thread(
        open_embedded, url, limits=limits, durability=durability, clock=clock
    )
    return AsyncDatabase(embedded)


def open_embedded(
    url: str, *, limits: Limits | None, durability: str, clock: Clock | None
) -> Embedded:
    """Open the store a URL names and the engine over it."""
    if durability not in ("sync", "relaxed"):
        raise InvalidOption(f"durability={durability!r} is neither 'sync' nor 'relaxed'")
    limits = limits or Limits()
    store = open_store(url)
    try:
        return Embedded(store, url=url, limits=limits, durable=durability == "sync", clock=clock)
    except BaseException:
        store.close()
        raise


def open_store(url: str) -> Store:
    """The store a URL names."""
    if not isinstance(url, str):
        raise InvalidUrl(f"{url!r} is no URL: use 'memory:'")
    scheme, colon, place = url.partition(":")
    if scheme == "memory" and colon and not place:
        return MemoryStore()
    raise InvalidUrl(f"{url!r} names no engine: use 'memory:'")
