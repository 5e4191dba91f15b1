"""Ctrl-C at every line of a commit: nobody else is left waiting, and the outcome is known."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from fastness.client import AsyncTransaction, Database, Transaction
from fastness.errors import InvalidOption
from fastness.runtime import ManualClock
from fastness.transactions import TransactionCore
from tests.hosting.gates import Gate
from tests.hosting.workers import Worker
from tests.transactions.databases import driven, store_with_faults, twin_of

WATCHED = (
    "/hosting/inline.py",
    "/hosting/waiters.py",
    "/runtime/interrupts.py",
    "/ranges/range.py",
    "/transactions/transaction.py",
    "/transactions/core.py",
    "/transactions/async_transaction.py",
)
"""Where the interrupts come. In the stores they are deferred like everywhere in a leader."""


class CtrlC:
    """Sends SIGINT to this thread, the main one, at its n-th line in the watched files."""

    def __init__(self, line: int, *, on_sleep: Callable[[], None] = lambda: None) -> None:
        self._left = line
        self._on_sleep = on_sleep

    @property
    def came(self) -> bool:
        """Whether the line was reached."""
        return self._left <= 0

    @contextmanager
    def strikes(self) -> Iterator[None]:
        """Count lines from here on; the interrupt itself is caught here."""
        sys.settrace(self._trace)
        try:
            yield
        except KeyboardInterrupt:
            assert self.came
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as sys.settrace wants it
        if not frame.f_code.co_filename.endswith(WATCHED):
            return None
        if event == "call" and frame.f_code.co_qualname == "ThreadWaiter.sleep":
            self._on_sleep()
        if event == "line":
            self._left -= 1
            if self._left == 0:
                signal.raise_signal(signal.SIGINT)
        return self._trace


def begun(database: Database) -> Transaction:
    """A transaction that is going to write."""
    tx = database.transaction()
    tx.set(b"interrupted", b"1")
    return tx


def check_aftermath(database: Database, tx: TransactionCore) -> None:
    """Others commit, the outcome is what is stored, and the database closes."""
    Worker(partial(database.set, b"other", b"1")).result()
    stored = database.get(b"interrupted")
    if tx.commit_timestamp is None:
        try:
            outcome = database.outcome(tx.id)
        except InvalidOption:
            outcome = None
        assert (stored is not None) == (outcome is not None)
    else:
        assert stored == b"1"
    Worker(database.close).result()


def test_a_leader_interrupted_anywhere_leaves_a_usable_database(tmp_path: Path) -> None:
    """A lone committer that leads its own batch."""
    line, came = 1, True
    while came:
        interrupt = CtrlC(line)
        database = driven(store_with_faults("memory", tmp_path, Gate()), ManualClock())
        tx = begun(database)
        with interrupt.strikes():
            tx.commit()
        check_aftermath(database, tx)
        line, came = line + 1, interrupt.came
    assert line > 50


def test_a_waiter_interrupted_anywhere_passes_leadership_on(tmp_path: Path) -> None:
    """A committer that joined while another led, waits, and is made the next leader."""
    line, came = 1, True
    while came:
        gate = Gate()
        interrupt = CtrlC(line, on_sleep=gate.open)
        database = driven(store_with_faults("memory", tmp_path, gate), ManualClock())
        tx = begun(database)
        gate.stop_next()
        leader = Worker(partial(database.set, b"leader", b"1"))
        gate.wait_until_reached()
        with interrupt.strikes():
            tx.commit()
        gate.open()
        leader.result()
        check_aftermath(database, tx)
        line, came = line + 1, interrupt.came
    assert line > 50


def test_a_task_interrupted_anywhere_leaves_a_usable_database(tmp_path: Path) -> None:
    """A loop of the main thread is torn away while one of its tasks hands its commit over."""

    async def commit(database: Database) -> None:
        twin = twin_of(database)
        tx = twin.transaction()
        tx.set(b"interrupted", b"1")
        started.append(tx)
        with interrupt.strikes():
            await tx.commit()

    line, came = 1, True
    while came:
        interrupt = CtrlC(line)
        started: list[AsyncTransaction] = []
        database = driven(store_with_faults("memory", tmp_path, Gate()), ManualClock())
        # Not asyncio.run, whose handler cancels the task; but what it does when that is too late.
        loop = asyncio.new_event_loop()
        task = loop.create_task(commit(database))
        try:
            loop.run_until_complete(task)
        except KeyboardInterrupt:
            sys.settrace(None)
            task.cancel()
            with suppress(asyncio.CancelledError):
                loop.run_until_complete(task)
        loop.close()
        check_aftermath(database, started[0])
        line, came = line + 1, interrupt.came
    assert line > 20
