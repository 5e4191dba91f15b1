"""The database behind a server: client processes with near caches, and the server killed amid them.

Several processes (`customer`) work at once through `fastness serve`. Part-way the server gets
SIGKILL and is started again; the clients find out by themselves, wait, and send again what was
not answered. At the end the server is drained, the directory is opened here, and every entry
that any process was acknowledged must be there as it was acknowledged.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Thread
from typing import Self

import msgspec

import fastness
from examples.files import service
from examples.files.demo.customers import PROGRESS, SUMMARY, Summary, Task
from examples.files.demo.metrics import Metrics
from examples.files.demo.promises import ACKNOWLEDGED, entries_of, read_frame
from examples.files.demo.server import Server, environment
from examples.files.schema import ROOT, SCHEMA, Entry, EntryId, Kind, SpaceId
from examples.files.service import Draft
from fastness import Database
from fastness.invariants import present
from fastness.runtime.interrupts import InterruptsDeferred

KILLS = 2
"""Of the server, at even distances."""
THREADS = 3
"""That contend in each client process."""
FOLDERS = 12
OPTIONS = "?cache=on&operation_ms=60000&commit_ms=60000&retry_ms=120000"
"""Clients are patient: a machine that is busy may need long to start a server."""
PATIENCE_S = 300.0
LOOK_S = 0.02
MERCY_S_MAX = 0.05
"""A blow falls up to so many seconds after it is due: anywhere in what is under way."""
PROBLEMS_MAX = 20


class ClientFailed(Exception):
    """A client process did not finish its task; it says why on standard error."""


@dataclass(slots=True, kw_only=True)
class Served:
    """What the clients did, and what was found afterwards."""

    processes: int
    operations: int
    seconds: float = 0.0
    back_s: list[float] = field(default_factory=list)
    """How long after each kill the server served again."""
    acknowledged: int = 0
    """Entries of ledgers and notes written, those written again included."""
    summaries: list[Summary] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)
    problems: list[str] = field(default_factory=list)

    def total(self, name: str) -> int:
        """A count of all processes together."""
        return sum(getattr(summary, name) for summary in self.summaries)

    @property
    def hit_share(self) -> float:
        """The share of reads that the caches answered."""
        asked = self.total("hits") + self.total("misses")
        return self.total("hits") / asked if asked else 0.0

    @property
    def ratio(self) -> float:
        """The share of audited entries that were true; 0 where nothing was audited."""
        audited = self.total("audited")
        return 1 - self.total("stale") / audited if audited else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What clients are told of the database."""

    space: SpaceId
    """Where they write."""
    tree: SpaceId
    paths: list[str]
    listed: list[EntryId]
    users: list[str]
    seed: int


class Heard:
    """What a process has said."""

    def __init__(self) -> None:
        self.newest: dict[EntryId, Entry] = {}
        """Every entry acknowledged, as it was last."""
        self.acknowledged = 0
        self.summary: Summary | None = None


