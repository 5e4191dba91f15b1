"""Shelves find what a plain list of intervals finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastness.cache.shelves import SHELVES_MAX, Shelves
from fastness.encoding.intervals import KeyInterval

EDGES = st.integers(0, 12).map(lambda number: b"%02d" % number)
INTERVALS = (
    st.tuples(EDGES, EDGES)
    .filter(lambda edges: edges[0] != edges[1])
    .map(lambda edges: KeyInterval(min(edges), max(edges)))
)


@given(st.lists(st.tuples(INTERVALS, st.booleans()), max_size=40), INTERVALS)
def test_what_touches_is_found(steps: list[tuple[KeyInterval, bool]], asked: KeyInterval) -> None:
    """After any additions and removals exactly the overlapping ones are found."""
    shelves: Shelves[object] = Shelves()
    held: list[tuple[KeyInterval, object]] = []
    for interval, remove in steps:
        if remove and held:
            gone = held.pop(len(held) // 2)
            shelves.remove(*gone)
        else:
            thing = object()
            assert shelves.add(interval, thing)
            held.append((interval, thing))
    found = {id(thing) for thing in shelves.touching(asked.begin, asked.end)}
    assert found == {id(thing) for interval, thing in held if interval.overlaps(asked)}


def test_too_deep_an_overlap_is_refused() -> None:
    """The number of shelves is bounded; what finds no room is not taken in."""
    shelves: Shelves[int] = Shelves()
    for number in range(SHELVES_MAX):
        assert shelves.add(KeyInterval(b"a", b"z"), number)
    assert not shelves.add(KeyInterval(b"c", b"d"), -1)
    assert shelves.add(KeyInterval(b"z", b"zz"), -2)
    assert len(shelves.touching(b"b", b"c")) == SHELVES_MAX


def test_taking_down_what_is_not_there_is_no_error() -> None:
    """Removal of another thing at the same place leaves the one that is there."""
    shelves: Shelves[str] = Shelves()
    shelves.add(KeyInterval(b"a", b"c"), "there")
    shelves.remove(KeyInterval(b"a", b"c"), "elsewhere")
    assert shelves.touching(b"b", b"b\x00") == ["there"]
