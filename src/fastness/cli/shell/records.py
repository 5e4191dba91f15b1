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
from fastness.errors import InvalidKey, InvalidValue
from fastness.model.by_name import RebuiltSchemas, require_few
from fastness.model.kinds import KeyColumn
from fastness.model.operations import Schema, read_schema


class StoredSchema:
    """The schema a database holds, its classes made again only when it changes."""

    def __init__(self) -> None:
        self._rebuilt = RebuiltSchemas()

    def bind(self, tx: Transaction) -> Schema:
        """Give a transaction the schema that is stored at its snapshot; answers it."""
        tx.schema = self._rebuilt.of(read_schema(tx, tx.schema.limits))
        return tx.schema


def values_of(columns: Sequence[KeyColumn], texts: Sequence[str], what: str) -> list[Any]:
    """The values that texts mean for the leading columns; there may be fewer texts."""
    require_few(columns, texts, what)
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


def document_of(text: str) -> Any:  # noqa: ANN401 - JSON
    """What a text says in JSON; `InvalidValue` where it is none."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError) as cause:
        raise InvalidValue(f"{text[:80]} is no JSON: {cause}") from cause


def fields_of(text: str) -> dict[str, Any]:
    """Fields of a record by name, from JSON."""
    found = document_of(text)
    if not isinstance(found, dict):
        raise InvalidValue(f'{text[:80]} is no object of fields such as {{"a": 1}}')
    return found
