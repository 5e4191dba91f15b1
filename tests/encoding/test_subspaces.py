"""Subspaces: keys under a prefix, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.subspaces import Subspace
from fastness.encoding.tuples import Versionstamp, pack, range_of
from fastness.errors import InvalidEncoding, InvalidKey
from tests.encoding.tuple_elements import Elements, places, tuples


@given(tuples, tuples, st.binary(max_size=3))
def test_keys_are_packed_under_the_prefix(
    prefix: Elements, inside: Elements, raw_prefix: bytes
) -> None:
    """A key is the raw prefix, the packed prefix and the packed tuple, and comes back."""
    subspace = Subspace(prefix, raw_prefix)
    key = subspace.pack(inside)
    assert key == raw_prefix + pack(prefix + inside)
    assert places(subspace.unpack(key)) == places(inside)
    assert subspace.contains(key)
    assert key in subspace


@given(tuples, tuples)
def test_subspaces_nest(prefix: Elements, inside: Elements) -> None:
    """Item access and `subspace` lead to the same place as one long prefix."""
    outer = Subspace(prefix, b"raw")
    assert outer.subspace(inside) == Subspace(prefix + inside, b"raw")
    for value in inside:
        assert outer[value] == outer.subspace((value,))
        assert outer[value].key == outer.pack((value,))
    assert hash(outer.subspace(())) == hash(outer)


@given(tuples, tuples)
def test_the_range_holds_what_is_inside(prefix: Elements, inside: Elements) -> None:
    """A range is that of the tuples below, and lies in the subspace."""
    subspace = Subspace(prefix)
    assert subspace.range(inside) == range_of(prefix + inside)
    assert subspace.range().contains(subspace.pack((*inside, None)))
    assert not subspace.range().contains(subspace.pack())


@pytest.mark.parametrize("key", [b"", b"\x14", b"\x02user\x00\x14", "users", None, 5], ids=repr)
def test_keys_outside_are_refused(key: object) -> None:
    """A key of another subspace, or no key at all, is not unpacked."""
    subspace = Subspace(("users",))
    assert key not in subspace
    assert not subspace.contains(key)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(InvalidKey, match="outside the subspace"):
        subspace.unpack(key)  # type: ignore[arg-type]  # the mistake under test


def test_damage_inside_is_named_by_its_offset() -> None:
    """Offsets in a refusal count from the beginning of the whole key."""
    with pytest.raises(InvalidEncoding, match=r"^byte 7 of "):
        Subspace(("users",)).unpack(b"\x02users\x00\x99")


def test_a_prefix_is_a_tuple_and_bytes() -> None:
    """A lone element as prefix, or text as raw prefix, is refused."""
    with pytest.raises(InvalidKey, match="is not a tuple"):
        Subspace("users")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(InvalidKey, match="is not bytes"):
        Subspace((), "raw")  # type: ignore[arg-type]  # the mistake under test


def test_stamped_keys_lie_in_the_subspace() -> None:
    """The prefix of a stamped key begins with the subspace's own."""
    subspace = Subspace(("log",), b"\x01")
    packed = subspace.pack_with_versionstamp((Versionstamp(user=3), "x"))
    key = packed.completed(b"0123456789")
    assert subspace.unpack(key) == (Versionstamp(b"0123456789", 3), "x")
