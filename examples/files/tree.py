"""The tree of a space: create, look up, list, write, move.

Which transactions conflict follows from what each reads and writes, and is kept small:

- *Creating* reads its folder's record and the one place in the name index it takes. So creates
  of different names in one folder never conflict; of the same name, one is refused.
- *Deleting or moving a folder* writes its record, and so conflicts with creates in it.
- *Moving a folder* reads every ancestor of its new place. Two moves that would only
  together form a cycle each write a record the other has read: one runs again, and is refused.

An entry made in a folder that lies in the trash lies in the trash too (see `schema.Entry`);
look a folder up by its path in the same transaction where that matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import getrandbits

from examples.files.errors import (
    InTrash,
    NameTaken,
    NotFound,
    Outdated,
    WouldFormCycle,
    WrongKind,
)
from examples.files.names import require_name, split_path
from examples.files.recording import record
from examples.files.schema import ROOT, Action, Entry, EntryId, Kind, Revision, SpaceId
from examples.files.spaces import require_room
from fastness import Transaction, to_datetime, transactional
from fastness.errors import UniqueViolation
from fastness.model import Listing


def new_entry_id() -> EntryId:
    """An id for a new entry: drawn at random, so that no counter is fought over."""
    return EntryId(getrandbits(62) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry to be created."""

    folder: EntryId
    name: str
    kind: Kind = Kind.FILE
    size: int = 0
    content: bytes | None = None
    target: str | None = None
    modified: datetime | None = None
    """The moment of its creation unless given."""
    id: EntryId = field(default_factory=new_entry_id)


# ------------------------------------------------------------------ looking


@transactional
def get_entry(tx: Transaction, space: SpaceId, entry: EntryId) -> Entry:
    """The entry with this id, or `NotFound`; `InTrash` if it was deleted."""
    found = tx.fetch(Entry, space, entry)
    if found is None:
        raise NotFound(f"space {space} has no entry {entry}")
    if found.deleted is not None:
        raise InTrash(f"{found.name!r} was deleted on {found.deleted:%Y-%m-%d}: restore it first")
    return found


@transactional
def get_folder(tx: Transaction, space: SpaceId, entry: EntryId) -> Entry:
    """As `get_entry`; `WrongKind` for anything but a folder."""
    found = get_entry(tx, space, entry)
    if found.kind is not Kind.FOLDER:
        raise WrongKind(f"{found.name!r} is a {found.kind.value}, not a folder")
    return found


@transactional
def lookup(tx: Transaction, space: SpaceId, path: str) -> Entry:
    """The entry at a path such as "docs/plan.txt"; `NotFound` names what is missing.

    One read of the name index per name of the path; links are not followed.
    """
    found = get_entry(tx, space, ROOT)
    for name in split_path(path):
        inside = tx.fetch_by(Entry.by_name, space, found.id, name)
        if inside is None:
            raise NotFound(f"{path!r}: there is no {name!r} in {found.name or '/'!r}")
        found = inside
    return found


@transactional
def list_folder(
    tx: Transaction,
    space: SpaceId,
    folder: EntryId,
    *,
    limit: int = 1000,
    continuation: str | None = None,
) -> Listing[Entry]:
    """A page of what a folder holds, by name; entries come without a read for each."""
    get_folder(tx, space, folder)
    return tx.query(Entry.by_name, space, folder, limit=limit, continuation=continuation)


@transactional
def path_of(tx: Transaction, space: SpaceId, entry: EntryId) -> str:
    """Where an entry is, from the root; `InTrash` if it or a folder above it was deleted."""
    names = []
    for found in ancestors(tx, get_entry(tx, space, entry)):
        if found.deleted is not None:
            raise InTrash(f"the folder {found.name!r} above it was deleted: restore that first")
        names.append(found.name)
    return "/".join(reversed(names)) or "/"


@transactional
def recent_files(tx: Transaction, space: SpaceId, *, limit: int = 20) -> list[Entry]:
    """The files modified last, newest first, without those in deleted folders."""
    found: list[Entry] = []
    in_trash: dict[EntryId | None, bool] = {None: False}
    for file in tx.query_all(Entry.recent, space):
        if not _lies_in_trash(tx, file, in_trash):
            found.append(file)
            if len(found) == limit:
                break
    return found


@transactional
def copies_of(tx: Transaction, space: SpaceId, content: bytes) -> list[Entry]:
    """The files that hold the same content, in the trash too: what need not be uploaded again."""
    return list(tx.query_all(Entry.by_content, space, content))


@transactional
def revisions(tx: Transaction, space: SpaceId, file: EntryId) -> list[Revision]:
    """Everything the file has held, its present content first."""
    entry = _get_file(tx, space, file)
    older = tx.query_all(Revision.by_key, space, file, reverse=True)
    return [_revision_of(entry), *older]


def ancestors(tx: Transaction, entry: Entry) -> Iterator[Entry]:
    """The entry, its folder, the folder of that, ... up to the root.

    It ends because no operation forms a cycle; each step is a validated read.
    """
    above: Entry | None = entry
    while above is not None:
        yield above
        above = tx.follow(Entry.inside, above)


def _lies_in_trash(tx: Transaction, entry: Entry, known: dict[EntryId | None, bool]) -> bool:
    """Whether it or a folder above was deleted; `known` remembers the folders looked at."""
    passed: list[EntryId] = []
    answer = False
    for above in ancestors(tx, entry):
        if above.id in known:
            answer = known[above.id]
            break
        passed.append(above.id)
        if above.deleted is not None:
            answer = True
            break
    known.update(dict.fromkeys(passed, answer))
    return answer


