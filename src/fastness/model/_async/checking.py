"""Checks that stored entries and totals equal what the records imply, in both directions.

Everything is read at the transaction's one snapshot, page by page and without conflicts, so
the check runs beside writers and its memory does not grow with the data: totals are summed
up in as many passes as keep the groups of one pass below `GROUPS_MAX`.

What is still being built or cleared is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from msgspec import MsgspecError

from fastness.encoding.counters import decode as decode_counter
from fastness.encoding.intervals import successor
from fastness.encoding.tuples import unpack_element
from fastness.errors import InvalidEncoding
from fastness.model._async.reads import AsyncTypedReads
from fastness.model._async.tables import Entry, next_records
from fastness.model.checking import Finding
from fastness.model.layout import AFTER, GLOBAL_AREA, Place, place_of
from fastness.model.plans import IndexPlan, KindPlan, TotalPlan

PAGE_MIN = 16
PAGE_MAX = 1_000
PAGE_BYTES = 1 << 20
GROUPS_MAX = 200_000
_FORWARD = False


async def findings(tx: AsyncTypedReads) -> AsyncIterator[Finding]:
    """Everything that is wrong with the records of the kinds in the transaction's schema."""
    for plan in list(tx.schema.plans.values()):
        async for finding in _kind(tx, plan):
            yield finding
        for index in plan.indexes:
            if index.is_readable:
                async for finding in _index(tx, index):
                    yield finding
        for total in plan.totals:
            if total.is_readable:
                async for finding in _total(tx, total):
                    yield finding
    async for finding in _strays(tx):
        yield finding


async def pages(tx: AsyncTypedReads, place: Place) -> AsyncIterator[list[Entry]]:
    """A whole table, page by page: longer pages where entries are small."""
    begin: bytes | None = place.head
    limit = PAGE_MIN
    while begin is not None:
        entries, position = await next_records(tx, place, begin, limit, snapshot=True)
        yield entries
        small = sum(len(value) for _key, value in entries) < PAGE_BYTES // 2
        limit = min(2 * limit, PAGE_MAX) if small else max(limit // 2, PAGE_MIN)
        begin = None if position is None else successor(position)


def _read(plan: KindPlan[Any], key: bytes, raw: bytes) -> Any:  # noqa: ANN401 - a record, or what is wrong with it
    """A record whose key is the one its fields say, or a `Finding`."""
    try:
        record = plan.decode(raw)
    except MsgspecError as error:
        return Finding(plan.name, f"the record cannot be read ({error})", key)
    if plan.stamp is None and plan.record_key(record) != key:
        return Finding(plan.name, "the record's fields say that it belongs elsewhere", key)
    return record


async def _kind(tx: AsyncTypedReads, plan: KindPlan[Any]) -> AsyncIterator[Finding]:
    """Every record can be read and has its entries."""
    indexes = [index for index in plan.indexes if index.is_readable]
    async for page in pages(tx, plan.place):
        wanted: dict[bytes, tuple[IndexPlan, bytes]] = {}
        for key, raw in page:
            record = _read(plan, key, raw)
            if isinstance(record, Finding):
                yield record
                continue
            for index in indexes:
                for entry, value in index.entries(record, raw, key)[0].items():
                    wanted[entry] = (index, value)
        found = await tx.unchecked_get_many(list(wanted), snapshot=True)
        for (entry, (index, value)), held in zip(wanted.items(), found, strict=True):
            if held is None:
                yield Finding(index.name, "an entry is missing", entry)
            elif held != value:
                yield Finding(index.name, "an entry holds another value than its record", entry)


async def _index(tx: AsyncTypedReads, index: IndexPlan) -> AsyncIterator[Finding]:
    """Every entry belongs to a record that implies it."""
    plan = index.kind
    async for page in pages(tx, index.place):
        owners: dict[bytes, bytes] = {}
        for entry, value in page:
            try:
                owners[entry] = plan.owner_of(index, value)
            except MsgspecError as error:
                yield Finding(index.name, f"an entry cannot be read ({error})", entry)
        found = await tx.unchecked_get_many(list(owners.values()), snapshot=True)
        for (entry, owner), raw in zip(owners.items(), found, strict=True):
            if raw is None:
                yield Finding(index.name, f"an entry leads to no record ({owner!r})", entry)
                continue
            record = _read(plan, owner, raw)
            # What is wrong with the record itself was found where records are checked.
            implied = isinstance(record, Finding) or entry in index.entries(record, raw, owner)[0]
            if not implied:
                yield Finding(index.name, f"an entry its record ({owner!r}) does not imply", entry)


async def _total(tx: AsyncTypedReads, total: TotalPlan) -> AsyncIterator[Finding]:
    """Every counter equals the sum over its group."""
    counters = 0
    async for page in pages(tx, total.place):
        counters += len(page)
    passes = counters // GROUPS_MAX + 1
    for turn in range(passes):
        expected = await _expected(tx, total, turn, passes)
        async for page in pages(tx, total.place):
            for counter, raw in page:
                if hash(counter) % passes == turn:
                    wrong = _wrong(raw, expected.pop(counter, 0))
                    if wrong:
                        yield Finding(total.name, wrong, counter)
        for counter, amount in expected.items():
            if amount:
                yield Finding(total.name, f"a counter is missing; it should be {amount}", counter)


async def _expected(
    tx: AsyncTypedReads, total: TotalPlan, turn: int, passes: int
) -> dict[bytes, int]:
    """The counters that the records imply, those of one pass."""
    expected: dict[bytes, int] = {}
    async for page in pages(tx, total.kind.place):
        for key, raw in page:
            record = _read(total.kind, key, raw)
            for counter, amount in [] if isinstance(record, Finding) else total.builder(record):
                if hash(counter) % passes == turn:
                    expected[counter] = expected.get(counter, 0) + amount
    return expected


def _wrong(raw: bytes, expected: int) -> str:
    try:
        found = decode_counter(raw)
    except InvalidEncoding as error:
        return f"a counter cannot be read ({error})"
    return "" if found == expected else f"a counter is {found} and should be {expected}"


async def _strays(tx: AsyncTypedReads) -> AsyncIterator[Finding]:
    """No key lies in a table that the registry does not know."""
    catalog = tx.schema.catalog
    known = {one.number for one in catalog.clearing}
    for kind in tx.schema.stored.values():
        known.add(kind.number)
        known |= {one.number for one in kind.indexes} | {one.number for one in kind.totals}
        known |= {one.marks for one in kind.totals}
    columns = {area.number: len(area.codes) for area in catalog.areas.values()}
    for area, count in sorted({GLOBAL_AREA: 0, **columns}.items()):
        async for number, key in _tables(tx, place_of(area, count, 0)):
            if number not in known:
                yield Finding(
                    f"table {number}", "the registry knows no kind, index or total there", key
                )


async def _tables(tx: AsyncTypedReads, place: Place) -> AsyncIterator[tuple[object, bytes]]:
    """The number and first key of each table in each partition of an area."""
    position = place.head
    while True:
        found, _more = await tx.unchecked_scan(
            position, place.head + AFTER, 1, _FORWARD, snapshot=True
        )
        if not found:
            return
        key = found[0][0]
        begin = len(place.head) + len(place.partition_of(key))
        number, end = unpack_element(key, begin)
        yield number, key
        position = key[:end] + AFTER
