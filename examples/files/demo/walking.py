"""Walks a real directory tree, folder by folder, without following links.

Whatever a file system may hold is taken as it is: names that are no text (see `names`),
links that lead nowhere, devices and sockets, folders that may not be read. Nothing of
that stops the walk; what could not be read is counted and shown. Other file systems mounted
below are not entered, nor is the directory the demo writes to.
"""

# Paths are bytes here, which pathlib has not.
# ruff: noqa: PTH115, PTH118

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

from examples.files.demo.names import text_of
from examples.files.schema import Entry, EntryId, Kind
from examples.files.service import Draft

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_LATEST = datetime.max.replace(tzinfo=UTC)
_KINDS = {stat.S_IFDIR: Kind.FOLDER, stat.S_IFREG: Kind.FILE, stat.S_IFLNK: Kind.LINK}

REFUSALS_SHOWN = 5

Identity = tuple[int, int]
"""Device and inode: which directory of the machine it is, whatever its path."""


@dataclass(frozen=True, slots=True)
class Found:
    """One entry of the real tree."""

    name: bytes
    kind: Kind
    size: int
    content: bytes | None
    """Of a file: see `fingerprint`."""
    target: str | None
    """Of a link: where it points, as text."""
    modified: datetime
    changed_ns: int
    """When the file system last changed anything about it (ctime)."""
    identity: Identity


@dataclass(slots=True)
class Walk:
    """One walk over a real tree: where it may go, and what it met."""

    root: bytes
    entries_max: int
    """No further folder is entered once so many entries were found."""
    excluded: frozenset[Identity] = frozenset()
    entered: dict[bytes, EntryId] = field(default_factory=dict)
    """The folders whose entries were read, with their ids in the database."""
    seen: dict[tuple[EntryId, str], int] = field(default_factory=dict)
    """For each entry handed out, by folder and name: a digest of what it was, see `digest_of`."""
    entries: int = 0
    unreadable: int = 0
    """What the operating system refused to show."""
    refusals: list[str] = field(default_factory=list)
    """The first few of them, a line each."""
    not_entered: int = 0
    """Folders of other file systems, excluded ones, and those beyond `entries_max`."""

    def folders(self, root_id: EntryId) -> Iterator[list[Draft]]:
        """The entries of one folder after the other, each folder after the one it is in."""
        device = os.lstat(self.root).st_dev
        waiting = [(self.root, root_id)]
        while waiting:
            path, folder = waiting.pop()
            if self.entries >= self.entries_max:
                self.not_entered += 1
                continue
            drafts = []
            for found in self.read(path):
                draft = draft_of(found, folder)
                drafts.append(draft)
                self.seen[folder, draft.name] = digest_of(draft)
                if found.kind is Kind.FOLDER and self._may_enter(found, device):
                    waiting.append((os.path.join(path, found.name), draft.id))
            self.entered[path] = folder
            self.entries += len(drafts)
            yield drafts

    def count(self) -> int:
        """About how many entries `folders` will find: quicker, as nothing is looked at closely."""
        counted = 0
        waiting = [self.root]
        while waiting and counted < self.entries_max:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        counted += 1
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
            except OSError:
                continue  # `folders` will note it.
        return counted

    def read(self, path: bytes) -> list[Found]:
        """What is in one folder; what cannot be read is noted and left out."""
        found = []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    try:
                        found.append(_found(entry, entry.stat(follow_symlinks=False)))
                    except FileNotFoundError:
                        continue  # It vanished since the folder was read.
                    except OSError as error:
                        self._note(error, entry.path)
        except OSError as error:
            self._note(error, path)
        return found

    def _may_enter(self, folder: Found, device: int) -> bool:
        if folder.identity[0] == device and folder.identity not in self.excluded:
            return True
        self.not_entered += 1
        return False

    def _note(self, error: OSError, path: bytes) -> None:
        self.unreadable += 1
        if len(self.refusals) < REFUSALS_SHOWN:
            self.refusals.append(f"{text_of(path)}: {error.strerror}")


def _found(entry: os.DirEntry[bytes], status: os.stat_result) -> Found:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.SPECIAL)
    is_file = kind is Kind.FILE
    return Found(
        name=entry.name,
        kind=kind,
        size=status.st_size if is_file else 0,
        content=fingerprint(status) if is_file else None,
        target=text_of(os.readlink(entry.path)) if kind is Kind.LINK else None,
        modified=moment_of(status.st_mtime_ns),
        changed_ns=status.st_ctime_ns,
        identity=(status.st_dev, status.st_ino),
    )


def fingerprint(status: os.stat_result) -> bytes:
    """What stands for the hash of a file's content: the demo reads metadata only.

    A client of a real service hashes what it uploads. Here another size or modification time
    makes another hash, so that verifying compares it too.
    """
    seed = b"%d %d" % (status.st_size, status.st_mtime_ns)
    return blake2b(seed, digest_size=16).digest()


def moment_of(nanoseconds: int) -> datetime:
    """A file's time to the microsecond; one outside the years 1 to 9999 becomes their edge."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return _LATEST if nanoseconds > 0 else _EARLIEST


def digest_of(entry: Draft | Entry | Found) -> int:
    """What tells one state of an entry from another, in few bytes; good within this process."""
    return hash((entry.kind, entry.size, entry.content, entry.target, entry.modified))


def draft_of(found: Found, folder: EntryId) -> Draft:
    """The entry to create for what was found."""
    return Draft(
        folder=folder,
        name=text_of(found.name),
        kind=found.kind,
        size=found.size,
        content=found.content,
        target=found.target,
        modified=found.modified,
    )
