"""Opening a database behind a server: the connection, the key space it is granted, the face.

Opening asks the places of the URL in turn and raises what the last of them refused with, so
that a wrong token or certificate is told here and not by a read that nobody answers.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from fastness.client.async_database import AsyncDatabase
from fastness.client.cluster import ClusterClient
from fastness.client.cluster.access import Access
from fastness.client.cluster.blocking import BlockingBacking
from fastness.client.cluster.calls import Calls
from fastness.client.database import Database
from fastness.client.urls import RemoteUrl, is_remote, parse_url
from fastness.errors import FastnessError, InvalidOption, SchemaError, Unreachable
from fastness.limits import Limits
from fastness.model import Record
from fastness.runtime.process import Address
from fastness.transport import NetworkProcess, Place
from fastness.transport.blocking import BlockingProcess
from fastness.transport.dialing import Lost, Undelivered
from fastness.wire.handshake import Role, Welcome

AGENT = "fastness-python"


class Dialer(Protocol):
    """A process that dials."""

    undelivered: Undelivered | None
    lost: Lost | None

    async def reach(self, to: Address) -> Address:
        """Open a connection; the full address of whoever answered, or why not."""
        ...

    def welcome_of(self, address: Address) -> Welcome | None:
        """What was granted there."""
        ...

    def reason(self, address: Address) -> FastnessError | None:
        """Why it could not be reached last time, `None` where it could."""
        ...


def is_remote_url(url: object) -> bool:
    """Whether this is a URL of a server."""
    return isinstance(url, str) and is_remote(url)


def open_remote(
    url: str,
    *,
    limits: Limits | None,
    schema: Iterable[type[Record]],
    read_only: bool,
    within: bytes = b"",
) -> Database:
    """A database behind a server, for threads.

    `within` narrows the key space that the token grants: tests get a part of it each.
    """
    asked = parse_url(url)
    limits = asked.limits_over(checked_limits(limits))
    process = BlockingProcess(
        limits=limits, credential=asked.token, tls=tls_context(asked), agent=AGENT
    )
    seeds = [str(place) for place in asked.places]

    async def begin() -> BlockingBacking:
        welcome = await reached(process, seeds)
        backing = BlockingBacking(
            process, seeds, limits, _access(asked, welcome, read_only, within)
        )
        connect_calls(backing.core.calls, process, seeds)
        return backing

    try:
        backing = process.drive(begin())
    except BaseException:
        process.close()
        raise
    database = Database(backing)
    try:
        backing.use(_classes(schema))
    except BaseException:
        database.close()
        raise
    return database


async def open_remote_async(
    url: str,
    *,
    limits: Limits | None,
    schema: Iterable[type[Record]],
    read_only: bool,
    within: bytes = b"",
) -> AsyncDatabase:
    """A database behind a server, for the tasks of the running loop; as `open_remote`."""
    asked = parse_url(url)
    limits = asked.limits_over(checked_limits(limits))
    process = NetworkProcess(
        limits=limits, credential=asked.token, tls=tls_context(asked), agent=AGENT
    )
    client = await dialed(
        process,
        asked.places,
        limits,
        lambda welcome: _access(asked, welcome, read_only, within),
    )
    try:
        await client.use(*_classes(schema))
    except BaseException:
        await client.close()
        raise
    return client


async def dialed(
    process: NetworkProcess,
    places: Sequence[Place],
    limits: Limits,
    access: Callable[[Welcome], Access],
) -> ClusterClient:
    """A client over a connection that is open; `access` judges what it was granted.

    The process is the client's from now on, and is closed with it, or where none can be made.
    """
    seeds = [str(place) for place in places]
    try:
        welcome = await reached(process, seeds)
    except BaseException:
        await process.close()
        raise
    client = ClusterClient(
        process,
        seeds,
        limits,
        access=access(welcome),
        closing=process.close,
    )
    connect_calls(client.core.calls, process, seeds)
    return client


def connect_calls(calls: Calls, process: Dialer, seeds: list[Address]) -> None:
    """Tell the calls of a client what the network knows of its places."""
    calls.seeds = frozenset(seeds)
    process.undelivered = calls.undelivered
    process.lost = calls.lost

    def reason() -> FastnessError | None:
        """Why none of the places could be reached; the one that may change is told first."""
        known = [error for error in map(process.reason, seeds) if error is not None]
        if len(known) < len(seeds):
            return None
        return min(known, key=lambda error: not error.retryable)

    def takes_traces(address: Address) -> bool:
        welcome = process.welcome_of(address)
        return welcome is not None and welcome.takes_traces

    calls.reason = reason
    calls.takes_traces = takes_traces


def _access(asked: RemoteUrl, welcome: Welcome, read_only: bool, within: bytes) -> Access:
    return Access(
        url=asked.shown,
        space=welcome.prefix + within,
        read_only=read_only or welcome.role == Role.READ_ONLY,
        cache=asked.cache,
    )


def _classes(schema: Iterable[type[Record]]) -> list[type[Record]]:
    if isinstance(schema, type):
        raise SchemaError(f"{schema!r} is one class: give a list, schema=[{schema.__name__}]")
    return list(schema)


async def reached(process: Dialer, seeds: list[Address]) -> Welcome:
    """What the first of these that answers grants; raises why none does."""
    failure: FastnessError | None = None
    for seed in seeds:
        try:
            welcome = process.welcome_of(await process.reach(seed))
        except FastnessError as error:
            failure = error
            if not error.retryable:
                break
        else:
            if welcome is not None:
                return welcome
    if failure is not None:
        raise failure
    raise Unreachable(f"{', '.join(seeds)} hung up at once: try again")


def tls_context(asked: RemoteUrl) -> ssl.SSLContext | None:
    """How to speak TLS with the server, `None` where it is not wanted."""
    if not asked.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=asked.ca or None)
        if asked.certificate:
            context.load_cert_chain(asked.certificate, asked.key or None)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidOption(
            f"{asked.shown}: the certificates it names (ca=, cert=, key=) cannot be read "
            f"({reason}): give paths of PEM files"
        ) from error
    return context


def checked_limits(limits: Limits | None) -> Limits:
    """Limits as given, or those of production."""
    if limits is not None and not isinstance(limits, Limits):
        raise InvalidOption(f"limits={limits!r} is no Limits: give fastness.Limits(...)")
    return limits or Limits()


__all__ = ["checked_limits", "dialed", "is_remote_url", "open_remote", "open_remote_async"]
