"""Records of any application as text: kinds from the stored schema, values and JSON of fields.

A value of a key or of an index column is written as plain text where the field is text
(`fetch User ann`), and else as its type is: `42`, `true`, `2026-05-01T12:00:00Z`, a UUID, bytes
as keys are written; `null` is the absent value. In quotes it is text whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from fastness import Transaction
from fastness.cli.notation import parsed
from fastness.errors import InvalidKey, InvalidOption, InvalidValue, SchemaError
from fastness.model import IndexOf, Record, TotalOf, rebuilt_schema
from fastness.model.kinds import KeyColumn
from fastness.model.operations import Schema, read_schema
from fastness.model.plans import KindPlan


class StoredSchema:
    """The schema a database holds, its classes made again only when it changes."""

    def __init__(self) -> None:
        self._last: Schema | None = None

    def bind(self, tx: Transaction) -> Schema:
        """Give a transaction the schema that is stored at its snapshot; answers it."""
        stored = read_schema(tx, tx.schema.limits)
        if self._last is None or self._last.version != stored.version:
            self._last = rebuilt_schema(stored)
        tx.schema = self._last
        return self._last


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
    index = getattr(plan.record, part or "by_key", None)
    if not isinstance(index, IndexOf):
        known = ", ".join(f"{kind}.{one.name}" for one in plan.stored.indexes)
        raise SchemaError(f"{name!r} is no index; {kind} has {kind}.by_key, {known}".rstrip(" ,"))
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


def values_of(columns: Sequence[KeyColumn], texts: Sequence[str], what: str) -> list[Any]:
    """The values that texts mean for the leading columns; there may be fewer texts."""
    if len(texts) > len(columns):
        names = ", ".join(column.field for column in columns)
        raise InvalidOption(f"{what} takes at most ({names}); {len(texts)} values were given")
    return [_value(column, text) for column, text in zip(columns, texts, strict=False)]


def _value(column: KeyColumn, text: str) -> Any:  # noqa: ANN401 - a value of any field
    name = column.codec.name
    if text == "null":
        return None
    try:
        if name == "str":
            return parsed(text).decode() if text.startswith('"') else text
        return _READERS[name](text)
    except (ValueError, KeyError) as cause:
        raise InvalidKey(f"{column.field} is {name}, which {text[:80]!r} is not") from cause


def _bool(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


_READERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": _bool,
    "bytes": parsed,
    "stamp": parsed,
    "uuid": UUID,
    "datetime": _moment,
    "date": date.fromisoformat,
}


def record_of(plan: KindPlan[Any], text: str) -> Record:
    """A record from its JSON object; `InvalidValue` names the field that does not fit."""
    try:
        record: Record = msgspec.json.decode(text, type=plan.record)
    except (msgspec.MsgspecError, UnicodeError) as cause:
        raise InvalidValue(f"{text[:80]} is no {plan.name}: {cause}") from cause
    return record


def changes_of(plan: KindPlan[Any], text: str) -> dict[str, Any]:
    """Some fields of a record from a JSON object, by attribute; each fits its type."""
    try:
        given = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeError) as cause:
        raise InvalidValue(f'{text[:80]} is no object of fields such as {{"a": 1}}') from cause
    fields = {field.encode_name: field for field in msgspec.structs.fields(plan.record)}
    changes = {}
    for name, raw in given.items():
        field = fields.get(name)
        if field is None:
            raise InvalidValue(f"{plan.name} has no field {name!r}; it has {', '.join(fields)}")
        try:
            changes[field.name] = msgspec.json.decode(raw, type=field.type)
        except msgspec.MsgspecError as cause:
            raise InvalidValue(f"{plan.name}.{name}: {cause}") from cause
    return changes
