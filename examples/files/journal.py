"""The journal of a space: what changed, in the order it was committed, to be read by cursor.

Every operation writes its lines in its own transaction. A line's key ends in a stamp that the
commit fills in, so the keys are in commit order by construction: a reader that goes on
from the last stamp it saw misses nothing and sees nothing twice, and writers, who only ever
append, do not conflict with one another. A sequence number drawn from a counter would have
neither property.
"""

from __future__ import annotations

from dataclasses import dataclass

from examples.files.schema import Action, Change, Entry, Role, SpaceId
from fastness import Transaction, transactional

BEGINNING = b""
"""The cursor before the first change of a space."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the journal and where the next one begins."""

    items: list[Change]
    cursor: bytes
    """Give it as `since` to read on, now or next week."""
    complete: bool
    """Whether this was everything up to now."""


def record(
    tx: Transaction, action: Action, entry: Entry, *, user: str = "", role: Role | None = None
) -> None:
    """Write a line of the journal as part of the change it tells of."""
    tx.insert(Change(space=entry.space, action=action, entry=entry, user=user, role=role))


@transactional
def changes(
    tx: Transaction, space: SpaceId, *, since: bytes = BEGINNING, limit: int = 1000
) -> Changes:
    """What changed in the space after the cursor `since`, oldest first."""
    page = tx.query(Change.by_key, space, above=since or None, limit=limit)
    cursor = page.items[-1].at if page.items else since
    return Changes(page.items, cursor, complete=page.continuation is None)
