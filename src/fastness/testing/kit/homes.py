"""Where the database of one test lives: in this process, or in a key space of its own on a server.

Both faces of a home show the same database, so a test may prepare by one and act by the other.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import fastness
from fastness import AsyncDatabase, Database, Limits, Transaction
from fastness.client import AsyncEmbeddedBacking
from fastness.client.remote import is_remote_url, open_remote, open_remote_async
from fastness.encoding.intervals import SYSTEM_END, successor
from fastness.errors import InvalidOption, PermissionDenied
from fastness.model import Record
from fastness.runtime import Clock
from fastness.testing.kit.faults import Faults
from fastness.testing.kit.faulty import faulty

SPACE = "fastness-test"
"""The first element of every key that tests write at a server; the second is random."""
_NONCE_BYTES = 12
_PORTION = 256
"""Keys removed in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a test wants of its database."""

    schema: Sequence[type[Record]] = ()
    limits: Limits | None = None
    clock: Clock | None = None
    faults: Faults | None = None


class Home(Protocol):
    """Where the database of one test lives, until `close`."""

    def database(self) -> Database:
        """The database, for threads; always the same object, closed by `close`."""
        ...

    def async_database(self) -> AbstractAsyncContextManager[AsyncDatabase]:
        """The database for the tasks of the loop that runs, until the block ends."""
        ...

    def close(self) -> None:
        """Close what is open, and remove what the test wrote."""
        ...


def home_at(url: str, wish: Wish) -> Home:
    """A home at a URL: "memory:", "file:PATH", or a server's."""
    return ServerHome(url, wish) if is_remote_url(url) else EmbeddedHome(url, wish)


def url_of(engine: str, directory: Path) -> str:
    """The URL of an empty database of an engine in this process."""
    if engine == "memory":
        return "memory:"
    if engine == "file":
        return f"file:{directory}"
    raise InvalidOption(
        f"engine {engine!r} is none of this process: take 'memory' or 'file', or a server's URL"
    )


class EmbeddedHome:
    """A database in this process."""

    def __init__(self, url: str, wish: Wish) -> None:
        """Nothing is opened before it is used."""
        self._url = url
        self._wish = wish
        self._opened: Database | None = None
        self._face: Database | None = None

    def _engine(self) -> Database:
        if self._opened is None:
            wish = self._wish
            self._opened = fastness.open(
                self._url, limits=wish.limits, schema=wish.schema, clock=wish.clock
            )
        return self._opened

    def database(self) -> Database:
        """See `Home`."""
        if self._face is None:
            faults = self._wish.faults
            opened = self._engine()
            self._face = opened if faults is None else faulty(opened, faults)
        return self._face

    @asynccontextmanager
    async def async_database(self) -> AsyncIterator[AsyncDatabase]:
        """See `Home`. The engine stays open at the end: the other face may still be used."""
        face = AsyncDatabase(AsyncEmbeddedBacking(self._engine().embedded))
        faults = self._wish.faults
        yield face if faults is None else faulty(face, faults)

    def close(self) -> None:
        """See `Home`. What was in memory goes; a directory is its folder's."""
        if self._opened is not None:
            self._opened.close()


class ServerHome:
    """A key space of one test, within that of the URL's token."""

    def __init__(self, url: str, wish: Wish) -> None:
        """`InvalidOption` for a clock: the server has its own."""
        if wish.clock is not None:
            raise InvalidOption(
                f"clock={wish.clock!r} cannot be had from a server, which has its own: run this "
                "test with --fastness-engine memory or file"
            )
        self._url = url
        self._wish = wish
        self._within = fastness.pack((SPACE, secrets.token_bytes(_NONCE_BYTES)))
        self._face: Database | None = None
        self._used = False

    def database(self) -> Database:
        """See `Home`."""
        if self._face is None:
            wish = self._wish
            opened = self._open(wish.limits, wish.schema)
            self._face = opened if wish.faults is None else faulty(opened, wish.faults)
        return self._face

    def _open(self, limits: Limits | None, schema: Sequence[type[Record]]) -> Database:
        opened = open_remote(
            self._url, limits=limits, schema=(), read_only=False, within=self._within
        )
        try:
            self._require_writable(opened)
            self._used = True
            opened.use(*schema)
        except BaseException:
            opened.close()
            raise
        return opened

    @asynccontextmanager
    async def async_database(self) -> AsyncIterator[AsyncDatabase]:
        """See `Home`."""
        wish = self._wish
        opened = await open_remote_async(
            self._url, limits=wish.limits, schema=(), read_only=False, within=self._within
        )
        async with opened:
            self._require_writable(opened)
            self._used = True
            await opened.use(*wish.schema)
            yield opened if wish.faults is None else faulty(opened, wish.faults)

    def _require_writable(self, opened: Database | AsyncDatabase) -> None:
        if opened.transaction().is_read_only:
            raise PermissionDenied(
                f"the token for {opened.backing.url} only reads, and a test writes into a key "
                "space of its own: make one with 'fastness token create tests --role read-write "
                "--key-space '(\"tests\",)' --tokens FILE' and give it as FASTNESS_TOKEN"
            )

    def close(self) -> None:
        """See `Home`. Emptied by a connection of its own: the test may have closed the other."""
        if self._face is not None:
            self._face.close()
        if self._used:
            with self._open(None, ()) as database:
                empty(database)


def empty(database: Database) -> None:
    """Remove everything in the database's key space: keys, records and the stored schema."""
    while database.run(_empty_portion):
        pass


def _empty_portion(tx: Transaction) -> bool:
    """Remove the first keys; whether there are more."""
    entries, more = tx.unchecked_scan(b"", SYSTEM_END, _PORTION, reverse=False, snapshot=True)
    if entries:
        tx.unchecked_delete_range(b"", successor(entries[-1][0]))
    return more


__all__ = ["EmbeddedHome", "Home", "ServerHome", "Wish", "empty", "home_at", "url_of"]