# ----------------------------------------------------------------- creating


@transactional
def create_folder(tx: Transaction, space: SpaceId, folder: EntryId, name: str) -> Entry:
    """Make an empty folder inside `folder`; `NameTaken` if it holds something of this name."""
    return create(tx, space, Draft(folder=folder, name=name, kind=Kind.FOLDER))


@transactional
def create_file(
    tx: Transaction,
    space: SpaceId,
    folder: EntryId,
    name: str,
    *,
    size: int = 0,
    content: bytes | None = None,
) -> Entry:
    """Add a file, its first revision; `NameTaken`, `OverQuota`."""
    return create(tx, space, Draft(folder=folder, name=name, size=size, content=content))


@transactional
def create(tx: Transaction, space: SpaceId, draft: Draft) -> Entry:
    """Create one entry of any kind."""
    return create_many(tx, space, [draft])[0]


@transactional
def create_many(tx: Transaction, space: SpaceId, drafts: Sequence[Draft]) -> list[Entry]:
    """Create entries in one transaction, all or none; a folder must come before what is in it."""
    require_room(tx, space, sum(draft.size for draft in drafts))
    moment = to_datetime(tx.read_timestamp)
    folders: set[EntryId] = set()
    created = []
    for draft in drafts:
        if draft.folder not in folders:
            folders.add(get_folder(tx, space, draft.folder).id)
        entry = _insert(tx, space, draft, moment)
        if entry.kind is Kind.FOLDER:
            folders.add(entry.id)
        created.append(entry)
    return created


def _insert(tx: Transaction, space: SpaceId, draft: Draft, moment: datetime) -> Entry:
    require_name(draft.name)
    entry = Entry(
        space=space,
        id=draft.id,
        folder=draft.folder,
        name=draft.name,
        kind=draft.kind,
        size=draft.size,
        content=draft.content,
        target=draft.target,
        modified=draft.modified or moment,
    )
    try:
        entry = tx.insert(entry)
    except UniqueViolation as error:
        raise NameTaken(f"there already is a {draft.name!r} in folder {draft.folder}") from error
    record(tx, Action.CREATED, entry)
    return entry


# ----------------------------------------------------------------- changing


@transactional
def write(
    tx: Transaction,
    space: SpaceId,
    file: EntryId,
    *,
    size: int,
    content: bytes,
    if_revision: int | None = None,
) -> Entry:
    """Give a file new content; the old one is kept as a revision.

    `if_revision` refuses (`Outdated`) when somebody else has written in the meantime.
    """
    entry = _get_file(tx, space, file)
    if if_revision is not None and entry.revision != if_revision:
        raise Outdated(
            f"{entry.name!r} is at revision {entry.revision}, not {if_revision}: read it again "
            "and decide what to keep"
        )
    require_room(tx, space, size - entry.size)
    tx.insert(_revision_of(entry))
    written = tx.patch(
        Entry,
        space,
        file,
        size=size,
        content=content,
        revision=entry.revision + 1,
        modified=to_datetime(tx.read_timestamp),
    )
    record(tx, Action.WRITTEN, written)
    return written


@transactional
def move(
    tx: Transaction,
    space: SpaceId,
    entry: EntryId,
    *,
    folder: EntryId | None = None,
    name: str | None = None,
) -> Entry:
    """Move an entry into `folder`, rename it to `name`, or both at once.

    The cost is the same for a file and for a folder with a million entries below it.
    `NameTaken`; `WouldFormCycle` for a folder moved into itself.
    """
    found = get_entry(tx, space, entry)
    moved = put_in(tx, found, folder=folder, name=name)
    record(tx, Action.MOVED, moved)
    return moved


def put_in(
    tx: Transaction, entry: Entry, *, folder: EntryId | None = None, name: str | None = None
) -> Entry:
    """Let `entry` be alive in a folder under a name, by default its own: moves and restores."""
    if entry.folder is None:
        raise WrongKind("the root folder stays where it is")
    name = entry.name if name is None else name
    require_name(name)
    into = get_folder(tx, entry.space, entry.folder if folder is None else folder)
    if entry.kind is Kind.FOLDER and into.id != entry.folder:
        _refuse_cycle(tx, entry, into)
    try:
        return tx.patch(Entry, entry.space, entry.id, folder=into.id, name=name, deleted=None)
    except UniqueViolation as error:
        raise NameTaken(f"there already is a {name!r} in {into.name or '/'!r}") from error


def _refuse_cycle(tx: Transaction, moved: Entry, into: Entry) -> None:
    for above in ancestors(tx, into):
        if above.id == moved.id:
            raise WouldFormCycle(
                f"{moved.name!r} cannot go into {into.name!r}, which lies inside it: move that "
                "out first"
            )


def _get_file(tx: Transaction, space: SpaceId, file: EntryId) -> Entry:
    entry = get_entry(tx, space, file)
    if entry.kind is not Kind.FILE:
        raise WrongKind(f"{entry.name!r} is a {entry.kind.value}; only files have contents")
    return entry


def _revision_of(file: Entry) -> Revision:
    return Revision(
        space=file.space,
        file=file.id,
        number=file.revision,
        size=file.size,
        content=file.content,
        modified=file.modified,
    )
