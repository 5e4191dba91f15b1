"""Servers, databases and DSNs that will not do: each is refused with what to do about it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from fastness.errors import FastnessError, ForeignStore, InvalidOption, InvalidUrl, Unreachable
from fastness.hosting.postgres import PostgresStore, preparing
from fastness.hosting.postgres.connecting import (
    Host,
    find_primary,
    hosts_of,
    set_session,
    shown,
)
from fastness.laptop.ports import free_port
from fastness.laptop.postgres import Postgres
from fastness.runtime.local import LocalNetwork
from tests.hosting.postgres.reached import CLUSTER, OnPostgres
from tests.servers.postgres import execute, query

pytestmark = pytest.mark.process


def prepared(dsn: str, cluster: str = CLUSTER, *, allow_unreplicated: bool = True) -> str:
    """Prepare a store; its id."""
    return asyncio.run(PostgresStore.prepare(dsn, cluster, allow_unreplicated=allow_unreplicated))


def opened(dsn: str, cluster: str = CLUSTER, *, allow_unreplicated: bool = True) -> str:
    """Open a store and close it again; its id."""

    async def main() -> str:
        network = LocalNetwork()
        try:
            store = await PostgresStore.open(
                network.process("node"),
                dsn,
                cluster_id=cluster,
                allow_unreplicated=allow_unreplicated,
            )
            await store.close()
            return store.identity
        finally:
            await network.close()

    return asyncio.run(main())


@contextmanager
def server_set(server: Postgres, name: str, value: str) -> Iterator[None]:
    """A setting of the whole server, for a while."""
    before = query(server.dsn(), f"SHOW {name}")[0][0]
    try:
        _reload(server, f"ALTER SYSTEM SET {name} = '{value}'", name, value)
        yield
    finally:
        _reload(server, f"ALTER SYSTEM RESET {name}", name, before)


@asynccontextmanager
async def server_set_meanwhile(server: Postgres, name: str, value: str) -> AsyncIterator[None]:
    """The same for a scenario."""
    setting = server_set(server, name, value)
    await asyncio.to_thread(setting.__enter__)
    try:
        yield
    finally:
        await asyncio.to_thread(setting.__exit__, None, None, None)


def _reload(server: Postgres, statement: str, name: str, wanted: str) -> None:
    execute(server.dsn(), statement, "SELECT pg_reload_conf()")
    while query(server.dsn(), f"SHOW {name}")[0][0] != wanted:
        pass


def test_a_store_is_prepared_once(dsn: str) -> None:
    """Preparing it again changes nothing; opening it tells its identity."""
    identity = prepared(dsn)
    assert len(bytes.fromhex(identity)) == 16
    assert prepared(dsn) == identity == opened(dsn)


@pytest.mark.parametrize("name", ["full_page_writes", "fsync"])
def test_settings_that_lose_data_are_refused(postgres: Postgres, dsn: str, name: str) -> None:
    """The error names the setting; nothing was prepared."""
    with server_set(postgres, name, "off"):
        for call in (prepared, opened):
            with pytest.raises(InvalidOption, match=rf"{name}=off.*set {name} = on"):
                call(dsn)
    assert query(dsn, "SELECT to_regnamespace('fastness') IS NULL")[0][0]


@pytest.mark.parametrize("value", ["off", "local", "remote_write"])
def test_asynchronous_commits_are_refused(dsn: str, value: str) -> None:
    """Also where only this database has them."""
    prepared(dsn)
    name = dsn.rpartition("/")[2]
    execute(dsn, f"ALTER DATABASE {name} SET synchronous_commit = {value}")
    with pytest.raises(InvalidOption, match=rf"synchronous_commit={value}.*= on"):
        opened(dsn)


def test_no_session_commits_asynchronously(postgres: Postgres, dsn: str) -> None:
    """Not even between a change of the server's settings and the next look at them."""

    async def main() -> None:
        found = await find_primary(dsn, hosts_of(dsn))
        try:
            await set_session(found.connection, found.instance.version)
            async with server_set_meanwhile(postgres, "synchronous_commit", "off"):
                assert await found.connection.fetchval("SHOW synchronous_commit") == "on"
        finally:
            found.connection.terminate()

    asyncio.run(main())


def test_a_primary_set_to_commit_asynchronously_is_left(postgres: Postgres, dsn: str) -> None:
    """With the reason, until it is set as it should be."""
    scene = OnPostgres(dsn)

    async def until(*, refused: bool) -> None:
        while (scene.store.refusal is not None) is not refused:
            await asyncio.to_thread(query, postgres.dsn(), "SELECT 1")

    async def scenario() -> None:
        async with server_set_meanwhile(postgres, "synchronous_commit", "local"):
            await until(refused=True)
            assert "synchronous_commit=local" in str(scene.store.refusal)
        await until(refused=False)

    scene.run(scenario)


