"""The schema registry: read it, and register classes with it.

Everything happens in the transaction given, which reads the registry with conflicts: two
processes that register at once are put in order, and the second one finds what the first
has written. The caller installs the `Schema` answered once the transaction has committed.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastness.limits import Limits
from fastness.model.declarations import Record
from fastness.model.evolution import Numbers, evolve
from fastness.model.layout import AFTER, SCHEMA_VERSION_KEY, registry_key
from fastness.model.schema import Registration, Schema, kinds_of
from fastness.model.stored import Catalog, StoredKind, read_row, write_row
from fastness.transactions import AsyncKeyValueTransaction

CATALOG_KEY = registry_key("catalog")
KINDS_PREFIX = registry_key("kind")
_FORWARD = False
_PAGE = 1_000


async def read_schema(tx: AsyncKeyValueTransaction, limits: Limits) -> Schema:
    """What the registry holds, without classes."""
    raw = await tx.unchecked_get(SCHEMA_VERSION_KEY)
    version = 0 if raw is None else int.from_bytes(raw, "big")
    row = await tx.unchecked_get(CATALOG_KEY)
    catalog = Catalog() if row is None else read_row(row, Catalog, CATALOG_KEY)
    kinds: list[StoredKind] = []
    begin, more = KINDS_PREFIX, True
    while more:
        rows, more = await tx.unchecked_scan(begin, KINDS_PREFIX + AFTER, _PAGE, _FORWARD)
        kinds += [read_row(value, StoredKind, key) for key, value in rows]
        begin = rows[-1][0] + b"\x00" if rows else begin
    return Schema(version, catalog, kinds, limits)


async def register(
    tx: AsyncKeyValueTransaction, classes: Iterable[type[Record]], limits: Limits
) -> Registration:
    """Register record classes; `SchemaError` lists what would misread stored records.

    `classes` are all that the caller will use, those registered before included. Classes
    the registry knows as they are cost a read and write nothing.
    """
    kinds = kinds_of(classes)
    known = await read_schema(tx, limits)
    numbers = Numbers(known.catalog)
    stored = dict(known.stored)
    changes: list[str] = []
    for kind in kinds:
        before = stored.get(kind.name)
        evolution = evolve(before, kind, numbers)
        changes += evolution.changes
        if evolution.kind != before:
            stored[kind.name] = evolution.kind
            tx.unchecked_set(registry_key("kind", kind.name), write_row(evolution.kind))
    version = known.version
    if stored != known.stored:
        version += 1
        tx.unchecked_set(SCHEMA_VERSION_KEY, version.to_bytes(8, "big"))
    if numbers.catalog != known.catalog:
        tx.unchecked_set(CATALOG_KEY, write_row(numbers.catalog))
    return Registration(
        Schema(version, numbers.catalog, stored.values(), limits).bind(kinds), changes
    )
