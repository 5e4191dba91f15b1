"""What is said to etcd's JSON gateway, and what it answers.

The gateway speaks etcd's own gRPC messages as JSON: 64-bit integers are strings, bytes are
base64, and a field that has its zero value is left out of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fastness.placement.coordinator import Entry, Put

Json = dict[str, Any]

LEASE_NOT_FOUND = 5
"""`NOT_FOUND` of gRPC; nothing else that is asked for here can be not found."""

INVALID_ARGUMENT = 3
PERMISSION_DENIED = 7
UNAUTHENTICATED = 16


class Header(msgspec.Struct):
    """Who answered, and the revision of the key space then."""

    cluster_id: str = ""
    revision: int = 0


class KeyValue(msgspec.Struct):
    """One key; what etcd leaves out is empty."""

    key: bytes = b""
    value: bytes = b""
    mod_revision: int = 0

    @property
    def entry(self) -> Entry:
        """As the contract has it."""
        return Entry(self.value, self.mod_revision)


class RangeAnswer(msgspec.Struct):
    """Keys found; `count` is of all in the interval, whatever filters and limits took away."""

    header: Header = msgspec.field(default_factory=Header)
    kvs: list[KeyValue] = msgspec.field(default_factory=list)
    more: bool = False
    count: int = 0


class OperationAnswer(msgspec.Struct):
    """What one operation of a transaction found."""

    response_range: RangeAnswer = msgspec.field(default_factory=RangeAnswer)


class TxnAnswer(msgspec.Struct):
    """Whether the comparisons held, and what the operations of that side found."""

    header: Header = msgspec.field(default_factory=Header)
    succeeded: bool = False
    responses: list[OperationAnswer] = msgspec.field(default_factory=list)


class LeaseAnswer(msgspec.Struct):
    """A lease that was granted, ended, or kept alive; TTL 0 (or none) is one that has ended."""

    header: Header = msgspec.field(default_factory=Header)
    ID: int = 0
    TTL: int = 0


class StreamError(msgspec.Struct):
    """Why a stream ended; the code goes by two names in different versions."""

    message: str = ""
    grpc_code: int = 0
    code: int = 0


class KeepAliveAnswer(msgspec.Struct):
    """A stream of one."""

    result: LeaseAnswer = msgspec.field(default_factory=LeaseAnswer)
    error: StreamError | None = None


class StatusAnswer(msgspec.Struct):
    """What a member says of itself, without asking any other."""

    header: Header = msgspec.field(default_factory=Header)
    version: str = ""


class VersionAnswer(msgspec.Struct):
    """The same from a page that needs no permission."""

    etcdserver: str = ""


class TokenAnswer(msgspec.Struct):
    """What later requests carry."""

    token: str = ""


class WatchEvent(msgspec.Struct):
    """A key that was put or deleted."""

    kv: KeyValue = msgspec.field(default_factory=KeyValue)


class WatchResult(msgspec.Struct):
    """One message of a watch."""

    header: Header = msgspec.field(default_factory=Header)
    created: bool = False
    canceled: bool = False
    cancel_reason: str = ""
    compact_revision: int = 0
    events: list[WatchEvent] = msgspec.field(default_factory=list)


class WatchAnswer(msgspec.Struct):
    """One line of a watch's stream."""

    result: WatchResult = msgspec.field(default_factory=WatchResult)
    error: StreamError | None = None


class ErrorAnswer(msgspec.Struct):
    """What comes with an HTTP status that is none of success."""

    error: Any = None
    message: str = ""
    code: int = 0


def end_of(key: bytes) -> bytes:
    """The first key behind all those that begin with `key`, which is not empty nor all 0xff."""
    return key[:-1] + bytes([key[-1] + 1])


def range_request(begin: bytes, end: bytes, **more: int | str | bool) -> Json:
    """Every key from `begin` up to `end`; linearizable."""
    return {"key": begin, "range_end": end, **more}


def ranged(begin: bytes, end: bytes, **more: int | str | bool) -> Json:
    """The same as an operation of a transaction."""
    return {"request_range": range_request(begin, end, **more)}


def compared(key: bytes, revision: int) -> Json:
    """That a key was last written at this revision; 0: there is none."""
    return {"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}


def comparisons(compare: Mapping[str, int], root: bytes) -> list[Json]:
    """All of a write."""
    return [compared(root + key.encode(), revision) for key, revision in compare.items()]


def writes(puts: Iterable[Put], deletes: Iterable[str], root: bytes) -> list[Json]:
    """The operations of a write."""
    operations: list[Json] = [
        {
            "request_put": {
                "key": root + put.key.encode(),
                "value": put.value,
                "lease": str(put.session),
            }
        }
        for put in puts
    ]
    operations.extend({"request_delete_range": {"key": root + key.encode()}} for key in deletes)
    return operations
