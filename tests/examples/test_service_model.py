"""The files service against a dumb model, in every order of operations hypothesis thinks of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import fastness
from examples.files import service
from examples.files.demo.checking import check_space
from examples.files.errors import FilesError
from examples.files.schema import ROOT, SCHEMA, Entry, EntryId, Kind, SpaceId
from fastness import Database
from tests.client.servers import RunningServer
from tests.examples.dumb_files import DumbFiles, Node

T = TypeVar("T")

QUOTA = 500
ids = st.integers(0, 1000)
names = st.sampled_from(["a", "b", "c"])
kinds = st.sampled_from([Kind.FOLDER, Kind.FOLDER, Kind.FILE])
sizes = st.integers(0, 200)


def outcome(ask: Callable[[], T]) -> T | type[FilesError]:
    """The answer, or the class of the refusal."""
    try:
        return ask()
    except FilesError as error:
        return type(error)


def refusal(ask: Callable[[], object]) -> type[FilesError] | None:
    """The class of the refusal, if it was one."""
    try:
        ask()
    except FilesError as error:
        return type(error)
    return None


class FilesMachine(RuleBasedStateMachine):
    """Does the same to the service and to the model, and expects the same of both."""

    def open(self) -> Database:
        """An empty database."""
        return fastness.open("memory:", schema=SCHEMA)

    @initialize()
    def start(self) -> None:
        """One space, with its root."""
        self.db = self.open()
        service.create_user(self.db, "ann")
        self.space: SpaceId = service.create_space(self.db, "ann", "home", quota=QUOTA).id
        self.model = DumbFiles(QUOTA)
        self.ids: list[EntryId] = [ROOT]
        self.cursor = service.BEGINNING

    def teardown(self) -> None:
        """Close the database."""
        if hasattr(self, "db"):
            self.db.close()

    def pick(self, drawn: int) -> EntryId:
        """An id that exists or existed."""
        return self.ids[drawn % len(self.ids)]

    def same_answer(self, done: Callable[[], T], expected: Callable[[], T]) -> None:
        """Both answer alike, or refuse for the same reason."""
        assert outcome(done) == outcome(expected)

    def same_refusal(self, done: Callable[[], object], expected: Callable[[], object]) -> None:
        """Both do it, or refuse for the same reason."""
        assert refusal(done) == refusal(expected)

    @rule(folder=ids, name=names, kind=kinds, size=sizes)
    def create(self, folder: int, name: str, kind: Kind, size: int) -> None:
        """Files and folders."""
        size = size if kind is Kind.FILE else 0
        draft = service.Draft(folder=self.pick(folder), name=name, kind=kind, size=size)
        self.same_refusal(
            lambda: service.create(self.db, self.space, draft),
            lambda: self.model.create(draft.id, draft.folder, name, kind, size),
        )
        self.ids.append(draft.id)

    @rule(entry=ids, size=sizes)
    def write(self, entry: int, size: int) -> None:
        """Another content of any size."""
        file = self.pick(entry)
        self.same_refusal(
            lambda: service.write(self.db, self.space, file, size=size, content=b"x"),
            lambda: self.model.write(file, size),
        )

    @rule(entry=ids, folder=st.none() | ids, name=st.none() | names)
    def move(self, entry: int, folder: int | None, name: str | None) -> None:
        """Anything anywhere."""
        moved, into = self.pick(entry), None if folder is None else self.pick(folder)
        self.same_refusal(
            lambda: service.move(self.db, self.space, moved, folder=into, name=name),
            lambda: self.model.move(moved, into, name),
        )

    @rule(entry=ids)
    def delete(self, entry: int) -> None:
        """Anything."""
        deleted = self.pick(entry)
        self.same_refusal(
            lambda: service.delete(self.db, self.space, deleted),
            lambda: self.model.delete(deleted),
        )

    @rule(entry=ids, folder=st.none() | ids, name=st.none() | names)
    def restore(self, entry: int, folder: int | None, name: str | None) -> None:
        """Back, or to anywhere."""
        back, into = self.pick(entry), None if folder is None else self.pick(folder)
        self.same_refusal(
            lambda: service.restore(self.db, self.space, back, folder=into, name=name),
            lambda: self.model.restore(back, into, name),
        )

    @rule(entry=ids, step=st.integers(1, 3))
    def purge(self, entry: int, step: int) -> None:
        """In small steps."""
        purged = self.pick(entry)
        self.same_answer(
            lambda: service.purge(self.db, self.space, purged, step=step),
            lambda: self.model.purge(purged),
        )

    @rule(entry=ids)
    def look(self, entry: int) -> None:
        """Paths and listings agree, and a path leads back to its entry."""
        looked = self.pick(entry)
        self.same_answer(
            lambda: service.path_of(self.db, self.space, looked), lambda: self.model.path(looked)
        )
        self.same_answer(
            lambda: [found.name for found in service.list_folder(self.db, self.space, looked)],
            lambda: self.model.listing(looked),
        )

    @invariant()
    def stored_as_expected(self) -> None:
        """The same entries and usage, and every invariant of a space."""
        if not hasattr(self, "db"):
            return
        with self.db.transaction(read_only=True) as tx:
            stored = {
                entry.id: Node(
                    folder=entry.folder,
                    name=entry.name,
                    kind=entry.kind,
                    size=entry.size,
                    deleted=entry.deleted is not None,
                    revision=entry.revision,
                )
                for entry in tx.query_all(Entry.by_key, self.space)
            }
        assert stored == self.model.nodes
        usage = service.usage(self.db, self.space)
        assert (usage.entries, usage.bytes_used) == (len(stored), self.model.bytes_used())
        assert check_space(self.db, self.space).problems == []


class ServedFilesMachine(FilesMachine):
    """The same behind a server."""

    def open(self) -> Database:
        """An empty database of a server of its own."""
        self.server = RunningServer().start()
        return fastness.open(f"{self.server.url}?cache=on", schema=SCHEMA)

    def teardown(self) -> None:
        """Close the database, then the server."""
        super().teardown()
        if hasattr(self, "server"):
            self.server.close()


TestFiles = FilesMachine.TestCase
TestServedFiles = ServedFilesMachine.TestCase
TestServedFiles.settings = settings(max_examples=5)
