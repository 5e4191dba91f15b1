"""The commands on a database behind a server: those on keys and records work as on a directory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastness
from fastness.model import Entity
from tests.cli.commands import answer, failure, run
from tests.client.servers import RunningServer


class Note(Entity, key="id"):
    """A record."""

    id: int
    text: str


@pytest.fixture
def url() -> Iterator[str]:
    """Where a server is."""
    with RunningServer() as server:
        yield server.url


def test_keys(url: str) -> None:
    """Written, read, listed and removed by URL."""
    assert run("set", url, "greeting", "hello").exit_code == 0
    assert run("get", url, "greeting").stdout == "hello\n"
    assert run("scan", url).stdout == "greeting\thello\n"
    assert answer("delete", url, "greeting")
    assert run("get", url, "greeting").exit_code != 0


def test_records(url: str) -> None:
    """The shell knows the kinds that others registered, and a scan tells where they are."""
    with fastness.open(url, schema=[Note]) as db, db.transaction() as tx:
        tx.insert(Note(id=7, text="remember"))
    shown = run("shell", url, stdin="fetch Note 7\nset k v\nget k\n").stdout
    assert "remember" in shown
    assert "v" in shown
    assert "records (Note)" in run("scan", url, "--prefix", "none").stderr


def test_what_needs_the_store_says_where_to_go(url: str) -> None:
    """Looking after a store is done where it is."""
    told = failure("check", url)
    assert told["error"] == "usage"
    assert "served by another process" in told["message"]


def test_stat(url: str) -> None:
    """The server's state, its store and the kinds of records, as for a directory."""
    with fastness.open(url, schema=[Note]) as db, db.transaction() as tx:
        tx.insert(Note(id=7, text="remember"))
    told = answer("stat", url)
    assert told["server"]["agent"] == f"fastness {fastness.__version__}"
    assert told["server"]["is_ready"] is True
    assert told["server"]["write_refusal"] == ""
    assert len(told["identity"]) == 32
    assert told["last_commit"]["time"]
    assert told["size"]["newest_keys"] > 0
    assert [kind["kind"] for kind in told["kinds"]] == ["Note"]
    plain = run("stat", url).stdout
    assert f"database\t{url}\n" in plain
    assert f"identity\t{told['identity']}\n" in plain
    assert "state\tready\n" in plain
    assert "Note\tid\t\t\n" in plain


def test_a_server_that_is_not_there() -> None:
    """The place and the reason, and an exit code that says to try again."""
    told = failure("get", "fastness://127.0.0.1:1", "k")
    assert told["error"] == "unreachable"
