"""Delete, restore, and purge for good.

Deleting marks one entry, whatever lies below it; so does restoring. Until it is purged a
deleted entry counts against the quota of its space.
"""

from __future__ import annotations

from collections.abc import Iterator

from examples.files.errors import NotFound, WrongKind
from examples.files.recording import record
from examples.files.schema import Action, Entry, EntryId, Kind, Revision, Share, SpaceId
from examples.files.tree import get_entry, put_in
from fastness import Database, Transaction, to_datetime, transactional
from fastness.model import Listing

PURGE_STEP = 500
"""Entries removed by one transaction, so that each stays far below the limits."""


@transactional
def delete(tx: Transaction, space: SpaceId, entry: EntryId) -> Entry:
    """Put an entry, with all that is in it, into the trash."""
    found = get_entry(tx, space, entry)
    if found.folder is None:
        raise WrongKind("the root folder cannot be deleted: delete what is in it")
    deleted = tx.patch(Entry, space, entry, deleted=to_datetime(tx.read_timestamp))
    record(tx, Action.DELETED, deleted)
    return deleted


@transactional
def restore(
    tx: Transaction,
    space: SpaceId,
    entry: EntryId,
    *,
    folder: EntryId | None = None,
    name: str | None = None,
) -> Entry:
    """Take an entry out of the trash, back to where it was unless told otherwise.

    `NameTaken` when its place has been taken; `InTrash` when its folder was deleted too.
    """
    restored = put_in(tx, _deleted_entry(tx, space, entry), folder=folder, name=name)
    record(tx, Action.RESTORED, restored)
    return restored


@transactional
def list_trash(
    tx: Transaction, space: SpaceId, *, limit: int = 100, continuation: str | None = None
) -> Listing[Entry]:
    """A page of what was deleted, the latest first."""
    return tx.query(Entry.trash, space, limit=limit, continuation=continuation)


def purge(db: Database, space: SpaceId, entry: EntryId, *, step: int = PURGE_STEP) -> int:
    """Remove a deleted entry and everything in it for good; how many entries that were.

    Runs as many transactions of `step` entries as it takes, from the bottom up: interrupted
    anywhere, what is left is a smaller tree in the trash, and purging it again goes on.
    """
    removed = purged = _purge_some(db, space, entry, step)
    while purged == step:
        purged = _purge_some(db, space, entry, step, started=True)
        removed += purged
    return removed


@transactional
def _purge_some(
    tx: Transaction, space: SpaceId, entry: EntryId, step: int, *, started: bool = False
) -> int:
    if started and tx.fetch(Entry, space, entry) is None:
        return 0
    chosen = _bottom_up(tx, _deleted_entry(tx, space, entry), step)
    # Everything is read before anything is removed: a scan of a transaction that has
    # written must be merged with what it wrote.
    revisions = [r for found in chosen for r in tx.query_all(Revision.by_key, space, found.id)]
    shares = [s for found in chosen for s in tx.query_all(Share.by_source, space, found.id)]
    for revision in revisions:
        tx.remove(Revision, space, revision.file, revision.number)
    for share in shares:
        tx.remove(Share, space, share.folder, share.user)
    for found in chosen:
        tx.remove(Entry, space, found.id)
        record(tx, Action.PURGED, found)
    return len(chosen)


def _deleted_entry(tx: Transaction, space: SpaceId, entry: EntryId) -> Entry:
    found = tx.fetch(Entry, space, entry)
    if found is None or found.deleted is None:
        raise NotFound(f"the trash of space {space} has no entry {entry}")
    return found


def _bottom_up(tx: Transaction, top: Entry, limit: int) -> list[Entry]:
    """Up to `limit` entries of a tree, each after everything inside it."""
    found: list[Entry] = []
    open_folders = [(top, _inside(tx, top))]
    while open_folders and len(found) < limit:
        entry, rest = open_folders[-1]
        inside = next(rest, None)
        if inside is not None:
            open_folders.append((inside, _inside(tx, inside)))
        else:
            found.append(entry)
            open_folders.pop()
    return found


def _inside(tx: Transaction, entry: Entry) -> Iterator[Entry]:
    """What a folder holds, deleted entries too."""
    if entry.kind is Kind.FOLDER:
        yield from tx.query_all(Entry.by_name, entry.space, entry.id)
        yield from tx.query_all(Entry.trash_of_folder, entry.space, entry.id)
