"""The commit machine against dumb ranges, in every order in which frames may arrive.

The ranges keep the few rules of theirs that the machine relies on: they answer an id they know
with its outcome, refuse what was meant for another generation, and decide once. Everything else
is in the hands of the explorer: which frame arrives next, which answer is taken for lost while
its request is still under way, which frame arrives twice, when a range splits or merges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

import pytest

from fastness.encoding.intervals import SYSTEM_END
from fastness.errors import (
    Conflict,
    Draining,
    FastnessError,
    MaybeCommitted,
    Overloaded,
    RangeMoved,
    Unauthenticated,
    Unreachable,
)
from fastness.invariants import InvariantViolation
from fastness.placement.descriptors import Descriptor, RangeMap
from fastness.ranges.identity import transaction_id
from fastness.ranges.requests import CommitOne, Content, Decide, Decision, Prepare, Prepared, Write
from fastness.transactions.two_phase import CommitMachine, Draw, Effect, Pause, Send, Settled

Body = CommitOne | Prepare | Decide
Answer = Decision | Prepared | FastnessError

KEYS = (b"a", b"m", b"z")
CONTENT = Content(read_timestamp=5, read_keys=[b"a"], writes=[Write(key, b"1") for key in KEYS])
ID = transaction_id(birth=5, nonce=7, anchor=b"a")


def descriptors(generation: int, *borders: bytes) -> list[Descriptor]:
    """Ranges with these borders between them."""
    edges = [b"", *borders, SYSTEM_END]
    return [
        Descriptor(generation * 10 + place, begin, end, generation, "s", 1, f"n{place}")
        for place, (begin, end) in enumerate(pairwise(edges))
    ]


@dataclass
class Ranges:
    """What is durable of the one transaction, key by key, however the ranges are cut."""

    shape: list[Descriptor]
    refuses: dict[bytes, FastnessError] = field(default_factory=dict)
    promised: dict[bytes, int] = field(default_factory=dict)
    """Floors, by key."""
    outcome: dict[bytes, int] = field(default_factory=dict)
    """By key of the range that knows it; a split leaves it with every child."""
    clock: int = 10
    applied: list[int] = field(default_factory=list)

    def handle(self, body: Body) -> Answer:
        """What a range answers."""
        here = [one for one in self.shape if one.range_id == body.range_id]
        if not here or here[0].generation != body.generation:
            return RangeMoved("not here")
        keys = [key for key in KEYS if here[0].begin <= key < here[0].end]
        if isinstance(body, Decide):
            return self._decide(body, keys)
        known = [self.outcome[key] for key in keys if key in self.outcome]
        if known:
            return Decision(known[0])
        for write in body.content.writes:
            assert write.key in keys, "a part reaches beyond its range"
            if write.key in self.refuses:
                error = self.refuses[write.key]
                if isinstance(error, Overloaded):
                    # The next delivery of the very same frame finds room.
                    del self.refuses[write.key]
                return error
        if isinstance(body, CommitOne):
            self.clock += 1
            self._end(keys, self.clock)
            return Decision(self.clock)
        for write in body.content.writes:
            self.promised.setdefault(write.key, self.clock)
        floor = max(self.promised[write.key] for write in body.content.writes)
        return Prepared(floor, 0, (here[0].begin, here[0].end))

    def _decide(self, body: Decide, keys: list[bytes]) -> Answer:
        known = [self.outcome[key] for key in keys if key in self.outcome]
        if known:
            return Decision(known[0])
        timestamp = body.timestamp
        if timestamp:
            assert set(self.promised) == set(KEYS), "decided to commit before all had promised"
            assert timestamp > max(self.promised.values()), "from before the last promise"
        self._end(keys, timestamp)
        return Decision(timestamp)

    def _end(self, keys: list[bytes], timestamp: int) -> None:
        for key in keys:
            self.outcome[key] = timestamp
        if timestamp:
            self.applied.append(timestamp)


class Run:
    """One machine and its ranges, driven by choices."""

    def __init__(
        self,
        ranges: Ranges,
        later: list[Descriptor],
        *,
        silences: int,
        repeats: int,
        choose: Callable[[int], int],
    ) -> None:
        self.ranges = ranges
        self.later = later
        self.silences = silences
        self.repeats = repeats
        self.choose = choose
        self.map = RangeMap(ranges.shape)
        self.requests: list[tuple[int, Body]] = []
        self.answers: list[tuple[int, Answer]] = []
        self.waiting: set[int] = set()
        self.paused = False
        self.drawing = False
        self.settled: Settled | None = None
        self.machine = CommitMachine(
            ID,
            CONTENT,
            priority=5,
            ranges=self.map,
            issued=lambda: 5,
            prepare_ms=1_000,
            lease_of=lambda _range_id: 0,
        )

    def perform(self, effects: list[Effect]) -> None:
        """Take what the machine wants."""
        for effect in effects:
            if isinstance(effect, Send):
                self.requests.append((effect.number, effect.body))
                self.waiting.add(effect.number)
            elif isinstance(effect, Draw):
                self.drawing = True
            elif isinstance(effect, Pause):
                assert not self.paused, "it pauses once at a time"
                self.paused = True
            else:
                assert self.settled is None, "it settles once"
                self.settled = effect

    def steps(self) -> list[Callable[[], None]]:
        """Everything that may happen next."""
        steps: list[Callable[[], None]] = []
        for place in range(len(self.requests)):
            steps.append(partial(self.arrive, place, again=False))
            if self.repeats:
                steps.append(partial(self.arrive, place, again=True))
        if self.settled is not None:
            return steps
        steps += [partial(self.hear, place) for place in range(len(self.answers))]
        if self.silences:
            steps += [partial(self.fall_silent, number) for number in sorted(self.waiting)]
        if self.paused:
            steps.append(self.resume)
        if self.drawing:
            steps.append(self.draw)
        if self.later:
            steps.append(self.reshape)
        return steps

    def arrive(self, place: int, *, again: bool) -> None:
        """A request reaches its range."""
        number, body = self.requests[place]
        if again:
            self.repeats -= 1
        else:
            del self.requests[place]
        self.answers.append((number, self.ranges.handle(body)))

    def hear(self, place: int) -> None:
        """An answer reaches the machine, unless it was given up."""
        number, answer = self.answers.pop(place)
        if number not in self.waiting:
            return
        self.waiting.discard(number)
        if isinstance(answer, FastnessError):
            if isinstance(answer, RangeMoved):
                self.learn()
            self.perform(self.machine.refused(number, answer))
        else:
            self.perform(self.machine.answered(number, answer))

    def learn(self) -> None:
        """The client's map is corrected."""
        for descriptor in self.ranges.shape:
            self.map.learn(descriptor)

    def fall_silent(self, number: int) -> None:
        """An answer is taken for lost."""
        self.silences -= 1
        self.waiting.discard(number)
        self.perform(self.machine.unanswered(number))

    def resume(self) -> None:
        """The pause is over."""
        self.paused = False
        self.learn()
        self.perform(self.machine.resumed())

    def draw(self) -> None:
        """The oracle answers; whatever is promised from now on has this for a floor."""
        self.drawing = False
        self.ranges.clock += 1
        self.perform(self.machine.drawn(self.ranges.clock))

    def reshape(self) -> None:
        """The ranges split or merge: promises and outcomes go with their keys.

        Every child of a split gets every outcome; a merge keeps those of either side.
        """
        before, self.ranges.shape, self.later = self.ranges.shape, self.later, []
        known = dict(self.ranges.outcome)
        for old in before:
            inside = [key for key in KEYS if old.begin <= key < old.end and key in known]
            for new in self.ranges.shape:
                if inside and new.begin < old.end and old.begin < new.end:
                    for key in KEYS:
                        if new.begin <= key < new.end:
                            self.ranges.outcome.setdefault(key, known[inside[0]])

    def go(self) -> None:
        """Run to the end: settled, and every frame has arrived."""
        self.perform(self.machine.start())
        for _ in range(200):
            steps = self.steps()
            if not steps:
                break
            steps[self.choose(len(steps))]()
        assert self.settled is not None, "nothing more can happen, and it has not settled"
        self.judge()

    def judge(self) -> None:
        """What was reported is what became of it, whatever still arrived afterwards."""
        settled, ranges = self.settled, self.ranges
        assert settled is not None
        assert not isinstance(settled.error, MaybeCommitted)
        assert len(set(ranges.applied)) <= 1, "committed twice"
        if settled.timestamp:
            assert ranges.applied == [settled.timestamp]
            assert ranges.outcome[b"a"] == settled.timestamp
        else:
            assert not ranges.applied, f"told {settled.error!r}, and committed all the same"


