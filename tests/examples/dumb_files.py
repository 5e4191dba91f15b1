"""The files service as a dictionary and loops: slow, obvious, and refusing the same things."""

from __future__ import annotations

from dataclasses import dataclass, replace

from examples.files.errors import (
    InTrash,
    NameTaken,
    NotFound,
    OverQuota,
    WouldFormCycle,
    WrongKind,
)
from examples.files.schema import ROOT, EntryId, Kind


@dataclass(frozen=True)
class Node:
    """What the model knows of an entry."""

    folder: EntryId | None
    name: str
    kind: Kind
    size: int
    deleted: bool = False
    revision: int = 1


class DumbFiles:
    """One space."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.nodes = {ROOT: Node(None, "", Kind.FOLDER, 0)}

    def create(self, entry: EntryId, folder: EntryId, name: str, kind: Kind, size: int) -> None:
        """Add an entry under an id the caller chose."""
        self._require_room(size)
        self._folder(folder)
        self._require_free(folder, name)
        self.nodes[entry] = Node(folder, name, kind, size)

    def write(self, entry: EntryId, size: int) -> None:
        """Another content."""
        node = self._live(entry)
        if node.kind is not Kind.FILE:
            raise WrongKind
        self._require_room(size - node.size)
        self.nodes[entry] = replace(node, size=size, revision=node.revision + 1)

    def move(self, entry: EntryId, folder: EntryId | None, name: str | None) -> None:
        """Another place."""
        self._live(entry)
        self._put(entry, folder, name)

    def delete(self, entry: EntryId) -> None:
        """Into the trash."""
        node = self._live(entry)
        if entry == ROOT:
            raise WrongKind
        self.nodes[entry] = replace(node, deleted=True)

    def restore(self, entry: EntryId, folder: EntryId | None, name: str | None) -> None:
        """Out of the trash."""
        self._trashed(entry)
        self._put(entry, folder, name)

    def purge(self, entry: EntryId) -> int:
        """Remove for good; how many."""
        self._trashed(entry)
        gone = [other for other in self.nodes if entry in self._above(other)]
        for other in gone:
            del self.nodes[other]
        return len(gone)

    def path(self, entry: EntryId) -> str:
        """Where an entry is."""
        above = self._above(entry)
        self._live(entry)
        if any(self.nodes[one].deleted for one in above):
            raise InTrash
        return "/".join(self.nodes[one].name for one in reversed(above)) or "/"

    def listing(self, folder: EntryId) -> list[str]:
        """What a folder holds, in order."""
        self._folder(folder)
        nodes = self.nodes.values()
        return sorted(node.name for node in nodes if node.folder == folder and not node.deleted)

    def bytes_used(self) -> int:
        """Trash included."""
        return sum(node.size for node in self.nodes.values())

    def _above(self, entry: EntryId | None) -> list[EntryId]:
        found = []
        while entry is not None:
            if entry not in self.nodes:
                raise NotFound
            found.append(entry)
            entry = self.nodes[entry].folder
        return found

    def _live(self, entry: EntryId) -> Node:
        if entry not in self.nodes:
            raise NotFound
        if self.nodes[entry].deleted:
            raise InTrash
        return self.nodes[entry]

    def _trashed(self, entry: EntryId) -> None:
        if entry not in self.nodes or not self.nodes[entry].deleted:
            raise NotFound

    def _folder(self, entry: EntryId) -> None:
        if self._live(entry).kind is not Kind.FOLDER:
            raise WrongKind

    def _require_free(
        self, folder: EntryId | None, name: str, besides: EntryId | None = None
    ) -> None:
        for entry, node in self.nodes.items():
            if entry != besides and not node.deleted and (node.folder, node.name) == (folder, name):
                raise NameTaken

    def _require_room(self, growth: int) -> None:
        if growth > 0 and self.bytes_used() + growth > self.quota:
            raise OverQuota

    def _put(self, entry: EntryId, folder: EntryId | None, name: str | None) -> None:
        if entry == ROOT:
            raise WrongKind
        node = self.nodes[entry]
        into = node.folder if folder is None else folder
        if into is not None:
            self._folder(into)
        if entry in self._above(into):
            raise WouldFormCycle
        called = node.name if name is None else name
        self._require_free(into, called, besides=entry)
        self.nodes[entry] = replace(node, folder=into, name=called, deleted=False)
