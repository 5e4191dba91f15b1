"""A record class, understood: its fields with their types, and what its parts mean.

`kind_of(User)` analyses a class once, when it is first used, because annotations may name
classes declared after it. Everything names alone could tell was checked by the metaclass;
here the types are: that keys and indexes hold what a key can hold, that conditions are
values of their fields, that references fit the keys they refer to.

The result knows nothing of a database: numbers, states and keys come with
`fastness.model.plans`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, get_type_hints

from msgspec import MsgspecError, inspect
from msgspec.msgpack import Decoder, Encoder

from fastness.errors import SchemaError
from fastness.model.columns import ColumnCodec, codec_of, element_codec_of
from fastness.model.declarations import Record, parts_of
from fastness.model.parts import (
    PRESENT,
    Column,
    Conditions,
    Declaration,
    IndexOf,
    PrimaryKey,
    ReferenceOf,
    StampMark,
    TotalOf,
    VersionMark,
    declaration_of,
)
from fastness.model.shapes import FieldShape, fields_of

Condition: TypeAlias = tuple[str, bytes | None, object]
"""A field, the encoded constant it must equal (`None`: must not be `None`), the constant."""

_encode = Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a key, index or total."""

    field: str
    codec: ColumnCodec
    descending: bool = False
    each: bool = False


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """A secondary index of a kind."""

    name: str
    part: IndexOf[Any]
    columns: tuple[KeyColumn, ...]
    conditions: tuple[Condition, ...]
    local: bool
    """Whether its entries lie inside the partition."""

    @property
    def unique(self) -> bool:
        """Whether no two records may hold the same values."""
        return self.part.unique

    @property
    def clustered(self) -> bool:
        """Whether entries carry the whole record."""
        return self.part.clustered


@dataclass(frozen=True, slots=True)
class TotalDefinition:
    """A maintained count or sum of a kind."""

    name: str
    part: TotalOf[Any]
    group: tuple[KeyColumn, ...]
    summed: str | None
    conditions: tuple[Condition, ...]
    local: bool


@dataclass(frozen=True, slots=True)
class Kind:
    """One concrete record class and everything its declaration means."""

    record: type[Record]
    declaration: Declaration
    fields: tuple[FieldShape, ...]
    key: tuple[KeyColumn, ...]
    indexes: tuple[IndexDefinition, ...]
    totals: tuple[TotalDefinition, ...]
    references: tuple[ReferenceOf[Any, Any], ...]
    expires: str | None
    version: str | None
    stamp: str | None
    hints: dict[str, Any]
    """The annotations of the fields, resolved."""

    @property
    def name(self) -> str:
        """The stored name of the kind."""
        return self.declaration.kind

    @property
    def partition(self) -> tuple[KeyColumn, ...]:
        """The leading key columns that make up the partition."""
        return self.key[: len(self.declaration.partition)]

    def moments(self) -> list[str]:
        """The datetime fields that stand in keys or say when a record ends."""
        parts = [index.columns for index in self.indexes] + [total.group for total in self.totals]
        columns = [*self.key, *(column for part in parts for column in part)]
        found = [c.field for c in columns if c.codec.name == "datetime" and not c.each]
        return list(dict.fromkeys([*found, *([self.expires] if self.expires else [])]))


def kind_of(record: type[Record]) -> Kind:
    """The kind a record class declares; `SchemaError` where its types do not allow it.

    Kept on the class, so that it lives as long as the class does.
    """
    found = vars(record).get("__kind__")
    if not isinstance(found, Kind):
        found = record.__kind__ = _Analysis(record).kind()
    return found


