"""Opening a database with changed classes: what goes on, what is refused, what old records say."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any

import pytest
from msgspec import Struct

from fastness.errors import Conflict, SchemaError, StoreDamaged
from fastness.limits import Limits
from fastness.model import Count, Entity, Index, Record, Sum, Version, desc, field, register
from fastness.model.declarations import RecordType
from fastness.model.layout import registry_key
from tests.model.world import ALL, NOON, Item, User, World


class Place(Struct):
    """A nested structure."""

    street: str


class PlaceWithCity(Struct):
    """The same with a field more."""

    street: str
    city: str = "?"


class Thing(Entity, key="id"):
    """The first form of a kind."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None
    by_name = Index("name")


def stored(world: World) -> None:
    """Three records of the first form."""
    with world.begin() as tx:
        for number in range(3):
            tx.insert(Thing(id=number, name=f"n{number}", size=number, place=Place("s")))


def evolved(*classes: type[Record]) -> tuple[World, list[str]]:
    """A database with records of the first form, opened with other classes."""
    world = World(Thing)
    stored(world)
    try:
        return world, world.use(*classes)
    except BaseException:
        world.close()
        raise


def test_the_same_classes_change_nothing() -> None:
    """Registering again neither writes nor conflicts with anybody."""
    world, changes = evolved(Thing)
    with world:
        assert changes == []
        open_writer = world.begin()
        open_writer.insert(Thing(id=7, name="x"))
        assert world.use(Thing) == []
        open_writer.commit()


def test_added_fields_read_as_their_defaults() -> None:
    """Anywhere in the class, nested ones too; written records carry them."""

    class Wider(Entity, key="id", kind="Thing"):
        tags: list[str] = field(default_factory=list)
        id: int
        colour: str = "red"
        name: str
        version: Version = 0
        size: int | None = 0
        place: PlaceWithCity | None = None
        by_name = Index("name")

    world, changes = evolved(Wider)
    with world:
        assert changes == [
            "Thing.tags: field added",
            "Thing.colour: field added",
            "Thing.version: field added",
            "Thing.size: int widened to int | None",
            "Thing.place: Place | None widened to PlaceWithCity | None",
        ]
        first = world.begin().require(Wider, 0)
        assert (first.tags, first.colour, first.version) == ([], "red", 0)
        assert first.place == PlaceWithCity("s", "?")
        changed = world.run(lambda tx: tx.patch(Wider, 0, if_version=0, colour="blue"))
        assert changed.version > 0
        assert [one.colour for one in world.begin().every(Wider)] == ["blue", "red", "red"]
        assert world.wrong() == []


def test_an_older_class_is_refused_and_told_what_it_lacks() -> None:
    """Downgrading would drop the new field at the next write."""

    class Newer(Entity, key="id", kind="Thing"):
        id: int
        name: str
        size: int = 0
        place: Place | None = None
        colour: str = "red"
        by_name = Index("name")

    world, _changes = evolved(Newer)
    with world, pytest.raises(SchemaError, match=r"Thing.colour: stored records hold this field"):
        world.use(Thing)


def test_a_renamed_field_keeps_its_stored_name() -> None:
    """The refusal of a rename shows how to say it; said so, old records are read."""

    class Wrong(Entity, key="id", kind="Thing"):
        id: int
        title: str = ""
        size: int = 0
        place: Place | None = None

    with pytest.raises(SchemaError, match=r"title: \.\.\. = field\(name='name'\)"):
        evolved(Wrong)

    class Right(Entity, key="id", kind="Thing"):
        id: int
        title: str = field(name="name")
        size: int = 0
        place: Place | None = None
        by_title = Index("title")

    world, changes = evolved(Right)
    with world:
        assert changes == []
        assert [one.title for one in world.begin().query(Right.by_title)] == ["n0", "n1", "n2"]


def test_a_field_is_given_up_by_saying_so() -> None:
    """Old records are read without it; it may come back only as it was."""

    class Without(Entity, key="id", kind="Thing", removed=("size", "place.street")):
        id: int
        name: str
        place: Empty | None = None
        by_name = Index("name")

    class Back(Entity, key="id", kind="Thing"):
        id: int
        name: str
        size: str = ""
        place: Place | None = None

    class InnerBack(Entity, key="id", kind="Thing"):
        id: int
        name: str
        place: WrongStreet | None = None
        by_name = Index("name")

    class BackAgain(Entity, key="id", kind="Thing"):
        id: int
        name: str
        size: int | None = None
        place: Empty | None = None
        by_name = Index("name")

    world, changes = evolved(Without)
    with world:
        assert "Thing.size: field given up" in changes
        assert world.begin().require(Without, 1).name == "n1"
        world.run(lambda tx: tx.patch(Without, 1, name="new"))
        with pytest.raises(SchemaError, match=r"Back.size: stored as int, declared as str"):
            world.use(Back)
        with pytest.raises(SchemaError, match=r"InnerBack.place.street: stored as str, declared"):
            world.use(InnerBack)
        world.use(BackAgain)
        assert [one.size for one in world.begin().every(BackAgain)] == [0, None, 2]