def explored(paths_max: int) -> Iterator[Callable[[int], int]]:
    """Functions that choose, so that every sequence of choices is made once, depth first."""
    path: list[list[int]] = []
    for _ in range(paths_max):
        depth = 0

        def choose(options: int) -> int:
            nonlocal depth
            if depth == len(path):
                path.append([0, options])
            depth += 1
            return path[depth - 1][0]

        yield choose
        while path and path[-1][0] + 1 == path[-1][1]:
            path.pop()
        if not path:
            return
        path[-1][0] += 1
    pytest.fail(f"more than {paths_max} paths: explore less")


SHAPES = {
    "one": (descriptors(1), []),
    "two": (descriptors(1, b"m"), []),
    "one, then two": (descriptors(1), descriptors(2, b"m")),
    "two, then three": (descriptors(1, b"m"), descriptors(2, b"m", b"p")),
    "two, then one": (descriptors(1, b"m"), descriptors(2)),
}


def explore(
    shape: str, refuses: dict[bytes, FastnessError], *, silences: int, repeats: int, paths: int
) -> list[Settled]:
    """Every way it may go; how each ended."""
    ends: list[Settled] = []
    for choose in explored(paths):
        before, later = SHAPES[shape]
        ranges = Ranges(list(before), dict(refuses))
        run = Run(ranges, list(later), silences=silences, repeats=repeats, choose=choose)
        run.go()
        assert run.settled is not None
        ends.append(run.settled)
    return ends


