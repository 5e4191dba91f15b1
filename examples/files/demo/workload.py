"""64 workers on one space: creates, renames, moves, shares, deletes, lookups, listings.

Reads go over the whole loaded tree. Writes meet in a few folders and a few names, so
that they contend: most conflicts are retried by the library and never seen here; names taken,
cycles refused and files deleted by somebody else are answers of the service, and counted.

Each operation draws what it will do once, before its transaction: retried, it wants the
same again. What it made known to the other workers it tells after the commit.
"""

from __future__ import annotations

import time
from bisect import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from threading import Event, Thread

from examples.files import service
from examples.files.demo.measuring import Measures, merged, no_measures
from examples.files.errors import FilesError
from examples.files.schema import Entry, EntryId, Kind, Role, SpaceId
from examples.files.service import Draft
from fastness import Database, Transaction

FOLDERS = 24
NAMES = 400
USERS = 16
SIZE_MAX = 100_000

Step = Callable[[Transaction], object]


@dataclass(slots=True)
class Arena:
    """Where the workers meet. Lists only grow or lose their last element: safe among threads."""

    space: SpaceId
    folder: EntryId
    """Everything written lies below it."""
    folders: list[EntryId]
    tree: SpaceId
    """The space of the loaded tree."""
    paths: list[str]
    """Of entries of the loaded tree, for lookups."""
    listed: list[EntryId]
    """Folders of the loaded tree."""
    users: list[str]
    files: list[EntryId] = field(default_factory=list)
    deleted: list[EntryId] = field(default_factory=list)
    deleted_folders: list[EntryId] = field(default_factory=list)


def prepare(
    db: Database, space: SpaceId, folder: EntryId, *, paths: list[str], listed: list[EntryId]
) -> Arena:
    """Make the users and the folders that the workers start with, in the space of the tree."""
    users = [f"worker-{number}" for number in range(USERS)]
    for user in users:
        service.create_user(db, user)
    drafts = [
        Draft(folder=folder, name=f"folder {number}", kind=Kind.FOLDER) for number in range(FOLDERS)
    ]
    made = service.create_many(db, space, drafts)
    return Arena(space, folder, [made_one.id for made_one in made], space, paths, listed, users)