class WrongStreet(Struct):
    """A structure that takes the name of a field given up."""

    street: int = 0


class Empty(Struct):
    """A structure that gave up its only field."""


class OtherKey(Entity, key=("id", "name"), kind="Thing"):
    """Another key."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None


class Partitioned(Entity, key="id", partition="id", kind="Thing"):
    """Another partition."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None


class KeyOfText(Entity, key="id", kind="Thing"):
    """Another type of key."""

    id: int | str
    name: str


class Expiring(Entity, key="id", expires="made", kind="Thing"):
    """An expiry that old records do not keep to."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None
    made: datetime = NOON


class Several(Entity, key="id", kind="Thing"):
    """Several things at once."""

    id: int
    name: int
    size: str = ""
    place: Place | None = None
    colour: str


@pytest.mark.parametrize(
    ("record", "refusals"),
    [
        (OtherKey, [r"the key was \(id: int\), is \(id: int, name: str\); declare .*kind='...'"]),
        (Partitioned, [r"the partition was \[\] in area '', is \['id'\] in area 'id'"]),
        (Expiring, ["expires was None, is 'made'", "new optional field with default None"]),
        (
            Several,
            [
                "Several would misread stored records of kind 'Thing'",
                "Several.name: stored as str, declared as int",
                "Several.size: stored as int, declared as str",
                "Several.colour: stored records lack this new field",
            ],
        ),
    ],
)
def test_what_would_misread_is_refused_all_at_once(
    record: type[Entity], refusals: list[str]
) -> None:
    """Each point with its field; nothing of the registry is changed."""
    for refusal in refusals:
        with pytest.raises(SchemaError, match=refusal):
            evolved(record)


def test_the_default_of_a_field_old_records_lack_stays() -> None:
    """It stands for stored data; that of a field every record holds may change."""

    class Added(Entity, key="id", kind="Thing"):
        id: int
        name: str
        size: int = 5
        place: Place | None = None
        colour: str = "red"
        by_name = Index("name")

    class Changed(Entity, key="id", kind="Thing"):
        id: int
        name: str
        size: int = 5
        place: Place | None = None
        colour: str = "blue"
        by_name = Index("name")

    world, _changes = evolved(Added)
    with world, pytest.raises(SchemaError, match="lack this field and read as its default, which"):
        world.use(Changed)


def test_omitted_defaults_stay() -> None:
    """A class that does not store defaults cannot change them."""

    class Omitting(Entity, key="id", omit_defaults=True):
        id: int
        size: int = 0

    class Changed(Entity, key="id", kind="Omitting", omit_defaults=True):
        id: int
        size: int = 1

    with World(Omitting) as world:
        world.run(lambda tx: tx.insert(Omitting(id=1)))
        with pytest.raises(SchemaError, match="read as its default, which was changed"):
            world.use(Changed)


def test_enums_grow_and_are_renamed() -> None:
    """Members may be added and renamed; a value that records may hold may not go."""

    class Old(Enum):
        A = "a"
        B = "b"

    class Grown(Enum):
        FIRST = "a"
        B = "b"
        C = "c"

    class Shrunk(Enum):
        A = "a"

    def holder(kind: type[Enum]) -> Any:  # noqa: ANN401 - a class
        namespace = {"__annotations__": {"id": int, "kind": kind}, "by_kind": Index("kind")}
        return RecordType("Holder", (Entity,), namespace, key="id")

    first = holder(Old)
    with World(first) as world:
        world.run(lambda tx: tx.insert(first(id=1, kind=Old.A)))
        grown = holder(Grown)
        assert world.use(grown) == ["Holder.kind: Old widened to Grown"]
        assert world.begin().query(grown.by_kind, Grown.FIRST)[0].kind is Grown.FIRST
        with pytest.raises(SchemaError, match="may hold 'b', 'c', which Shrunk lacks"):
            world.use(holder(Shrunk))


class Indexed(Entity, key="id", kind="Thing"):
    """The first form with other indexes and totals."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None
    by_title = Index("name")
    by_size = Index(desc("size"), "name", clustered=True)
    things = Count()
    total = Sum("size")


