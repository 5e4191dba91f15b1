"""The oracle's role: its ceiling, those that wait for it, and how rarely it rises."""

from __future__ import annotations

import pytest

from fastness.encoding.timestamps import from_milliseconds, to_milliseconds
from fastness.errors import Overloaded
from fastness.placement.oracle_role import Block, OracleRole
from fastness.ranges.ports import Caller

WALL_MS = 1_700_000_000_000
CEILING_MS = 1_000


def role(*, start: int = 0, wall_ms: int = WALL_MS, queued_max: int = 3) -> OracleRole:
    """A role that starts above `start`, on a clock that stands still."""
    return OracleRole(
        start=start, wall_ms=wall_ms, boot_ns=0, ceiling_ms=CEILING_MS, queued_max=queued_max
    )


def caller(number: int) -> Caller:
    """Somebody who asks."""
    return Caller("client", number)


def raised(oracle: OracleRole) -> int:
    """Make the wanted ceiling durable at once; the ceiling, or 0."""
    ceiling = oracle.ceiling_wanted()
    if ceiling:
        oracle.ceiling_raised(ceiling)
    return ceiling


def test_nothing_is_issued_before_the_first_ceiling() -> None:
    """A new holder makes its own ceiling durable first; then those who waited are served."""
    oracle = role(start=from_milliseconds(WALL_MS + 5))
    assert oracle.draw(caller(1), 2) is None
    assert oracle.draw(caller(2), 3) is None
    assert oracle.next_draw() is None
    assert raised(oracle)
    first, second = oracle.next_draw(), oracle.next_draw()
    assert first == Block(caller(1), from_milliseconds(WALL_MS + 5) + 1, 2)
    assert second == Block(caller(2), from_milliseconds(WALL_MS + 5) + 3, 3)
    assert oracle.next_draw() is None


def test_those_that_wait_are_served_in_order() -> None:
    """Somebody who asks while others wait does not overtake them."""
    oracle = role()
    assert oracle.draw(caller(1), 1) is None
    assert raised(oracle)
    assert oracle.draw(caller(2), 1) is None
    served = [oracle.next_draw(), oracle.next_draw()]
    assert [one.caller.number for one in served if one] == [1, 2]


def test_too_many_waiting_are_refused() -> None:
    """The queue is bounded; giving the role up tells everybody in it."""
    oracle = role(queued_max=2)
    for number in (1, 2):
        assert oracle.draw(caller(number), 1) is None
    with pytest.raises(Overloaded):
        oracle.draw(caller(3), 1)
    assert oracle.queued == 2
    assert oracle.give_up() == [caller(1), caller(2)]
    assert oracle.queued == 0
    assert raised(oracle)
    assert oracle.draw(caller(4), 1) is not None


def test_the_ceiling_rises_before_it_is_in_the_way() -> None:
    """At half its room it is wanted again, so that nobody waits; and not more often."""
    oracle = role()
    raised(oracle)
    writes = 0
    for elapsed_ms in range(1, 10_001):
        oracle.observe(WALL_MS + elapsed_ms, elapsed_ms * 1_000_000)
        assert oracle.draw(caller(elapsed_ms), 1) is not None
        writes += bool(raised(oracle))
    assert 10 <= writes <= 25


def test_timestamps_ahead_of_the_clock_write_ten_times_a_second_at_most() -> None:
    """A successor on a clock that lags starts above the ceiling, with little room at a time."""
    oracle = role(start=from_milliseconds(WALL_MS + 60_000))
    writes = 0
    for elapsed_ms in range(1, 10_001):
        oracle.observe(WALL_MS + elapsed_ms, elapsed_ms * 1_000_000)
        if oracle.draw(caller(elapsed_ms), 1_000) is None:
            writes += bool(raised(oracle))
            assert oracle.next_draw() is not None
        else:
            writes += bool(raised(oracle))
    assert writes <= 101


def test_no_block_reaches_the_ceiling() -> None:
    """A block larger than the room waits for a ceiling that has room for it."""
    oracle = role()
    ceiling = raised(oracle)
    room = ceiling - from_milliseconds(WALL_MS)
    assert oracle.draw(caller(1), room + 1) is None
    assert raised(oracle) > ceiling
    block = oracle.next_draw()
    assert block is not None
    assert block.first + block.count <= raised(oracle) or to_milliseconds(block.first) == WALL_MS


def test_a_jump_of_the_clock_is_not_followed() -> None:
    """It is counted, and timestamps go on at the old pace."""
    oracle = role()
    raised(oracle)
    oracle.observe(WALL_MS + 86_400_000, 1_000_000)
    block = oracle.draw(caller(1), 1)
    assert block is not None
    assert to_milliseconds(block.first) <= WALL_MS + 1
    assert oracle.clock_jumps == 1


def test_readers_go_on_while_the_ceiling_is_in_the_way() -> None:
    """They share the highest timestamp issued; whoever commits waits, and gets a higher one."""
    oracle = role(start=from_milliseconds(WALL_MS + 5))
    highest = from_milliseconds(WALL_MS + 5)
    assert oracle.draw(caller(1), 1, reading=True) == Block(caller(1), highest, 1)
    assert oracle.draw(caller(2), 1) is None
    assert oracle.draw(caller(3), 1, reading=True) == Block(caller(3), highest, 1)
    assert raised(oracle)
    assert oracle.next_draw() == Block(caller(2), highest + 1, 1)
    assert oracle.draw(caller(4), 1, reading=True) == Block(caller(4), highest + 2, 1)


def test_where_nothing_was_ever_issued_readers_wait() -> None:
    """0 is no timestamp to read at."""
    oracle = role()
    assert oracle.draw(caller(1), 1, reading=True) is None
    assert raised(oracle)
    block = oracle.next_draw()
    assert block is not None
    assert block.first > 0
