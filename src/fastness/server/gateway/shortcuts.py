"""Writes of one key or record by their own paths: each is a transaction of one operation."""

from __future__ import annotations

from typing import Any

import msgspec

from fastness.errors import InvalidOption, InvalidTimestamp
from fastness.model.by_name import plan_of
from fastness.server.gateway import documents, operations
from fastness.server.gateway.calls import Call
from fastness.server.gateway.documents import StoredRecord
from fastness.server.gateway.encodings import EncodedKey, shown_key
from fastness.server.gateway.operations import Committed, Operation, Precondition, Transaction
from fastness.server.gateway.records import kind_name, path_key
from fastness.server.gateway.transactions import apply
from fastness.server.http import Response, json_response


async def put_key(call: Call) -> Response:
    """Write one key; its new version is the entity tag."""
    body: documents.WriteKey = call.body
    operation = operations.SetKey(
        key=_path_of(call), value=body.value, expires_at=body.expires_at, ttl_ms=body.ttl_ms
    )
    committed = await _on_key(call, operation)
    response = json_response(committed)
    response.headers.append(("etag", f'"{committed.commit_timestamp}"'))
    return response


async def delete_key(call: Call) -> Committed:
    """Remove one key."""
    return await _on_key(call, operations.DeleteKey(key=_path_of(call)))


def _path_of(call: Call) -> str | EncodedKey:
    return shown_key(call.path[0], "auto")


async def _on_key(call: Call, operation: Operation) -> Committed:
    headers: documents.KeyHeaders = call.headers
    demands: list[Precondition] = []
    if headers.if_match is not None:
        demands.append(_matching(_path_of(call), headers.if_match))
    if headers.if_none_match is not None:
        demands.append(operations.RequireAbsent(key=_path_of(call)))
    return await apply(
        call,
        Transaction(id=headers.idempotency_key, preconditions=demands, operations=[operation]),
    )


def _matching(key: str | EncodedKey, tag: str) -> Precondition:
    """What an If-Match demands."""
    if tag == "*":
        return operations.RequirePresent(key=key)
    version = tag.strip('"')
    if tag != f'"{version}"' or not (version.isascii() and version.isdecimal()):
        raise InvalidTimestamp(
            f'If-Match {tag!r:.80} is neither * nor an ETag as it was answered, such as "4675"'
        )
    return operations.RequireVersion(key=key, version=version)


async def insert(call: Call) -> StoredRecord:
    """Store a new record."""
    return await _on_record(call, operations.InsertRecord(kind=kind_name(call), record=call.body))


async def put(call: Call) -> StoredRecord:
    """Store a record, new or in place of the one with its key."""
    return await _on_record(
        call,
        operations.PutRecord(
            kind=kind_name(call), record=call.body, if_version=call.query.if_version
        ),
    )


async def patch(call: Call) -> StoredRecord:
    """Change some fields of a record."""
    return await _on_record(
        call,
        operations.PatchRecord(
            kind=kind_name(call),
            key=await _key_document(call),
            changes=call.body,
            if_version=call.query.if_version,
        ),
    )


async def remove(call: Call) -> StoredRecord:
    """Remove a record."""
    return await _on_record(
        call,
        operations.RemoveRecord(
            kind=kind_name(call), key=await _key_document(call), if_version=call.query.if_version
        ),
    )


async def _key_document(call: Call) -> list[Any]:
    """The key in the path as a document has it."""
    plan = plan_of(await call.bind(call.reading(None)), kind_name(call))
    key: list[Any] = msgspec.to_builtins(path_key(plan, call.path[1:]))
    if not key:
        raise InvalidOption(f"the path names no {plan.name}: put its key behind it")
    return key


async def _on_record(call: Call, operation: Operation) -> StoredRecord:
    headers: documents.RepeatHeaders = call.headers
    transaction = Transaction(id=headers.idempotency_key, operations=[operation])
    committed = await apply(call, transaction)
    return StoredRecord(
        record=committed.records[0],
        version=committed.versions[0],
        commit_timestamp=committed.commit_timestamp,
        repeated=committed.repeated,
    )
