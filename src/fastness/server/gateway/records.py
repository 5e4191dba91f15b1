"""Typed records: by key, by index, counted and summed, listed; and what kinds there are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, cast

import msgspec

from fastness.client.cluster import ClusterTransaction
from fastness.errors import InvalidKey
from fastness.model import Listing, as_mapping
from fastness.model.by_name import (
    column_value,
    column_values,
    index_of,
    plan_of,
    require_few,
    total_of,
)
from fastness.model.kinds import KeyColumn
from fastness.model.paging import require_limit
from fastness.model.plans import KindPlan
from fastness.model.schema import Schema
from fastness.model.stored import StoredColumn
from fastness.server.gateway import documents
from fastness.server.gateway.calls import Call, paged
from fastness.server.gateway.documents import (
    Bounded,
    FoundRecord,
    KindDescription,
    KindField,
    KindIndex,
    Kinds,
    KindTotal,
    Number,
    Records,
)
from fastness.server.gateway.record_documents import version_of


class Listed(NamedTuple):
    """A record of a page, encoded to know how large it is, and its version."""

    encoded: bytes
    version: str | None


ReadPage: TypeAlias = Callable[[int, str | None], Awaitable[tuple[list[Listed], str | None]]]
"""Reads a page of records, encoded, as `paged` wants it."""


def _text(segment: bytes) -> str:
    try:
        return segment.decode()
    except UnicodeDecodeError as cause:
        raise InvalidKey(f"{segment!r:.80} in the path is no UTF-8") from cause


def kind_name(call: Call) -> str:
    """The kind in the path."""
    return _text(call.path[0])


def path_key(plan: KindPlan[Any], segments: Sequence[bytes]) -> list[Any]:
    """The key that the rest of a path means: a segment for each column, bytes as they are."""
    columns = plan.kind.key
    require_few(columns, segments, f"the key of {plan.name}")
    return [_path_value(one, raw) for one, raw in zip(columns, segments, strict=False)]


def _path_value(column: KeyColumn, raw: bytes) -> Any:  # noqa: ANN401 - a value of any field
    if column.codec.name in {"bytes", "stamp"}:
        return raw
    return column_value(column, _text(raw), as_text=True)


# ------------------------------------------------------------------ reading


async def fetch(call: Call) -> FoundRecord:
    """One record by its key."""
    tx = call.reading(call.query.at)
    plan = plan_of(await call.bind(tx), kind_name(call))
    record = await tx.require(plan.record, *path_key(plan, call.path[1:]))
    return FoundRecord(
        record=as_mapping(record),
        version=version_of(plan, record),
        read_timestamp=str(tx.read_timestamp),
    )


async def every(call: Call) -> Records:
    """A page of all records of a kind."""
    asked: documents.ListQuery = call.query
    tx = call.reading(asked.at)
    plan = plan_of(await call.bind(tx), kind_name(call))

    async def page(count: int, continuation: str | None) -> tuple[list[Listed], str | None]:
        found = await tx.every(plan.record, limit=count, continuation=continuation)
        return _encoded(plan, found)

    return await _listed(call, tx, page, asked.limit, asked.continuation)


async def query(call: Call) -> Records:
    """A page of records by an index."""
    asked: documents.Query = call.body
    tx = call.reading(asked.at)
    schema = await call.bind(tx)
    plan, index = index_of(schema, asked.index)
    prefix, bounds = _bounds(asked, schema)

    async def page(count: int, continuation: str | None) -> tuple[list[Listed], str | None]:
        found = await tx.query(
            index,
            *prefix,
            limit=count,
            reverse=asked.reverse,
            continuation=continuation,
            **bounds,
        )
        return _encoded(plan, found)

    return await _listed(call, tx, page, asked.limit, asked.continuation)


def _encoded(plan: KindPlan[Any], found: Listing[Any]) -> tuple[list[Listed], str | None]:
    listed = [Listed(msgspec.json.encode(as_mapping(one)), version_of(plan, one)) for one in found]
    return listed, found.continuation


def _size(listed: Listed) -> int:
    return len(listed.encoded)


async def _listed(
    call: Call, tx: ClusterTransaction, page: ReadPage, limit: int | None, continuation: str | None
) -> Records:
    found, rest = await paged(
        page,
        _size,
        limit=require_limit(limit, call.limits),
        bytes_max=call.limits.http_answer_bytes,
        continuation=continuation,
    )
    # Encoded already, to know how large they are.
    records = cast("list[dict[str, Any]]", [msgspec.Raw(one.encoded) for one in found])
    return Records(
        records=records,
        versions=[one.version for one in found],
        continuation=rest,
        read_timestamp=str(tx.read_timestamp),
    )


def _bounds(asked: Bounded, schema: Schema) -> tuple[list[Any], dict[str, Any]]:
    """The leading values of a query, and bounds by name of the column behind them."""
    _plan, index = index_of(schema, asked.index)
    columns = schema.index(index).columns
    prefix = column_values(columns, asked.prefix, asked.index)
    names = ("at_least", "above", "at_most", "below", "starting_with")
    given = {name: getattr(asked, name) for name in names}
    given = {name: value for name, value in given.items() if value is not msgspec.UNSET}
    if given and len(prefix) == len(columns):
        raise InvalidKey(f"{asked.index} has no column behind the prefix for {', '.join(given)}")
    return prefix, {name: column_value(columns[len(prefix)], one) for name, one in given.items()}


async def count(call: Call) -> Number:
    """How many records a query has."""
    asked: documents.CountQuery = call.body
    tx = call.reading(asked.at)
    schema = await call.bind(tx)
    _plan, index = index_of(schema, asked.index)
    prefix, bounds = _bounds(asked, schema)
    number = await tx.count(index, *prefix, **bounds)
    return Number(number=number, read_timestamp=str(tx.read_timestamp))


async def total(call: Call) -> Number:
    """A count or sum that is kept."""
    asked: documents.Total = call.body
    tx = call.reading(asked.at)
    schema = await call.bind(tx)
    _plan, part = total_of(schema, asked.total)
    columns = schema.total(part).definition.group
    number = await tx.total(part, *column_values(columns, asked.group, asked.total))
    return Number(number=number, read_timestamp=str(tx.read_timestamp))


# ------------------------------------------------------------------ kinds


async def kinds(call: Call) -> Kinds:
    """All kinds."""
    schema = await call.bind(call.reading(call.query.at))
    return Kinds(kinds=[_described(schema.by_name[name]) for name in sorted(schema.by_name)])


async def describe(call: Call) -> KindDescription:
    """One kind."""
    schema = await call.bind(call.reading(call.query.at))
    return _described(plan_of(schema, kind_name(call)))


def _described(plan: KindPlan[Any]) -> KindDescription:
    stored = plan.stored
    return KindDescription(
        kind=plan.name,
        key=_names(stored.key),
        fields=[KindField(name=one.name, type=str(one.shape)) for one in stored.fields],
        indexes=[
            KindIndex(
                name=one.name,
                columns=_names(one.columns),
                unique=one.unique,
                state=one.state.value,
            )
            for one in stored.indexes
        ],
        totals=[
            KindTotal(
                name=one.name, columns=_names(one.group), sum=one.summed, state=one.state.value
            )
            for one in stored.totals
        ],
        version=stored.version,
    )


def _names(columns: Sequence[StoredColumn]) -> list[str]:
    return [f"{one.name} descending" if one.descending else one.name for one in columns]