class _Analysis:
    """The steps of `kind_of`."""

    def __init__(self, record: type[Record]) -> None:
        self.record = record
        self.declaration = declaration_of(record)
        self.fields = fields_of(record, record.__name__)
        info = inspect.type_info(record)
        self.types = {field.name: field.type for field in info.fields}  # type: ignore[attr-defined]  # a Struct
        self.hints = get_type_hints(record, include_extras=True)
        self.partition = self.declaration.partition

    def kind(self) -> Kind:
        """Everything together."""
        if self.record.__struct_config__.forbid_unknown_fields:
            raise self.refusal("forbid_unknown_fields would refuse records of a later class")
        self.check_defaults()
        parts = parts_of(self.record).values()
        return Kind(
            record=self.record,
            declaration=self.declaration,
            fields=self.fields,
            key=self.key(),
            indexes=tuple(
                self.index(part)
                for part in parts
                if isinstance(part, IndexOf) and not isinstance(part, PrimaryKey)
            ),
            totals=tuple(self.total(part) for part in parts if isinstance(part, TotalOf)),
            references=tuple(part for part in parts if isinstance(part, ReferenceOf)),
            expires=self.expires(),
            version=self.marked(VersionMark),
            stamp=self.stamp(),
            hints=self.hints,
        )

    def check_defaults(self) -> None:
        """Defaults are values of their fields; msgspec itself does not look at them."""
        for field in self.fields:
            if field.default:
                try:
                    Decoder(self.hints[field.attribute]).decode(field.default)
                except MsgspecError as cause:
                    raise self.refusal(
                        f"the default of {field.attribute} does not fit {field.shape} ({cause})"
                    ) from cause

    def refusal(self, why: str) -> SchemaError:
        """A refusal that names the class."""
        return SchemaError(f"{self.record.__name__}: {why}")

    def column(self, column: Column) -> KeyColumn:
        """A column with its codec."""
        place = f"{self.record.__name__}.{column.field}"
        found = self.types[column.field]
        codec = element_codec_of(found, place) if column.each else codec_of(found, place)
        return KeyColumn(column.field, codec, column.descending, column.each)

    def key(self) -> tuple[KeyColumn, ...]:
        """The key columns, which may not be absent."""
        columns = tuple(self.column(Column(name)) for name in self.declaration.key)
        for column in columns:
            if column.codec.nullable:
                raise self.refusal(f"key field {column.field!r} may not be None")
        if self.stamp() is None:
            return columns
        last = columns[-1]
        return (*columns[:-1], replace(last, codec=last.codec._replace(name="stamp")))

    def is_local(self, names: tuple[str, ...]) -> bool:
        """Whether these columns begin with the partition."""
        count = len(self.partition)
        return count > 0 and names[:count] == self.partition

    def index(self, part: IndexOf[Any]) -> IndexDefinition:
        """A secondary index."""
        columns = tuple(self.column(column) for column in part.columns)
        plain = tuple("" if c.descending or c.each else c.field for c in columns)
        return IndexDefinition(
            name=part.name,
            part=part,
            columns=columns,
            conditions=self.conditions(part.name, part.where),
            local=self.is_local(plain),
        )

    def total(self, part: TotalOf[Any]) -> TotalDefinition:
        """A total; sums are of int fields."""
        if self.declaration.expires is not None:
            raise self.refusal(
                f"{part.name}: records that expire leave no trace, so no total can be kept of "
                "them; leave it out (counted=False on an association): count() then scans"
            )
        if part.summed is not None:
            codec = codec_of(self.types[part.summed], f"{self.record.__name__}.{part.summed}")
            if codec.name != "int" or codec.choice is not None:
                raise self.refusal(f"{part.name} sums {part.summed!r}, which is not an int field")
        return TotalDefinition(
            name=part.name,
            part=part,
            group=tuple(self.column(Column(name)) for name in part.group),
            summed=part.summed,
            conditions=self.conditions(part.name, part.where),
            local=self.is_local(part.group),
        )

    def conditions(self, part: str, where: Conditions) -> tuple[Condition, ...]:
        """The conditions of a partial index or total, their constants checked."""
        return tuple(self.condition(part, name, value) for name, value in where.items())

    def condition(self, part: str, name: str, value: object) -> Condition:
        """One condition."""
        if value is PRESENT:
            return (name, None, None)
        try:
            encoded = _encode(value)
            constant = Decoder(self.hints[name]).decode(encoded)
        except (MsgspecError, TypeError) as cause:
            raise self.refusal(
                f"{part}: where {name}={value!r} is no value of that field ({cause})"
            ) from cause
        return (name, encoded, constant)

    def expires(self) -> str | None:
        """The expiry field, a datetime."""
        name = self.declaration.expires
        if name is not None and self.column(Column(name)).codec.name != "datetime":
            raise self.refusal(f"expires={name!r} must name a datetime field")
        return name

    def marked(self, mark: type) -> str | None:
        """The field marked as version or stamp."""
        found = [
            name
            for name in self.types
            if any(isinstance(m, mark) for m in getattr(self.hints[name], "__metadata__", ()))
        ]
        if len(found) > 1:
            raise self.refusal(f"{' and '.join(found)} are marked alike; one field can be")
        if found and mark is VersionMark:
            info = self.types[found[0]]
            if found[0] in self.declaration.key or not isinstance(info, inspect.IntType):
                raise self.refusal(f"version field {found[0]!r} must be an int outside of the key")
        return found[0] if found else None

    def stamp(self) -> str | None:
        """The stamp field, last in the key of a kind that keeps nothing else."""
        name = self.marked(StampMark)
        if name is None:
            return None
        if self.declaration.key[-1] != name:
            raise self.refusal(f"stamp field {name!r} must be the last of the key")
        busy = [p.name for p in parts_of(self.record).values() if isinstance(p, IndexOf | TotalOf)]
        if busy != ["by_key"] or self.declaration.expires or self.marked(VersionMark):
            raise self.refusal(
                "a kind whose key is stamped at the commit is a log: it has no indexes, totals, "
                "version or expiry; keep them in a kind of their own"
            )
        return name


def reference_codecs(reference: ReferenceOf[Any, Any]) -> Iterator[KeyColumn]:
    """The columns of a reference; `SchemaError` unless they fit the key of its target."""
    own, target = _Analysis(reference.owner), kind_of(reference.target())
    if len(reference.columns) != len(target.key):
        raise SchemaError(
            f"{reference!r} has {len(reference.columns)} fields, the key of {target.name} has "
            f"{len(target.key)}: {', '.join(column.field for column in target.key)}"
        )
    for name, key in zip(reference.columns, target.key, strict=True):
        column = own.column(Column(name))
        if column.codec.name != key.codec.name:
            raise SchemaError(
                f"{reference!r}: {name} is {column.codec.name}, but {target.name}.{key.field} is "
                f"{key.codec.name}"
            )
        yield column
