"""Building indexes and totals online, in small transactions that can stop at any point.

From the commit that registers a new index every writer keeps it (state write-only). The
builder walks through the records that were there before and adds their entries; where it
is, is stored with each step, so another process goes on where one was stopped. Then, in a
transaction of its own, the index becomes readable.

Why the result is complete: a step reads its page of records with conflicts and writes their
entries and its position in one transaction. A writer that changes one of these records
meanwhile makes the step fail and run again, or comes after it and finds the entries there.

Why totals are right although writers change them while they are built: a record counts once
it is *marked*, and whoever changes a record or counts it reads its mark. Marks are removed
when the total has become readable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

from msgspec.structs import replace

from fastness.encoding.intervals import successor
from fastness.errors import Conflict, UniqueViolation
from fastness.model._async.operations import AsyncTypedOperations
from fastness.model._async.registry import CATALOG_KEY
from fastness.model._async.tables import Entry, next_records
from fastness.model.layout import GLOBAL_AREA, SCHEMA_VERSION_KEY, place_of, registry_key
from fastness.model.plans import IndexPlan, TotalPlan
from fastness.model.stored import (
    BuildProgress,
    BuildStep,
    Catalog,
    Clearing,
    State,
    StoredKind,
    read_row,
    write_row,
)

STEP_RECORDS = 1_000
"""Records of one step, at most; a step begins small and grows while records are."""
STEP_BYTES = 1 << 20
"""Of the records of one step, at most, unless a single one is larger."""


async def build_step(
    tx: AsyncTypedOperations, skip: Collection[str] = (), records: int = STEP_RECORDS
) -> BuildStep | None:
    """Do the next piece of work on the first table that needs any; `None` if none does.

    `skip` are names of tables whose problem is known. A step that finished calls for a new
    `Schema`: register the same classes again.
    """
    for table in tx.schema.pending():
        if table.name not in skip:
            return await _build(tx, table, records)
    for clearing in tx.schema.catalog.clearing:
        if str(clearing.number) not in skip:
            return await _clear(tx, clearing, records)
    return None


async def build_all(
    run: Callable[..., Awaitable[Any]],
    refresh: Callable[[], Awaitable[None]],
    should_stop: Callable[[], bool],
    records: int = STEP_RECORDS,
) -> dict[str, str]:
    """Take steps until nothing is left or `should_stop`; answers the problems by name.

    `run(function, *arguments)` runs a function in a retried transaction; `refresh` makes the
    database take up the registry's present schema.
    """
    problems: dict[str, str] = {}
    while not should_stop():
        step: BuildStep | None = await run(build_step, frozenset(problems), records)
        if step is None:
            break
        if step.problem:
            problems[step.name] = step.problem
        if step.finished:
            await refresh()
    return problems


async def _build(tx: AsyncTypedOperations, table: IndexPlan | TotalPlan, limit: int) -> BuildStep:
    await tx.confirm_schema_for_writes()
    key = registry_key("build", table.stored_number)
    progress = await _progress(tx, key)
    if progress.complete:
        await _make_readable(tx, table)
        tx.unchecked_delete(key)
        return BuildStep(table.name, progress.records, finished=True)
    plan = table.kind
    begin = successor(progress.cursor) if progress.cursor else plan.place.head
    pace = min(progress.pace, limit)
    found, position = await next_records(tx, plan.place, begin, pace)
    entries = _affordable(found)
    if len(entries) < len(found):
        pace, position = len(entries), entries[-1][0]
    try:
        if isinstance(table, IndexPlan):
            await _add_entries(tx, table, entries)
        else:
            await _add_amounts(tx, table, entries)
    except UniqueViolation as error:
        return BuildStep(table.name, progress.records, finished=False, problem=str(error))
    done = progress.records + len(entries)
    after = BuildProgress(position or b"", done, pace=2 * pace, complete=position is None)
    tx.unchecked_set(key, write_row(after))
    return BuildStep(table.name, done, finished=False)


def _affordable(page: list[Entry]) -> list[Entry]:
    """As many records of a page as fit a transaction, whatever the index makes of them."""
    size = 0
    for count, (_key, raw) in enumerate(page):
        size += len(raw)
        if size > STEP_BYTES and count:
            return page[:count]
    return page


async def _progress(tx: AsyncTypedOperations, key: bytes) -> BuildProgress:
    raw = await tx.unchecked_get(key)
    return BuildProgress() if raw is None else read_row(raw, BuildProgress, key)


async def _add_entries(tx: AsyncTypedOperations, index: IndexPlan, page: list[Entry]) -> None:
    """The entries of a page of records. Raises before it has written anything."""
    plan = index.kind
    wanted: dict[bytes, tuple[bytes, bytes, int | None]] = {}
    for key, raw in page:
        record = plan.read(key, raw)
        expires_at = None if plan.expires is None else plan.expiry(record)
        for entry, value in index.entries(record, raw, key)[0].items():
            other = wanted.get(entry)
            if other is not None and index.unique:
                raise UniqueViolation(_duplicates(index, other[1], key, entry))
            wanted[entry] = (value, key, expires_at)
    if index.unique:
        held = await tx.unchecked_get_many(list(wanted))
        for (entry, (_value, key, _expiry)), found in zip(wanted.items(), held, strict=True):
            owner = key if found is None else plan.owner_of(index, found)
            if owner != key:
                raise UniqueViolation(_duplicates(index, owner, key, entry))
    for entry, (value, _key, expires_at) in wanted.items():
        tx.unchecked_set(entry, value, expires_at)


def _duplicates(index: IndexPlan, one: bytes, other: bytes, entry: bytes) -> str:
    plan = index.kind
    values = ", ".join(
        f"{column.field}={value!r}"
        for column, value in zip(index.columns, index.values_of(entry), strict=True)
    )
    return (
        f"{index.name} cannot become unique: {plan.shown(plan.values_of_key(one))} and "
        f"{plan.shown(plan.values_of_key(other))} both hold {values}; change one of them, then "
        "open the database again or call db.build_indexes()"
    )


async def _add_amounts(tx: AsyncTypedOperations, total: TotalPlan, page: list[Entry]) -> None:
    """Count the records of a page that no writer has counted yet."""
    marks = [total.mark(key) for key, _raw in page]
    counted = await tx.unchecked_get_many(marks)
    for (key, raw), mark, found in zip(page, marks, counted, strict=True):
        if found is None:
            for counter, amount in total.builder(total.kind.read(key, raw)):
                tx.unchecked_add(counter, amount)
            tx.unchecked_set(mark, b"")


async def _make_readable(tx: AsyncTypedOperations, table: IndexPlan | TotalPlan) -> None:
    """Every snapshot from this one on sees the table complete; say so in the registry."""
    key = registry_key("kind", table.kind.stored.name)
    raw = await tx.unchecked_get(key)
    if raw is None:
        raise Conflict(f"kind {table.kind.stored.name!r} left the registry", key=key)
    kind = read_row(raw, StoredKind, key)
    since = tx.read_timestamp
    if isinstance(table, IndexPlan):
        indexes = tuple(
            replace(one, state=State.READABLE, readable_since=since)
            if one.number == table.stored_number
            else one
            for one in kind.indexes
        )
        kind = replace(kind, indexes=indexes)
    else:
        totals = tuple(
            replace(one, state=State.READABLE, readable_since=since, marks=0)
            if one.number == table.stored_number
            else one
            for one in kind.totals
        )
        kind = replace(kind, totals=totals)
        catalog = await _catalog(tx)
        marks = Clearing(table.stored.marks, GLOBAL_AREA, 0)
        after = replace(catalog, clearing=(*catalog.clearing, marks))
        tx.unchecked_set(CATALOG_KEY, write_row(after))
    tx.unchecked_set(key, write_row(kind))
    tx.unchecked_set(SCHEMA_VERSION_KEY, (tx.schema.version + 1).to_bytes(8, "big"))


async def _catalog(tx: AsyncTypedOperations) -> Catalog:
    raw = await tx.unchecked_get(CATALOG_KEY)
    return Catalog() if raw is None else read_row(raw, Catalog, CATALOG_KEY)


async def _clear(tx: AsyncTypedOperations, clearing: Clearing, limit: int) -> BuildStep:
    """Remove the next keys of a table that nobody uses any more."""
    name = str(clearing.number)
    key = registry_key("clear", clearing.number)
    progress = await _progress(tx, key)
    place = place_of(clearing.area, clearing.partition_columns, clearing.number)
    begin = successor(progress.cursor) if progress.cursor else place.head
    entries, position = await next_records(tx, place, begin, limit, snapshot=True)
    for entry, _value in entries:
        tx.unchecked_delete(entry)
    if position is not None:
        tx.unchecked_set(key, write_row(BuildProgress(position, progress.records + len(entries))))
        return BuildStep(name, len(entries), finished=False)
    tx.unchecked_delete(key)
    # It may have been dropped before it was complete.
    tx.unchecked_delete(registry_key("build", clearing.number))
    catalog = await _catalog(tx)
    left = tuple(one for one in catalog.clearing if one.number != clearing.number)
    tx.unchecked_set(CATALOG_KEY, write_row(replace(catalog, clearing=left)))
    return BuildStep(name, len(entries), finished=True)
