"""`open` and `open_async`: a URL picks the engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from fastness.client.async_database import AsyncDatabase
from fastness.client.database import Database
from fastness.client.embedded import Embedded
from fastness.client.embedded_backing import AsyncEmbeddedBacking, EmbeddedBacking
from fastness.errors import InvalidOption, InvalidUrl
from fastness.limits import Limits
from fastness.model import Record
from fastness.runtime import Clock
from fastness.storage import InspectedStore, MemoryStore, RocksStore, Store

Durability = Literal["sync", "relaxed"]


def open(
    url: str,
    *,
    limits: Limits | None = None,
    schema: Iterable[type[Record]] = (),
    durability: Durability = "sync",
    read_only: bool = False,
    clock: Clock | None = None,
) -> Database:
    """Open a database.

    `url`: "memory:" (lost on close) or "file:PATH" (a directory, created if absent; one
    process owns it at a time). `durability="relaxed"` acknowledges commits before they
    are on disk: a power failure may lose the last second of them, never their order.
    `schema` registers record classes (see `Database.use`). `read_only=True` looks into a
    directory, also beside the process that owns it: it shows everything acknowledged before
    this call, as of this call. `clock` is for tests.
    """
    embedded = open_embedded(
        url,
        limits=limits,
        schema=schema,
        durability=durability,
        read_only=read_only,
        clock=clock,
    )
    return Database(EmbeddedBacking(embedded))


async def open_async(
    url: str,
    *,
    limits: Limits | None = None,
    schema: Iterable[type[Record]] = (),
    durability: Durability = "sync",
    read_only: bool = False,
    clock: Clock | None = None,
) -> AsyncDatabase:
    """As `open`, for asyncio: the same engines behind an `AsyncDatabase`."""
    embedded = await asyncio.to_thread(
        open_embedded,
        url,
        limits=limits,
        schema=schema,
        durability=durability,
        read_only=read_only,
        clock=clock,
    )
    return AsyncDatabase(AsyncEmbeddedBacking(embedded))


def open_embedded(
    url: str,
    *,
    limits: Limits | None,
    schema: Iterable[type[Record]],
    durability: str,
    read_only: bool,
    clock: Clock | None,
) -> Embedded:
    """Open the store a URL names, the engine over it, and register classes."""
    if durability not in ("sync", "relaxed"):
        raise InvalidOption(f"durability={durability!r} is neither 'sync' nor 'relaxed'")
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidOption(f"limits={limits!r} is no Limits: give fastness.Limits(...)")
    limits = limits or Limits()
    store = open_store(url, limits=limits, read_only=read_only)
    try:
        embedded = Embedded(
            store,
            url=url,
            limits=limits,
            durable=durability == "sync",
            read_only=read_only,
            clock=clock,
        )
    except BaseException:
        store.close()
        raise
    try:
        embedded.use(schema)
    except BaseException:
        embedded.close()
        raise
    return embedded


def open_store(url: str, *, limits: Limits | None = None, read_only: bool = False) -> Store:
    """The store a URL names."""
    if not isinstance(url, str):
        raise InvalidUrl(f"{url!r} is no URL: use 'memory:' or 'file:PATH'")
    scheme, colon, place = url.partition(":")
    if scheme == "memory" and colon and not place:
        return MemoryStore()
    if scheme == "file" and place:
        path = Path(place)
        if read_only:
            return InspectedStore.open(path, limits=limits)
        return RocksStore.open(path, limits=limits)
    raise InvalidUrl(f"{url!r} names no engine: use 'memory:' or 'file:PATH'")