class WithoutIndex(Entity, key="id", kind="Thing"):
    """The first form without indexes."""

    id: int
    name: str
    size: int = 0
    place: Place | None = None


def test_new_indexes_are_built_and_old_ones_cleared() -> None:
    """A renamed one goes on; until it is built, a new one refuses queries."""
    world, changes = evolved(Indexed)
    with world:
        assert sorted(changes) == [
            "Thing.by_size: is being built",
            "Thing.things: is being built",
            "Thing.total: is being built",
        ]
        tx = world.begin()
        assert [one.name for one in tx.query(Indexed.by_title)] == ["n0", "n1", "n2"]
        with pytest.raises(SchemaError, match=r"Indexed.by_size is still being built; wait for"):
            tx.query(Indexed.by_size)
        with pytest.raises(SchemaError, match=r"Indexed.total is still being built"):
            tx.total(Indexed.total)
        assert tx.count(Indexed.by_title) == 3
        assert world.build() == {}
        tx = world.begin()
        assert [one.size for one in tx.query(Indexed.by_size)] == [2, 1, 0]
        assert (tx.total(Indexed.things), tx.total(Indexed.total)) == (3, 3)
        assert world.wrong() == []
        assert world.use(WithoutIndex) == [
            "Thing.by_title: dropped",
            "Thing.by_size: dropped",
            "Thing.things: dropped",
            "Thing.total: dropped",
        ]
        world.build()
        assert world.wrong() == []
        assert world.schema.catalog.clearing == ()
        area = world.begin().unchecked_scan(b"\xff\x01", b"\xff\x02", 100, reverse=False)[0]
        assert len(area) == 3


def test_the_past_before_an_index_is_not_misread() -> None:
    """A snapshot from before the index was complete is refused, not answered with gaps."""
    world, _changes = evolved(Indexed)
    with world:
        then = world.site.now()
        world.build()
        past = world.begin(at=then)
        assert past.require(Indexed, 1).size == 1
        assert len(past.query(Indexed.by_title)) == 3
        with pytest.raises(SchemaError, match=r"by_size was built at timestamp \d+, after the"):
            past.query(Indexed.by_size)
        with pytest.raises(SchemaError, match="total was built at"):
            past.total(Indexed.total)
        assert past.explain(Indexed.by_title).counter is None


def test_a_writer_that_does_not_know_the_new_schema_conflicts() -> None:
    """Begun before or after the change, it cannot leave a new index without its entries."""
    with World(Thing) as world:
        stored(world)
        before = world.begin()
        before.insert(Thing(id=8, name="x"))
        old = world.schema
        world.use(Indexed)
        with pytest.raises(Conflict):
            before.commit()
        late = world.begin()
        late.schema = old
        with pytest.raises(Conflict, match="the schema changed to version 2 while this"):
            late.insert(Thing(id=9, name="x"))
        with pytest.raises(Conflict, match="knows version 1"):
            late.query(Thing.by_name)
        assert late.fetch(Thing, 1) is not None


def test_registrations_at_once_are_put_in_order() -> None:
    """Of two that both give out numbers one fails, and finds the other's when it tries again."""
    with World() as world:
        from_one, from_other = world.begin(), world.begin()
        register(from_one, [Thing], Limits())
        register(from_other, [User], Limits())
        from_one.commit()
        with pytest.raises(Conflict):
            from_other.commit()
        world.use(Thing, User)
        numbers = [one.number for kind in world.schema.stored.values() for one in kind.indexes]
        numbers += [kind.number for kind in world.schema.stored.values()]
        assert len(set(numbers)) == len(numbers) == 5


def test_classes_that_are_not_given_stay_registered() -> None:
    """A process that uses a part of the kinds leaves the others alone."""
    with World(*ALL) as world:
        world.run(lambda tx: tx.insert(Item(shop="s", id=1)))
        assert world.use(User) == []
        assert set(world.schema.stored) == {kind.__name__ for kind in ALL}
        assert world.use(*ALL) == []
        assert world.begin().fetch(Item, "s", 1) is not None


def test_a_damaged_registry_is_named() -> None:
    """A row that cannot be read is refused with its key, not taken for an empty one."""
    with World(Thing) as world:
        key = registry_key("kind", "Thing")
        world.run(lambda tx: tx.unchecked_set(key, b"\x81"))
        with pytest.raises(StoreDamaged, match=r"schema registry row .*Thing.* cannot be read"):
            world.use(Thing)
