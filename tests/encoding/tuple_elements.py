"""Generated tuples, and the specification's order of them written a second time.

`place` says where an element sorts without looking at any packed byte: a Python value that
compares as the specification demands. Two elements are the same element exactly when their
places are equal (`==` will not do: to Python True, 1 and 1.0 are equal, and NaN is not
equal to itself).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st

from fastness.encoding.tuples import SingleFloat, TupleElement, Versionstamp

THOROUGH = settings(max_examples=6 * settings().max_examples)
"""For properties whose counterexamples hide in corners, by the profile in force."""

Elements = tuple[TupleElement, ...]


def _ieee_place(representation: bytes) -> int:
    """IEEE 754's total order of a binary32 or binary64 as an integer."""
    bits = int.from_bytes(representation, "big", signed=True)
    return bits if bits >= 0 else ~(bits & ((1 << (8 * len(representation) - 1)) - 1))


_WITHIN_TYPE: dict[type, Callable[[Any], Any]] = {
    type(None): lambda _nothing: 0,
    bytes: lambda value: value,
    str: lambda value: [ord(character) for character in value],
    tuple: lambda value: [place(element) for element in value],
    int: lambda value: value,
    SingleFloat: lambda value: _ieee_place(value.representation),
    float: lambda value: _ieee_place(struct.pack(">d", value)),
    bool: lambda value: value,
    UUID: lambda value: value.bytes,
    Versionstamp: lambda value: (not value.is_complete, value.transaction or b"", value.user),
}
"""Types in their order, each with the order inside it."""

_RANKS = {kind: rank for rank, kind in enumerate(_WITHIN_TYPE)}


def place(element: TupleElement) -> tuple[int, Any]:
    """Where an element sorts: its type first, then its value."""
    kind = type(element)
    return _RANKS[kind], _WITHIN_TYPE[kind](element)


def places(elements: Elements) -> list[tuple[int, Any]]:
    """Where a tuple sorts: element by element, before its extensions."""
    return [place(element) for element in elements]


_edges = st.builds(
    lambda size, distance, sign: sign * ((1 << (8 * size)) + distance),
    st.integers(0, 254),
    st.integers(-2, 2),
    st.sampled_from((-1, 1)),
)
integers = st.one_of(st.integers(-300, 1100), st.integers(), _edges)
"""Small, any, and around each change of length; all fit 255 bytes."""

texts = st.one_of(st.text(alphabet="a\x00\xff\U0001f600", max_size=6), st.text(max_size=10))
byte_strings = st.one_of(
    st.lists(st.sampled_from((0x00, 0x01, 0xFE, 0xFF)), max_size=6).map(bytes),
    st.binary(max_size=10),
)
doubles = st.one_of(
    st.floats(), st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack(">d", raw)[0])
)
singles = st.one_of(
    st.floats(width=32).map(SingleFloat),
    st.binary(min_size=4, max_size=4).map(SingleFloat.from_bytes),
)
versionstamps = st.builds(
    Versionstamp,
    st.binary(min_size=10, max_size=10).filter(lambda raw: raw != b"\xff" * 10),
    st.integers(0, 0xFFFF),
)

SIMPLE: dict[type, st.SearchStrategy[Any]] = {
    int: integers,
    str: texts,
    bytes: byte_strings,
    bool: st.booleans(),
    float: doubles,
    SingleFloat: singles,
    UUID: st.uuids(),
    Versionstamp: versionstamps,
}

simple_elements: st.SearchStrategy[TupleElement] = st.one_of(st.none(), *SIMPLE.values())
elements: st.SearchStrategy[TupleElement] = st.recursive(
    simple_elements,
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=8,
)
tuples: st.SearchStrategy[Elements] = st.lists(elements, max_size=5).map(tuple)


@st.composite
def close_pairs(draw: st.DrawFn) -> tuple[Elements, Elements]:
    """Two tuples that share their first elements, so that the later ones decide."""
    shared = draw(tuples)
    return shared + draw(tuples), shared + draw(tuples)


def has_incomplete(element: TupleElement) -> bool:
    """Whether an incomplete versionstamp stands in an element, at any depth."""
    if isinstance(element, tuple):
        return any(map(has_incomplete, element))
    return isinstance(element, Versionstamp) and not element.is_complete
