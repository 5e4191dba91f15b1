"""Records of any application: kinds, indexes and totals by their names, values as documents say.

For whoever has no classes: a command line, a gateway. The classes are made again from the stored
schema (`rebuilding`); a document is what a decoder of JSON makes: dictionaries, lists, text,
numbers. Bytes are base64 in it, datetimes and UUIDs text, as records are encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from msgspec import MsgspecError, convert
from msgspec.structs import fields as struct_fields

from fastness.errors import InvalidKey, InvalidOption, InvalidValue, SchemaError
from fastness.model.declarations import Record
from fastness.model.kinds import KeyColumn
from fastness.model.parts import IndexOf, TotalOf
from fastness.model.plans import KindPlan
from fastness.model.rebuilding import rebuilt_schema
from fastness.model.schema import Schema

BY_KEY = "by_key"
"""The index that is a kind's own key."""

_TYPES: dict[str, type] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "bytes": bytes,
    "stamp": bytes,
    "uuid": UUID,
    "datetime": datetime,
    "date": date,
}
"""What a column's codec holds, by its name."""


class RebuiltSchemas:
    """The schema a database holds, its classes made again only when it changes."""

    __slots__ = ("newest",)

    def __init__(self) -> None:
        self.newest: Schema | None = None
        """The one made last."""

    def of(self, stored: Schema) -> Schema:
        """The classes of what `read_schema` found."""
        if self.newest is None or self.newest.version != stored.version:
            self.newest = rebuilt_schema(stored)
        return self.newest


def plan_of(schema: Schema, name: str) -> KindPlan[Any]:
    """The kind of this name; `SchemaError` lists those there are."""
    plan = schema.by_name.get(name)
    if plan is None:
        known = ", ".join(sorted(schema.by_name)) or "none: no class was registered with it"
        raise SchemaError(f"the database holds no kind {name!r}; its kinds are {known}")
    return plan


def index_of(schema: Schema, name: str) -> tuple[KindPlan[Any], IndexOf[Any]]:
    """The index written `Kind.index`; the kind alone means its key."""
    kind, _, part = name.partition(".")
    plan = plan_of(schema, kind)
    index = getattr(plan.record, part or BY_KEY, None)
    if not isinstance(index, IndexOf):
        known = ", ".join(f"{kind}.{one.name}" for one in plan.stored.indexes)
        raise SchemaError(f"{name!r} is no index; {kind} has {kind}.{BY_KEY}, {known}".rstrip(" ,"))
    return plan, index


def total_of(schema: Schema, name: str) -> tuple[KindPlan[Any], TotalOf[Any]]:
    """The count or sum written `Kind.total`."""
    kind, _, part = name.partition(".")
    plan = plan_of(schema, kind)
    total = getattr(plan.record, part, None)
    if not isinstance(total, TotalOf):
        known = ", ".join(f"{kind}.{one.name}" for one in plan.stored.totals) or "none"
        raise SchemaError(f"{name!r} is no count or sum; {kind} has {known}")
    return plan, total


def require_few(columns: Sequence[KeyColumn], given: Sequence[object], what: str) -> None:
    """Refuse more values than there are columns."""
    if len(given) > len(columns):
        names = ", ".join(column.field for column in columns)
        raise InvalidOption(f"{what} takes at most ({names}); {len(given)} values were given")


def column_values(columns: Sequence[KeyColumn], given: Sequence[object], what: str) -> list[Any]:
    """The values of the leading columns, from a document; there may be fewer of them."""
    require_few(columns, given, what)
    return [column_value(column, one) for column, one in zip(columns, given, strict=False)]


def column_value(column: KeyColumn, given: object, *, as_text: bool = False) -> Any:  # noqa: ANN401 - a value of any field
    """The value of one column; `as_text` where numbers and the like are written as text too."""
    name = column.codec.name
    if given is None:
        return None
    try:
        return convert(given, _TYPES[name], strict=not as_text)
    except MsgspecError as cause:
        raise InvalidKey(f"{column.field} is {name}, which {given!r:.80} is not") from cause


def record_of(plan: KindPlan[Any], document: object) -> Record:
    """A record from its document; `InvalidValue` names the field that does not fit."""
    try:
        record: Record = convert(document, plan.record, str_keys=True)
    except MsgspecError as cause:
        raise InvalidValue(f"{document!r:.80} is no {plan.name}: {cause}") from cause
    return record


def changes_of(plan: KindPlan[Any], document: Mapping[str, object]) -> dict[str, Any]:
    """Some fields of a record from a document, by attribute; each fits its type."""
    fields = {field.encode_name: field for field in struct_fields(plan.record)}
    changes = {}
    for name, given in document.items():
        field = fields.get(name)
        if field is None:
            raise InvalidValue(f"{plan.name} has no field {name!r}; it has {', '.join(fields)}")
        try:
            changes[field.name] = convert(given, field.type, str_keys=True)
        except MsgspecError as cause:
            raise InvalidValue(f"{plan.name}.{name}: {cause}") from cause
    return changes
