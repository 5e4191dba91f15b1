"""The rules of evolution: what a changed type may read, and that reading is then honest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NamedTuple, Optional, TypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct, defstruct, field
from msgspec.msgpack import Decoder, encode

from fastness.model.fitting import Misfit, misfits
from fastness.model.shapes import Shape, fields_of


class Two(Enum):
    """Two values."""

    A = "a"
    B = "b"


class Three(Enum):
    """One more, another renamed."""

    FIRST = "a"
    B = "b"
    C = "c"


class Numbered(IntEnum):
    """An enum of int."""

    ONE = 1


class Point(Struct):
    """A structure."""

    x: int
    y: int


class Point3(Struct):
    """With an added field."""

    x: int
    y: int
    z: int = 0


class Row(Struct, array_like=True):
    """A structure stored as an array."""

    x: int
    y: int = 0


class Row3(Struct, array_like=True):
    """With a field appended."""

    x: int
    y: int = 0
    z: int = 0


class RowTurned(Struct, array_like=True):
    """With its fields in another order."""

    y: int = 0
    x: int = 0


class Cat(Struct, tag="cat"):
    """A tagged structure."""

    name: str


class Dog(Struct, tag="dog"):
    """Another."""

    name: str
    age: int = 0


class Pair(NamedTuple):
    """A named tuple."""

    x: int
    y: int = 0


class Single(Struct):
    """A structure of one field."""

    x: int


class Named(TypedDict):
    """A typed dictionary."""

    x: int


def shape_of(kind: object) -> Shape:
    """The shape of one type."""
    (only,) = fields_of(defstruct("Holder", [("field", kind)]), "Holder")
    return only.shape


def faults(old: object, new: object) -> list[Misfit]:
    """What stands against the change."""
    return list(misfits(shape_of(old), shape_of(new), "K.f"))


FINE: list[tuple[object, object]] = [
    (int, int),
    (int, int | None),
    (int | None, int | str | None),
    (int, int | float),
    (int, Any),
    (Two, Two | None),
    (Two, Three),
    (Two, str),
    (Numbered, int),
    (Literal["a"], Literal["a", "b"]),
    (Literal["a", "b"], Two),
    (Two, Literal["a", "b", "c"]),
    (Annotated[int, Meta(ge=0, le=9)], Annotated[int, Meta(ge=-1, le=10)]),
    (Annotated[int, Meta(ge=0)], int),
    (Annotated[str, Meta(min_length=2)], Annotated[str, Meta(min_length=1)]),
    (list[int], list[int | None]),
    (list[int], tuple[int, ...]),
    (set[int], list[int]),
    (frozenset[int], set[int]),
    (tuple[int, str], list[int | str]),
    (tuple[int, int], tuple[int, int | None]),
    (dict[str, int], dict[str, int | None]),
    (Point, Point3),
    (Point, Point3 | None),
    (list[Point], list[Point3]),
    (Row, Row3),
    (Row, Pair),
    (Named, Single),
    (Cat, Cat | Dog),
    (Cat | Dog, Cat | Dog | None),
]

REFUSED: list[tuple[object, object, str]] = [
    (int, str, "stored as int, declared as str; keep int, or widen it to 'int | str'"),
    (int, float, "declare 'int | float', which keeps integers beyond"),
    (int | None, int, "stored as None, declared as int"),
    (int | str, int | float, "stored as str"),
    (Any, int, "stored as any"),
    (str, Two, "stored as str, declared as Two"),
    (Three, Two, "stored records may hold 'c', which Two lacks; keep these values"),
    (Two, int, "stored as Two, declared as int"),
    (Two, Literal["a"], r"may hold 'b', which Literal\['a'\] lacks"),
    (int, Annotated[int, Meta(ge=0)], r"ge=0 may refuse stored values \(had none\)"),
    (Annotated[int, Meta(ge=0)], Annotated[int, Meta(ge=1)], r"\(was ge=0\); loosen it"),
    (Two, Annotated[str, Meta(max_length=1)], "max_length=1 may refuse"),
    (str, Annotated[str, Meta(pattern="a")], "pattern='a' may refuse"),
    (list[int], list[str], r"K.f\[\]: stored as int, declared as str"),
    (list[int], set[int], "a set drops order and duplicates"),
    (list[int], int, "declared as int"),
    (list[int], tuple[int, int], "declared as tuple"),
    (tuple[int, str], tuple[int], "declared as tuple"),
    (tuple[int, str], tuple[int, int], r"K.f\[1\]: stored as str"),
    (dict[str, int], dict[str, str], r"K.f\[\]: stored as int"),
    (list[int], Annotated[list[int], Meta(max_length=3)], "max_length=3"),
    (Point3, Point, "K.f.z: stored records hold this field"),
    (Point, Row, "array_like was changed"),
    (Row, RowTurned, "stands where x is stored"),
    (Row3, Row, "a field of an array was removed"),
    (Cat, Dog, "the tag was 'cat', is 'dog'"),
    (Cat | Dog, Cat, "the tag was 'dog'"),
    (Point, int, "stored as Point, declared as int"),
    (bytes, str, "stored as bytes"),
    (bool, int, "stored as bool"),
    (UUID, str, "stored as uuid"),
]


def shown(value: object) -> str | None:
    """Types as the ids of parametrized tests."""
    return None if isinstance(value, str) else repr(value).replace("tests.model.test_fitting.", "")


@pytest.mark.parametrize(("old", "new"), FINE, ids=shown)
def test_widening_is_fine(old: object, new: object) -> None:
    """What reads every stored value as it was is accepted."""
    assert faults(old, new) == []


@pytest.mark.parametrize(("old", "new", "refusal"), REFUSED, ids=shown)
def test_what_would_misread_is_refused(old: object, new: object, refusal: str) -> None:
    """With the place, what stands against it, and the way out."""
    found = faults(old, new)
    with pytest.raises(AssertionError, match=refusal):
        raise AssertionError(" / ".join(str(misfit) for misfit in found))


def test_added_fields_need_a_steady_default() -> None:
    """A field that stored structures lack must read the same at every read."""

    class Added(Struct):
        x: int
        y: int
        required: str
        clock: datetime = field(default_factory=lambda: datetime.now(UTC))
        fine: list[int] = field(default_factory=list)

    found = {misfit.place: str(misfit) for misfit in faults(Point, Added)}
    assert set(found) == {"K.f.required", "K.f.clock"}
    assert "give it a default" in found["K.f.required"]
    assert "may give another value at each read" in found["K.f.clock"]


# ------------------------------------------------------------------------- honesty

VALUES: list[tuple[object, st.SearchStrategy[Any]]] = [
    (int, st.integers(-(2**63), 2**64 - 1)),
    (Annotated[int, Meta(ge=0, lt=10)], st.integers(0, 9)),
    (float, st.floats(allow_nan=False)),
    (bool, st.booleans()),
    (str, st.text(max_size=5)),
    (Annotated[str, Meta(max_length=3)], st.text(max_size=3)),
    (bytes, st.binary(max_size=5)),
    (datetime, st.datetimes(timezones=st.just(UTC))),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(-1), timedelta(1))),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Two, st.sampled_from(Two)),
    (Three, st.sampled_from(Three)),
    (Numbered, st.sampled_from(Numbered)),
    (Literal["a", "z"], st.sampled_from(["a", "z"])),
    (Point, st.builds(Point, x=st.integers(0, 9), y=st.integers(0, 9))),
    (Point3, st.builds(Point3, x=st.integers(0, 9), y=st.just(1), z=st.integers(0, 9))),
    (Row, st.builds(Row, x=st.integers(0, 9), y=st.integers(0, 9))),
    (Row3, st.builds(Row3, x=st.integers(0, 9), y=st.just(1), z=st.just(2))),
    (RowTurned, st.builds(RowTurned, x=st.integers(0, 9))),
    (Pair, st.builds(Pair, x=st.integers(0, 9), y=st.integers(0, 9))),
    (Cat, st.builds(Cat, name=st.text(max_size=2))),
    (Dog, st.builds(Dog, name=st.text(max_size=2), age=st.integers(0, 9))),
    (Cat | Dog, st.builds(Cat, name=st.just("c")) | st.builds(Dog, name=st.just("d"))),
    (Any, st.none() | st.integers(0, 9) | st.text(max_size=3)),
]


@st.composite
def typed(draw: st.DrawFn) -> tuple[object, Any]:
    """A type, plain or inside a container, and a value of it."""
    kind, values = draw(st.sampled_from(VALUES))
    forms: dict[str, tuple[object, st.SearchStrategy[Any]]] = {
        "plain": (kind, values),
        "none": (Optional[kind], st.none() | values),  # noqa: UP045 - a type at run time
        "list": (list[kind], st.lists(values, max_size=3)),  # type: ignore[valid-type]  # at run time
        "tuple": (tuple[kind, ...], st.lists(values, max_size=3).map(tuple)),  # type: ignore[valid-type]  # at run time
        "pair": (tuple[kind, int], st.tuples(values, st.just(1))),  # type: ignore[valid-type]  # at run time
        "dict": (dict[str, kind], st.dictionaries(st.text(max_size=2), values, max_size=2)),  # type: ignore[valid-type]  # at run time
        "set": (set[int], st.sets(st.integers(0, 9))),
    }
    form, of_form = forms[draw(st.sampled_from(sorted(forms)))]
    return form, draw(of_form)


def same(value: Any, read: Any) -> bool:  # noqa: ANN401, PLR0911 - values of any type
    """Whether a value was read as it was written, whatever the classes."""
    if isinstance(value, Enum):
        return same(value.value, read)
    if isinstance(value, Pair):
        value = Row(value.x, value.y)
    if isinstance(read, Enum):
        return same(value, read.value)
    if isinstance(value, dict):
        return set(value) == set(read) and all(same(value[key], read[key]) for key in value)
    if isinstance(value, set | frozenset):
        return sorted(value) == sorted(read)
    if isinstance(value, Struct) and isinstance(read, Struct | Pair):
        names = value.__struct_fields__
        if any(not hasattr(read, name) for name in names):
            return False
        return all(same(getattr(value, name), getattr(read, name)) for name in names)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        value, read = list(value), list(read)
        return len(value) == len(read) and all(map(same, value, read))
    if isinstance(read, Struct | Pair):
        return False
    return type(value) is type(read) and bool(value == read)


@given(typed(), typed())
def test_whatever_is_accepted_reads_what_was_written(
    old: tuple[object, Any], new: tuple[object, Any]
) -> None:
    """For any two types: no misfit means that every value comes back as it was."""
    kind, value = old
    if not faults(kind, new[0]):
        raw = encode(value)
        if new[0] is not Any and "Any" not in repr(new[0]):
            assert same(value, Decoder(new[0]).decode(raw))


@given(typed())
def test_a_type_always_fits_itself(old: tuple[object, Any]) -> None:
    """Reopening with the same classes is never refused."""
    assert faults(old[0], old[0]) == []
    assert same(old[1], Decoder(old[0]).decode(encode(old[1]))) or "Any" in repr(old[0])
