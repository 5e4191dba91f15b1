"""Column packers: the same bytes as `pack`, and nothing but the declared types."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.columns import COLUMN_TYPES, Column, element_packer, packer_for
from fastness.encoding.descending import descending, unpack_mixed
from fastness.encoding.tuples import pack, pack_element
from fastness.errors import InvalidKey
from tests.encoding.tuple_elements import SIMPLE, THOROUGH, Elements, elements, places

KINDS = sorted(SIMPLE, key=lambda kind: kind.__name__)


@st.composite
def typed_rows(draw: st.DrawFn) -> tuple[list[Column], Elements]:
    """Columns, and a row that fits them."""
    columns = draw(
        st.lists(
            st.builds(Column, st.sampled_from(KINDS), st.booleans(), st.booleans()), max_size=7
        )
    )
    row = []
    for column in columns:
        values = SIMPLE[column.type]
        row.append(draw(st.one_of(st.none(), values) if column.nullable else values))
    return columns, tuple(row)


@given(typed_rows(), st.binary(max_size=3))
@THOROUGH
def test_rows_pack_column_by_column(case: tuple[list[Column], Elements], prefix: bytes) -> None:
    """The key is the prefix and each element in its direction, and is read back whole."""
    columns, row = case
    expected = prefix + b"".join(
        descending(pack_element(value)) if column.descending else pack_element(value)
        for column, value in zip(columns, row, strict=True)
    )
    assert packer_for(columns, prefix)(row) == expected
    assert places(unpack_mixed(expected, len(prefix))) == places(row)


@given(typed_rows())
def test_plain_types_pack_as_the_tuple_layer(case: tuple[list[Column], Elements]) -> None:
    """Ascending columns, given as bare types, pack to exactly what `pack` gives."""
    columns, row = case
    if None not in row:
        assert packer_for([column.type for column in columns])(row) == pack(row)


@given(st.sampled_from(KINDS), st.booleans(), st.booleans(), elements)
@THOROUGH
def test_another_type_is_refused(kind: type, nullable: bool, descends: bool, value: object) -> None:
    """A value packs when its type is exactly the column's, or None is allowed; else it raises."""
    column = Column(kind, nullable, descends)
    fits = type(value) is kind or (value is None and nullable)
    if fits:
        assert packer_for([column])((value,)) == element_packer(column)(value)
        return
    for pack_value in (element_packer(column), lambda value: packer_for([column])((value,))):
        with pytest.raises(InvalidKey, match=f"key column of type {kind.__name__}"):
            pack_value(value)


class Colour(enum.IntEnum):
    """An enum whose members are ints."""

    RED = 3


@pytest.mark.parametrize(
    ("columns", "row", "wrong"),
    [
        ([int], (True,), "True"),
        ([int], (Colour.RED,), "Colour.RED"),
        ([float], (1,), "1 of type int"),
        ([bool, int], (True, None), "None"),
        ([int, str], ("a", "b"), "'a'"),
        ([int, str, bytes], (1, "b", "c"), "'c'"),
        ([int, str, bytes, int], (1, "b", b"c", 2.0), "2.0"),
        ([int] * 7, (1, 2, 3, 4, 5, "six", 7), "'six'"),
    ],
    ids=str,
)
def test_each_place_is_checked(columns: list[type], row: Elements, wrong: str) -> None:
    """The element that does not fit is shown, wherever it stands."""
    with pytest.raises(InvalidKey, match=wrong):
        packer_for(columns)(row)


@pytest.mark.parametrize("count", range(6))
@pytest.mark.parametrize("change", [-1, 1])
def test_a_row_has_as_many_elements_as_columns(count: int, change: int) -> None:
    """A row too short or too long is refused, and so is anything that is no tuple."""
    packer = packer_for([int] * count)
    assert packer((1,) * count) == b"\x15\x01" * count
    rows: list[Any] = [[1] * count, "1" * count]
    if count + change >= 0:
        rows.append((1,) * (count + change))
    for row in rows:
        with pytest.raises(InvalidKey, match=f"not a tuple of {count} key columns"):
            packer(row)


@pytest.mark.parametrize("kind", [object, type(None), list, "int", None, Colour])
def test_a_column_has_a_type_of_keys(kind: object) -> None:
    """A column of a type no key can hold is refused when it is declared."""
    why = "not a type of key elements; use one of bool, bytes"
    with pytest.raises(InvalidKey, match=why):
        packer_for([kind])  # type: ignore[list-item]  # the mistake under test
    with pytest.raises(InvalidKey, match=why):
        element_packer(kind)  # type: ignore[arg-type]  # the mistake under test


def test_every_type_of_keys_can_be_a_column() -> None:
    """Nested tuples too; only None is no type of its own."""
    assert set(COLUMN_TYPES) == {*KINDS, tuple}
    assert packer_for([tuple])((("a", None),)) == pack((("a", None),))


def test_refusals_inside_an_element_come_through() -> None:
    """A value of the right type that cannot be packed is refused as `pack` refuses it."""
    with pytest.raises(InvalidKey, match="lone surrogate"):
        packer_for([str])(("\ud800",))
    with pytest.raises(InvalidKey, match="too large"):
        packer_for([Column(int, descending=True)])((1 << 3000,))
