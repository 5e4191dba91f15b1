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
every(Class)                          a page of all records, through all partitions
key_of(Class, *key)                   the stored key, for `watch` and conflict ranges
====================================  =====================================================

Bounds apply to the column after the prefix, by value whatever the column's direction:
`at_least`, `above`, `at_most`, `below`, `starting_with` (str and bytes). `reverse`, `limit`,
`continuation` as in key-value scans; `snapshot=True` reads without conflicts.

`docs/MODEL.md` is the guide, `docs/KEYS.md` shows where everything is stored.

For the layers above (each with an `_async` twin): a database keeps a `Schema`, gives it to
every transaction (`TypedOperations(engine, schema=...)`) and replaces it by what
`register(tx, classes, limits)` answers once that has committed. `build_all(run, refresh,
should_stop)` builds new indexes in the background. Without the Python classes,
`rebuilt_schema(read_schema(tx, limits))` makes some; `findings(tx)` checks all records.
"""

from __future__ import annotations

from msgspec import field

from fastness.model._async.building import build_all as build_all_async
from fastness.model._async.building import build_step as build_step_async
from fastness.model._async.checking import findings as findings_async
from fastness.model._async.operations import AsyncTypedOperations
from fastness.model._async.registry import read_schema as read_schema_async
from fastness.model._async.registry import register as register_async
from fastness.model._sync.building import build_all, build_step
from fastness.model._sync.checking import findings
from fastness.model._sync.operations import TypedOperations
from fastness.model._sync.registry import read_schema, register
from fastness.model.checking import Finding
from fastness.model.declarations import Association, Entity, Record
from fastness.model.layout import RECORDS, REGISTRY
from fastness.model.listing import Explanation, Listing
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
from fastness.model.rebuilding import as_mapping, rebuilt_schema
from fastness.model.schema import Registration, Schema
from fastness.model.stored import BuildStep

__all__ = [
    "PRESENT",
    "RECORDS",
    "REGISTRY",
    "UNSTAMPED",
    "Association",
    "AsyncTypedOperations",
    "BuildStep",
    "Count",
    "Entity",
    "Explanation",
    "Finding",
    "Index",
    "IndexOf",
    "KeyValue",
    "Listing",
    "Record",
    "Reference",
    "ReferenceOf",
    "Registration",
    "Schema",
    "Stamp",
    "Sum",
    "TotalOf",
    "TypedOperations",
    "Version",
    "as_mapping",
    "build_all",
    "build_all_async",
    "build_step",
    "build_step_async",
    "desc",
    "each",
    "field",
    "findings",
    "findings_async",
    "read_schema",
    "read_schema_async",
    "rebuilt_schema",
    "register",
    "register_async",
]
