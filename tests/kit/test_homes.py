"""Key spaces of tests at a server: apart from each other, within the token's, empty afterwards."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import fastness
from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import InvalidOption, PermissionDenied, Unreachable
from fastness.model import Entity
from fastness.runtime import ManualClock
from fastness.testing.kit import ServerProcess, Wish, empty, home_at, url_of
from fastness.transport import Grant, Peer, Role
from tests.client.servers import RunningServer

SPACE = fastness.pack(("team",))


class Person(Entity, key="id"):
    """Somebody."""

    id: str


def test_tests_at_one_server_are_apart() -> None:
    """Two homes see nothing of each other, keys or records, and leave nothing behind."""
    with RunningServer() as server:
        wish = Wish(schema=[Person])
        one, two = home_at(server.url, wish), home_at(server.url, wish)
        one.database().set(b"k", b"1")
        one.database().run(lambda tx: tx.insert(Person(id="ann")))
        assert two.database().get(b"k") is None
        assert two.database().run(lambda tx: tx.fetch(Person, "ann")) is None
        one.close()
        two.close()
        with fastness.open(server.url) as database, database.transaction() as tx:
            assert tx.unchecked_scan(b"", SYSTEM_END, 10, reverse=False) == ([], False)


@pytest.mark.parametrize(("role", "space"), [(Role.READ_WRITE, SPACE), (Role.ADMIN, b"")])
def test_a_home_lies_within_the_key_space_of_its_token(role: Role, space: bytes) -> None:
    """A tenant's token is enough, and its tests touch nothing else of the tenant's."""

    def authenticate(_credential: str, _peer: Peer) -> Grant:
        return Grant(role, space)

    with RunningServer(authenticate=authenticate) as server:
        home = home_at(server.url, Wish())
        home.database().set(b"k", b"v")
        with fastness.open(server.url) as database:
            ((key, value),) = database.scan_all(b"", b"\xff")
            assert (fastness.unpack(key[: -len(b"k")])[0], value) == ("fastness-test", b"v")
            home.close()
            assert list(database.scan_all(b"", b"\xff")) == []


def test_a_token_that_only_reads_is_refused() -> None:
    """The error says which token to make."""

    def authenticate(_credential: str, _peer: Peer) -> Grant:
        return Grant(Role.READ_ONLY)

    with RunningServer(authenticate=authenticate) as server:
        home = home_at(server.url, Wish())
        with pytest.raises(PermissionDenied, match="fastness token create"):
            home.database()
        home.close()


def test_a_server_has_its_own_clock(tmp_path: Path) -> None:
    """A clock for a server, and an engine that is none, are refused with the way out."""
    with pytest.raises(InvalidOption, match="memory or file"):
        home_at("fastness://127.0.0.1:1", Wish(clock=ManualClock()))
    with pytest.raises(InvalidOption, match="'tape' is none of this process"):
        url_of("tape", tmp_path)


def test_what_is_emptied_is_empty() -> None:
    """Keys, records and the schema go, however many there are."""
    with fastness.open("memory:", schema=[Person]) as database:
        for start in range(0, 1_000, 250):
            with database.transaction() as tx:
                for number in range(start, start + 250):
                    tx.set(b"%04d" % number, b"")
                    tx.insert(Person(id=str(number)))
        empty(database)
        with database.transaction() as tx:
            assert tx.unchecked_scan(b"", SYSTEM_END, 10, reverse=False) == ([], False)


@pytest.mark.process
def test_a_server_process_is_gone_when_it_was_stopped() -> None:
    """It serves once started; stopped, even twice, its process and its folder are gone."""
    server = ServerProcess().start()
    try:
        folder = server.log_path.parent
        with fastness.open(server.url) as database:
            database.set(b"k", b"v")
        assert server.pid > 0
    finally:
        server.stop()
    server.stop()
    assert (server.pid, folder.exists()) == (0, False)


@pytest.mark.process
def test_a_server_process_that_cannot_start_says_why() -> None:
    """What it wrote to its log is in the error, and nothing of it is left."""
    server = ServerProcess("memory:", "--set", "no.such=1")
    with pytest.raises(Unreachable, match=r"no\.such"):
        server.start()
    assert not server.log_path.parent.exists()


@pytest.mark.process
def test_a_server_process_that_was_killed_can_still_be_stopped() -> None:
    """A test may kill the server."""
    server = ServerProcess().start()
    try:
        os.kill(server.pid, signal.SIGKILL)
    finally:
        server.stop()
    assert server.pid == 0
