"""The search for an order of one register's operations that explains all their answers.

A forward sweep over invocations and returns that keeps every situation the register may be in,
and lets operations take effect as late as possible: only when one of them returns (Wing & Gong,
"Testing and Verifying Concurrent Objects", 1993; Lowe, "Testing for Linearizability", 2017,
just-in-time linearization with memoisation). Three facts keep the situations few:

* An operation that leaves the register as it is (a read, a refused compare-and-set) may take
  effect at once where its answer fits: later it would change nothing either.
* An operation of unknown outcome need never take effect, so of two situations that differ only
  in those used up, the one that used fewer can do all the other can.
* It is only worth using where somebody sees it before it is overwritten; and of several that
  do the same, the one invoked first.

The sweep stops at the first return that no situation allows, so what it has read until then is
the shortest prefix of the history without an explanation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fastness.errors import LimitExceeded
from fastness.testing.history import CompareAndSet, Operation, Read, Scalar, Value, Write

SITUATIONS_MAX: Final = 1_000_000
"""Situations that the sweep over one key may try."""

Order = tuple["Call", "Order"] | None
"""The operations that took effect, the last one first."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One operation on the register; `completed` is `None` where it need not have happened.

    Equal only to itself, so that calls are cheap to look up.
    """

    index: int
    invoked: int
    completed: int | None
    operation: Operation

    def result(self, state: Value) -> tuple[bool, Value]:
        """Whether its answer fits a register that holds `state`, and what it leaves there."""
        match self.operation:
            case Write(_, value):
                return True, value
            case CompareAndSet(_, expected, value, swapped):
                return (
                    (state != expected, state) if swapped is False else (state == expected, value)
                )
            case Read(_, value):
                return state == value, state
            case _:
                return False, state

    @property
    def changes(self) -> bool:
        """Whether it leaves something new in the register."""
        operation = self.operation
        if isinstance(operation, CompareAndSet):
            return operation.swapped is not False
        return isinstance(operation, Write)


@dataclass(frozen=True, slots=True)
class Situation:
    """What the register may hold, and how that came about.

    `done` has a bit for each open call that already took effect, `used` one for each call of
    unknown outcome that did.
    """

    state: Value
    done: int
    used: int
    order: Order


@dataclass(frozen=True, slots=True)
class Stuck:
    """The first return without an explanation: every situation it was tried in, and what was open.

    `candidates[i]` are the calls that had not taken effect in `situations[i]`.
    """

    call: Call
    situations: Sequence[Situation]
    candidates: Sequence[Sequence[Call]]


def search(calls: Iterable[Call], initial: Scalar) -> Stuck | None:
    """`None` if the calls can be ordered; raises `LimitExceeded` where that takes too much."""
    worth = _worthwhile(list(calls))
    events = [(call.invoked, False, place) for place, call in enumerate(worth)]
    events += [
        (call.completed, True, place)
        for place, call in enumerate(worth)
        if call.completed is not None
    ]
    sweep = _Sweep(initial)
    for _, is_return, place in sorted(events):
        if not is_return:
            sweep.invoke(worth[place])
        elif not sweep.settle(worth[place]):
            return sweep.stuck(worth[place])
    return None


def _worthwhile(calls: list[Call]) -> list[Call]:
    """Leave out what need not have happened and could not be noticed if it had."""
    looked_for: set[Value] = set()
    refused = False
    for call in calls:
        match call.operation:
            case Read(_, value) if call.completed is not None:
                looked_for.add(value)
            case CompareAndSet(_, expected, _, swapped):
                looked_for.add(expected)
                refused = refused or swapped is False
            case _:
                pass
    return [
        call
        for call in calls
        if call.completed is not None or _noticed(call, looked_for, refused=refused)
    ]


def _noticed(call: Call, looked_for: set[Value], *, refused: bool) -> bool:
    operation = call.operation
    if not isinstance(operation, Write | CompareAndSet) or not call.changes:
        return False
    return refused or operation.value in looked_for


class _Sweep:
    """The situations after the events so far."""

    def __init__(self, initial: Scalar) -> None:
        self._situations = [Situation(initial, 0, 0, None)]
        self._explored: list[Situation] = []
        self._bits: dict[Call, int] = {}
        self._free: list[int] = []
        self._optional: dict[Operation, list[tuple[Call, int]]] = {}
        self._optional_bits = 0
        self._budget = SITUATIONS_MAX

    def invoke(self, call: Call) -> None:
        """From now on the call may take effect."""
        if call.completed is None:
            alike = self._optional.setdefault(call.operation, [])
            alike.append((call, 1 << self._optional_bits))
            self._optional_bits += 1
            return
        self._bits[call] = self._free.pop() if self._free else 1 << len(self._bits)
        if not call.changes:
            self._situations = [self._passive(situation) for situation in self._situations]

    def settle(self, call: Call) -> bool:
        """Keep the situations in which the call has taken effect; whether there are any."""
        bit = self._bits[call]
        found = _Frontier()
        queue: deque[Situation] = deque()
        for situation in self._situations:
            found.admit(situation)
            queue.append(situation)
        survivors: list[Situation] = []
        self._explored = []
        while queue:
            situation = queue.popleft()
            if situation.done & bit:
                survivors.append(situation)
                continue
            self._explored.append(situation)
            self._budget -= 1
            if self._budget < 0:
                raise self._too_many(call)
            queue.extend(after for after in self._successors(situation) if found.admit(after))
        if not survivors:
            return False
        del self._bits[call]
        self._free.append(bit)
        self._situations = _without_bit(survivors, bit)
        return True

    def stuck(self, call: Call) -> Stuck:
        """What the last, failed `settle` tried."""
        candidates = [
            [one for one, bit in self._bits.items() if not situation.done & bit]
            for situation in self._explored
        ]
        return Stuck(call, self._explored, candidates)

    def _successors(self, situation: Situation) -> Iterable[Situation]:
        for call, bit in self._bits.items():
            if call.changes and not situation.done & bit:
                fits, state = call.result(situation.state)
                if fits:
                    order = (call, situation.order)
                    yield self._passive(
                        Situation(state, situation.done | bit, situation.used, order)
                    )
        for alike in self._optional.values():
            unused = next((one for one in alike if not situation.used & one[1]), None)
            if unused is not None:
                yield from self._use(situation, *unused)

    def _use(self, situation: Situation, call: Call, bit: int) -> Iterable[Situation]:
        """The situation after a call of unknown outcome, where that fits and is worth it."""
        fits, state = call.result(situation.state)
        if fits:
            order = (call, situation.order)
            before = Situation(state, situation.done, situation.used | bit, order)
            after = self._passive(before)
            if after.done != before.done or self._expected(after):
                yield after

    def _passive(self, situation: Situation) -> Situation:
        """Let every open call take effect that fits and changes nothing."""
        done, order = situation.done, situation.order
        for call, bit in self._bits.items():
            if not call.changes and not done & bit and call.result(situation.state)[0]:
                done |= bit
                order = (call, order)
        if done == situation.done:
            return situation
        return Situation(situation.state, done, situation.used, order)

    def _expected(self, situation: Situation) -> bool:
        """Whether an open compare-and-set waits for just this state."""
        open_calls = [(call, bit & situation.done) for call, bit in self._bits.items()]
        for alike in self._optional.values():
            open_calls += [(call, bit & situation.used) for call, bit in alike[-1:]]
        return any(
            not gone
            and call.changes
            and isinstance(call.operation, CompareAndSet)
            and call.operation.expected == situation.state
            for call, gone in open_calls
        )

    def _too_many(self, call: Call) -> LimitExceeded:
        return LimitExceeded(
            f"more than {SITUATIONS_MAX} situations to try until {call.operation!r} of "
            f"T{call.index} returned, with {len(self._bits)} calls open and "
            f"{self._optional_bits} of unknown outcome; record fewer processes or unknown "
            "outcomes on one key, or write unique values"
        )


class _Frontier:
    """The situations met, of which one that used up less stands for all that used up more."""

    def __init__(self) -> None:
        self._least: dict[tuple[Value, int], list[int]] = {}

    def admit(self, situation: Situation) -> bool:
        """Whether nothing met so far can do all that this situation can; remembers it then."""
        least = self._least.setdefault((situation.state, situation.done), [])
        if any(used & situation.used == used for used in least):
            return False
        least.append(situation.used)
        return True


def _without_bit(survivors: list[Situation], bit: int) -> list[Situation]:
    """The situations with the bit of a returned call free again, the needless ones left out."""
    frontier = _Frontier()
    kept = []
    for one in sorted(survivors, key=lambda situation: situation.used.bit_count()):
        cleared = Situation(one.state, one.done & ~bit, one.used, one.order)
        if frontier.admit(cleared):
            kept.append(cleared)
    return kept
