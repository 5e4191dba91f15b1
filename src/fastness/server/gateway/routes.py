"""Every path of the gateway: who answers it, and the types of what is asked and answered.

The page that describes the gateway is made of this table, and requests are decoded by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote_to_bytes

from fastness.server.gateway import documents, keys, operations, records, shortcuts, transactions
from fastness.server.gateway.calls import Call, Handler

ROOT = "/v1"
PAGE = f"{ROOT}/openapi.json"


class Subject(StrEnum):
    """What a path is about."""

    KEYS = "Keys and values"
    TRANSACTIONS = "Transactions"
    RECORDS = "Typed records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """Below `ROOT`; what is in braces is a parameter, and the last one takes all the rest."""
    name: str
    subject: Subject
    summary: str
    handler: Handler
    answer: type
    body: Any = None
    query: type | None = None
    headers: type | None = None
    status: HTTPStatus = HTTPStatus.OK
    parameters: dict[str, str] = field(default_factory=dict)
    """What the parameters of the path are, by name."""
    takes_columns: bool = False
    """Whether slashes part the columns of the last parameter, or belong to it."""


async def _transaction(call: Call) -> operations.Committed:
    return await transactions.apply(call, call.body)


_KEY = {"key": "the bytes of the key, percent-encoded; slashes may stand as they are"}
_KIND = {"kind": "a kind of records, such as User"}
_RECORD = {
    **_KIND,
    "key": "the columns of the record's key, percent-encoded, with slashes between them",
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/keys/{key}",
        name="getKey",
        subject=Subject.KEYS,
        summary="The value of a key; its version is the ETag.",
        handler=keys.get_key,
        query=documents.KeyQuery,
        answer=documents.FoundKey,
        parameters=_KEY,
    ),
    Route(
        method="PUT",
        path="/keys/{key}",
        name="putKey",
        subject=Subject.KEYS,
        summary="Write a value.",
        handler=shortcuts.put_key,
        body=documents.WriteKey,
        headers=documents.KeyHeaders,
        answer=operations.Committed,
        parameters=_KEY,
    ),
    Route(
        method="DELETE",
        path="/keys/{key}",
        name="deleteKey",
        subject=Subject.KEYS,
        summary="Remove a key; removing an absent one is no error.",
        handler=shortcuts.delete_key,
        headers=documents.KeyHeaders,
        answer=operations.Committed,
        parameters=_KEY,
    ),
    Route(
        method="POST",
        path="/read",
        name="readKeys",
        subject=Subject.KEYS,
        summary="The values of many keys at one moment.",
        handler=keys.read_keys,
        body=documents.ReadKeys,
        answer=documents.FoundKeys,
    ),
    Route(
        method="POST",
        path="/scan",
        name="scan",
        subject=Subject.KEYS,
        summary="A page of the keys of an interval, in order.",
        handler=keys.scan,
        body=documents.Scan,
        answer=documents.Scanned,
    ),
    Route(
        method="POST",
        path="/watch",
        name="watch",
        subject=Subject.KEYS,
        summary="Wait until one of some keys is written.",
        handler=keys.watch,
        body=documents.Watch,
        answer=documents.Changed,
    ),
    Route(
        method="GET",
        path="/now",
        name="now",
        subject=Subject.KEYS,
        summary="The timestamp of the newest snapshot, to read several things at.",
        handler=keys.now,
        answer=documents.Now,
    ),
    Route(
        method="POST",
        path="/transaction",
        name="transaction",
        subject=Subject.TRANSACTIONS,
        summary="Demands and operations on keys and records, all or nothing.",
        handler=_transaction,
        body=operations.Transaction,
        answer=operations.Committed,
    ),
    Route(
        method="GET",
        path="/kinds",
        name="kinds",
        subject=Subject.RECORDS,
        summary="The kinds of records in the stored schema.",
        handler=records.kinds,
        query=documents.AtQuery,
        answer=documents.Kinds,
    ),
    Route(
        method="GET",
        path="/kinds/{kind}",
        name="describeKind",
        subject=Subject.RECORDS,
        summary="The fields, indexes and totals of a kind.",
        handler=records.describe,
        query=documents.AtQuery,
        answer=documents.KindDescription,
        parameters=_KIND,
    ),
    Route(
        method="GET",
        path="/records/{kind}",
        name="listRecords",
        subject=Subject.RECORDS,
        summary="A page of all records of a kind, as they are stored.",
        handler=records.every,
        query=documents.ListQuery,
        answer=documents.Records,
        parameters=_KIND,
    ),
    Route(
        method="POST",
        path="/records/{kind}",
        name="insertRecord",
        subject=Subject.RECORDS,
        summary="Store a new record; record_exists where its key is taken.",
        handler=shortcuts.insert,
        body=documents.Document,
        headers=documents.RepeatHeaders,
        answer=documents.StoredRecord,
        status=HTTPStatus.CREATED,
        parameters=_KIND,
    ),
    Route(
        method="PUT",
        path="/records/{kind}",
        name="putRecord",
        subject=Subject.RECORDS,
        summary="Store a record, new or in place of the one with its key.",
        handler=shortcuts.put,
        body=documents.Document,
        query=documents.VersionQuery,
        headers=documents.RepeatHeaders,
        answer=documents.StoredRecord,
        parameters=_KIND,
    ),
    Route(
        method="GET",
        path="/records/{kind}/{key}",
        name="getRecord",
        subject=Subject.RECORDS,
        summary="One record by its key.",
        handler=records.fetch,
        query=documents.AtQuery,
        answer=documents.FoundRecord,
        parameters=_RECORD,
        takes_columns=True,
    ),
    Route(
        method="PATCH",
        path="/records/{kind}/{key}",
        name="patchRecord",
        subject=Subject.RECORDS,
        summary="Change the fields of a record that the body names.",
        handler=shortcuts.patch,
        body=documents.Document,
        query=documents.VersionQuery,
        headers=documents.RepeatHeaders,
        answer=documents.StoredRecord,
        parameters=_RECORD,
        takes_columns=True,
    ),
    Route(
        method="DELETE",
        path="/records/{kind}/{key}",
        name="removeRecord",
        subject=Subject.RECORDS,
        summary="Remove a record.",
        handler=shortcuts.remove,
        query=documents.VersionQuery,
        headers=documents.RepeatHeaders,
        answer=documents.StoredRecord,
        parameters=_RECORD,
        takes_columns=True,
    ),
    Route(
        method="POST",
        path="/query",
        name="query",
        subject=Subject.RECORDS,
        summary="A page of records by an index, in its order.",
        handler=records.query,
        body=documents.Query,
        answer=documents.Records,
    ),
    Route(
        method="POST",
        path="/count",
        name="count",
        subject=Subject.RECORDS,
        summary="How many records a query has.",
        handler=records.count,
        body=documents.CountQuery,
        answer=documents.Number,
    ),
    Route(
        method="POST",
        path="/total",
        name="total",
        subject=Subject.RECORDS,
        summary="A count or sum that is kept.",
        handler=records.total,
        body=documents.Total,
        answer=documents.Number,
    ),
)


@dataclass(frozen=True, slots=True)
class Found:
    """The routes of a path, by method, and what its parameters are."""

    by_method: dict[str, Route]
    parameters: list[bytes]


def found_at(raw_path: str) -> Found | None:
    """The routes of a path as it was sent; `None` where there are none."""
    if not raw_path.startswith(f"{ROOT}/"):
        return None
    segments = raw_path.removeprefix(ROOT).split("/")[1:]
    for path in dict.fromkeys(one.path for one in ROUTES):
        here = [one for one in ROUTES if one.path == path]
        parameters = _matched(path.split("/")[1:], segments, takes_columns=here[0].takes_columns)
        if parameters is not None:
            return Found({one.method: one for one in here}, parameters)
    return None


def _matched(
    template: list[str], segments: list[str], *, takes_columns: bool
) -> list[bytes] | None:
    """The parameters of a path, where it is of this template."""
    if len(segments) < len(template):
        return None
    parameters: list[bytes] = []
    *_, last = template
    if len(segments) > len(template) and last != "{key}":
        return None
    for name, segment in zip(template, _grouped(segments, len(template)), strict=True):
        if not name.startswith("{"):
            if segment != [name]:
                return None
        elif takes_columns:
            parameters += map(unquote_to_bytes, segment)
        else:
            parameters.append(unquote_to_bytes("/".join(segment)))
    return parameters


def _grouped(segments: list[str], count: int) -> Iterator[list[str]]:
    """So many groups: each of one segment, the last of all that are left."""
    for at in range(count - 1):
        yield [segments[at]]
    yield segments[count - 1 :]
