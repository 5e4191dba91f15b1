"""What the schema registry stores: kinds, indexes and totals with their numbers and states.

::

    ff 02 ("version")       8 bytes, big-endian: raised with every change
    ff 02 ("catalog")       Catalog: numbers given out, areas, tables still to be cleared
    ff 02 ("kind", name)    StoredKind
    ff 02 ("build", number) BuildProgress of an index or total that is not readable yet
    ff 02 ("clear", number) the same of a table that is being cleared

Rows are msgpack maps of the classes below, so that later versions may add fields. They hold
everything a process without the Python classes needs to read, check and describe records.
Field names in them are the stored ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from msgspec import DecodeError, Struct, ValidationError, field
from msgspec.msgpack import decode, encode

from fastness.errors import StoreDamaged
from fastness.model.kinds import Condition, IndexDefinition, KeyColumn, TotalDefinition
from fastness.model.shapes import FieldShape

Row = TypeVar("Row", bound=Struct)


class State(Enum):
    """How far an index or total is."""

    WRITE_ONLY = "write-only"
    """Kept by every writer, being filled for older records; queries are refused."""
    READABLE = "readable"


class StoredColumn(Struct, frozen=True, omit_defaults=True):
    """One column of a key, index or group."""

    name: str
    code: str
    """The name of its codec, that is, what its bytes mean."""
    descending: bool = False
    each: bool = False


class StoredCondition(Struct, frozen=True):
    """A field and the encoded constant it must equal; `None`: it must be present."""

    name: str
    value: bytes | None


class StoredIndex(Struct, frozen=True, kw_only=True):
    """A secondary index."""

    name: str
    number: int
    columns: tuple[StoredColumn, ...]
    unique: bool
    clustered: bool
    local: bool
    conditions: tuple[StoredCondition, ...]
    state: State = State.READABLE
    readable_since: int = 0
    """Snapshots below this timestamp lack entries."""


class StoredTotal(Struct, frozen=True, kw_only=True):
    """A count (`summed` is `None`) or a sum."""

    name: str
    number: int
    group: tuple[StoredColumn, ...]
    summed: str | None
    local: bool
    conditions: tuple[StoredCondition, ...]
    state: State = State.READABLE
    readable_since: int = 0
    marks: int = 0
    """While it is built: the number under which records already counted are marked."""


class StoredKind(Struct, frozen=True, kw_only=True):
    """A kind of records."""

    name: str
    number: int
    area: str
    partition_columns: int
    key: tuple[StoredColumn, ...]
    fields: tuple[FieldShape, ...]
    removed: tuple[FieldShape, ...] = ()
    """Given up by the class; stored records may still hold them."""
    indexes: tuple[StoredIndex, ...] = ()
    totals: tuple[StoredTotal, ...] = ()
    expires: str | None = None
    version: str | None = None
    stamp: str | None = None
    association: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """The fields of source and target."""


class StoredArea(Struct, frozen=True):
    """Kinds that share partitions: the area's number, and what its partition values are."""

    number: int
    codes: tuple[str, ...]


class Clearing(Struct, frozen=True):
    """A table nobody uses any more, whose keys are still to be removed."""

    number: int
    area: int
    partition_columns: int


class Catalog(Struct, frozen=True):
    """What is given out once for the whole database."""

    next_number: int = 1
    areas: dict[str, StoredArea] = field(default_factory=dict)
    clearing: tuple[Clearing, ...] = ()


class BuildProgress(Struct, frozen=True):
    """How far the filling of an index or total has come."""

    cursor: bytes = b""
    """The last key seen."""
    records: int = 0
    pace: int = 16
    """How many records the next step takes: less where records are large."""
    complete: bool = False
    """Nothing is left to add; the next step makes the table readable."""


@dataclass(frozen=True, slots=True)
class BuildStep:
    """What one step did."""

    name: str
    """Such as 'User.by_email', or the number of a table that is being cleared."""
    records: int
    """Records done so far, or entries cleared by this step."""
    finished: bool
    """The index or total is readable now, or the table is cleared."""
    problem: str = ""
    """Why it cannot be built: two records hold the same values of a unique index."""


def write_row(row: Struct) -> bytes:
    """A registry row as stored."""
    return encode(row)


def read_row(raw: bytes, kind: type[Row], key: bytes) -> Row:
    """A registry row; `StoreDamaged` names the key of one that cannot be read."""
    try:
        return decode(raw, type=kind)
    except (DecodeError, ValidationError) as cause:
        raise StoreDamaged(
            f"schema registry row {key!r} cannot be read as {kind.__name__} ({cause}); restore a "
            "backup, or open the database with the version of Fastness that wrote it"
        ) from cause


def stored_columns(
    columns: tuple[KeyColumn, ...], names: dict[str, str]
) -> tuple[StoredColumn, ...]:
    """Columns under their stored names."""
    return tuple(StoredColumn(names[c.field], c.codec.name, c.descending, c.each) for c in columns)


def _stored_conditions(
    conditions: tuple[Condition, ...], names: dict[str, str]
) -> tuple[StoredCondition, ...]:
    return tuple(StoredCondition(names[name], encoded) for name, encoded, _ in conditions)


def stored_index(index: IndexDefinition, names: dict[str, str], number: int) -> StoredIndex:
    """An index as the registry describes it; `names` are the stored names of attributes."""
    return StoredIndex(
        name=index.name,
        number=number,
        columns=stored_columns(index.columns, names),
        unique=index.unique,
        clustered=index.clustered,
        local=index.local,
        conditions=_stored_conditions(index.conditions, names),
    )


def stored_total(total: TotalDefinition, names: dict[str, str], number: int) -> StoredTotal:
    """A total as the registry describes it."""
    return StoredTotal(
        name=total.name,
        number=number,
        group=stored_columns(total.group, names),
        summed=None if total.summed is None else names[total.summed],
        local=total.local,
        conditions=_stored_conditions(total.conditions, names),
    )
