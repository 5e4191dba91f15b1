"""What the file-metadata service stores: users, spaces, the tree of entries, shares, a journal.

One *space* is one tree of files: a person's, a team's. Everything about it carries the space
as the first field of its key and declares it as partition, so that all of it lies together,
records, indexes and counters alike, and a transaction on one space touches one place.

::

    User --owns--> Space --holds--> Entry (folder, file, link) --older contents--> Revision
      `----------- Share ------------'  |
                                        `--what happened, in order--> Change

Children refer to their folder by its id, and nothing stores a path: moving a folder with a
million entries below it changes one record.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum, IntEnum
from typing import NewType

from fastness.model import (
    PRESENT,
    UNSTAMPED,
    Association,
    Count,
    Entity,
    Index,
    Record,
    Reference,
    Stamp,
    Sum,
    Version,
    desc,
)

SpaceId = NewType("SpaceId", int)
EntryId = NewType("EntryId", int)

ROOT = EntryId(0)
"""The id of the root folder, the same in every space."""


class Kind(Enum):
    """What an entry is."""

    FOLDER = "folder"
    FILE = "file"
    LINK = "link"
    SPECIAL = "special"
    """A device, a pipe or a socket."""


class Role(IntEnum):
    """What a user may do; each role includes the ones below it."""

    READER = 1
    EDITOR = 2
    OWNER = 3


class Action(Enum):
    """What a change did."""

    CREATED = "created"
    WRITTEN = "written"
    MOVED = "moved"
    DELETED = "deleted"
    RESTORED = "restored"
    PURGED = "purged"
    SHARED = "shared"
    UNSHARED = "unshared"


class User(Entity, key="id"):
    """Somebody who owns spaces and is given shares."""

    id: str
    name: str = ""


class Space(Entity, key="id", partition="id", area="space"):
    """One tree of files, with its owner and how many bytes it may hold."""

    id: SpaceId
    owner: str
    name: str
    quota: int
    forgotten: bytes = b""
    """The journal up to this cursor was removed."""
    by_owner = Index("owner", "name", unique=True, clustered=True)
    owned_by = Reference(User, "owner")


class Entry(Entity, key=("space", "id"), partition="space", omit_defaults=True):
    """A folder, file or link, alive or in the trash.

    What is inside a deleted folder stays as it is: it lies in the trash with its folder, and
    comes back with it. That is why deleting costs the same whatever the folder holds.
    """

    space: SpaceId
    id: EntryId
    folder: EntryId | None = None
    """The folder it is in; `None` for the root alone."""
    name: str
    kind: Kind = Kind.FILE
    size: int = 0
    content: bytes | None = None
    """The hash of a file's content, as the uploading client computed it."""
    target: str | None = None
    """Where a link points."""
    revision: int = 1
    modified: datetime
    deleted: datetime | None = None
    """Since when it is in the trash by itself, not only with a folder above it."""
    version: Version = 0

    by_name = Index("space", "folder", "name", unique=True, clustered=True, where={"deleted": None})
    recent = Index("space", desc("modified"), where={"kind": Kind.FILE, "deleted": None})
    by_content = Index("space", "content", where={"content": PRESENT})
    trash = Index("space", desc("deleted"), clustered=True, where={"deleted": PRESENT})
    trash_of_folder = Index("space", "folder", where={"deleted": PRESENT})
    entries = Count("space")
    bytes_used = Sum("size", "space")
    inside = Reference(lambda: Entry, "space", "folder")


class Revision(Entity, key=("space", "file", "number"), partition="space", omit_defaults=True):
    """What a file held before its present content; the present one is in its entry."""

    space: SpaceId
    file: EntryId
    number: int
    size: int = 0
    content: bytes | None = None
    modified: datetime
    of = Reference(Entry, "space", "file")


class Share(Association, partition="space"):
    """A role that a user has in a folder and everything below it."""

    space: SpaceId
    folder: EntryId
    user: str
    role: Role = Role.READER
    since: datetime
    source = Reference(Entry, "space", "folder")
    target = Reference(User, "user")


class Change(Entity, key=("space", "at"), partition="space", omit_defaults=True):
    """One line of a space's journal, in the order the changes were committed."""

    space: SpaceId
    at: Stamp = UNSTAMPED
    action: Action
    entry: Entry
    """The entry as the change left it; a purged one as it was before."""
    user: str = ""
    """Whom the entry was shared with, or no longer is."""
    role: Role | None = None


SCHEMA: list[type[Record]] = [User, Space, Entry, Revision, Share, Change]
"""What to open a database with: `fastness.open(url, schema=SCHEMA)`."""
