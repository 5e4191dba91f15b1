"""Record classes from the schema registry alone, for processes that lack the Python ones.

The command line, exports and checks read records of any application. `rebuilt` makes a
class with the same fields, key, indexes and totals as the one that wrote the records, so that
everything else works on it as on a declared class: the same plans, the same operations.
What a registry cannot hold is left out: methods, `__post_init__`, references. Associations
become entities with the same indexes.

A rebuilt class is a good reader, not a substitute: registering it with the database would
change nothing, but nobody should.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from keyword import iskeyword
from typing import Annotated, Any, Literal, Union
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType, defstruct, field, to_builtins
from msgspec.msgpack import Decoder

from fastness.errors import SchemaError
from fastness.model.declarations import Entity, Record, RecordType
from fastness.model.kinds import Kind, kind_of
from fastness.model.parts import (
    PRESENT,
    Column,
    Count,
    Index,
    Part,
    StampMark,
    Sum,
    VersionMark,
)
from fastness.model.schema import Schema
from fastness.model.shapes import FieldShape, Shape
from fastness.model.stored import StoredColumn, StoredCondition, StoredKind

_SCALARS: dict[str, Any] = {
    "any": Any,
    "None": None,
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "bytes": bytes,
    "datetime": datetime,
    "date": date,
    "time": time,
    "timedelta": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}


def rebuilt_schema(schema: Schema) -> Schema:
    """The schema as `read_schema` answers it, with a rebuilt class for every kind."""
    kinds = [rebuilt(stored) for stored in schema.stored.values()]
    return Schema(schema.version, schema.catalog, schema.stored.values(), schema.limits).bind(kinds)


def rebuilt(stored: StoredKind) -> Kind:
    """A record class like the one that was registered, analysed."""
    attributes = _attributes(stored.fields)
    types = {attributes[one.name]: _field_type(stored, one) for one in stored.fields}
    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__qualname__": stored.name,
        "__annotations__": types,
    }
    for one in stored.fields:
        namespace[attributes[one.name]] = _field(one, types[attributes[one.name]])
    namespace |= _parts(stored, attributes, types)
    made: Any = RecordType(
        stored.name,
        (Entity,),
        namespace,
        kind=stored.name,
        key=tuple(attributes[column.name] for column in stored.key),
        partition=tuple(
            attributes[column.name] for column in stored.key[: stored.partition_columns]
        ),
        area=stored.area or None,
        expires=None if stored.expires is None else attributes[stored.expires],
    )
    record: type[Record] = made
    return kind_of(record)


def as_mapping(record: Record) -> dict[str, Any]:
    """A record in what JSON can hold: bytes in base64, datetimes and UUIDs as text."""
    found: dict[str, Any] = to_builtins(record, str_keys=True)
    return found


def _attributes(fields: Iterable[FieldShape]) -> dict[str, str]:
    """By stored name, the attribute the class had; a plain one where it cannot be one."""
    found: dict[str, str] = {}
    for at, one in enumerate(fields):
        good = one.attribute.isidentifier() and not iskeyword(one.attribute)
        found[one.name] = one.attribute if good else f"field_{at}"
    if len(set(found.values())) != len(found):
        raise SchemaError(f"stored fields {list(found)} have the same attribute twice")
    return found


def _field_type(stored: StoredKind, one: FieldShape) -> Any:  # noqa: ANN401 - a type
    found = type_of(one.shape)
    if one.name == stored.version:
        return Annotated[found, VersionMark()]
    if one.name == stored.stamp:
        return Annotated[found, StampMark()]
    return found


def type_of(shape: Shape) -> Any:  # noqa: ANN401 - a type
    """A type of this shape."""
    if shape.type in _SCALARS:
        plain = _SCALARS[shape.type]
    elif shape.type in _BUILDERS:
        plain = _BUILDERS[shape.type](shape)
    else:
        raise SchemaError(
            f"the registry holds a type {shape.type!r} that this version of Fastness does not know"
        )
    return Annotated[plain, Meta(**shape.limits)] if shape.limits else plain  # type: ignore[arg-type]  # as taken from a Meta


def _structure(shape: Shape) -> Any:  # noqa: ANN401 - a type
    attributes = _attributes(shape.fields)
    fields: list[Any] = []
    for one in shape.fields:
        kind = type_of(one.shape)
        made = _field(one, kind)
        if not one.required and one.default == b"":
            # A key that a TypedDict may lack.
            kind = Union[kind, UnsetType]  # noqa: UP007 - a type at run time
            made = field(default=UNSET, name=one.name)
        fields.append((attributes[one.name], kind, made))
    return defstruct(
        shape.name,
        fields,
        kw_only=True,
        frozen=True,
        array_like=shape.array_like,
        tag_field=shape.tag_field,
        tag=shape.tag,
    )


def _enum(shape: Shape) -> Any:  # noqa: ANN401 - a type
    return Enum(shape.name, list(zip(shape.members, shape.values, strict=True)))


_BUILDERS: dict[str, Callable[[Shape], Any]] = {
    "list": lambda shape: list[type_of(shape.of[0])],  # type: ignore[misc]  # made at run time
    "set": lambda shape: set[type_of(shape.of[0])],  # type: ignore[misc]  # made at run time
    "tuple": lambda shape: tuple[tuple(type_of(one) for one in shape.of)],  # type: ignore[misc]  # made at run time
    "dict": lambda shape: dict[type_of(shape.of[0]), type_of(shape.of[1])],  # type: ignore[misc]  # made at run time
    "union": lambda shape: Union[tuple(type_of(one) for one in shape.of)],  # noqa: UP007 - any number
    "literal": lambda shape: Literal[shape.values],
    "enum": _enum,
    "struct": _structure,
}


def _field(one: FieldShape, kind: Any) -> Any:  # noqa: ANN401 - a type, and msgspec's field
    """A field with the stored default; without one where every stored record holds it."""
    if one.required or not one.default:
        return field(name=one.name)
    decode, raw = Decoder(kind).decode, one.default
    value = decode(raw)
    if isinstance(value, Hashable) or not value:
        return field(default=value, name=one.name)
    return field(default_factory=lambda: decode(raw), name=one.name)


def _parts(
    stored: StoredKind, attributes: dict[str, str], types: dict[str, Any]
) -> dict[str, Part[Any]]:
    parts: dict[str, Part[Any]] = {}
    for index in stored.indexes:
        parts[index.name] = Index(
            *(_column(column, attributes) for column in index.columns),
            unique=index.unique,
            clustered=index.clustered,
            where=_where(index.conditions, attributes, types),
        )
    for total in stored.totals:
        group = [attributes[column.name] for column in total.group]
        where = _where(total.conditions, attributes, types)
        parts[total.name] = (
            Count(*group, where=where)
            if total.summed is None
            else Sum(attributes[total.summed], *group, where=where)
        )
    return parts


def _column(column: StoredColumn, attributes: dict[str, str]) -> Column:
    return Column(attributes[column.name], column.descending, column.each)


def _where(
    conditions: Iterable[StoredCondition], attributes: dict[str, str], types: Mapping[str, Any]
) -> dict[str, object]:
    return {
        attributes[one.name]: PRESENT
        if one.value is None
        else Decoder(types[attributes[one.name]]).decode(one.value)
        for one in conditions
    }
