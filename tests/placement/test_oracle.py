"""The oracle: timestamps rise, under a durable ceiling, whatever clocks and crashes do."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.timestamps import Timestamp, from_milliseconds, to_milliseconds
from fastness.invariants import InvariantViolation
from fastness.placement import TimestampOracle
from fastness.placement.oracle import JUMP_MS_MAX
from fastness.runtime import ManualClock

AHEAD_MS = 5_000


@dataclass
class Holder:
    """A holder of the oracle and its disk: it observes, asks for room, and may crash."""

    clock: ManualClock = field(default_factory=ManualClock)
    durable_ceiling: Timestamp = 0

    def __post_init__(self) -> None:
        self.take_over()

    def take_over(self) -> None:
        """Start as a successor that knows nothing but the durable ceiling."""
        self.oracle = TimestampOracle(
            start=self.durable_ceiling,
            ceiling=self.durable_ceiling,
            wall_ms=self.clock.wall_ms(),
            boot_ns=self.clock.boot_ns(),
            ceiling_ms_ahead=AHEAD_MS,
        )

    def issue(self, count: int = 1) -> Timestamp:
        """The first of a block, the ceiling raised first where it must be."""
        self.oracle.observe(self.clock.wall_ms(), self.clock.boot_ns())
        first = self.oracle.issue(count)
        if first is None:
            self.durable_ceiling = self.oracle.ceiling_wanted(count)
            self.oracle.raise_ceiling(self.durable_ceiling)
            first = self.oracle.issue(count)
        assert first is not None
        return first


events = st.one_of(
    st.integers(1, 5).map(lambda count: ("issue", count)),
    st.integers(0, 20_000).map(lambda passed: ("advance", passed)),
    st.integers(-100_000_000, 100_000_000).map(lambda step: ("jump", step)),
    st.just(("crash", 0)),
)


@given(st.lists(events, max_size=40))
def test_timestamps_strictly_increase_through_anything(events: list[tuple[str, int]]) -> None:
    """Jumps both ways and crashes included: no block overlaps or precedes an earlier one."""
    holder = Holder()
    highest = 0
    for event, amount in events:
        if event == "issue":
            first = holder.issue(amount)
            assert first > highest
            highest = first + amount - 1
            assert highest < holder.durable_ceiling == holder.oracle.ceiling
        elif event == "advance":
            holder.clock.advance(milliseconds=amount)
        elif event == "jump":
            holder.clock.jump_wall(milliseconds=amount)
        else:
            holder.take_over()


def test_nothing_is_issued_at_or_above_the_ceiling() -> None:
    """The last timestamp below the ceiling is issued, the next one is not."""
    oracle = TimestampOracle(start=10, ceiling=13, wall_ms=0, boot_ns=0, ceiling_ms_ahead=1)
    assert oracle.issue(2) == 11
    assert oracle.issue(1) is None
    assert oracle.issued == 12
    oracle.raise_ceiling(14)
    assert oracle.issue(1) == 13
    oracle.raise_ceiling(5)
    assert oracle.ceiling == 14, "it never sinks"


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.integers(1, 100_000))
def test_the_ceiling_wanted_makes_room(start: int, wall_ms: int, count: int) -> None:
    """After it is durable the block is issued, and time to spare is left."""
    oracle = TimestampOracle(
        start=start, ceiling=0, wall_ms=wall_ms, boot_ns=0, ceiling_ms_ahead=AHEAD_MS
    )
    assert oracle.issue(count) is None
    ceiling = oracle.ceiling_wanted(count)
    oracle.raise_ceiling(ceiling)
    assert oracle.issue(count) is not None
    assert ceiling > oracle.issued


def test_timestamps_follow_the_clock() -> None:
    """A timestamp says when: its milliseconds are those of the wall."""
    holder = Holder()
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()
    assert holder.issue(100) == from_milliseconds(holder.clock.wall_ms()) + 1
    holder.clock.advance(milliseconds=7)
    assert holder.issue() == from_milliseconds(holder.clock.wall_ms())
    assert holder.oracle.now() == holder.oracle.issued


def test_a_clock_set_back_slows_time_and_keeps_the_order() -> None:
    """Time goes on at half the clock's pace until the wall has caught up: deadlines pass."""
    holder = Holder()
    before = holder.issue()
    holder.clock.jump_wall(milliseconds=-12_000)
    assert holder.issue(3) == before + 1
    assert holder.oracle.clock_jumps == 0
    for seconds in range(1, 23):
        holder.clock.advance(milliseconds=1_000)
        assert to_milliseconds(holder.issue()) - to_milliseconds(before) == seconds * 500
    holder.clock.advance(milliseconds=2_000)
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()


@pytest.mark.parametrize("jump_ms", [JUMP_MS_MAX + 1, 86_400_000, 50 * 365 * 86_400_000])
def test_a_forward_jump_is_counted_and_not_followed(jump_ms: int) -> None:
    """One mistyped date does not push timestamps ahead for good; time goes on at its own pace."""
    holder = Holder()
    began = to_milliseconds(holder.issue())
    holder.clock.jump_wall(milliseconds=jump_ms)
    assert to_milliseconds(holder.issue()) == began
    for _ in range(100):
        holder.clock.advance(milliseconds=2, nanoseconds=500_000)
        holder.issue()
    assert to_milliseconds(holder.issue()) == began + 250
    assert holder.oracle.clock_jumps == 1, "one jump, however often the clock was looked at since"


def test_a_jump_that_is_taken_back_is_forgotten() -> None:
    """Once the wall is right again it is followed again."""
    holder = Holder()
    holder.issue()
    holder.clock.jump_wall(milliseconds=86_400_000)
    holder.issue()
    holder.clock.jump_wall(milliseconds=-86_400_000)
    holder.clock.advance(milliseconds=10_000)
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()


def test_suspension_is_no_jump() -> None:
    """A laptop's sleep passes on the boot clock too, so the wall is followed."""
    holder = Holder()
    holder.issue()
    holder.clock.advance(milliseconds=8 * 3_600_000)
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()
    assert holder.oracle.clock_jumps == 0


def test_a_small_step_forward_is_followed() -> None:
    """What a time service corrects by hand-widths is ordinary."""
    holder = Holder()
    holder.issue()
    holder.clock.jump_wall(milliseconds=JUMP_MS_MAX)
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()


def test_crashes_in_a_row_do_not_run_away_from_the_clock() -> None:
    """A process that dies ten times a second stays within a ceiling's reach of the wall."""
    holder = Holder()
    for _ in range(100):
        holder.issue()
        holder.clock.advance(milliseconds=100)
        holder.take_over()
    assert to_milliseconds(holder.issue()) <= holder.clock.wall_ms() + 2 * AHEAD_MS


def test_timestamps_ahead_of_the_clock_go_on_at_half_its_pace_until_it_catches_up() -> None:
    """Deadlines pass and values expire although a successor's clock lags."""
    holder = Holder()
    begun = holder.clock.wall_ms() + 4_000
    holder.durable_ceiling = from_milliseconds(begun)
    holder.take_over()
    holder.issue()
    for seconds in range(1, 7):
        holder.clock.advance(milliseconds=1_000)
        assert to_milliseconds(holder.issue()) - begun == seconds * 500
    holder.clock.advance(milliseconds=2_000)
    assert to_milliseconds(holder.issue()) == holder.clock.wall_ms()


def test_an_empty_block_is_a_mistake() -> None:
    """Nobody draws no timestamps."""
    with pytest.raises(InvariantViolation, match="block of 0 timestamps"):
        Holder().oracle.issue(0)