@pytest.mark.parametrize("shape", SHAPES)
def test_a_commit_that_nobody_refuses(shape: str) -> None:
    """It commits in whatever order frames arrive; where ranges merged under it, it may abort."""
    ends = explore(shape, {}, silences=0, repeats=0, paths=50_000)
    assert any(end.timestamp for end in ends)
    if shape != "two, then one":
        assert all(end.timestamp for end in ends)


@pytest.mark.parametrize("error", [Conflict("overtaken"), Overloaded("full")])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_refusal_is_final(shape: str, error: FastnessError) -> None:
    """What was refused never commits, and the error reported is the range's or a later abort."""
    ends = explore(shape, {b"z": error}, silences=0, repeats=0, paths=50_000)
    assert not any(end.timestamp for end in ends)
    assert any(end.error is error for end in ends)


@pytest.mark.parametrize("refuses", [{}, {b"z": Conflict("overtaken")}])
@pytest.mark.parametrize("shape", ["one", "two"])
def test_an_answer_that_is_lost(shape: str, refuses: dict[bytes, FastnessError]) -> None:
    """A send that seemed lost may arrive at any later time: the report stays true."""
    explore(shape, refuses, silences=1, repeats=0, paths=200_000)


def test_an_answer_that_is_lost_while_the_range_splits() -> None:
    """The first send committed in the whole range, or the same id is prepared in its halves."""
    explore("one, then two", {}, silences=1, repeats=0, paths=400_000)


@pytest.mark.parametrize("refuses", [{}, {b"z": Conflict("overtaken")}, {b"z": Overloaded("full")}])
@pytest.mark.parametrize("shape", ["one", "two"])
def test_a_frame_that_arrives_twice(shape: str, refuses: dict[bytes, FastnessError]) -> None:
    """A second delivery, however late, changes nothing: not even of what was refused for a time."""
    explore(shape, refuses, silences=0, repeats=1, paths=200_000)


def start(
    shape: list[Descriptor], content: Content = CONTENT
) -> tuple[CommitMachine, list[Effect], RangeMap]:
    """A machine that has begun."""
    ranges = RangeMap(shape)
    machine = CommitMachine(
        ID,
        content,
        priority=5,
        ranges=ranges,
        issued=lambda: 5,
        prepare_ms=1_000,
        lease_of=lambda range_id: range_id + 100,
    )
    return machine, machine.start(), ranges


def numbers(effects: list[Effect]) -> list[int]:
    """The numbers of sends."""
    return [effect.number for effect in effects if isinstance(effect, Send)]


def test_a_timestamp_at_a_floor_raises_an_alarm() -> None:
    """A timestamp not above every floor is refused: the abort is written, then the alarm given."""
    machine, effects, _ranges = start(descriptors(1, b"m"))
    first, second = numbers(effects)
    machine.answered(first, Prepared(50, 0, (b"", b"m")))
    assert machine.answered(second, Prepared(60, 0, (b"m", SYSTEM_END))) == [Draw()]
    (send,) = machine.drawn(60)
    assert isinstance(send, Send)
    assert isinstance(send.body, Decide)
    assert send.body.timestamp == 0
    (settled,) = machine.answered(send.number, Decision(0))
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, InvariantViolation)


