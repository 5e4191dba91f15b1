"""A forked child: it inherits a database it must not touch, and is told so."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastness.client import Database
from fastness.errors import DatabaseClosed
from fastness.runtime import ManualClock
from fastness.storage import MemoryStore
from tests.hosting.gates import Gate
from tests.hosting.workers import PATIENCE_SECONDS
from tests.transactions.databases import driven, store_with_faults

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork"),
    # Since 3.12 Python warns of forks beside threads: what they do to databases is the subject.
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]


@pytest.fixture(params=["memory", "file"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database that has committed something before it is inherited."""
    with driven(store_with_faults(request.param, tmp_path, Gate()), ManualClock()) as database:
        database.set(b"a", b"1")
        yield database


def in_a_child(function: Callable[[], None]) -> str:
    """What a forked child says of running a function: nothing when it is content."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = ""
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - told to the parent
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        if not select.select([pipe], [], [], PATIENCE_SECONDS / 3)[0]:
            os.kill(child, signal.SIGKILL)
        said = pipe.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if ended == 0 else f"the child ended with {ended}"


def test_a_child_is_refused_and_the_parent_goes_on(written: Database) -> None:
    """Every way in says DatabaseClosed and the way out; closing is harmless."""
    calls: list[Callable[[], object]] = [
        lambda: written.get(b"a"),
        lambda: written.scan(b"a", b"b"),
        lambda: written.set(b"a", b"2"),
        lambda: written.watch(b"a"),
        written.now,
    ]

    def try_everything() -> None:
        for call in calls:
            with pytest.raises(DatabaseClosed, match="inherited the database through a fork"):
                call()
        written.close()

    assert in_a_child(try_everything) == ""
    written.set(b"a", b"3")
    assert written.get(b"a") == b"3"


def test_a_transaction_begun_before_the_fork_is_refused_too(written: Database) -> None:
    """It cannot commit in the child, nor scan; the parent's copy is its own."""
    tx = written.transaction()
    tx.set(b"b", b"1")

    def try_to_commit() -> None:
        for call in (lambda: tx.scan(b"x", b"z"), tx.commit):
            with pytest.raises(DatabaseClosed, match="inherited the database through a fork"):
                call()

    assert in_a_child(try_to_commit) == ""
    tx.commit()
    assert written.get(b"b") == b"1"


def test_a_child_may_open_a_database_of_its_own(written: Database) -> None:
    """Only what it inherited is closed to it."""

    def open_another() -> None:
        with driven(MemoryStore(), ManualClock()) as own:
            own.set(b"a", b"2")
            assert own.get(b"a") == b"2"

    assert in_a_child(open_another) == ""
    assert written.get(b"a") == b"1"
