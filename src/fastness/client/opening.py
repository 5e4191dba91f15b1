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
from fastness.client.remote import (
    checked_limits,
    is_remote_url,
    open_remote,
    open_remote_async,
)
from fastness.client.urls import hidden
from fastness.errors import InvalidOption, InvalidUrl
from fastness.limits import Limits
from fastness.model import Record
from fastness.runtime import Clock
from fastness.storage import InspectedStore, MemoryStore, RocksStore, Store

Durability = Literal["sync", "relaxed"]

KINDS = "'memory:', 'file:PATH', 'fastness://HOST:PORT' or 'fastness+unix:///PATH'"


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

    `url`: "memory:" (lost on close), "file:PATH" (a directory, created if absent; one process
    owns it at a time), or a server, "fastness://HOST:PORT[,HOST:PORT...]/?cache=on&token=..."
    or "fastness+unix:///PATH" (docs/OPERATIONS.md lists the options).

    `durability="relaxed"` acknowledges commits before they are on disk: a power failure may lose
    the last second of them, never their order; a server never does. `schema` registers record
    classes (see `Database.use`). `read_only=True` refuses writes; it looks into a directory
    also beside the process that owns it, and shows everything acknowledged before this call, as
    of this call. `clock` is for tests.
    """
    if is_remote_url(url):
        _refuse_engine_options(url, durability, clock)
        return open_remote(url, limits=limits, schema=schema, read_only=read_only)
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
    if is_remote_url(url):
        _refuse_engine_options(url, durability, clock)
        return await open_remote_async(url, limits=limits, schema=schema, read_only=read_only)
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


def _check_durability(durability: str) -> None:
    if durability not in ("sync", "relaxed"):
        raise InvalidOption(f"durability={durability!r} is neither 'sync' nor 'relaxed'")


def _refuse_engine_options(url: str, durability: str, clock: Clock | None) -> None:
    """What only whoever opens the store itself can choose."""
    _check_durability(durability)
    if durability != "sync":
        raise InvalidOption(
            f"durability={durability!r} cannot be had from {hidden(url)}: a server acknowledges "
            "nothing before it is on disk; leave it out"
        )
    if clock is not None:
        raise InvalidOption(
            f"clock={clock!r} cannot be given with {hidden(url)}: a server has its own"
        )


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
    _check_durability(durability)
    limits = checked_limits(limits)
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
        raise InvalidUrl(f"{url!r} is no URL: use {KINDS}")
    scheme, colon, place = url.partition(":")
    if scheme == "memory" and colon and not place:
        return MemoryStore()
    if scheme == "file" and place:
        path = Path(place)
        if read_only:
            return InspectedStore.open(path, limits=limits)
        return RocksStore.open(path, limits=limits)
    raise InvalidUrl(f"{hidden(url)!r} names no engine: use {KINDS}")