class Client(Heard):
    """One process, and a thread that hears what it says; it ends with the context."""

    def __init__(self, task: Task, advance: Callable[[int], object]) -> None:
        super().__init__()
        self._advance = advance
        self._task = task
        self._process: subprocess.Popen[bytes] | None = None
        self._listening = Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        return self

    def start(self) -> None:
        """Start it, and give it its task."""
        # An interrupt in between would leave a process that nobody knows of.
        with InterruptsDeferred():
            self._process = process = subprocess.Popen(
                [sys.executable, "-m", "examples.files.demo.customer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(),
                start_new_session=True,  # Ctrl-C is for the demo, which ends its children itself.
            )
            self._listening.start()
        with contextlib.suppress(BrokenPipeError):  # It has died already; its status tells.
            pipe = present(process.stdin, "stdin=PIPE gives a pipe")
            pipe.write(msgspec.json.encode(self._task) + b"\n")
            pipe.flush()

    def __exit__(self, *_error: object) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._listening.join()
        with contextlib.suppress(BrokenPipeError), self._process:
            pass

    def _listen(self) -> None:
        process = present(self._process, "it listens to a process that was started")
        pipe = present(process.stdout, "stdout=PIPE gives a pipe")
        while (frame := read_frame(pipe)) is not None:
            kind, body = frame
            if kind == PROGRESS:
                self._advance(msgspec.msgpack.decode(body, type=int))
            elif kind == ACKNOWLEDGED:
                for entry in entries_of(body):
                    self.newest[entry.id] = entry
                    self.acknowledged += 1
            elif kind == SUMMARY:
                self.summary = msgspec.msgpack.decode(body, type=Summary)

    @property
    def is_done(self) -> bool:
        """Whether it has ended well; `ClientFailed` where it ended otherwise."""
        code = present(self._process, "a client that is waited for was started").poll()
        if code is None:
            return False
        self._listening.join()
        if code != 0 or self.summary is None:
            raise ClientFailed(f"client process {self._task.number} ended with status {code}")
        return True


def serve(
    database: Path,
    ground: Ground,
    *,
    processes: int,
    operations: int,
    advance: Callable[[int], object],
) -> Served:
    """Everything, on a database that nobody has open; `advance` hears of operations done."""
    served = Served(processes=processes, operations=operations)
    with ExitStack() as opened:
        server = opened.enter_context(Server(database))
        server.start()
        with fastness.open(server.url, schema=SCHEMA) as db:
            tasks = list(
                tasks_of(db, server.url, ground, processes=processes, operations=operations)
            )
        began = time.perf_counter()
        counted = Counted(advance)
        clients = [opened.enter_context(Client(task, counted.add)) for task in tasks]
        for client in clients:
            client.start()
        _kill_amid(server, served, clients, counted, Random(ground.seed))
        served.seconds = time.perf_counter() - began
        served.metrics.add(server.metrics())
        server.drain()
    with fastness.open(f"file:{database}", schema=SCHEMA) as db:
        judge(db, served, clients)
    return served


class Counted:
    """Operations done by all clients; each adds from a thread of its own."""

    def __init__(self, advance: Callable[[int], object]) -> None:
        self._advance = advance
        self.done = 0

    def add(self, count: int) -> None:
        """So many more. A lost addition would delay a blow, no more."""
        self.done += count
        self._advance(count)


def tasks_of(
    db: Database, url: str, ground: Ground, *, processes: int, operations: int
) -> Iterator[Task]:
    """Make what the processes meet in, through the server, and say what each does."""
    space = ground.space
    arena = service.create_folder(db, space, ROOT, "clients").id
    drafts = [
        Draft(folder=arena, name=f"folder {number}", kind=Kind.FOLDER) for number in range(FOLDERS)
    ]
    folders = [made.id for made in service.create_many(db, space, drafts)]
    own = service.create_folder(db, space, ROOT, "ledgers").id
    numbers = range(processes)
    ledgers = [Draft(folder=own, name=f"ledger {number}") for number in numbers]
    notes = [Draft(folder=own, name=f"notes {number}", kind=Kind.FOLDER) for number in numbers]
    service.create_many(db, space, [*ledgers, *notes])
    for number in numbers:
        yield Task(
            url=url + OPTIONS,
            number=number,
            seed=ground.seed,
            threads=THREADS,
            operations=-(-operations // processes),
            space=space,
            folder=arena,
            folders=folders,
            users=ground.users,
            tree=ground.tree,
            paths=ground.paths,
            listed=ground.listed,
            notes=notes[number].id,
            ledgers=[ledger.id for ledger in ledgers],
        )


def _kill_amid(
    server: Server, served: Served, clients: list[Client], counted: Counted, random: Random
) -> None:
    """Kill the server part-way, as often as planned, and wait for the clients."""
    blows = [served.operations * blow // (KILLS + 1) for blow in range(1, KILLS + 1)]
    until = time.monotonic() + PATIENCE_S
    while not all(client.is_done for client in clients):
        if time.monotonic() > until:
            raise ClientFailed(f"the clients were not done after {PATIENCE_S:.0f} s")
        if blows and counted.done >= blows[0]:
            del blows[0]
            time.sleep(random.uniform(0, MERCY_S_MAX))
            served.metrics.add(server.metrics())
            began = time.perf_counter()
            server.kill()
            server.start()
            served.back_s.append(time.perf_counter() - began)
        time.sleep(LOOK_S)


def judge(db: Database, served: Served, clients: Sequence[Heard]) -> None:
    """Gather what the clients saw, and ask for everything they were acknowledged."""
    served.acknowledged = sum(client.acknowledged for client in clients)
    served.summaries = [client.summary for client in clients if client.summary is not None]
    problems = [problem for one in served.summaries for problem in one.problems]
    with db.transaction(read_only=True) as tx:
        for client in clients:
            wanted = list(client.newest.values())
            found = tx.fetch_many(Entry, [(entry.space, entry.id) for entry in wanted])
            problems += _lost(wanted, found)
    if served.total("stale"):
        problems.append(f"{served.total('stale')} entries of near caches were stale")
    if not served.total("audited"):
        problems.append("no entry of a near cache was ever audited")
    served.problems = problems[:PROBLEMS_MAX]


def _lost(wanted: list[Entry], found: list[Entry | None]) -> Iterator[str]:
    for entry, stored in zip(wanted, found, strict=True):
        if stored != entry:
            yield f"acknowledged {entry!r}, stored {stored!r}"
