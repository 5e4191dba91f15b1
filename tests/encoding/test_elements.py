"""Versionstamps and floats of single precision as values."""

from __future__ import annotations

import itertools
import math
import pickle
import struct
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.subspaces import Subspace
from fastness.encoding.tuples import (
    DEPTH_MAX,
    SingleFloat,
    TupleElement,
    Versionstamp,
    pack,
    pack_with_versionstamp,
)
from fastness.errors import InvalidKey
from tests.encoding.tuple_elements import Elements, singles, tuples, versionstamps

STAMP = b"0123456789"


@given(tuples, tuples, tuples, st.integers(0, 0xFFFF), st.booleans())
def test_a_completed_key_is_the_key_of_the_completed_tuple(
    before: Elements, after: Elements, around: Elements, user: int, nested: bool
) -> None:
    """Filling in the transaction gives what packing the completed stamp gives."""

    def with_stamp(stamp: Versionstamp) -> Elements:
        element: TupleElement = (*around, stamp, None) if nested else stamp
        return (*before, element, *after)

    packed = pack_with_versionstamp(with_stamp(Versionstamp(user=user)))
    assert packed.completed(STAMP) == pack(with_stamp(Versionstamp(STAMP, user)))


@pytest.mark.parametrize(
    ("elements", "count"),
    [
        ((), 0),
        (("a", Versionstamp(STAMP)), 0),
        ((Versionstamp(), Versionstamp()), 2),
        ((Versionstamp(), (Versionstamp(),)), 2),
    ],
)
def test_exactly_one_stamp_is_filled_in(elements: Elements, count: int) -> None:
    """A tuple with no incomplete stamp, or with several, is refused."""
    with pytest.raises(InvalidKey, match=f"holds {count} incomplete"):
        pack_with_versionstamp(elements)


def test_a_stamped_tuple_is_checked_as_any_other() -> None:
    """A lone stamp, a foreign type and bottomless nesting are refused."""
    with pytest.raises(InvalidKey, match="is not a tuple"):
        pack_with_versionstamp(Versionstamp())  # type: ignore[arg-type]  # the mistake
    with pytest.raises(InvalidKey, match="cannot be part of a tuple key"):
        pack_with_versionstamp((Versionstamp(), [1]))  # type: ignore[arg-type]  # the mistake
    nested: TupleElement = Versionstamp()
    for _ in range(DEPTH_MAX + 1):
        nested = (nested,)
    with pytest.raises(InvalidKey, match="nest deeper"):
        pack_with_versionstamp((nested,))


@pytest.mark.parametrize("transaction", [b"", b"123456789", b"12345678901", b"\xff" * 10, "a" * 10])
def test_a_transaction_is_ten_bytes(transaction: object) -> None:
    """Another length, another type, or the placeholder is refused."""
    with pytest.raises(InvalidKey, match="versionstamp transaction"):
        Versionstamp(transaction)  # type: ignore[arg-type]  # the mistake under test
    if transaction != b"\xff" * 10:
        key = pack_with_versionstamp((Versionstamp(),))
        with pytest.raises(InvalidKey, match="10 bytes of a stamp"):
            key.completed(transaction)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("user", [-1, 0x10000, 1.0, True, None])
def test_the_user_part_is_16_bits(user: object) -> None:
    """A user part out of range or of another type is refused."""
    with pytest.raises(InvalidKey, match="user part"):
        Versionstamp(STAMP, user)  # type: ignore[arg-type]  # the mistake under test


def test_an_incomplete_stamp_is_not_packed() -> None:
    """Plain packing points to the call that completes the stamp."""
    for elements in ((Versionstamp(user=3),), ((Versionstamp(),),)):
        with pytest.raises(InvalidKey, match="set_versionstamped_key"):
            pack(elements)


