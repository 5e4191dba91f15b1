"""The hosts of a DSN, and connections to those that are a primary.

Every host is tried at once, each with a patience of its own: one that hangs, as a paused server
does, keeps nobody from the next. Where two claim to be primary the one on the later timeline is
it: the other was replaced and has not noticed.

A connection here never cancels a statement. The library does so where a task is cancelled, and a
commit whose wait for the standby is cancelled is visible without being safe; here the connection
is cut instead, and the server goes on with what it was told.
"""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]  # it ships no types

from fastness.errors import InvalidOption, InvalidUrl, Unreachable

CONNECT_S = 2.0
"""How long one host may take to be connected to and to say what it is."""
OTHERS_S = 0.1
"""How long the other hosts are waited for once one says that it is the primary."""
APPLICATION = "fastness"

SESSION = {
    # Functions of the schema rely on statements that look anew after a lock was had.
    "default_transaction_isolation": "read committed",
    "search_path": "pg_catalog",
    "client_min_messages": "warning",
    # No commit is ever ended by a clock.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    # A statement that waits for a lock ends soon after its client has gone.
    "client_connection_check_interval": "1000",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    # Every statement has one good plan, by the indexes, whatever statistics say of a young table.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_sort": "off",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
}
_KEEPALIVE = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": 3}
"""Seconds, and how many probes: as `SESSION` has it for the other side."""
SESSION_FROM_17 = {"transaction_timeout": "0"}

_ABOUT = """
SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool AS follows,
    CASE WHEN NOT pg_is_in_recovery()
        THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8
        ELSE 0 END AS timeline,
    concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()) AS server,
    current_setting('server_version_num')::int AS version
"""
_SET = """
SELECT set_config(s.name, s.value, false) FROM unnest($1::text[], $2::text[]) s(name, value)
UNION ALL
-- Whatever the server is set to while the session lasts: `remote_apply` waits for more.
SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit')
    WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)
"""


class Host(NamedTuple):
    """One server of a DSN; `None` leaves it to the library."""

    name: str | None
    port: int | None


@dataclass(frozen=True, slots=True)
class Instance:
    """One run of one server as the primary."""

    timeline: int
    server: str
    version: int

    def __str__(self) -> str:
        return f"{self.server} on timeline {self.timeline}"


@dataclass(slots=True)
class Found:
    """A connection to a primary, nothing of its session set yet."""

    connection: Any
    instance: Instance
    host: Host


class UncancelledConnection(asyncpg.Connection):  # type: ignore[misc]  # it ships no types
    """See the module's page."""

    __slots__ = ()

    def _cancel_current_command(self, *_waiters: object) -> None:
        self.terminate()

    def keep_alive(self) -> None:
        """Have the kernel find out when nobody is there any more, however long we only listen."""
        wire = self._transport.get_extra_info("socket")
        if wire.family in {socket.AF_INET, socket.AF_INET6}:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for name, value in _KEEPALIVE.items():
                # Not every system has all of them.
                option = getattr(socket, name, None)
                if option is not None:
                    wire.setsockopt(socket.IPPROTO_TCP, option, value)


def hosts_of(dsn: str) -> list[Host]:
    """The servers a DSN names; raises `InvalidUrl` for what is none."""
    try:
        parts = urlsplit(dsn)
    except ValueError as error:
        raise _wrong(dsn, str(error)) from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise _wrong(dsn, f"its scheme is {parts.scheme!r}")
    if not parts.path.strip("/") and "dbname=" not in parts.query:
        raise _wrong(dsn, "it names no database")
    places = parts.netloc.rpartition("@")[2]
    if not places:
        return [Host(None, None)]
    return [_host(dsn, place) for place in places.split(",")]


def _host(dsn: str, place: str) -> Host:
    found = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^:\[\]]*)(?::(\d+))?", place)
    if found is None or (found[2] and not 0 < int(found[2]) < 1 << 16):
        raise _wrong(dsn, f"{place!r} is no HOST:PORT")
    return Host(found[1].strip("[]") or None, int(found[2]) if found[2] else None)


