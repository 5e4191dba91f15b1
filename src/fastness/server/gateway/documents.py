"""What requests say and answers tell: the structs that decode bodies, and the page is made of.

A field that is not here is refused, not overlooked: a misspelt precondition must not pass.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

from fastness.server.gateway.encodings import (
    Key,
    KeyForm,
    Value,
    ValueForm,
)
from fastness.server.gateway.timestamps import MomentText, TimestampText

KEYS_MAX = 10_000
"""Keys that one read, or watch, may name."""

Limit: TypeAlias = Annotated[int, Meta(ge=1, description="entries in the answer at most")]
Continuation: TypeAlias = Annotated[
    str, Meta(description="`continuation` of the answer before, to go on behind it")
]
At: TypeAlias = Annotated[
    MomentText, Meta(description="read the past: a timestamp that was answered, or a time")
]
TransactionId: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="makes the transaction safe to repeat: it is done once for each id",
        examples=["order-4711"],
    ),
]
TimeToLive: TypeAlias = Annotated[
    int, Meta(ge=1, description="milliseconds after which it is absent")
]
Document: TypeAlias = Annotated[
    dict[str, Any], Meta(description="a record: an object of its kind's fields")
]
RecordVersion: TypeAlias = Annotated[
    str | None,
    Meta(
        description="the record's version as text, for if_version; null where its kind keeps none",
        examples=["467532890931200001"],
    ),
]
IfVersion: TypeAlias = Annotated[
    Annotated[str, Meta(pattern="^[0-9]{1,19}$")] | int | None,
    Meta(description="the version the record must have, 0: it must not exist"),
]
Column: TypeAlias = Annotated[
    Any, Meta(description="a value of the next column, as the record's field is written")
]
KindName: TypeAlias = Annotated[str, Meta(description="a kind of records", examples=["User"])]
IndexName: TypeAlias = Annotated[
    str,
    Meta(description="Kind.index; the kind alone: its key", examples=["User.by_email", "User"]),
]


class Body(Struct, forbid_unknown_fields=True, kw_only=True):
    """What every body has in common: nothing unknown in it."""


class Answered(Struct, kw_only=True):
    """An answer. Later versions may add fields."""


# ------------------------------------------------------------------ keys and values


class ReadKeys(Body):
    """Keys to be read at one moment."""

    keys: Annotated[list[Key], Meta(min_length=1, max_length=KEYS_MAX)]
    at: At | None = None
    show_keys: KeyForm = "auto"
    show_values: ValueForm = "auto"


class Entry(Answered):
    """A key and its value."""

    key: Key
    value: Value
    version: Annotated[
        TimestampText | UnsetType, Meta(description="the timestamp of the commit that wrote it")
    ] = UNSET


class FoundKey(Entry, kw_only=True):
    """A key and its value, and when it was read."""

    read_timestamp: TimestampText


class FoundKeys(Answered):
    """The entries in the order asked, `null` where a key is absent."""

    entries: list[Entry | None]
    read_timestamp: TimestampText


class Scan(Body):
    """An interval of keys: those that begin with `prefix`, or from `begin` to below `end`."""

    prefix: Key | None = None
    begin: Annotated[
        Key | None, Meta(description="the first key; all from the first if left out")
    ] = None
    end: Annotated[Key | None, Meta(description="the first key that is not meant")] = None
    reverse: Annotated[bool, Meta(description="from the last key on")] = False
    limit: Limit | None = None
    continuation: Continuation | None = None
    at: At | None = None
    show_keys: KeyForm = "auto"
    show_values: ValueForm = "auto"


class Scanned(Answered):
    """A page of entries. It may be shorter than asked for, and there may be more behind it."""

    entries: list[Entry]
    continuation: Annotated[
        str | None, Meta(description="pass it to go on; `null` when nothing is left")
    ]
    read_timestamp: Annotated[
        TimestampText, Meta(description="pass it as `at` to go on in the same snapshot")
    ]


class Interval(Body):
    """The keys from `begin` to below `end`."""

    begin: Key
    end: Key


class WriteKey(Body):
    """A value for the key in the path."""

    value: Value
    expires_at: Annotated[MomentText | None, Meta(description="from then on it is absent")] = None
    ttl_ms: TimeToLive | None = None


class Watch(Body):
    """Keys to wait for."""

    keys: Annotated[list[Key], Meta(min_length=1, max_length=1_000)]
    seen: Annotated[
        TimestampText,
        Meta(description="`read_timestamp` of the read whose changes are of interest"),
    ]
    timeout_ms: Annotated[int, Meta(ge=1, description="how long to wait at most")] = 30_000
    show_keys: KeyForm = "auto"


class Changed(Answered):
    """The keys that were written since, none when time ran out: read them, then watch again."""

    changed: list[Key]


class Now(Answered):
    """The newest snapshot: everything acknowledged before is in it."""

    timestamp: TimestampText
    time: Annotated[str, Meta(description="its time (RFC 3339)")]


# ------------------------------------------------------------------ typed records


class Bounded(Body):
    """Part of an index: leading columns, and bounds of the one behind them."""

    index: IndexName
    prefix: Annotated[list[Any], Meta(description="values of the leading columns")] = field(
        default_factory=list
    )
    at_least: Column | UnsetType = UNSET
    above: Column | UnsetType = UNSET
    at_most: Column | UnsetType = UNSET
    below: Column | UnsetType = UNSET
    starting_with: Annotated[Any, Meta(description="for columns of text or bytes")] | UnsetType = (
        UNSET
    )
    at: At | None = None


class Query(Bounded):
    """Records by an index, in its order."""

    reverse: bool = False
    limit: Limit | None = None
    continuation: Continuation | None = None


class CountQuery(Bounded):
    """How many records a query would list."""


class Total(Body):
    """A maintained count or sum of one group."""

    total: Annotated[str, Meta(description="Kind.total", examples=["File.bytes"])]
    group: Annotated[list[Any], Meta(description="values of the columns it is kept by")] = field(
        default_factory=list
    )
    at: At | None = None


class Records(Answered):
    """A page of records. It may be shorter than asked for, and there may be more behind it."""

    records: list[Document]
    versions: list[RecordVersion]
    continuation: Annotated[
        str | None, Meta(description="pass it to go on; `null` when nothing is left")
    ]
    read_timestamp: TimestampText


class FoundRecord(Answered):
    """A record as it is stored."""

    record: Document
    version: RecordVersion
    read_timestamp: TimestampText


class StoredRecord(Answered):
    """A record as it was stored or removed, and when."""

    record: Document
    version: RecordVersion
    commit_timestamp: TimestampText
    repeated: bool = False


class Number(Answered):
    """A count or sum."""

    number: int
    read_timestamp: TimestampText


class KindField(Answered):
    """A field of a kind."""

    name: str
    type: str


class KindIndex(Answered):
    """An index of a kind."""

    name: str
    columns: list[str]
    unique: bool
    state: Annotated[str, Meta(description="`readable`, or `write-only` while it is built")]


class KindTotal(Answered):
    """A count (`sum` is `null`) or a sum of a kind."""

    name: str
    columns: list[str]
    sum: str | None
    state: str


class KindDescription(Answered):
    """What the stored schema says of a kind."""

    kind: str
    key: list[str]
    fields: list[KindField]
    indexes: list[KindIndex]
    totals: list[KindTotal]
    version: Annotated[str | None, Meta(description="the field that counts its changes")]


class Kinds(Answered):
    """All kinds of the stored schema."""

    kinds: list[KindDescription]


# ------------------------------------------------------------------ queries and headers


class KeyQuery(Body):
    """How to read one key."""

    at: At | None = None
    show_key: KeyForm = "auto"
    show_value: ValueForm = "auto"


class AtQuery(Body):
    """When to read."""

    at: At | None = None


class ListQuery(Body):
    """Which page of a listing."""

    limit: Limit | None = None
    continuation: Continuation | None = None
    at: At | None = None


class VersionQuery(Body):
    """The version that a record must have."""

    if_version: IfVersion = None


def _header(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("_"))


class RepeatHeaders(Struct, kw_only=True, rename=_header):
    """What makes a write safe to repeat."""

    idempotency_key: TransactionId | None = None


class KeyHeaders(RepeatHeaders, kw_only=True, rename=_header):
    """Conditions of a write of one key."""

    if_match: Annotated[
        str | None,
        Meta(description="the entity tag it must have, or `*`: it must exist", examples=['"4675"']),
    ] = None
    if_none_match: (
        Annotated[str, Meta(pattern="^\\*$", description="`*`: it must not exist")] | None
    ) = None


# ------------------------------------------------------------------ errors


class Problem(Answered):
    """Why a request was not done."""

    error: Annotated[str, Meta(description="a stable code", examples=["conflict"])]
    message: Annotated[str, Meta(description="what is wrong, and the next step")]
    retryable: Annotated[bool, Meta(description="whether the same request may succeed later")] = (
        False
    )
    maybe_committed: Annotated[
        bool, Meta(description="whether it may have been done: repeat it by its id")
    ] = False
    retry_after_ms: Annotated[int | UnsetType, Meta(description="when to come back")] = UNSET
