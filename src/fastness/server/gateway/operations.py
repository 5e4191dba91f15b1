"""What one transaction demands and does: the documents of preconditions and operations."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import Meta, field

from fastness.server.gateway.documents import (
    Answered,
    Body,
    Document,
    IfVersion,
    Interval,
    KindName,
    RecordVersion,
    TimeToLive,
    TransactionId,
)
from fastness.server.gateway.encodings import Key, Value
from fastness.server.gateway.timestamps import MomentText, TimestampText

# ------------------------------------------------------------------ preconditions


class RequireAbsent(Body, tag_field="require", tag="absent"):
    """There is no such key."""

    key: Key


class RequirePresent(Body, tag_field="require", tag="present"):
    """There is such a key, whatever its value."""

    key: Key


class RequireValue(Body, tag_field="require", tag="value"):
    """The key has this value."""

    key: Key
    value: Value


class RequireVersion(Body, tag_field="require", tag="version"):
    """The key was written last by this commit: nobody has written it since it was read."""

    key: Key
    version: TimestampText


Precondition: TypeAlias = RequireAbsent | RequirePresent | RequireValue | RequireVersion

# ------------------------------------------------------------------ keys and values


class SetKey(Body, tag_field="op", tag="set"):
    """Write a value."""

    key: Key
    value: Value
    expires_at: Annotated[MomentText | None, Meta(description="from then on it is absent")] = None
    ttl_ms: TimeToLive | None = None


class DeleteKey(Body, tag_field="op", tag="delete"):
    """Remove a key; removing an absent one is no error."""

    key: Key


class DeleteRange(Body, tag_field="op", tag="delete_range"):
    """Remove the keys that begin with `prefix`, or from `begin` to below `end`."""

    prefix: Key | None = None
    begin: Key | None = None
    end: Key | None = None


class Add(Body, tag_field="op", tag="add"):
    """Add to a counter; absent counts as 0. Never conflicts."""

    key: Key
    amount: int


class Lower(Body, tag_field="op", tag="min"):
    """Lower a counter to `amount` if it is above; set it where absent. Never conflicts."""

    key: Key
    amount: int


class Raise(Body, tag_field="op", tag="max"):
    """Raise a counter to `amount` if it is below; set it where absent. Never conflicts."""

    key: Key
    amount: int


class Append(Body, tag_field="op", tag="append"):
    """Append to a value; absent counts as empty. Never conflicts."""

    key: Key
    value: Value


class CompareAndClear(Body, tag_field="op", tag="compare_and_clear"):
    """Remove the key if it has this value at the commit. Never conflicts."""

    key: Key
    value: Value


class SetVersionstampedKey(Body, tag_field="op", tag="set_versionstamped_key"):
    """Write under prefix + versionstamp (10 bytes) + suffix: keys in the order of commits."""

    prefix: Key
    value: Value
    suffix: Key = ""


class SetVersionstampedValue(Body, tag_field="op", tag="set_versionstamped_value"):
    """Write prefix + versionstamp (10 bytes) + suffix as the value."""

    key: Key
    prefix: Value = ""
    suffix: Value = ""


# ------------------------------------------------------------------ typed records

RecordKey: TypeAlias = Annotated[
    list[Any], Meta(min_length=1, description="the columns of its key")
]


class InsertRecord(Body, tag_field="op", tag="insert"):
    """Store a new record; `record_exists` where its key is taken."""

    kind: KindName
    record: Document


class PutRecord(Body, tag_field="op", tag="put"):
    """Store a record, new or in place of the one with its key."""

    kind: KindName
    record: Document
    if_version: IfVersion = None


class PatchRecord(Body, tag_field="op", tag="patch"):
    """Change some fields of a stored record."""

    kind: KindName
    key: RecordKey
    changes: Document
    if_version: IfVersion = None


class RemoveRecord(Body, tag_field="op", tag="remove"):
    """Remove a record; `record_not_found` where there is none."""

    kind: KindName
    key: RecordKey
    if_version: IfVersion = None


Operation: TypeAlias = (
    SetKey
    | DeleteKey
    | DeleteRange
    | Add
    | Lower
    | Raise
    | Append
    | CompareAndClear
    | SetVersionstampedKey
    | SetVersionstampedValue
    | InsertRecord
    | PutRecord
    | PatchRecord
    | RemoveRecord
)


class ReadSince(Body):
    """What was read before at `read_timestamp`, and must not have changed since."""

    read_timestamp: TimestampText
    keys: Annotated[list[Key], Meta(description="keys that were read, absent ones too")] = field(
        default_factory=list
    )
    intervals: Annotated[list[Interval], Meta(description="intervals that were scanned")] = field(
        default_factory=list
    )


class Transaction(Body):
    """All of it, or nothing: it is applied at one instant, once what it demands holds there."""

    id: TransactionId | None = None
    read: ReadSince | None = None
    preconditions: list[Precondition] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)


class Committed(Answered):
    """The transaction was applied."""

    commit_timestamp: Annotated[
        TimestampText,
        Meta(description="when; `version` of what it wrote, and to be read at or watched from"),
    ]
    versionstamp: Annotated[str, Meta(description="the 10 bytes of its stamp, in base64")]
    records: Annotated[
        list[Document], Meta(description="of each operation on records, in order, as stored")
    ]
    versions: Annotated[list[RecordVersion], Meta(description="of each of these records")]
    repeated: Annotated[
        bool, Meta(description="whether it had been applied before, by the same id")
    ] = False
