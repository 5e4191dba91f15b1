"""Runs the demo of a cluster from beginning to end, whatever comes in between."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom
from threading import Thread

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

import fastness
from examples.files import service
from examples.files.cluster.blows import Blow, strike
from examples.files.cluster.borders import begin_of
from examples.files.cluster.probing import Probe
from examples.files.cluster.report import print_members, print_report
from examples.files.demo import workload
from examples.files.demo.checking import Checked, check_space
from examples.files.demo.loading import load
from examples.files.demo.serving import Client, ClientFailed, Ground, Served, judge, tasks_of
from examples.files.demo.walking import Walk
from examples.files.schema import ROOT, SCHEMA, SpaceId
from fastness import Database
from fastness.errors import FastnessError
from fastness.laptop.cluster import LaptopCluster

DEFAULT_PATH = Path("/usr")
DEFAULT_FOLDER = Path("cluster-demo-data")
OWNER = "demo"
SPACES = (SpaceId(1), SpaceId(2))
"""Each in a store of its own; what all spaces share lies with the first."""
QUOTA = 1 << 60
PROCESSES = 2
"""Clients of each space."""
PATHS = 200
NODES = 3
PATIENCE_S = 600.0
LOOK_S = 0.05
PASSED, FAILED, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes; the last one is what shells expect after Ctrl-C."""
# What a client process dies of when it waits longer than it is told to: blows take their time.
OPENING = "?operation_ms=120000&commit_ms=120000&retry_ms=240000"


@dataclass(slots=True)
class Results:
    """What was done, and what was found."""

    up_s: float = 0.0
    loaded: int = 0
    store_bytes: list[int] = field(default_factory=list)
    loaded_s: float = 0.0
    blows: list[Blow] = field(default_factory=list)
    served: list[Served] = field(default_factory=list)
    """Of each space."""
    checked: list[Checked] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def failures(self) -> list[str]:
        """Everything that is wrong."""
        found = list(self.problems)
        for served in self.served:
            found += served.problems
        for checked in self.checked:
            found += checked.problems
        return found


def main(
    path: Path = DEFAULT_PATH,
    folder: Path = DEFAULT_FOLDER,
    *,
    entries_max: int = 2_000,
    operations: int = 3_000,
    standbys: int = 2,
    keep: bool = False,
    seed: int | None = None,
    console: Console | None = None,
) -> int:
    """Run it, in a folder that is removed afterwards; an exit code, 0 if every check passed."""
    console = console or Console()
    if folder.exists():
        console.print(Text(f"{folder} exists: name a new --folder, or remove it", style="bold red"))
        return REFUSED
    demo = _Demo(
        path,
        folder,
        entries_max,
        operations,
        standbys,
        seed or SystemRandom().getrandbits(32),
        console,
    )
    try:
        results = demo.run()
    except KeyboardInterrupt:
        console.print("\n[bold]Interrupted.[/] Everything was stopped")
        return INTERRUPTED
    except (FastnessError, ClientFailed, OSError) as error:
        console.print(Text(f"The demo failed: {error}", style="bold red"))
        return FAILED
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print_report(console, results)
    return FAILED if results.failures() else PASSED