def test_a_value_that_expired_before_the_commit_aborts_it() -> None:
    """A commit timestamp at or above the expiry of a value found alive is not used."""
    machine, effects, _ranges = start(descriptors(1, b"m"))
    first, second = numbers(effects)
    machine.answered(first, Prepared(50, 70, (b"", b"m")))
    machine.answered(second, Prepared(60, 0, (b"m", SYSTEM_END)))
    (send,) = machine.drawn(70)
    assert isinstance(send, Send)
    (settled,) = machine.answered(send.number, Decision(0))
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, Conflict)


def test_nothing_sent_is_nothing_committed() -> None:
    """A commit that found no range to go to ends without any doubt."""
    machine, effects, _ranges = start([])
    assert effects == [Pause()]
    (settled,) = machine.give_up()
    assert isinstance(settled, Settled)
    assert not isinstance(settled.error, MaybeCommitted)


def test_time_over_asks_for_the_outcome_first() -> None:
    """Giving up writes an abort; only where that is not answered either, it is unknown."""
    machine, effects, _ranges = start(descriptors(1))
    assert len(numbers(effects)) == 1
    (send,) = machine.give_up()
    assert isinstance(send, Send)
    assert isinstance(send.body, Decide)
    (settled,) = machine.give_up()
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, MaybeCommitted)
    assert settled.error.transaction_id == ID
    assert machine.answered(send.number, Decision(9)) == []


def test_what_never_left_is_in_no_doubt() -> None:
    """A commit whose every send was dropped before it left ends without any doubt."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    assert machine.unsent(first.number, Unreachable("nobody is there")) == [Pause()]
    (second,) = machine.resumed()
    assert isinstance(second, Send)
    (third,) = machine.unanswered(second.number)
    assert isinstance(third, Send)
    # Told late: it had been given up before.
    assert machine.unsent(second.number, Unreachable("nobody was there")) == []
    assert machine.unsent(third.number, Unreachable("nobody is there")) == [Pause()]
    (settled,) = machine.give_up()
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, Unreachable)


def test_what_turns_out_never_to_have_left() -> None:
    """The doubt ends with the news, also while the outcome is being asked for."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    (decide,) = machine.give_up()
    assert isinstance(decide, Send)
    (settled,) = machine.unsent(first.number, Unreachable("nobody was there"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, Unreachable)
    assert machine.unsent(decide.number, Unreachable("nor there")) == []


def test_one_send_that_may_have_arrived_is_enough_for_doubt() -> None:
    """That another never left says nothing of it."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    (second,) = machine.unanswered(first.number)
    assert isinstance(second, Send)
    machine.unsent(second.number, Unreachable("nobody is there"))
    machine.give_up()
    (settled,) = machine.give_up()
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, MaybeCommitted)


@pytest.mark.parametrize("error", [Draining("going down"), Unauthenticated("revoked")])
def test_what_a_gate_did_not_let_in_is_refused_for_good(error: FastnessError) -> None:
    """Its second copy is dropped, so nothing has to be decided."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    assert machine.refused(first.number, error) == [Settled(0, error)]


def test_a_resend_is_the_same_to_the_byte() -> None:
    """The second send of a commit carries what the first did."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    (second,) = machine.unanswered(first.number)
    assert isinstance(second, Send)
    assert (second.body, second.to) == (first.body, first.to)
    assert second.body.lease == first.body.range_id + 100  # type: ignore[union-attr]  # a commit of one range


def test_an_anchor_that_forgot_leaves_it_unknown() -> None:
    """`maybe_committed` from the anchor is the end of asking."""
    machine, (first,), _ranges = start(descriptors(1))
    assert isinstance(first, Send)
    (decide,) = machine.refused(first.number, MaybeCommitted("born before the horizon"))
    assert isinstance(decide, Send)
    (settled,) = machine.refused(decide.number, MaybeCommitted("born before the horizon"))
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, MaybeCommitted)
    assert settled.error.transaction_id == ID


def test_an_abort_that_is_decided_ends_the_doubt() -> None:
    """A range that moved while it wrote cannot tell; its successor can: it did not commit."""
    machine, effects, _ranges = start(descriptors(1))
    (first,) = effects
    assert isinstance(first, Send)
    (decide,) = machine.refused(first.number, MaybeCommitted("the range moved", transaction_id=ID))
    assert isinstance(decide, Send)
    assert isinstance(decide.body, Decide)
    (settled,) = machine.answered(decide.number, Decision(0))
    assert isinstance(settled, Settled)
    assert isinstance(settled.error, Conflict)
    assert settled.error.retryable