class Worker:
    """One worker: draws operations and carries them out one by one."""

    def __init__(self, db: Database, arena: Arena, random: Random, stop: Event) -> None:
        self._db = db
        self._arena = arena
        self._random = random
        self._stop = stop
        self.measures: Measures = no_measures()
        self.error: Exception | None = None
        self._operations: list[tuple[str, Callable[[], Step]]] = [
            ("lookup", self._lookup),
            ("list", self._list),
            ("create", self._create),
            ("write", self._write),
            ("rename", self._rename),
            ("move file", self._move_file),
            ("move folder", self._move_folder),
            ("share", self._share),
            ("delete", self._delete),
            ("restore", self._restore),
        ]
        self._weights = list(accumulate([30, 12, 18, 8, 8, 8, 4, 4, 5, 3]))

    def run(self, operations: int, advance: Callable[[int], object]) -> None:
        """Carry out so many operations, or fewer when told to stop."""
        try:
            for _ in range(operations):
                if self._stop.is_set():
                    return
                self._one()
                advance(1)
        except Exception as error:  # noqa: BLE001 - kept for the main thread, which raises it
            self.error = error
            self._stop.set()

    def _one(self) -> None:
        drawn = bisect(self._weights, self._random.randrange(self._weights[-1]))
        name, draw = self._operations[drawn]
        measured = self.measures[name]
        step = draw()

        def attempt(tx: Transaction) -> None:
            measured.attempts += 1
            step(tx)

        began = time.perf_counter()
        try:
            self._db.run(attempt)
        except FilesError as error:
            measured.refusals[type(error).__name__] += 1
        else:
            measured.latencies_s.append(time.perf_counter() - began)

    # ------------------------------------------------------------ what is drawn

    def _folder(self) -> EntryId:
        return self._random.choice(self._arena.folders)

    def _file(self) -> EntryId:
        files = self._arena.files
        return self._random.choice(files) if files else self._arena.folder

    def _name(self) -> str:
        return f"file {self._random.randrange(NAMES)}"

    # -------------------------------------------------------------- operations

    def _lookup(self) -> Step:
        path = self._random.choice(self._arena.paths)
        return lambda tx: service.lookup(tx, self._arena.tree, path)

    def _list(self) -> Step:
        mine = self._random.random() < 0.5
        space, folder = self._arena.tree, self._random.choice(self._arena.listed)
        if mine:
            space, folder = self._arena.space, self._folder()
        return lambda tx: service.list_folder(tx, space, folder)

    def _create(self) -> Step:
        draft = Draft(
            folder=self._folder(),
            name=self._name(),
            size=self._random.randrange(SIZE_MAX),
            content=self._random.randbytes(16),
        )

        def create(tx: Transaction) -> None:
            made = service.create(tx, self._arena.space, draft)
            tx.on_commit(lambda _at: self._arena.files.append(made.id))

        return create

    def _write(self) -> Step:
        file, size = self._file(), self._random.randrange(SIZE_MAX)
        content = self._random.randbytes(16)
        return lambda tx: service.write(tx, self._arena.space, file, size=size, content=content)

    def _rename(self) -> Step:
        file, name = self._file(), self._name()
        return lambda tx: service.move(tx, self._arena.space, file, name=name)

    def _move_file(self) -> Step:
        file, folder = self._file(), self._folder()
        return lambda tx: service.move(tx, self._arena.space, file, folder=folder)

    def _move_folder(self) -> Step:
        folder, into = self._folder(), self._random.choice([self._arena.folder, self._folder()])
        return lambda tx: service.move(tx, self._arena.space, folder, folder=into)

    def _share(self) -> Step:
        folder, user = self._folder(), self._random.choice(self._arena.users)
        if self._random.random() < 0.3:
            return lambda tx: service.unshare(tx, self._arena.space, folder, user)
        role = self._random.choice([Role.READER, Role.EDITOR])
        return lambda tx: service.share(tx, self._arena.space, folder, user, role)

    def _delete(self) -> Step:
        is_folder = self._random.random() < 0.05
        entry = self._folder() if is_folder else self._file()
        deleted = self._arena.deleted_folders if is_folder else self._arena.deleted

        def delete(tx: Transaction) -> None:
            service.delete(tx, self._arena.space, entry)
            tx.on_commit(lambda _at: deleted.append(entry))

        return delete

    def _restore(self) -> Step:
        entry = self._pop(self._arena.deleted_folders) or self._pop(self._arena.deleted)
        return lambda tx: service.restore(tx, self._arena.space, entry or self._file())

    def _pop(self, deleted: list[EntryId]) -> EntryId | None:
        try:
            return deleted.pop()
        except IndexError:
            return None  # Empty, or emptied by another thread just now.


@dataclass(frozen=True, slots=True)
class Worked:
    """What the workers did, together."""

    measures: Measures
    seconds: float
    workers: int

    @property
    def operations(self) -> int:
        """How many operations were done."""
        return sum(measured.operations for measured in self.measures.values())


def run_workers(
    db: Database,
    arena: Arena,
    *,
    workers: int,
    operations: int,
    seed: int,
    advance: Callable[[int], object],
) -> Worked:
    """Let the workers do `operations` between them; interrupted, all of them stop first."""
    stop = Event()
    crew = [Worker(db, arena, Random(f"{seed} {number}"), stop) for number in range(workers)]
    share = -(-operations // workers)
    threads = [Thread(target=worker.run, args=(share, advance)) for worker in crew]
    began = time.perf_counter()
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        stop.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()
    seconds = time.perf_counter() - began
    for worker in crew:
        if worker.error is not None:
            raise worker.error
    return Worked(merged([worker.measures for worker in crew]), seconds, workers)


def sample(
    db: Database, space: SpaceId, folders: list[EntryId], *, count: int, random: Random
) -> list[str]:
    """Paths of entries of the loaded tree, one from each of `count` folders."""
    paths = []
    with db.transaction(read_only=True) as tx:
        for folder in random.sample(folders, min(count, len(folders))):
            inside = tx.query(Entry.by_name, space, folder, limit=100).items
            chosen = random.choice(inside).id if inside else folder
            paths.append(service.path_of(tx, space, chosen))
    return paths
