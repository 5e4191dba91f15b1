"""Dividing what is free: everything once, evenly, and alike on every node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastness.placement.shares import shared_out, turn_of

HOLDING = st.dictionaries(st.sampled_from("abcdefg"), st.integers(0, 20), min_size=1)


@given(free=st.sets(st.integers(1, 500), max_size=60), held=HOLDING)
def test_what_is_free_is_divided_evenly(free: set[int], held: dict[str, int]) -> None:
    """Each range has one first choice; nobody is given more while another holds less."""
    chosen = shared_out(free, held)
    assert set(chosen) == free
    after = dict(held)
    for address in chosen.values():
        after[address] += 1
    given_any = {address for address in held if after[address] > held[address]}
    least = min(after.values())
    assert all(after[address] <= least + 1 for address in given_any)
    # Whoever reads the same, in whatever order, divides alike.
    assert shared_out(sorted(free, reverse=True), dict(sorted(held.items()))) == chosen


@given(nodes=st.sets(st.text("abc", max_size=3), min_size=1), number=st.integers(0, 100))
def test_everybody_has_a_turn_of_its_own(nodes: set[str], number: int) -> None:
    """The first choice comes first, and no two nodes at once."""
    listed = sorted(nodes)
    first = listed[number % len(listed)]
    turns = [turn_of(one, first, listed) for one in listed]
    assert sorted(turns) == list(range(len(listed)))
    assert turn_of(first, first, listed) == 0
