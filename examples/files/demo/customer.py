"""A process that uses the files service behind a server, with a near cache, until its task is done.

    python -m examples.files.demo.customer < TASK

Some of its threads contend with those of other processes (`workload`). One more keeps a ledger: a
file that nobody else writes. Each write must raise its revision by exactly one, whatever
becomes of the server meanwhile; what was just acknowledged must be read, from the cache or not;
and no ledger of another process may ever be seen to go back. In between its cache is audited.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from random import Random
from threading import Event, Lock, Thread
from typing import Protocol

import msgspec

import fastness
from examples.files import service
from examples.files.demo.customers import PROGRESS, SUMMARY, Summary, Task
from examples.files.demo.measuring import merged
from examples.files.demo.promises import ACKNOWLEDGED, write_frame
from examples.files.demo.workload import Arena, Worker
from examples.files.schema import SCHEMA, Entry
from fastness import Database, Transaction
from fastness.errors import Unreachable

PROBLEMS_MAX = 5
AUDITED_AT_ONCE = 50
OPEN_S, PAUSE_S = 30.0, 0.05


class Tells(Protocol):
    """Somebody who hears of frames, from any thread."""

    def tell(self, kind: bytes, content: object) -> None:
        """One frame."""
        ...


class Teller:
    """Frames on standard output, whole."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._descriptor = sys.stdout.fileno()

    def tell(self, kind: bytes, content: object) -> None:
        """One frame."""
        with self._lock:
            write_frame(self._descriptor, kind, content)


class Keeper:
    """Writes one ledger and reads all; see the module's page."""

    def __init__(self, db: Database, task: Task, teller: Tells) -> None:
        self._db = db
        self._task = task
        self._teller = teller
        self._mine = task.ledgers[task.number]
        self.seen = [0] * len(task.ledgers)
        """The newest revision known of each ledger."""
        self.summary = Summary()
        self.error: Exception | None = None

    def run(self, until: Event) -> None:
        """Go on until told otherwise; once at least."""
        try:
            turn = 0
            while turn == 0 or not until.is_set():
                turn += 1
                self.turn(turn)
        except Exception as error:  # noqa: BLE001 - kept for the main thread, which raises it
            self.error = error

    def turn(self, turn: int) -> None:
        """Write, look, audit."""
        task = self._task
        written = service.write(
            self._db, task.space, self._mine, size=turn, content=turn.to_bytes(8, "big")
        )
        self._acknowledged(written)
        before = self.seen[task.number]
        if before and written.revision != before + 1:
            self._tell(f"one write took the ledger from revision {before} to {written.revision}")
        self.seen[task.number] = written.revision
        note = service.create_file(self._db, task.space, task.notes, f"note {turn}", size=turn)
        self._acknowledged(note)
        for _ in range(3):
            self.look()
        audit = self._db.audit_cache(AUDITED_AT_ONCE)
        self.summary.audited += audit.true + audit.stale
        self.summary.stale += audit.stale

    def look(self) -> None:
        """Read all ledgers at one moment, and compare with what was seen before."""
        task = self._task
        read = self._db.run(_revisions, task)
        for number, (before, now) in enumerate(zip(self.seen, read, strict=True)):
            if now < before or (number == task.number and now != before):
                self._tell(f"ledger {number} was read at revision {now} after {before}")
        self.seen = read
        self.summary.looks += 1

    def _acknowledged(self, entry: Entry) -> None:
        self._teller.tell(ACKNOWLEDGED, [entry])

    def _tell(self, problem: str) -> None:
        if len(self.summary.problems) < PROBLEMS_MAX:
            self.summary.problems.append(f"process {self._task.number}: {problem}")


def _revisions(tx: Transaction, task: Task) -> list[int]:
    return [service.get_entry(tx, task.space, ledger).revision for ledger in task.ledgers]


def opened(url: str) -> Database:
    """The database at a URL; a server that is being started again is waited for."""
    give_up = time.monotonic() + OPEN_S
    while True:
        try:
            return fastness.open(url, schema=SCHEMA)
        except Unreachable:
            if time.monotonic() > give_up:
                raise
        time.sleep(PAUSE_S)


def work(task: Task, teller: Tells) -> None:
    """Do it all, and tell the summary."""
    with opened(task.url) as db:
        stop = Event()
        arena = Arena(
            task.space, task.folder, task.folders, task.tree, task.paths, task.listed, task.users
        )
        workers = [
            Worker(db, arena, Random(f"{task.seed} {task.number} {number}"), stop)
            for number in range(task.threads)
        ]
        keeper = Keeper(db, task, teller)
        _run_all(task, workers, keeper, lambda count: teller.tell(PROGRESS, count))
        for error in (keeper.error, *(worker.error for worker in workers)):
            if error is not None:
                raise error
        summary, counts = keeper.summary, db.stat().cache
        measures = merged([worker.measures for worker in workers])
        summary.latencies_s = {name: one.latencies_s for name, one in measures.items()}
        summary.refused = sum(one.refusals.total() for one in measures.values())
        summary.retries = sum(one.retries for one in measures.values())
        summary.hits, summary.misses = counts.hits, counts.misses
        summary.invalidations, summary.leases_lost = counts.invalidations, counts.lease_losses
        teller.tell(SUMMARY, summary)


def _run_all(
    task: Task, workers: list[Worker], keeper: Keeper, advance: Callable[[int], object]
) -> None:
    """Every thread to its end; the keeper ends after the others."""
    done = Event()
    keeping = Thread(target=keeper.run, args=(done,))
    keeping.start()
    share = -(-task.operations // len(workers))
    threads = [Thread(target=worker.run, args=(share, advance)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    keeping.join()


def _end_when_left() -> None:
    """End this process when nobody wants it any more, however that came."""
    # Not by `sys.stdin`, whose lock this thread would hold when the process ends by itself.
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


if __name__ == "__main__":
    if line := sys.stdin.buffer.readline():
        Thread(target=_end_when_left, daemon=True).start()
        work(msgspec.json.decode(line, type=Task), Teller())
