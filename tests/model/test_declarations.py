"""Declaring record classes: what the class statement and the first use refuse, and inheritance."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import pytest
from msgspec import Struct

from fastness.errors import SchemaError
from fastness.model import (
    UNSTAMPED,
    Association,
    Count,
    Entity,
    Index,
    Reference,
    Stamp,
    Sum,
    Version,
    desc,
    each,
)
from fastness.model.declarations import parts_of
from fastness.model.kinds import kind_of, reference_codecs
from fastness.model.schema import kinds_of
from tests.model.world import ALL, ONE, Member, Team, User, World

Declare = Callable[[], type]


class Base(Entity):
    """An abstract class: its fields and indexes are shared."""

    id: int
    made: datetime
    by_made = Index("made")


class First(Base, key="id"):
    """One that inherits."""

    title: str = ""
    by_title = Index("title")


class Second(Base, key=("made", "id"), kind="second"):
    """Another one, with its own key and name."""


def test_parts_of_abstract_bases_are_bound_to_each_class() -> None:
    """Each class has an index of its own, under the same name."""
    assert repr(First.by_made) == "First.by_made"
    assert repr(Second.by_made) == "Second.by_made"
    assert First.by_made.columns == Second.by_made.columns
    assert {index.name for index in kind_of(First).indexes} == {"by_made", "by_title"}


def test_an_association_gets_listings_and_counts() -> None:
    """The key is that of both ends; listings and counts exist unless they are turned off."""

    class Plain(Association, counted=False):
        user: str
        team: int
        source = Reference(User, "user")
        target = Reference(Team, "team")

    assert {"by_source", "by_target", "source_count", "target_count"} <= set(parts_of(Member))
    assert "source_count" not in parts_of(Plain)
    assert [column.field for column in Plain.by_target.columns] == ["team", "user"]
    with World(*ALL) as world, pytest.raises(SchemaError, match="is not kept"):
        world.begin().total(Plain.source_count, "x")


def test_a_class_refuses_unknown_names() -> None:
    """At the class statement, with the nearest name."""
    with pytest.raises(SchemaError, match=r"Bad: by_name names 'nmae', .*; did you mean 'name'"):

        class Bad(Entity, key="name"):
            name: str
            by_name = Index("nmae")


def key_twice() -> type:
    """A key that names a field twice."""

    class Bad(Entity, key=("id", "id")):
        id: int

    return Bad


def partition_behind() -> type:
    """A partition that is not the first part of the key."""

    class Bad(Entity, key=("id", "shop"), partition="shop"):
        id: int
        shop: int

    return Bad


def of_stored() -> type:
    """A class derived from one that is stored."""

    class Bad(User, key="id"):
        pass

    return Bad


def taken_name() -> type:
    """A field with a name the library uses."""

    class Bad(Entity, key="id"):
        id: int
        if_version: int

    return Bad


def no_columns() -> type:
    """An index of nothing."""

    class Bad(Entity, key="id"):
        id: int
        by_nothing = Index()

    return Bad


def removed_and_there() -> type:
    """A field that is declared and given up."""

    class Bad(Entity, key="id", removed="old"):
        id: int
        old: int

    return Bad


def loose_end() -> type:
    """An association whose key lacks a part of an end."""

    class Bad(Association, key=("user",)):
        user: str
        team: int
        source = Reference(User, "user")
        target = Reference(Team, "team")

    return Bad


def annotated_index() -> type:
    """An index that looks like a field."""

    class Bad(Entity, key="id"):
        id: int
        by_id: Any = Index("id")

    return Bad


@pytest.mark.parametrize(
    ("declare", "refusal"),
    [
        (annotated_index, "Bad.by_id is annotated as a field and is Bad.by_id; leave"),
        (key_twice, "names a field twice"),
        (partition_behind, r"partition \('shop',\) must be the first fields of key"),
        (of_stored, "class Bad derives from User, which is stored itself"),
        (taken_name, "Bad.if_version: this name is taken"),
        (no_columns, "by_nothing has no columns"),
        (removed_and_there, "'old' is declared and listed as removed"),
        (loose_end, "its fields must all be part of the key"),
    ],
)
def test_a_class_statement_refuses_what_cannot_work(declare: Declare, refusal: str) -> None:
    """The message names the class, the part and the way out."""
    with pytest.raises(SchemaError, match=refusal):
        declare()


class Inner(Struct):
    """A structure that contains itself."""

    inner: Inner | None = None


class Recursive(Entity, key="id"):
    """A field of a recursive type."""

    id: int
    inner: Inner


class NullKey(Entity, key="id"):
    """A key that may be absent."""

    id: int | None


class ListKey(Entity, key="id"):
    """A key that no order is defined for."""

    id: list[int]


class DecimalIndex(Entity, key="id"):
    """An index of a type keys do not hold."""

    id: int
    price: Decimal
    by_price = Index("price")


class EachOfText(Entity, key="id"):
    """Elements of what has none."""

    id: int
    words: str
    by_word = Index(each("words"))


class WrongConstant(Entity, key="id"):
    """A condition that no record can meet."""

    id: int
    flag: bool = False
    by_flag = Index("id", where={"flag": "yes"})


class SumOfText(Entity, key="id"):
    """A sum of what cannot be added."""

    id: int
    words: str
    total = Sum("words")


class CountedExpiry(Entity, key="id", expires="ends"):
    """A count of records that vanish by themselves."""

    id: int
    ends: datetime
    total = Count()


class ExpiryOfText(Entity, key="id", expires="ends"):
    """An expiry that is no moment."""

    id: int
    ends: str


class TwoVersions(Entity, key="id"):
    """Two version fields."""

    id: int
    one: Version = 0
    two: Version = 0


class VersionInKey(Entity, key="version"):
    """A version that would move the record."""

    version: Version


class StampFirst(Entity, key=("at", "id")):
    """A stamp that is not last."""

    at: Stamp = UNSTAMPED
    id: int


class IndexedLog(Entity, key="at"):
    """A log with an index."""

    at: Stamp = UNSTAMPED
    what: str
    by_what = Index("what")


class Callback(Entity, key="id"):
    """A type without a stored form."""

    id: int
    call: Callable[[], None]


class Strict(Entity, key="id", forbid_unknown_fields=True):
    """A class that would refuse records of its successors."""

    id: int


class WrongDefault(Entity, key="id"):
    """A default that no record could be stored with."""

    id: int
    name: str = None  # type: ignore[assignment]  # on purpose


class MixedChoice(Entity, key="id"):
    """A key of values of two types."""

    id: Literal["a", 1]


@pytest.mark.parametrize(
    ("record", "refusal"),
    [
        (Recursive, "Recursive.inner.inner: Inner contains itself"),
        (NullKey, "NullKey: key field 'id' may not be None"),
        (ListKey, "ListKey.id: a key or index holds str, bytes, int, .*not ListType"),
        (DecimalIndex, "DecimalIndex.price: a key or index holds"),
        (EachOfText, r"EachOfText.words: each\(\) takes a list"),
        (WrongConstant, "WrongConstant: by_flag: where flag='yes' is no value of that field"),
        (SumOfText, "SumOfText: total sums 'words', which is not an int field"),
        (CountedExpiry, "CountedExpiry: total: records that expire leave no trace"),
        (ExpiryOfText, "expires='ends' must name a datetime field"),
        (TwoVersions, "one and two are marked alike"),
        (VersionInKey, "'version' must be an int outside of the key"),
        (StampFirst, "'at' must be the last of the key"),
        (IndexedLog, "a kind whose key is stamped at the commit is a log"),
        (Callback, "Callback.call: .* cannot be stored"),
        (Strict, "forbid_unknown_fields would refuse"),
        (WrongDefault, r"WrongDefault: the default of name does not fit str"),
        (MixedChoice, "MixedChoice.id: a key or index holds"),
    ],
)
def test_types_that_cannot_be_kept_are_refused_at_first_use(
    record: type[Entity], refusal: str
) -> None:
    """The message names the class and the field."""
    with pytest.raises(SchemaError, match=refusal):
        kind_of(record)


def test_two_classes_of_one_name_are_refused() -> None:
    """Both are named, with where they come from."""

    class Other(Entity, key="id", kind="User"):
        id: int

    with pytest.raises(SchemaError, match=r"Other and .*User are both stored as 'User'"):
        kinds_of([User, Other])


class ShortReference(Entity, key="id"):
    """References that do not fit the keys of their targets."""

    id: int
    team: str
    nothing = Reference(lambda: Base, "id")
    few = Reference(lambda: Second, "id")
    wrong = Reference(Team, "team")


def test_references_must_fit_the_key_of_their_target() -> None:
    """By number and by type; and the target must be stored."""
    for reference, refusal in (
        (ShortReference.nothing, "is not a record class that can be stored"),
        (ShortReference.few, r"has 1 fields, the key of second has 2: made, id"),
        (ShortReference.wrong, "ShortReference.wrong: team is str, but Team.id is uuid"),
    ):
        with pytest.raises(SchemaError, match=refusal):
            list(reference_codecs(reference))


def test_areas_keep_partition_values_of_one_type() -> None:
    """A kind whose partition values are of another type is told to name an area of its own."""

    class Shelf(Entity, key="shop", partition="shop"):
        shop: int

    with (
        World(*ALL) as world,
        pytest.raises(SchemaError, match=r"area 'shop' are \(str\), not \(int\); .*area='Shelf'"),
    ):
        world.use(*ALL, Shelf)


def test_descending_columns_show_in_messages() -> None:
    """Columns print as they were declared."""
    assert [str(column) for column in (desc("a"), each("b"))] == ["desc(a)", "each(b)"]
    assert repr(Index("a")) == "<Index outside of a record class>"


def test_records_are_made_by_keyword_only() -> None:
    """Fields in any order, required ones behind optional ones."""
    maker: Any = Member
    assert maker(team=ONE, user="a").user == "a"
    with pytest.raises(TypeError):
        maker("a", ONE)
