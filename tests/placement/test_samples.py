"""Sizes from samples: right to within what was drawn, and halves that are halves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastness.placement.samples import KEYS_MIN, LESSER_HALF, Extent, StoreSample

END = b"\xff\xff"
keys = st.binary(max_size=3)
drawn_of = st.lists(st.tuples(keys, st.floats(1, 1_000)), max_size=100)


@given(drawn_of, keys, keys)
def test_an_extent_is_what_its_keys_stand_for(
    drawn: list[tuple[bytes, float]], begin: bytes, end: bytes
) -> None:
    """Their sum; a half key lies inside and has about half to either side."""
    inside = [(key, size) for key, size in drawn if begin <= key < end]
    found = StoreSample(drawn, size_bytes=1, keys=len(drawn)).extent(begin, end)
    if len(inside) < KEYS_MIN:
        assert found == Extent()
        return
    whole = sum(size for _key, size in inside)
    assert abs(found.size_bytes - whole) <= 1
    if found.half_key:
        assert begin < found.half_key < end
        below = sum(size for key, size in inside if key < found.half_key)
        assert LESSER_HALF - 1e-6 <= below / whole <= 1 - LESSER_HALF + 1e-6


def test_even_keys_part_in_the_middle() -> None:
    """And one key that holds nearly everything does not part at all."""
    even = [(b"%03d" % number, 10.0) for number in range(100)]
    assert StoreSample(even, size_bytes=1, keys=1).extent(b"", END) == Extent(1_000, b"050")
    heavy = [*even, (b"050x", 1e9)]
    assert StoreSample(heavy, size_bytes=1, keys=1).extent(b"", END).half_key == b""
