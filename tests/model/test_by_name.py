"""Records by the names of their kinds, from documents: what a person or a gateway says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

import fastness
from fastness.errors import InvalidKey, InvalidOption, InvalidValue, SchemaError
from fastness.model import Count, Entity, Index, field, read_schema
from fastness.model.by_name import (
    RebuiltSchemas,
    changes_of,
    column_value,
    column_values,
    index_of,
    plan_of,
    record_of,
    total_of,
)
from fastness.model.schema import Schema


class Parcel(Entity, key=("depot", "id")):
    """Has columns of several types."""

    depot: str
    id: int
    sent: datetime
    tags: dict[int, str] = field(default_factory=dict)
    by_sent = Index("sent")
    per_depot = Count("depot")


@pytest.fixture(name="schema")
def stored_schema() -> Schema:
    """What a database that has seen the class holds, without the class."""
    with fastness.open("memory:", schema=[Parcel]) as database, database.transaction() as tx:
        return RebuiltSchemas().of(read_schema(tx, database.limits))


def test_names_lead_to_their_parts(schema: Schema) -> None:
    """Kinds, indexes and totals are found; the message of one that is not names those there are."""
    plan, index = index_of(schema, "Parcel.by_sent")
    assert plan is plan_of(schema, "Parcel")
    assert index_of(schema, "Parcel")[1] is index_of(schema, "Parcel.by_key")[1] is not index
    assert total_of(schema, "Parcel.per_depot")[0] is plan
    for call, name, known in (
        (plan_of, "Letter", "its kinds are Parcel"),
        (index_of, "Parcel.per_depot", "Parcel.by_sent"),
        (total_of, "Parcel.by_sent", "Parcel has Parcel.per_depot"),
    ):
        with pytest.raises(SchemaError, match=known):
            call(schema, name)


def test_documents_become_records(schema: Schema) -> None:
    """A record has the types of its kind; what does not fit is named with its field."""
    plan = plan_of(schema, "Parcel")
    document = {"depot": "n", "id": 7, "sent": "2026-05-01T12:00:00Z", "tags": {"3": "x"}}
    record: Any = record_of(plan, document)
    assert record.sent == datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert record.tags == {3: "x"}
    assert changes_of(plan, {"tags": {"4": "y"}}) == {"tags": {4: "y"}}
    with pytest.raises(InvalidValue, match="id"):
        record_of(plan, {**document, "id": "seven"})
    with pytest.raises(InvalidValue, match=r"Parcel\.sent"):
        changes_of(plan, {"sent": "yesterday"})
    with pytest.raises(InvalidValue, match="no field 'weight'"):
        changes_of(plan, {"weight": 3})


def test_values_of_columns(schema: Schema) -> None:
    """Values are those of the columns' types; as text, numbers are text too."""
    columns = plan_of(schema, "Parcel").kind.key
    assert column_values(columns, ["n", 7], "the key") == ["n", 7]
    assert column_values(columns, ["n"], "the key") == ["n"]
    assert column_value(columns[1], "7", as_text=True) == 7
    assert column_value(columns[1], None) is None
    with pytest.raises(InvalidKey, match="id is int, which '7' is not"):
        column_value(columns[1], "7")
    with pytest.raises(InvalidOption, match=r"takes at most \(depot, id\)"):
        column_values(columns, ["n", 7, 8], "the key")


def test_classes_are_made_once_for_each_version(schema: Schema) -> None:
    """As long as the stored schema is the same, so are the classes."""
    rebuilt = RebuiltSchemas()
    first = rebuilt.of(Schema(schema.version, schema.catalog, schema.stored.values()))
    again = rebuilt.of(Schema(schema.version, schema.catalog, schema.stored.values()))
    assert again is first is rebuilt.newest
    later = rebuilt.of(Schema(schema.version + 1, schema.catalog, schema.stored.values()))
    assert later is not first
