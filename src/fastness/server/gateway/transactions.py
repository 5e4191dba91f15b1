"""Transactions in one request: what was read, what is demanded, what is done; and once for an id.

A transaction that names what was read before (`read`) is one attempt: what it read may not be read
again for it, so a conflict is told. Any other is run again after a conflict, as everywhere.

With an id, what was answered is kept beside the data, by the very transaction, for
`limits.http_repeat_ms`: whoever sends it again, to whichever server, gets the answer of the first.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec.structs import replace

from fastness.client.cluster import ClusterTransaction
from fastness.client.cluster.reading import Versioned
from fastness.client.running import AsyncAttempts, run_async
from fastness.client.transaction import AsyncTransaction
from fastness.encoding.timestamps import Timestamp, from_milliseconds
from fastness.encoding.tuples import pack
from fastness.errors import (
    Conflict,
    FastnessError,
    InvalidOption,
    LimitExceeded,
    Overloaded,
    PreconditionFailed,
)
from fastness.invariants import present
from fastness.ranges import versionstamp
from fastness.server.gateway import operations
from fastness.server.gateway.calls import STEP_MAX, Call
from fastness.server.gateway.encodings import key_bytes, value_bytes
from fastness.server.gateway.keys import interval_of
from fastness.server.gateway.operations import Committed, Precondition, Transaction
from fastness.server.gateway.record_documents import Written
from fastness.server.gateway.record_writes import RECORD_OPERATIONS, RecordWrites
from fastness.server.gateway.timestamps import expiry_of, timestamp_of

REPEATS = b"\xff\x03"
"""Answers of transactions by the ids their senders gave: `pack((id,))` behind this."""

_DIGEST_BYTES = 16


async def apply(call: Call, asked: Transaction) -> Committed:
    """Do a transaction; a `FastnessError` says why it was not done."""
    if asked.read is None:
        # What comes again and again would keep a connection waiting here: its sender may as well.
        attempts = _Impatient(call.client.backing.attempts(None))
        return (await run_async(attempts, _attempt, (call, asked), {})).committed()
    known = await _known(call, asked)
    if known is not None:
        return known
    since = timestamp_of(asked.read.read_timestamp)
    await call.client.core.require_issued(since)
    try:
        async with call.client.transaction_since(since) as tx:
            attempt = await _attempt(tx, call, asked)
        return attempt.committed()
    except Conflict:
        # The one that overtook it may have been its own first sending.
        known = await _known(call, asked)
        if known is not None:
            return known
        raise


class _Impatient:
    """Attempts that end where the server is too busy, or the sender too fast."""

    def __init__(self, attempts: AsyncAttempts) -> None:
        self._attempts = attempts
        self.begin = attempts.begin
        self.end = attempts.end

    async def failed(self, tx: AsyncTransaction, error: FastnessError) -> None:
        """Pause, or raise."""
        if isinstance(error, Overloaded):
            raise error
        await self._attempts.failed(tx, error)


@dataclass(slots=True)
class _Attempt:
    """What one attempt came to."""

    tx: ClusterTransaction
    written: list[Written] = field(default_factory=list)
    """The records of its operations, in their order."""
    known: Committed | None = None
    """The answer of the first sending, where this is not it."""

    def committed(self) -> Committed:
        """The answer, once it has committed."""
        if self.known is not None:
            return self.known
        timestamp = present(self.tx.commit_timestamp, "what committed has a timestamp")
        return _committed(timestamp, self.written)


def _committed(
    timestamp: Timestamp, written: list[Written], *, repeated: bool = False
) -> Committed:
    return Committed(
        commit_timestamp=str(timestamp),
        versionstamp=b64encode(versionstamp(timestamp)).decode(),
        records=[one.record for one in written],
        versions=[one.version for one in written],
        repeated=repeated,
    )


async def _attempt(tx: ClusterTransaction, call: Call, asked: Transaction) -> _Attempt:
    attempt = _Attempt(tx)
    if asked.id is not None:
        (found,) = await tx.read_versions([_repeat_key(asked.id)])
        if found is not None:
            attempt.known = _repeated(asked, found)
            return attempt
    if asked.read is not None:
        for key in asked.read.keys:
            tx.add_read_conflict_key(key_bytes(key))
        for one in asked.read.intervals:
            tx.add_read_conflict_range(key_bytes(one.begin), key_bytes(one.end))
    await _require(tx, asked.preconditions)
    await _operate(tx, call, asked.operations, attempt.written)
    if asked.id is not None:
        _keep_answer(tx, call, asked, attempt.written)
    return attempt


# ------------------------------------------------------------------ once for an id


def _repeat_key(identity: str) -> bytes:
    return REPEATS + pack((identity,))


def _digest(asked: Transaction) -> bytes:
    """What tells transactions of one id apart that are not the same."""
    content = msgspec.json.encode(replace(asked, id=None), order="sorted")
    return blake2b(content, digest_size=_DIGEST_BYTES, person=b"fastness http").digest()


async def _known(call: Call, asked: Transaction) -> Committed | None:
    if asked.id is None:
        return None
    (found,) = await call.reading(None).read_versions([_repeat_key(asked.id)])
    return None if found is None else _repeated(asked, found)


def _repeated(asked: Transaction, found: Versioned) -> Committed:
    if found.value[:_DIGEST_BYTES] != _digest(asked):
        raise InvalidOption(
            f"another transaction was sent with the id {asked.id!r}: give each one its own"
        )
    written = msgspec.json.decode(found.value[_DIGEST_BYTES:], type=list[Written])
    return _committed(found.version, written, repeated=True)


def _keep_answer(
    tx: ClusterTransaction, call: Call, asked: Transaction, written: list[Written]
) -> None:
    value = _digest(asked) + msgspec.json.encode(written)
    if len(value) > call.limits.value_bytes:
        raise LimitExceeded(
            f"its records make an answer of {len(value)} bytes, beyond value_bytes="
            f"{call.limits.value_bytes}, which cannot be kept for a repetition: write fewer "
            "records in one transaction, or leave out its id"
        )
    key = _repeat_key(present(asked.id, "only what has an id is kept"))
    expires_at = from_milliseconds(call.clock.wall_ms() + call.limits.http_repeat_ms)
    tx.unchecked_set(key, value, expires_at)


# ------------------------------------------------------------------ preconditions


async def _require(tx: ClusterTransaction, preconditions: list[Precondition]) -> None:
    """Raise what does not hold; what does is read, so it holds at the commit."""
    keys = [key_bytes(one.key) for one in preconditions]
    for key in keys:
        tx.check_key(key)
    if not keys:
        return
    for demand, key, found in zip(preconditions, keys, await tx.read_versions(keys), strict=True):
        if not _holds(demand, found):
            is_now = "is absent" if found is None else f"has version {found.version}"
            raise PreconditionFailed(
                f"key {key!r:.200} {is_now}, and was demanded to be {_demanded(demand)}: read it "
                "and decide anew"
            )


def _holds(demand: Precondition, found: Versioned | None) -> bool:
    if isinstance(demand, operations.RequireAbsent):
        return found is None
    if found is None:
        return False
    if isinstance(demand, operations.RequireValue):
        return found.value == value_bytes(demand.value)
    if isinstance(demand, operations.RequireVersion):
        return found.version == timestamp_of(demand.version)
    return True


def _demanded(demand: Precondition) -> str:
    if isinstance(demand, operations.RequireAbsent):
        return "absent"
    if isinstance(demand, operations.RequireValue):
        return "another value"
    if isinstance(demand, operations.RequireVersion):
        return f"of version {demand.version}"
    return "present"


# ------------------------------------------------------------------ operations


async def _operate(
    tx: ClusterTransaction,
    call: Call,
    asked: list[operations.Operation],
    written: list[Written],
) -> None:
    writes: RecordWrites | None = None
    now_ms = call.clock.wall_ms()
    for at, one in enumerate(asked, start=1):
        if at % STEP_MAX == 0:
            await asyncio.sleep(0)
        if isinstance(one, operations.SetKey):
            expires_at = _expiry(one.expires_at, one.ttl_ms, now_ms)
            tx.set(key_bytes(one.key), value_bytes(one.value), expires_at=expires_at)
        elif isinstance(one, RECORD_OPERATIONS):
            if writes is None:
                writes = RecordWrites(tx, await call.bind(tx))
            written.append(await writes.apply(one))
        else:
            _ON_KEYS[type(one)](tx, one)


def _expiry(expires_at: str | None, ttl_ms: int | None, now_ms: int) -> Timestamp | None:
    if expires_at is not None and ttl_ms is not None:
        raise InvalidOption("expires_at and ttl_ms are given both: leave one out")
    if ttl_ms is not None:
        return from_milliseconds(now_ms + ttl_ms)
    return None if expires_at is None else expiry_of(expires_at)


def _delete_range(tx: ClusterTransaction, one: operations.DeleteRange) -> None:
    if one.prefix is None and (one.begin is None or one.end is None):
        raise InvalidOption("delete_range takes a prefix, or begin and end: give one of them")
    tx.delete_range(*interval_of(one.prefix, one.begin, one.end))


_ON_KEYS: dict[type, Callable[[ClusterTransaction, Any], None]] = {
    operations.DeleteKey: lambda tx, one: tx.delete(key_bytes(one.key)),
    operations.DeleteRange: _delete_range,
    operations.Add: lambda tx, one: tx.add(key_bytes(one.key), one.amount),
    operations.Lower: lambda tx, one: tx.min(key_bytes(one.key), one.amount),
    operations.Raise: lambda tx, one: tx.max(key_bytes(one.key), one.amount),
    operations.Append: lambda tx, one: tx.append(key_bytes(one.key), value_bytes(one.value)),
    operations.CompareAndClear: lambda tx, one: tx.compare_and_clear(
        key_bytes(one.key), value_bytes(one.value)
    ),
    operations.SetVersionstampedKey: lambda tx, one: tx.set_versionstamped_key(
        key_bytes(one.prefix), value_bytes(one.value), key_bytes(one.suffix)
    ),
    operations.SetVersionstampedValue: lambda tx, one: tx.set_versionstamped_value(
        key_bytes(one.key), value_bytes(one.prefix), value_bytes(one.suffix)
    ),
}
"""Operations that only fill the buffer."""
