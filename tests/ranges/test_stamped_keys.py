"""Versionstamped keys in one range: what they lock, and which side of a border they fall to."""

from __future__ import annotations

import pytest

from fastness.errors import Conflict, FastnessError, Overloaded
from fastness.ranges import versionstamp
from fastness.ranges.commit import Stamped
from fastness.ranges.requests import (
    Decision,
    Pending,
    Prepared,
    RangeAnswer,
    ReadAnswer,
    Scan,
)
from tests.ranges.inline_shell import split, two_ranges


def test_stamped_keys_lock_their_interval_against_all_but_each_other() -> None:
    """H12: the key is unknown until the decision."""
    world = two_ranges()
    one, other = world.identity(b"j"), world.identity(b"j")
    stamped = [Stamped(b"j/", b"", b"x")]
    assert isinstance(world.answer(world.prepare(one, stamped_keys=stamped)), Prepared)
    assert isinstance(
        world.answer(world.prepare(other, stamped_keys=stamped, priority=world.issued + 9)),
        Prepared,
    )
    scan = world.read(scan=Scan(b"j/", b"j0", 10))
    assert world.answer(scan) is None
    first = world.committed(world.decide(one, world.draw()))
    second = world.committed(world.decide(other, world.draw()))
    answer = world.answer(scan)
    assert isinstance(answer, Pending)
    found = world.answer(world.read(scan=Scan(b"j/", b"j0", 10)))
    assert isinstance(found, ReadAnswer)
    stamps = [key[2:10] for key, _ in found.entries]
    assert stamps == [one.to_bytes(8, "big") for one in (first, second)]


@pytest.mark.parametrize("prepared", [True, False])
def test_a_stamp_comes_above_what_its_client_knew_and_below_the_border(prepared: bool) -> None:
    """The range keeps to both bounds itself: the key falls to it, or nothing is written."""
    world = two_ranges()
    world.committed(world.commit({b"a": b"1"}))
    soon, ago = world.issued + 1_000, world.issued - 1
    split(world, b"j/" + soon.to_bytes(8, "big"))

    def told(above: int) -> RangeAnswer | FastnessError | None:
        stamped = [Stamped(b"j/", b"", b"x", above=above)]
        identity = world.identity(b"j")
        if not prepared:
            return world.answer(world.commit(stamped_keys=stamped))
        return world.answer(world.prepare(identity, stamped_keys=stamped))

    below = told(ago)
    if isinstance(below, Prepared):
        assert (below.floor, below.alive_until) == (world.issued, soon)
    else:
        assert isinstance(below, Decision)
        assert below.timestamp < soon
    early = told(world.issued + 500)
    if isinstance(early, Prepared):
        assert early.floor == world.issued + 500
    else:
        assert isinstance(early, Conflict)
    while world.draw() < soon:
        pass
    late = told(ago)
    if isinstance(late, Prepared):
        assert late.floor >= late.alive_until == soon
    else:
        assert isinstance(late, Conflict)
    beyond = told(world.issued)
    if isinstance(beyond, Prepared):
        assert beyond.alive_until == 0
    else:
        assert isinstance(beyond, Decision)
        assert beyond.timestamp > soon


def test_a_prepared_stamp_goes_right_where_the_border_is_older_than_its_floor() -> None:
    """Whole; a border that it may yet fall to either side of is refused until it is decided."""
    world = two_ranges()
    past = world.issued
    world.draw(10)
    stamped = [Stamped(b"j/", b"", b"x", above=past + 2)]
    identity = world.identity(stamped[0].first)
    promise = world.answer(world.prepare(identity, stamped_keys=stamped))
    assert isinstance(promise, Prepared)
    assert promise.floor > past + 1
    with pytest.raises(Overloaded, match="prepared around"):
        split(world, b"j/" + (promise.floor + 5).to_bytes(8, "big"))
    world.ranges[1].leaseholder.resume()
    border = b"j/" + (past + 2).to_bytes(8, "big")
    split(world, border)
    assert [len(one.leaseholder.locks) for one in (world.ranges[1], world.ranges[9])] == [0, 1]
    at = world.committed(world.decide(identity, world.draw()))
    found = world.answer(world.read(scan=Scan(border, b"j0", 10)))
    assert isinstance(found, ReadAnswer)
    assert [key for key, _ in found.entries] == [b"j/" + versionstamp(at)]
