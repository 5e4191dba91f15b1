"""The journal of a space: what changed, in the order it was committed, to be read by cursor.

A cursor is the stamp of the last change a reader has seen. Stamps follow the order of commits
(see `recording`), so a reader that goes on from its cursor misses nothing and sees nothing
twice. A reader begins with `BEGINNING`, or with a listing and the cursor of that moment:
both taken in one transaction fit together exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.files.errors import Forgotten, NotFound
from examples.files.schema import Change, Space, SpaceId
from examples.files.spaces import get_space
from fastness import Database, Transaction, transactional

BEGINNING = b""
"""The cursor before the first change of a space."""

FORGET_STEP = 1000
"""Lines removed by one transaction."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the journal and where the next one begins."""

    items: list[Change]
    cursor: bytes
    """Give it as `since` to read on, now or next week."""
    complete: bool
    """Whether this was everything up to now."""


@transactional
def changes(
    tx: Transaction, space: SpaceId, *, since: bytes = BEGINNING, limit: int = 1000
) -> Changes:
    """What changed in the space after the cursor `since`, oldest first.

    `Forgotten` when the journal no longer reaches back that far.
    """
    forgotten = get_space(tx, space).forgotten
    if since < forgotten:
        raise Forgotten(
            f"the journal of space {space} begins after cursor {forgotten.hex()}, you are at "
            f"{since.hex() or 'the beginning'}: list the space and go on from now_cursor"
        )
    page = tx.query(Change.by_key, space, above=since or None, limit=limit)
    cursor = page.items[-1].at if page.items else since
    return Changes(page.items, cursor, complete=page.continuation is None)


@transactional
def now_cursor(tx: Transaction, space: SpaceId) -> bytes:
    """The cursor after everything committed so far: `changes` since it are those to come."""
    newest = tx.query(Change.by_key, space, reverse=True, limit=1).items
    return newest[0].at if newest else get_space(tx, space).forgotten


def forget_changes(db: Database, space: SpaceId, *, through: bytes, step: int = FORGET_STEP) -> int:
    """Remove the journal up to and with the cursor `through`; how many lines that were.

    From the first moment on readers at an older cursor are refused, so none of them ever
    misses a line unawares. Interrupted, it is finished by calling it again.
    """
    _begin_forgetting(db, space, through)
    removed = forgotten = _forget_some(db, space, step)
    while forgotten == step:
        forgotten = _forget_some(db, space, step)
        removed += forgotten
    return removed


@transactional
def _begin_forgetting(tx: Transaction, space: SpaceId, through: bytes) -> None:
    if through > now_cursor(tx, space):
        raise NotFound(f"the journal of space {space} has no cursor {through.hex()} yet")
    if through > get_space(tx, space).forgotten:
        tx.patch(Space, space, forgotten=through)


@transactional
def _forget_some(tx: Transaction, space: SpaceId, step: int) -> int:
    through = get_space(tx, space).forgotten
    if not through:
        return 0
    page = tx.query(Change.by_key, space, at_most=through, limit=step)
    for change in page:
        tx.remove(Change, space, change.at)
    return len(page)