@given(versionstamps, versionstamps)
def test_stamps_compare_as_their_bytes(left: Versionstamp, right: Versionstamp) -> None:
    """Order and equality are those of the packed form; incomplete stamps come last."""
    assert (left < right) == (pack((left,)) < pack((right,)))
    assert (left == right) == (left.to_bytes() == right.to_bytes())
    assert left < Versionstamp(None, 0) < Versionstamp(None, 1)
    assert Versionstamp.from_bytes(left.to_bytes()) == left
    assert Versionstamp(None, left.user).completed(right.transaction or STAMP).is_complete


@pytest.mark.parametrize("packed", [b"", b"x" * 11, b"x" * 13, "x" * 12])
def test_a_stamp_is_twelve_bytes(packed: object) -> None:
    """Another length is refused."""
    with pytest.raises(InvalidKey, match="12 bytes"):
        Versionstamp.from_bytes(packed)  # type: ignore[arg-type]  # the mistake under test


@given(singles, singles)
def test_single_floats_compare_as_their_keys(left: SingleFloat, right: SingleFloat) -> None:
    """Order, equality and hashes are those of the bits, NaNs and zeros included."""
    assert (left < right) == (pack((left,)) < pack((right,)))
    assert (left == right) == (pack((left,)) == pack((right,)))
    assert SingleFloat.from_bytes(left.representation) == left
    assert hash(SingleFloat.from_bytes(left.representation)) == hash(left)


def test_floats_sort_in_the_total_order() -> None:
    """Negative NaN, -inf, numbers with -0.0 below 0.0, inf, NaN; as values and as keys."""
    bits = "ffc00001 ff800000 bf800000 80000001 80000000 00000000 00000001 3f800000 7f800000"
    rising = [SingleFloat.from_bytes(bytes.fromhex(word)) for word in (*bits.split(), "7fc00001")]
    assert all(low < high for low, high in itertools.pairwise(rising))
    assert sorted(rising, key=lambda value: pack((value,))) == rising
    doubles = [-math.nan, -math.inf, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, math.inf, math.nan]
    keys = [pack((math.copysign(value, index - 4.5),)) for index, value in enumerate(doubles)]
    assert sorted(keys) == keys


@given(st.floats(width=32))
def test_single_floats_hold_what_fits_them(value: float) -> None:
    """A value of single precision comes back exactly."""
    assert struct.pack(">d", float(SingleFloat(value))) == struct.pack(">d", value)


def test_single_floats_show_their_value() -> None:
    """A float is rounded to single precision and printed so."""
    assert repr(SingleFloat(0.1)) == "SingleFloat(0.10000000149011612)"
    assert math.isinf(float(SingleFloat(math.inf)))


@pytest.mark.parametrize("value", [1e39, -1e39, 10**400, "1", None])
def test_single_floats_refuse_what_does_not_fit(value: object) -> None:
    """A number beyond single precision, or no number, is refused."""
    with pytest.raises(InvalidKey, match="single precision"):
        SingleFloat(value)  # type: ignore[arg-type]  # the mistake under test


@pytest.mark.parametrize("representation", [b"", b"123", b"12345", "1234"])
def test_single_floats_are_four_bytes(representation: object) -> None:
    """Another length is refused."""
    with pytest.raises(InvalidKey, match="4 bytes"):
        SingleFloat.from_bytes(representation)  # type: ignore[arg-type]  # the mistake


@pytest.mark.parametrize("value", [SingleFloat(1.5), Versionstamp(STAMP, 2), Subspace(("a",))])
def test_values_are_frozen_and_copied_whole(value: object) -> None:
    """Values cannot be changed, and survive pickling."""
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - bytes of our own
    for name in ("representation", "user", "key"):
        if hasattr(value, name):
            with pytest.raises(FrozenInstanceError):
                setattr(value, name, b"")


def test_other_types_do_not_compare() -> None:
    """Elements of different types have no order outside of a key."""
    values: list[object] = [SingleFloat(1.5), Versionstamp(STAMP), 1.5]
    for left, right in itertools.permutations(values, 2):
        assert left != right
        with pytest.raises(TypeError):
            assert left < right  # type: ignore[operator]  # the mistake under test
