"""Loads a real tree into a space of the files service, many entries in each transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from examples.files import service
from examples.files.demo.walking import Walk
from examples.files.schema import EntryId, SpaceId
from examples.files.service import Draft
from fastness import Database

BATCH_ENTRIES = 1000
"""Entries in a transaction: about 0.6 MB of writes, and one wait for the disk."""


def batches(folders: Iterable[list[Draft]], size: int = BATCH_ENTRIES) -> Iterator[list[Draft]]:
    """The same drafts in the same order, in lists of `size`; the last one holds the rest."""
    waiting: list[Draft] = []
    for drafts in folders:
        waiting += drafts
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def load(
    db: Database,
    space: SpaceId,
    folder: EntryId,
    walk: Walk,
    *,
    advance: Callable[[int], object],
) -> None:
    """Create everything the walk finds inside `folder`; `advance` hears of each batch."""
    for drafts in batches(walk.folders(folder)):
        service.create_many(db, space, drafts)
        advance(len(drafts))