def test_a_store_without_a_standby_is_refused(postgres: Postgres, dsn: str) -> None:
    """Unless the operator says so by name."""
    with pytest.raises(InvalidOption, match=r"synchronous_standby_names.*allow_unreplicated"):
        prepared(dsn, allow_unreplicated=False)
    prepared(dsn)
    with pytest.raises(InvalidOption, match="synchronous_standby_names"):
        opened(dsn, allow_unreplicated=False)
    del postgres


def test_a_database_in_another_encoding_is_refused(postgres: Postgres) -> None:
    """Names of marks are text."""
    execute(
        postgres.dsn(),
        "DROP DATABASE IF EXISTS narrow",
        "CREATE DATABASE narrow ENCODING 'SQL_ASCII' TEMPLATE template0",
    )
    with pytest.raises(InvalidOption, match=r"server_encoding=SQL_ASCII.*UTF8"):
        prepared(postgres.dsn("narrow"))


def test_a_read_only_server_is_no_primary(dsn: str) -> None:
    """As a standby is none."""
    prepared(dsn)
    name = dsn.rpartition("/")[2]
    execute(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(Unreachable, match="read-only"):
        opened(dsn)


def test_a_store_of_another_cluster_is_refused(dsn: str) -> None:
    """By name, when it is prepared and when it is opened."""
    prepared(dsn, "theirs")
    for call in (prepared, opened):
        with pytest.raises(ForeignStore, match="belongs to cluster 'theirs', not to 'ours'"):
            call(dsn, "ours")


def test_a_database_that_is_no_store_is_refused(dsn: str) -> None:
    """Opening prepares nothing."""
    with pytest.raises(ForeignStore, match="not prepared"):
        opened(dsn)
    assert query(dsn, "SELECT to_regnamespace('fastness') IS NULL")[0][0]


def test_a_schema_of_a_later_version_is_refused(dsn: str) -> None:
    """An older node keeps its hands off what a newer one migrated."""
    prepared(dsn)
    execute(dsn, "INSERT INTO fastness.migrations (number, name) VALUES (9999, 'later')")
    for call in (prepared, opened):
        with pytest.raises(ForeignStore, match=r"schema is 9999.*upgrade"):
            call(dsn)


def test_missing_migrations_are_carried_out(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer node brings the schema up to date when it opens the store; all of it or nothing."""
    identity = prepared(dsn)
    known = preparing.migrations()
    number = known[-1].number + 1
    step = preparing.Migration(number, "step", "CREATE TABLE fastness.step (n int)")
    broken = preparing.Migration(number + 1, "broken", "CREATE TABLE nowhere.at_all (n int)")
    monkeypatch.setattr(preparing, "migrations", lambda: [*known, step, broken])
    with pytest.raises(FastnessError):
        opened(dsn)
    assert query(dsn, "SELECT to_regclass('fastness.step') IS NULL")[0][0]
    monkeypatch.setattr(preparing, "migrations", lambda: [*known, step])
    assert opened(dsn) == identity
    assert query(dsn, "SELECT max(number) FROM fastness.migrations")[0][0] == number


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "mysql://localhost/database",
        "postgresql://localhost",
        "postgresql://user:secret@one:two/database",
        "postgresql://user:secret@one:70000/database",
        "postgresql://user:secret@[::1/database",
    ],
)
def test_what_is_no_dsn_is_refused(dsn: str) -> None:
    """With the form it should have, and without the password it may hold."""
    with pytest.raises(InvalidUrl, match="postgresql://USER@HOST") as refused:
        prepared(dsn)
    assert "secret" not in str(refused.value)


def test_hosts_of_a_dsn() -> None:
    """Each is tried by itself."""
    assert hosts_of("postgresql://u:p@one:1,two,[::1]:3/d") == [
        Host("one", 1),
        Host("two", None),
        Host("::1", 3),
    ]
    assert hosts_of("postgres:///d?host=/run") == [Host(None, None)]
    assert shown("postgresql://u:p@one:1/d?password=p") == "postgresql://u:...@one:1/d"


def test_connections_find_out_when_nobody_is_there(postgres: Postgres) -> None:
    """The kernel asks for us, while we wait for an answer."""

    async def main() -> None:
        found = await find_primary(postgres.dsn(), hosts_of(postgres.dsn()))
        try:
            wire = found.connection._transport.get_extra_info("socket")  # noqa: SLF001 - the library's own
            assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        finally:
            await found.connection.close()

    asyncio.run(main())


def test_a_server_that_is_not_there(postgres: Postgres) -> None:
    """Every host is named with what it said."""
    port = free_port()
    dsn = f"postgresql://fastness@127.0.0.1:{port}/d"
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port}"):
        prepared(dsn)
    with pytest.raises(InvalidOption, match=r"database .*nowhere.*check user, password"):
        prepared(postgres.dsn("nowhere"))