@dataclass(slots=True)
class _Demo:
    path: Path
    folder: Path
    entries_max: int
    operations: int
    standbys: int
    seed: int
    console: Console
    results: Results = field(default_factory=Results)

    def run(self) -> Results:
        """Every stage."""
        began = time.monotonic()
        with LaptopCluster.up(
            self.folder,
            nodes=NODES,
            stores=len(SPACES),
            standbys=self.standbys,
            borders=[begin_of(space) for space in SPACES[1:]],
            saying=self._say,
        ) as cluster:
            self.results.up_s = time.monotonic() - began
            print_members(self.console, cluster)
            with fastness.open(cluster.url + OPENING, schema=SCHEMA) as db:
                grounds = self._load(db)
                self._work(cluster, db, grounds)
                for space in SPACES:
                    with self.console.status(f"Checking space {space}"):
                        self.results.checked.append(check_space(db, space))
            print_members(self.console, cluster)
            self.results.store_bytes = [
                int(store.ask("SELECT pg_database_size(current_database())"))
                for store in cluster.stores.values()
            ]
        return self.results

    def _say(self, text: str) -> None:
        self.console.print(Text(text, style="dim"))

    def _load(self, db: Database) -> list[Ground]:
        """The tree into each space, and what clients are told of it."""
        service.create_user(db, OWNER)
        users = [f"worker-{number}" for number in range(workload.USERS)]
        for user in users:
            service.create_user(db, user)
        grounds = []
        for space in SPACES:
            service.create_space(db, OWNER, f"space {space}", quota=QUOTA, space=space)
            folder = service.create_folder(db, space, ROOT, "tree").id
            walk = Walk(os.fsencode(self.path), self.entries_max)
            with self._progress(f"Loading {self.path} into space {space}", walk.count()) as advance:
                began = time.perf_counter()
                load(db, space, folder, walk, advance=advance)
                self.results.loaded_s += time.perf_counter() - began
            self.results.loaded += walk.entries
            folders, random = list(walk.entered.values()), Random(self.seed)
            paths = workload.sample(db, space, folders, count=PATHS, random=random)
            grounds.append(
                Ground(
                    space=space,
                    tree=space,
                    paths=paths,
                    listed=folders[:PATHS],
                    users=users,
                    seed=self.seed + space,
                )
            )
        return grounds

    def _work(self, cluster: LaptopCluster, db: Database, grounds: list[Ground]) -> None:
        """Clients on every space while blows fall; then every acknowledged write is asked for."""
        with ExitStack() as opened:
            probes = [Probe(db, space) for space in SPACES]
            advance = opened.enter_context(self._progress("Clients working", self.operations))
            groups = []
            for ground in grounds:
                tasks = tasks_of(
                    db,
                    cluster.url,
                    ground,
                    processes=PROCESSES,
                    operations=self.operations // len(grounds),
                )
                groups.append([opened.enter_context(Client(task, advance)) for task in tasks])
            began = time.perf_counter()
            for probe in probes:
                opened.enter_context(probe)
            clients = [client for group in groups for client in group]
            for client in clients:
                client.start()
            striking = _Striking(cluster, probes, self._say)
            opened.callback(striking.join)
            self._await(clients, striking)
            seconds = time.perf_counter() - began
            self.results.blows = striking.blows
        for group in groups:
            served = Served(
                processes=len(group), operations=self.operations // len(groups), seconds=seconds
            )
            judge(db, served, group)
            self.results.served.append(served)
        for probe in probes:
            self.results.problems += probe.problems()

    def _await(self, clients: list[Client], striking: _Striking) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while striking.is_alive() or not all(client.is_done for client in clients):
            if time.monotonic() > give_up:
                raise ClientFailed(f"the clients were not done after {PATIENCE_S:.0f} s")
            time.sleep(LOOK_S)
        striking.raise_error()

    @contextmanager
    def _progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        columns = (
            TextColumn("[bold]{task.description:<32}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda count: progress.advance(task, count)
            progress.update(task, total=progress.tasks[task].completed)


class _Striking:
    """The blows, in a thread of their own while the clients work."""

    def __init__(
        self, cluster: LaptopCluster, probes: list[Probe], saying: Callable[[str], object]
    ) -> None:
        self.blows: list[Blow] = []
        self._work = (cluster, probes, saying)
        self._error: Exception | None = None
        self._thread = Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.blows = strike(*self._work)
        except Exception as error:  # noqa: BLE001 - kept for the main thread, which raises it
            self._error = error

    def is_alive(self) -> bool:
        """Whether blows are still falling."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def raise_error(self) -> None:
        """What it ended with, if that was an error."""
        if self._error is not None:
            raise self._error
