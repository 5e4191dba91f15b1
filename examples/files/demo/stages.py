"""The demo, stage by stage: load, verify, contend, check, serve, kill."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import fastness
from examples.files import service
from examples.files.demo import workload
from examples.files.demo.checking import check_space
from examples.files.demo.killing import kill_loading
from examples.files.demo.loading import load
from examples.files.demo.names import text_of
from examples.files.demo.place import bytes_on_disk
from examples.files.demo.report import Results
from examples.files.demo.serving import Ground, serve
from examples.files.demo.verifying import Verification
from examples.files.demo.walking import Identity, Walk
from examples.files.schema import ROOT, SCHEMA, SpaceId
from fastness import Database
from fastness.invariants import present

OWNER = "demo"
LOADED, KILLED, SERVED = SpaceId(1), SpaceId(2), SpaceId(3)
SPACES = {
    LOADED: "the loaded tree",
    SERVED: "what clients of the server wrote",
    KILLED: "the killed loads",
}
ARENA = "64 workers"
QUOTA = 1 << 60
PATHS_SAMPLED = 2000
PATHS_SERVED = 200
"""Few, so that caches get warm in a short time."""
SERVED_SHARE = 10
"""The clients of the server do one of so many operations in all: each goes over a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to load and how much to do with it."""

    path: Path
    database: Path
    entries_max: int
    operations: int
    workers: int
    kills: int
    clients: int
    seed: int

    @property
    def url(self) -> str:
        """What to open the database by."""
        return f"file:{self.database}"


@dataclass(slots=True)
class Demo:
    """One run."""

    options: Options
    console: Console
    results: Results = field(default_factory=Results)

    def run(self) -> Results:
        """Every stage; what it leaves is a database with everything in it."""
        options = self.options
        with fastness.open(options.url, schema=SCHEMA) as db:
            self._make_spaces(db)
            began_ns = self._load(db)
            self._verify(db, began_ns)
            arena = self._contend(db)
            self._check(db, LOADED)
        if options.clients:
            self._serve(arena)
        self._kill()
        with fastness.open(options.url, schema=SCHEMA) as db:
            if options.clients:
                self._check(db, SERVED)
            self._check(db, KILLED)
        self.results.disk_bytes = bytes_on_disk(options.database)
        return self.results

    @contextmanager
    def _progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        columns = (
            TextColumn("[bold]{task.description:<28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task(what, total=total)
            yield lambda count: progress.advance(task, count)
            progress.update(task, total=progress.tasks[task].completed)

    def _make_spaces(self, db: Database) -> None:
        service.create_user(db, OWNER)
        for space, name in SPACES.items():
            service.create_space(db, OWNER, name, quota=QUOTA, space=space)

    def _load(self, db: Database) -> int:
        """Load the tree into a folder of its name; when that began, in ns since 1970."""
        options = self.options
        root = os.fsencode(options.path)
        walk = Walk(root, options.entries_max, excluded=self._own_directory())
        name = text_of(os.path.basename(root)) or "tree"  # noqa: PTH119 - bytes, which Path has not
        folder = service.create_folder(db, LOADED, ROOT, name if name != ARENA else "tree").id
        with self._progress(f"Loading {options.path}", walk.count()) as advance:
            began_ns, began = time.time_ns(), time.perf_counter()
            load(db, LOADED, folder, walk, advance=advance)
            self.results.loaded_s = time.perf_counter() - began
        self.results.walk = walk
        return began_ns

    def _own_directory(self) -> frozenset[Identity]:
        status = self.options.database.parent.stat()
        return frozenset([(status.st_dev, status.st_ino)])

    def _verify(self, db: Database, began_ns: int) -> None:
        walk = present(self.results.walk, "verified after loading")
        verification = Verification(db, LOADED, walk, began_ns=began_ns)
        with self._progress("Verifying against the disk", walk.entries) as advance:
            self.results.verdict = verification.run(advance)

    def _contend(self, db: Database) -> workload.Arena:
        options, random = self.options, Random(self.options.seed)
        folders = list(present(self.results.walk, "contended after loading").entered.values())
        paths = workload.sample(db, LOADED, folders, count=PATHS_SAMPLED, random=random)
        arena = workload.prepare(
            db,
            LOADED,
            service.create_folder(db, LOADED, ROOT, ARENA).id,
            paths=paths,
            listed=folders,
        )
        before = db.stat().conflicts
        with self._progress(f"{options.workers} workers contending", options.operations) as advance:
            self.results.worked = workload.run_workers(
                db,
                arena,
                workers=options.workers,
                operations=options.operations,
                seed=options.seed,
                advance=advance,
            )
        self.results.conflicts = db.stat().conflicts - before
        return arena

    def _serve(self, arena: workload.Arena) -> None:
        options = self.options
        ground = Ground(
            space=SERVED,
            tree=LOADED,
            paths=arena.paths[:PATHS_SERVED],
            listed=arena.listed[:PATHS_SERVED],
            users=arena.users,
            seed=options.seed,
        )
        operations = options.operations // SERVED_SHARE
        with self._progress(f"{options.clients} processes, 1 server", operations) as advance:
            self.results.served = serve(
                options.database,
                ground,
                processes=options.clients,
                operations=operations,
                advance=advance,
            )

    def _check(self, db: Database, space: SpaceId) -> None:
        with self.console.status(f"Checking {SPACES[space]}"):
            self.results.checked[SPACES[space]] = check_space(db, space)

    def _kill(self) -> None:
        options, random = self.options, Random(self.options.seed)
        with self._progress("Killing a loading process", options.kills) as advance:
            for number in range(1, options.kills + 1):
                self.results.killed.append(
                    kill_loading(
                        options.url,
                        os.fsencode(options.path),
                        KILLED,
                        number=number,
                        random=random,
                    )
                )
                advance(1)
