"""Typed records: entities and associations, their indexes, and the operations on them.

Declare records as classes::

    from datetime import UTC, datetime
    from enum import Enum
    from fastness.model import *

    class Role(Enum):
        READER = "reader"
        EDITOR = "editor"

    class User(Entity, key="id"):
        id: str
        email: str
        name: str = ""
        joined: datetime
        version: Version = 0                               # maintained, for if_version
        by_email = Index("email", unique=True)

    class Folder(Entity, key=("space", "id"), partition="space"):
        space: int
        id: int
        parent: int | None = None
        name: str
        by_name = Index("space", "parent", "name", unique=True, clustered=True)
        inside = Reference(lambda: Folder, "space", "parent")

    class Share(Association):
        space: int
        folder: int
        user: str
        role: Role = Role.READER
        source = Reference(Folder, "space", "folder")
        target = Reference(User, "user")

Register them once (`fastness.open("file:data", schema=[User, Folder, Share])`), then work with
them in any transaction; an `AsyncTransaction` has the same names with `await`::

    def invite(tx, space: int, folder: int, email: str) -> Share:
        user = tx.fetch_by(User.by_email, email)           # User | None
        if user is None:
            raise LookupError(email)
        return tx.put(Share(space=space, folder=folder, user=user.id))

    with db.transaction() as tx:
        tx.insert(User(id="ann", email="ann@example.org", joined=datetime.now(UTC)))
        tx.patch(User, "ann", name="Ann")
        page = tx.query(Folder.by_name, 7, None, limit=100)             # Listing[Folder]
        more = tx.query(Folder.by_name, 7, None, continuation=page.continuation)
        shared = tx.query(Share.by_target, "ann")                       # Listing[Share]
        folders = tx.follow_many(Share.source, shared)                  # list[Folder | None]
        shares = tx.count(Share.by_target, "ann")                       # int, from a counter

Operations (`TypedOperations`, `AsyncTypedOperations`):

====================================  =====================================================
insert(record)                        new, or `RecordExists`; returns the record as stored
put(record, if_version=)              new or replaced
patch(Class, *key, if_version=, ...)  some fields changed, or `RecordNotFound`
remove(Class, *key, if_version=)      the record removed, or `None` if there was none
fetch(Class, *key)                    the record or `None`; `require` raises `RecordNotFound`
fetch_many(Class, keys)               as many answers as keys, in their order
fetch_by(index, *columns)             the one record of a unique index
query(index, *prefix, bounds...)      one `Listing`, in index order; `query_all` iterates
count(index, *prefix, bounds...)      from a maintained `Count` where one matches
total(Class.total, *group)            a maintained `Count` or `Sum`
follow(reference, record)             the record referred to; `follow_many` for a page
explain(index, *prefix, bounds...)    runs a query, tells what it used and read
key_of(Class, *key)                   the stored key, for `watch` and conflict ranges
====================================  =====================================================

Bounds apply to the column after the prefix, by value whatever the column's direction:
`at_least`, `above`, `at_most`, `below`, `starting_with` (str and bytes). `reverse`, `limit`,
`continuation` as in key-value scans; `snapshot=True` reads without conflicts.

`docs/MODEL.md` is the guide, `docs/KEYS.md` shows where everything is stored.
"""

from __future__ import annotations

from msgspec import field

from fastness.model.declarations import Association, Entity, Record
from fastness.model.parts import (
    PRESENT,
    UNSTAMPED,
    Count,
    Index,
    IndexOf,
    KeyValue,
    Reference,
    ReferenceOf,
    Stamp,
    Sum,
    TotalOf,
    Version,
    desc,
    each,
)

__all__ = [
    "PRESENT",
    "UNSTAMPED",
    "Association",
    "Count",
    "Entity",
    "Index",
    "IndexOf",
    "KeyValue",
    "Record",
    "Reference",
    "ReferenceOf",
    "Stamp",
    "Sum",
    "TotalOf",
    "Version",
    "desc",
    "each",
    "field",
]