def shown(dsn: str) -> str:
    """A DSN without what it may hold of secrets."""
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1:...@", dsn.partition("?")[0])


def _wrong(dsn: str, why: str) -> InvalidUrl:
    return InvalidUrl(
        f"{shown(dsn)!r} names no PostgreSQL ({why}): write "
        "postgresql://USER@HOST:PORT[,HOST:PORT...]/DATABASE"
    )


async def find_primary(dsn: str, hosts: list[Host]) -> Found:
    """Connect to the primary; `Unreachable` where no host is one, with what each one said.

    `InvalidOption` where a server does not let us in: that will not change by itself.
    """
    tries = [asyncio.ensure_future(_try(dsn, host)) for host in hosts]
    found: list[Found] = []
    said: list[str] = []
    refused: InvalidOption | None = None
    best: Found | None = None
    try:
        waiting = set(tries)
        while waiting:
            patience = OTHERS_S if found else None
            done, waiting = await asyncio.wait(
                waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                break
            for one in done:
                answer = one.result()
                if isinstance(answer, Found):
                    found.append(answer)
                elif isinstance(answer, InvalidOption):
                    refused = answer
                else:
                    said.append(answer)
        best = max(found, key=lambda one: one.instance.timeline, default=None)
    finally:
        for one in tries:
            one.add_done_callback(partial(_discard, kept=best))
            one.cancel()
    if best is not None:
        return best
    if refused is not None:
        raise refused
    raise Unreachable(f"no server of {shown(dsn)} is a primary: {'; '.join(sorted(said))}")


def _discard(done: asyncio.Future[Found | InvalidOption | str], *, kept: Found | None) -> None:
    """Close a connection that was made, or found, in vain."""
    if not done.cancelled():
        answer = done.result()
        if isinstance(answer, Found) and answer is not kept:
            answer.connection.terminate()


async def _try(dsn: str, host: Host) -> Found | InvalidOption | str:
    """A connection if the host is a primary, or what is wrong with it."""
    name = "the server" if host.name is None else f"{host.name}:{host.port or 5432}"
    try:
        async with asyncio.timeout(CONNECT_S):
            connection = await connect(dsn, host)
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as no:
        return InvalidOption(
            f"{name} does not let us in ({no}): check user, password and database of {shown(dsn)}"
        )
    except (asyncpg.ClientConfigurationError, ValueError) as error:
        return InvalidOption(f"the DSN {shown(dsn)} cannot be used: {error}")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return f"{name}: {type(error).__name__} {error}".rstrip()
    try:
        async with asyncio.timeout(CONNECT_S):
            about = await connection.fetchrow(_ABOUT)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        connection.terminate()
        return f"{name}: {type(error).__name__} {error}".rstrip()
    except BaseException:
        connection.terminate()
        raise
    if about["follows"]:
        connection.terminate()
        return f"{name} is a standby, or read-only"
    instance = Instance(about["timeline"], about["server"], about["version"])
    return Found(connection, instance, host)


async def connect(dsn: str, host: Host) -> Any:  # noqa: ANN401 - the library has no types
    """A plain connection to one host."""
    place = {} if host.name is None else {"host": host.name, "port": host.port or 5432}
    connection = await asyncpg.connect(
        dsn,
        **place,
        # Every host is asked what it is, so a URL that wants a primary excludes none before.
        target_session_attrs="any",
        connection_class=UncancelledConnection,
        # Statements are few: each is prepared once and kept.
        max_cached_statement_lifetime=0,
        server_settings={"application_name": APPLICATION},
    )
    connection.keep_alive()
    return connection


async def set_session(connection: Any, version: int) -> None:  # noqa: ANN401 - no types
    """Give a connection the settings every statement here relies on."""
    wanted = SESSION | (SESSION_FROM_17 if version >= 170_000 else {})
    await connection.fetch(_SET, list(wanted), list(wanted.values()))
