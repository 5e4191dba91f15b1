"""Writes the journal: each operation records what it did, in its own transaction.

A line's key ends in a stamp that the commit fills in, so the keys are in commit order by
construction, and writers, who only ever append, do not conflict with one another. A sequence
number drawn from a counter would have neither property. `journal` reads it.
"""

from __future__ import annotations

from examples.files.schema import Action, Change, Entry, Role
from fastness import Transaction


def record(
    tx: Transaction, action: Action, entry: Entry, *, user: str = "", role: Role | None = None
) -> None:
    """Write a line of the journal as part of the change it tells of."""
    tx.insert(Change(space=entry.space, action=action, entry=entry, user=user, role=role))
