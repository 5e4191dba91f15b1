"""Record classes made from the registry alone read, list and check what others wrote."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import pytest
from msgspec import Meta, Struct
from msgspec.structs import asdict, replace

from fastness.errors import SchemaError
from fastness.invariants import InvariantViolation
from fastness.limits import Limits
from fastness.model import Entity, Index, Schema, as_mapping, field, read_schema, rebuilt_schema
from fastness.model.compiling import record_packer
from fastness.model.evolution import Numbers, evolve
from fastness.model.kinds import kind_of
from fastness.model.layout import place_of
from fastness.model.rebuilding import rebuilt, type_of
from fastness.model.shapes import Shape
from fastness.model.stored import StoredKind
from tests.model.world import ALL, ONE, Address, Change, Item, Level, Member, Role, User, World


class Cat(Struct, tag="cat"):
    """A tagged structure."""

    name: str


class Dog(Struct, tag="dog"):
    """Another."""

    name: str
    age: int = 3


class Row(Struct, array_like=True):
    """A structure stored as an array."""

    x: int
    y: int = 2


class Pair(NamedTuple):
    """A named tuple."""

    x: int
    y: int = 0


class Named(TypedDict, total=False):
    """A typed dictionary."""

    x: int


class Every(Entity, key="id"):
    """A field of every type."""

    id: int
    text: Annotated[str, Meta(min_length=1)] = "x"
    number: float = 1.5
    both: int | float = 1
    flag: bool = True
    raw: bytes = b"\x00\xff"
    when: datetime = datetime(2024, 1, 1, tzinfo=UTC)
    day: date = date(2024, 1, 1)
    clock: time = time(1, 2, 3)
    lasting: timedelta = timedelta(seconds=5)
    code: UUID = ONE
    price: Decimal = Decimal("1.50")
    role: Role = Role.EDITOR
    level: Level = Level.HIGH
    choice: Literal["a", 1] | None = "a"
    pet: Cat | Dog | None = None
    row: Row = field(default_factory=lambda: Row(1))
    pair: Pair = Pair(1)
    named: Named = field(default_factory=dict)  # type: ignore[assignment]  # an empty Named
    words: list[str] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    several: tuple[int, str] = (1, "a")
    table: dict[str, list[int]] = field(default_factory=dict)
    anything: Any = None
    full_name: str = field(name="full-name", default="")
    by_full_name = Index("full_name")


SAMPLE = Every(
    id=7,
    pet=Dog(name="rex"),
    named={"x": 5},
    numbers={1, 2},
    table={"a": [1]},
    anything=[1, {"b": 2}],
    full_name="Ann",
)


def test_records_of_any_application_are_read(world: World) -> None:
    """By key and by index, as the classes that wrote them would."""
    item = Item(shop="s", id=1, title="t", level=Level.HIGH, place=Address("Lane"), tags=["a"])
    with world.begin() as tx:
        tx.insert(item)
        tx.put(Member(user="ann", team=ONE, role=Role.EDITOR))
        tx.insert(Change(shop="s", what="made"))
    tx = world.begin(read_only=True)
    tx.schema = schema = rebuilt_schema(read_schema(world.begin(), world.limits))
    kind = schema.by_name["Item"].record
    found = tx.fetch(kind, "s", 1)
    assert found is not None
    assert as_mapping(found) == as_mapping(item)
    assert json.loads(json.dumps(as_mapping(found)))["place"] == {"street": "Lane", "number": 1}
    by_tag = next(p for p in vars(kind).values() if isinstance(p, Index) and p.name == "by_tag")
    assert tx.query(by_tag, "s", "a").items == [found]
    member = schema.by_name["Member"].record
    (one,) = tx.query(member.by_target, ONE)
    assert (one.user, one.role.value) == ("ann", "editor")
    (change,) = tx.query(schema.by_name["Change"].record.by_key, "s")
    assert (change.what, len(change.at)) == ("made", 12)


def test_every_type_survives() -> None:
    """Values read by a rebuilt class are those that were written."""
    with World(Every) as world:
        world.run(lambda tx: tx.insert(SAMPLE))
        tx = world.begin(read_only=True)
        tx.schema = rebuilt_schema(read_schema(world.begin(), world.limits))
        (found,) = tx.every(tx.schema.by_name["Every"].record)
        assert json.dumps(as_mapping(found)) == json.dumps(as_mapping(SAMPLE))
        plain = asdict(found)
        assert plain["when"] == SAMPLE.when
        assert (plain["price"], plain["code"], plain["numbers"]) == (Decimal("1.50"), ONE, {1, 2})
        assert isinstance(plain["role"], Enum)


def test_a_rebuilt_class_would_change_nothing() -> None:
    """What it declares is what the registry holds: the way back loses nothing."""
    with World(*ALL, Every) as world:
        schema = world.schema
        for name, stored in schema.stored.items():
            again = evolve(stored, rebuilt(stored), Numbers(schema.catalog))
            assert again.changes == [], name
            assert replace(again.kind, association=stored.association, fields=()) == replace(
                stored, fields=()
            ), name
            assert [(one.name, one.shape) for one in again.kind.fields] == [
                (one.name, one.shape) for one in stored.fields
            ]


def stored_user() -> StoredKind:
    """The row of a kind."""
    with World(User) as world:
        return world.schema.stored["User"]


def test_attributes_that_python_cannot_name_get_plain_ones() -> None:
    """Names in a registry are data: none of them ever becomes source text."""
    stored = stored_user()
    hostile = tuple(
        replace(one, attribute="id); raise SystemExit(") if one.name == "id" else one
        for one in stored.fields
    )
    kind = rebuilt(replace(stored, fields=hostile, name="a b"))
    assert kind.declaration.key == ("field_0",)
    schema = Schema(1, None, [replace(stored, fields=hostile, name="a b")], Limits()).bind([kind])
    assert schema.by_name["a b"].pack_key("x").endswith(b"\x02x\x00")


def test_registries_this_version_does_not_know_are_refused() -> None:
    """A type from the future, and two fields of one attribute."""
    with pytest.raises(SchemaError, match="a type 'tensor' that this version"):
        type_of(Shape("tensor"))
    stored = stored_user()
    twice = tuple(replace(one, attribute="same") for one in stored.fields)
    with pytest.raises(SchemaError, match="have the same attribute twice"):
        rebuilt(replace(stored, fields=twice))


def test_source_text_is_made_of_identifiers_only() -> None:
    """The compiler of packers refuses any other attribute, whoever asks."""
    (column,) = kind_of(User).key
    with pytest.raises(InvariantViolation):
        record_packer(place_of(0, 0, 1), [dataclasses.replace(column, field="id or print()")])
