"""Keys and values: reads, scans, waiting for a change."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC

from fastness.client.cluster.reading import Versioned
from fastness.encoding.intervals import USER_END, prefix_end
from fastness.encoding.timestamps import to_datetime
from fastness.errors import InvalidOption, LimitExceeded, RecordNotFound
from fastness.hosting import Watch as HostedWatch
from fastness.model.paging import require_limit
from fastness.server.gateway import documents
from fastness.server.gateway.calls import FIRST_STEP, Call, next_step, paged
from fastness.server.gateway.documents import Changed, Entry, FoundKey, FoundKeys, Now, Scanned
from fastness.server.gateway.encodings import (
    EncodedKey,
    KeyForm,
    ValueForm,
    key_bytes,
    prefix_interval,
    shown_key,
    shown_value,
)
from fastness.server.gateway.timestamps import timestamp_of
from fastness.server.http import Response, json_response


def entry_of(key: bytes, found: Versioned, keys: KeyForm, values: ValueForm) -> Entry:
    """An entry as a request wants it shown."""
    return Entry(
        key=shown_key(key, keys),
        value=shown_value(found.value, values),
        version=str(found.version),
    )


async def get_key(call: Call) -> Response:
    """One key; its version is the entity tag."""
    (key,) = call.path
    tx = call.reading(call.query.at)
    tx.check_key(key)
    (found,) = await tx.read_versions([key])
    if found is None:
        raise RecordNotFound(f"there is no key {key!r:.200}")
    response = json_response(
        FoundKey(
            key=shown_key(key, call.query.show_key),
            value=shown_value(found.value, call.query.show_value),
            version=str(found.version),
            read_timestamp=str(tx.read_timestamp),
        )
    )
    response.headers.append(("etag", f'"{found.version}"'))
    return response


async def read_keys(call: Call) -> FoundKeys:
    """Many keys at one moment."""
    asked: documents.ReadKeys = call.body
    tx = call.reading(asked.at)
    keys = [key_bytes(one) for one in asked.keys]
    for key in keys:
        tx.check_key(key)
    entries: list[Entry | None] = []
    size, step = 0, FIRST_STEP
    while len(entries) < len(keys):
        part = keys[len(entries) : len(entries) + step]
        for key, found in zip(part, await tx.read_versions(part), strict=True):
            if found is None:
                entries.append(None)
            else:
                entries.append(entry_of(key, found, asked.show_keys, asked.show_values))
                size += len(key) + len(found.value)
        left = call.limits.http_answer_bytes - size
        if left < 0:
            raise LimitExceeded(
                f"the first {len(entries)} of these keys hold {size} bytes with their values, "
                f"beyond http_answer_bytes={call.limits.http_answer_bytes}: ask for fewer"
            )
        step = next_step(step, len(entries), size, left)
    return FoundKeys(entries=entries, read_timestamp=str(tx.read_timestamp))


def interval_of(
    prefix: str | EncodedKey | None,
    begin: str | EncodedKey | None,
    end: str | EncodedKey | None,
) -> tuple[bytes, bytes]:
    """The interval a request names."""
    if prefix is not None:
        if begin is not None or end is not None:
            raise InvalidOption("prefix, and begin or end, are given both: leave one out")
        first, last = prefix_interval(prefix, prefix_end)
        return first, min(last, USER_END)
    return (
        b"" if begin is None else key_bytes(begin),
        USER_END if end is None else key_bytes(end),
    )


async def scan(call: Call) -> Scanned:
    """A page of an interval."""
    asked: documents.Scan = call.body
    begin, end = interval_of(asked.prefix, asked.begin, asked.end)
    tx = call.reading(asked.at)

    async def page(
        count: int, continuation: bytes | None
    ) -> tuple[list[tuple[Entry, int]], bytes | None]:
        found = await tx.scan(
            begin, end, limit=count, reverse=asked.reverse, continuation=continuation
        )
        return [shown(key, value) for key, value in found.entries], found.continuation

    def shown(key: bytes, value: bytes) -> tuple[Entry, int]:
        entry = Entry(
            key=shown_key(key, asked.show_keys), value=shown_value(value, asked.show_values)
        )
        return entry, len(key) + len(value)

    entries, continuation = await paged(
        page,
        _size_of,
        limit=require_limit(asked.limit, call.limits),
        bytes_max=call.limits.http_answer_bytes,
        continuation=None if asked.continuation is None else asked.continuation.encode(),
    )
    return Scanned(
        entries=[entry for entry, _size in entries],
        continuation=None if continuation is None else continuation.decode(),
        read_timestamp=str(tx.read_timestamp),
    )


def _size_of(shown: tuple[Entry, int]) -> int:
    return shown[1]


async def now(call: Call) -> Now:
    """The newest snapshot."""
    timestamp = await call.client.now()
    return Now(timestamp=str(timestamp), time=to_datetime(timestamp).astimezone(UTC).isoformat())


async def watch(call: Call) -> Changed:
    """Wait until one of the keys was written since a read."""
    asked: documents.Watch = call.body
    most = call.limits.http_watch_ms
    if asked.timeout_ms > most:
        raise InvalidOption(
            f"timeout_ms={asked.timeout_ms} is longer than http_watch_ms={most}: ask again instead"
        )
    seen = timestamp_of(asked.seen)
    keys = dict.fromkeys(key_bytes(one) for one in asked.keys)
    for key in keys:
        call.reading(None).check_key(key)
    async with AsyncExitStack() as stack:
        watches: list[tuple[bytes, HostedWatch]] = []
        for key in keys:
            one = await call.client.watch(key, seen=seen)
            stack.callback(one.cancel)
            watches.append((key, one))
        waiting = {asyncio.create_task(one.wait_async()) for _, one in watches}
        waiting.add(asyncio.create_task(call.let_go(asked.timeout_ms / 1_000)))
        stack.push_async_callback(_stopped, waiting)
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        changed = [shown_key(key, asked.show_keys) for key, one in watches if one.fired]
    return Changed(changed=changed)


async def _stopped(tasks: set[asyncio.Task[None]]) -> None:
    """End what still waits; why a watch ended otherwise than by a change is raised."""
    ended = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in ended:
        task.result()
