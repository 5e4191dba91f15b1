"""What all models share: a search of every interleaving, and a judge of histories.

A model is made of scenarios: a starting state, what can happen next, and what is wrong with a
state. The search visits every state, breadth first, so a run to a wrong state is printed at
its shortest. It is exhaustive: a scenario has no bound but the one its own steps set.

States are hashable values. What a step is called is text for the reader of a counterexample.
A scenario names the rules it shows the need of: with any one of them left out, the search of
that scenario must find something wrong.

A history is what clients could see: who began, who was answered what, and who had been answered
before another began. The judge says whether some order of the transactions explains it, which is
strict serializability. Models let a transaction begin as late and be answered as early as
the protocol allows: that only adds to what the judge demands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

StateT = TypeVar("StateT")
RuleT = TypeVar("RuleT", bound=Enum)

Step = tuple[str, StateT]
"""What happened, and the state after it."""
Steps = Iterator[tuple[str, StateT]]


class Answer(NamedTuple):
    """What a search found."""

    states: int
    wrong: str = ""
    """The promise broken, empty if all were kept."""
    run: tuple[str, ...] = ()
    """The shortest run that breaks it."""


@dataclass(frozen=True, eq=False)
class Scenario(Generic[StateT, RuleT]):
    """A few actors whose every interleaving is searched."""

    name: str
    start: StateT
    steps: Callable[[StateT, RuleT | None], Iterable[tuple[str, StateT]]]
    """Everything that can happen next, with one rule left out or none."""
    wrong: Callable[[StateT], str]
    """The promise that a state breaks, empty for none."""
    needs: tuple[RuleT, ...]
    """The rules each of which, left out, breaks a promise here."""
    stuck: Callable[[StateT], str] | None = None
    """What is wrong with a state after which nothing can happen, empty for nothing."""

    def search(self, without: RuleT | None = None) -> Answer:
        """Visit every state; the shortest run to a wrong one, if there is one."""
        return _search(self, without)


@cache
def _search(scenario: Scenario[StateT, RuleT], without: RuleT | None) -> Answer:
    start = scenario.start
    came_from: dict[StateT, Step[StateT] | None] = {start: None}
    queue = deque([start])
    while queue:
        state = queue.popleft()
        moved = False
        for what, after in scenario.steps(state, without):
            moved = True
            if after not in came_from:
                came_from[after] = (what, state)
                if wrong := scenario.wrong(after):
                    return Answer(len(came_from), wrong, _run_to(after, came_from))
                queue.append(after)
        if not moved and scenario.stuck is not None and (wrong := scenario.stuck(state)):
            return Answer(len(came_from), wrong, _run_to(state, came_from))
    return Answer(len(came_from))


def _run_to(state: StateT, came_from: dict[StateT, Step[StateT] | None]) -> tuple[str, ...]:
    run: list[str] = []
    while (step := came_from[state]) is not None:
        run.append(step[0])
        state = step[1]
    return tuple(reversed(run))


@dataclass(frozen=True, eq=False)
class Model(Generic[RuleT]):
    """A protocol: its rules, and the scenarios that show it to hold and to need each of them."""

    rules: tuple[RuleT, ...]
    scenarios: tuple[Scenario[Any, RuleT], ...]

    def __post_init__(self) -> None:
        shown = [rule for scenario in self.scenarios for rule in scenario.needs]
        if sorted(shown, key=lambda rule: rule.name) != sorted(self.rules, key=lambda r: r.name):
            raise ValueError(f"each rule of {self.rules} is shown by exactly one scenario")

    def counterexample(self, rule: RuleT) -> Answer:
        """What breaks without `rule`, in the scenario that shows its need."""
        (scenario,) = (one for one in self.scenarios if rule in one.needs)
        return scenario.search(rule)

    def tell(self, show: Callable[[str], object] = print) -> bool:
        """Search the protocol, then without each rule; whether all came out as they should."""
        as_expected = True
        for scenario in self.scenarios:
            whole = scenario.search()
            show(
                f"{scenario.name}: {whole.wrong or 'every promise is kept'} ({whole.states} states)"
            )
            _number(whole.run, show)
            as_expected = as_expected and not whole.wrong
        for rule in self.rules:
            found = self.counterexample(rule)
            show(f"\n{rule.value}: {found.wrong or 'NOTHING BREAKS'} ({found.states} states)")
            _number(found.run, show)
            as_expected = as_expected and bool(found.wrong)
        return as_expected


def _number(run: tuple[str, ...], show: Callable[[str], object]) -> None:
    for number, step in enumerate(run, 1):
        show(f"  {number:2} {step}")


Reads = tuple[tuple[str, int], ...]
"""The keys a transaction read and the values it saw, in order of keys."""


class History(NamedTuple):
    """What clients could see so far."""

    begun: frozenset[str] = frozenset()
    answered: frozenset[tuple[str, Reads]] = frozenset()
    before: frozenset[tuple[str, str]] = frozenset()
    """Who had been answered before whom began."""

    def begin(self, name: str) -> History:
        """`name` is sent: whoever was answered comes before it."""
        earlier = {(done, name) for done, _reads in self.answered}
        return self._replace(begun=self.begun | {name}, before=self.before | earlier)

    def answer(self, name: str, reads: Mapping[str, int] | None = None) -> History:
        """`name` is told that it happened, having read `reads`."""
        seen = tuple(sorted(reads.items())) if reads else ()
        return self._replace(answered=self.answered | {(name, seen)})

    def refuse(self, name: str) -> History:
        """`name` is told that it did not happen, which must be true."""
        return self._replace(begun=self.begun - {name})


class Judge:
    """Tells whether a history is strictly serializable; every key holds 0 at the start."""

    def __init__(self, writes: Mapping[str, Mapping[str, int]]) -> None:
        """`writes` are what each transaction writes; who is missing writes nothing."""
        self._writes = writes
        self._known: dict[History, str] = {}

    def wrong(self, history: History) -> str:
        """What no order of the transactions explains, empty if one does.

        Who began and was not answered may have happened or not.
        """
        told = self._known.get(history)
        if told is None:
            told = "" if self._explained(history) else self._describe(history)
            self._known[history] = told
        return told

    def _explained(self, history: History) -> bool:
        reads = dict(history.answered)
        pending = frozenset(name for name in history.begun - reads.keys() if name in self._writes)
        return self._place(history, reads, frozenset(reads) | pending, {})

    def _place(
        self,
        history: History,
        reads: Mapping[str, Reads],
        left: frozenset[str],
        values: Mapping[str, int],
    ) -> bool:
        """Whether those left can follow each other, from these values on."""
        if left.isdisjoint(reads):
            return True
        held_back = {late for early, late in history.before if early in left}
        for name in left - held_back:
            if all(values.get(key, 0) == value for key, value in reads.get(name, ())):
                after = {**values, **self._writes.get(name, {})}
                if self._place(history, reads, left - {name}, after):
                    return True
        return False

    @staticmethod
    def _describe(history: History) -> str:
        parts = []
        for name, reads in sorted(history.answered):
            seen = " ".join(f"{key}={value}" for key, value in reads)
            parts.append(f"{name} read {seen}" if seen else f"{name} committed")
        order = ", ".join(f"{one} before {two}" for one, two in sorted(history.before))
        return f"no order explains: {'; '.join(parts)}" + (f" ({order})" if order else "")
