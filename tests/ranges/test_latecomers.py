"""What comes late: to a leaseholder that was deposed, that forgot, or that gave a request up."""

from __future__ import annotations

from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import RangeMoved, Unreachable
from fastness.ranges.leaseholder import FORGOTTEN_AT_ONCE
from fastness.ranges.ports import Caller
from fastness.ranges.requests import Decision, Prepared, Resolve, Resolved
from tests.ranges.inline_shell import World, small, two_ranges

DEPOSED = 7_777
SECOND_NS = 1_000_000_000


def test_a_deposed_leaseholder_does_not_say_that_nothing_is_left() -> None:
    """Its successor may hold the intent, and the anchor would forget the decision.

    The predecessor, cut off from coordinator and store, never heard of the successor: only its
    own clock tells that it may not speak for the range any more.
    """
    world = two_ranges()
    deposed = world.ranges[2]
    world.open(2, b"m")
    identity = world.identity(b"a")
    parts = [world.prepare(identity, {key: b"1"}) for key in (b"a", b"z")]
    assert all(isinstance(world.answer(part), Prepared) for part in parts)
    deposed.lease_ms = 0.0
    deposed.leaseholder.handle(Caller("node", DEPOSED), Resolve(2, 1, identity, world.draw()))
    assert isinstance(world.answer(DEPOSED), RangeMoved)
    deposed.lease_ms = 1.0
    deposed.leaseholder.handle(Caller("node", DEPOSED), Resolve(2, 1, identity, world.draw()))
    assert isinstance(world.answer(DEPOSED), Resolved)


def test_a_resolution_is_answered_while_the_same_is_being_decided() -> None:
    """A request without any answer would count as work under way for ever."""
    world = World()
    world.open()
    identity = world.identity(b"a")
    world.prepare(identity, {b"a": b"1"})
    with world.hold("apply"):
        decided = world.decide(identity, world.draw())
        early = world.ask(Resolve(1, 1, identity, 0))
        assert isinstance(world.answer(early), Unreachable)
    assert world.committed(decided)
    assert isinstance(world.answer(world.ask(Resolve(1, 1, identity, 0))), Resolved)


def test_the_outcome_horizon_never_sinks() -> None:
    """A new leaseholder that knows less of the oracle's time forgets nothing a second time.

    With a lower horizon on record, whoever opens the range next would take a resend of a commit
    that was applied, and forgotten since, for a new one.
    """
    world = World(limits=small(outcome_ms=10))
    world.open()
    early = world.issued
    birth = early - from_milliseconds(50)
    for _number in range(FORGOTTEN_AT_ONCE + 1):
        world.commit({b"a": b"1"}, identity=world.identity(b"a", birth=birth))
    late = world.identity(b"b", birth=birth)
    world.commit({b"b": b"1"}, identity=late)
    world.issued += from_milliseconds(10_000)
    world.boot_ns += 2 * SECOND_NS
    leaseholder = world.ranges[1].leaseholder
    leaseholder.tick()
    world.run()
    horizon = leaseholder.outcomes.horizon
    assert horizon >= early
    assert leaseholder.outcomes.get(late) is not None
    successor = world.open().leaseholder
    world.issued = early
    world.boot_ns += 2 * SECOND_NS
    successor.tick()
    world.run()
    assert successor.outcomes.get(late) is None
    assert world.open().leaseholder.outcomes.horizon == horizon


def test_forgetting_keeps_up_with_many_batches() -> None:
    """What one step leaves over is forgotten at the next tick, not a second later."""
    world = World(limits=small(outcome_ms=10))
    leaseholder = world.open().leaseholder
    for _number in range(2 * FORGOTTEN_AT_ONCE + 1):
        world.commit({b"a": b"1"})
    world.issued += from_milliseconds(10_000)
    world.boot_ns += 2 * SECOND_NS
    for _tick in range(3):
        leaseholder.tick()
        world.run()
        world.boot_ns += 20_000_000
    assert len(leaseholder.outcomes) == 0


def test_a_prepare_given_up_while_it_waited_does_not_end_its_resend() -> None:
    """Resolved while it waited for a batch, sent again, woken: the second one is not forgotten."""
    world = two_ranges()
    world.commit({b"z": b"0"})
    identity, at = world.identity(b"a"), world.issued
    with world.hold("apply"):
        written = world.commit({b"y": b"1"})
        first = world.prepare(identity, {b"z": b"1"}, reads=[b"y"], at=at)
        assert world.answer(first) is None
        assert isinstance(world.answer(world.ask(Resolve(2, 1, identity, 0))), Resolved)
        blocker = world.identity(b"b")
        world.prepare(blocker, {b"z": b"9"})
        second = world.prepare(identity, {b"z": b"1"}, priority=1)
    assert isinstance(world.answer(written), Decision)
    assert world.answer(second) is None
    assert identity in world.ranges[2].leaseholder.admission.running
    world.decide(blocker, 0)
    world.ask(Resolve(2, 1, blocker, 0))
    assert isinstance(world.answer(second), Prepared)
