"""The orders that registers force on transactions, and why, in words.

Unlike a list, a register does not show its past, so the order of its versions must be derived.
Three sources are used, each certain in a strictly serializable database:

* data: a key is absent before its first version, and a transaction that read one version
  and wrote another put the second after the first;
* real time: a version written after the writer of another was complete comes after it;
* observation: a version seen after a transaction that saw another was complete comes after it.

Blind writes that overlap and that nobody tells apart in these ways stay unordered, so some
violations go unseen here that a list-append history would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from fastness.testing._cycles import Step
from fastness.testing._graph import (
    OBSERVED_READ_WRITE,
    OBSERVED_WRITE_WRITE,
    READ_WRITE,
    TIMED_READ_WRITE,
    WRITE_READ,
    Graph,
)
from fastness.testing._register_views import Registers
from fastness.testing.history import History, Key, Outcome, Scalar
from fastness.testing.report import shown_value


class Place(NamedTuple):
    """The reason of an edge: a version of a key that its source wrote or read."""

    key: Key
    version: Scalar


@dataclass(frozen=True, slots=True)
class Touch:
    """A transaction that touched a key: the version it met first and the one it left."""

    index: int
    met: Scalar
    left: Scalar
    blind: bool
    """Whether it wrote without reading; `met` is then what it wrote."""
    wrote: bool


Witnesses = dict[tuple[Key, Scalar, Scalar], tuple[int, int]]
"""Who observed that one version of a key came before another: (key, before, after)."""


def add_register_orders(graph: Graph[Place], history: History, registers: Registers) -> Witnesses:
    """Add every edge that data, real time and observation force; the witnesses explain some."""
    orders = _Orders(graph, history, registers)
    for key, touches in _touches(registers).items():
        orders.add_read_orders(key)
        orders.add_data_orders(key, touches)
        orders.add_timed_orders(key, touches)
        orders.add_observed_orders(key, touches)
    return orders.witnesses


def _touches(registers: Registers) -> dict[Key, list[Touch]]:
    """The committed transactions that touched each key, in the order of their invocation."""
    touches: dict[Key, list[Touch]] = {}
    for index, view in enumerate(registers.views):
        if not registers.committed[index]:
            continue
        for key, values in view.writes.items():
            blind = key not in view.reads
            met = values[-1] if blind else view.reads[key]
            touches.setdefault(key, []).append(Touch(index, met, values[-1], blind, wrote=True))
        for key, value in view.reads.items():
            if key not in view.writes:
                touch = Touch(index, value, value, blind=False, wrote=False)
                touches.setdefault(key, []).append(touch)
    return touches


class _Orders:
    """The graph being filled, key by key."""

    def __init__(self, graph: Graph[Place], history: History, registers: Registers) -> None:
        self._graph = graph
        self._history = history
        self._registers = registers
        self.witnesses: Witnesses = {}

    def add_read_orders(self, key: Key) -> None:
        """Readers of a version come after its writer."""
        for version, indices in self._registers.readers.get(key, {}).items():
            writer = self._registers.committed_writer(key, version)
            if writer is not None:
                for index in indices:
                    self._graph.add(writer, index, WRITE_READ, Place(key, version))

    def add_data_orders(self, key: Key, touches: list[Touch]) -> None:
        """A version comes before what a transaction that read it wrote; absence before all.

        That its writer comes first follows from the read already.
        """
        later: dict[Scalar, list[int]] = {}
        for touch in touches:
            if touch.wrote:
                later.setdefault(None if touch.blind else touch.met, []).append(touch.index)
        self._add(key, later, READ_WRITE, None)

    def add_timed_orders(self, key: Key, touches: list[Touch]) -> None:
        """A version comes before those written after its writer was complete.

        That its writer comes first is an edge of real time already.
        """
        later: dict[Scalar, list[int]] = {}
        for before, after in _successions(self._history, [one for one in touches if one.wrote]):
            later.setdefault(before.left, []).append(after.index)
        self._add(key, later, TIMED_READ_WRITE, None)

    def add_observed_orders(self, key: Key, touches: list[Touch]) -> None:
        """A version comes before those met after a transaction that met or left it."""
        later: dict[Scalar, list[int]] = {}
        for before, after in _successions(self._history, touches):
            told = (key, before.left, after.met)
            writer = self._registers.committed_writer(key, after.met)
            timed = before.wrote and after.blind
            if writer is None or before.left in {None, after.met} or timed:
                continue
            if self._registers.left(writer, key) != after.met:
                continue
            if told not in self.witnesses:
                self.witnesses[told] = (before.index, after.index)
                later.setdefault(before.left, []).append(writer)
        self._add(key, later, OBSERVED_READ_WRITE, OBSERVED_WRITE_WRITE)

    def _add(
        self,
        key: Key,
        later: dict[Scalar, list[int]],
        from_readers: int,
        from_writer: int | None,
    ) -> None:
        """Put the readers and the writer of each version before the writers of later ones."""
        readers = self._registers.readers.get(key, {})
        for version, indices in later.items():
            place = Place(key, version)
            self._graph.add_all(readers.get(version, []), indices, from_readers, place)
            writer = self._registers.committed_writer(key, version)
            if writer is not None and from_writer is not None:
                for index in indices:
                    self._graph.add(writer, index, from_writer, place)


def _successions(history: History, touches: list[Touch]) -> Iterator[tuple[Touch, Touch]]:
    """Pairs of which the first was complete before the second began, without what they imply.

    The open end of the time line holds, at any moment, the completed touches that no other
    completed one followed entirely: never more than ran at once.
    """
    frontier: list[Touch] = []
    for is_completion, touch in _events(history, touches):
        if not is_completion:
            yield from ((before, touch) for before in frontier)
            continue
        invoked = history[touch.index].invoked
        frontier = [one for one in frontier if not _complete_before(history, one, invoked)]
        frontier.append(touch)


def _events(history: History, touches: Iterable[Touch]) -> list[tuple[bool, Touch]]:
    timed: list[tuple[int, bool, int, Touch]] = []
    for touch in touches:
        transaction = history[touch.index]
        timed.append((transaction.invoked, False, touch.index, touch))
        if transaction.outcome is Outcome.OK and transaction.completed is not None:
            timed.append((transaction.completed, True, touch.index, touch))
    timed.sort(key=lambda event: event[:3])
    return [(is_completion, touch) for _, is_completion, _, touch in timed]


def _complete_before(history: History, touch: Touch, moment: int) -> bool:
    completed = history[touch.index].completed
    return completed is not None and completed < moment


def describe(
    history: History, registers: Registers, witnesses: Witnesses, step: Step[Place]
) -> str:
    """Why an edge of data must be, as a clause that names its key and values."""
    if step.reason is None:
        return "its order is given"
    key, version = step.reason
    source, target = history[step.source].name, history[step.target].name
    found = shown_value(version)
    if step.kind == WRITE_READ:
        return f"{target} read {key} -> {found}, which {source} wrote"
    wrote = registers.left(step.target, key)
    told = (key, version, wrote)
    if step.kind == OBSERVED_WRITE_WRITE:
        return _observed(history, witnesses, told)
    if step.kind == OBSERVED_READ_WRITE:
        why = f"{target} wrote {wrote}; {_observed(history, witnesses, told)}"
    elif step.kind == TIMED_READ_WRITE:
        writer = registers.writers[key][version]
        why = (
            f"written by T{writer}, which was complete at {history[writer].completed}; {target} "
            f"began at {history[step.target].invoked} and wrote {wrote}"
        )
    elif version is None:
        why = f"and {target} wrote {wrote}"
    else:
        why = f"over which {target} wrote {wrote}"
    return f"{source} read {key} -> {found}, {why}"


def _observed(history: History, witnesses: Witnesses, told: tuple[Key, Scalar, Scalar]) -> str:
    key, version, later = told
    first, second = witnesses[told]
    return (
        f"{key} was {shown_value(version)} before it was {shown_value(later)}: T{first} saw the "
        f"one and was complete at {history[first].completed}, T{second} began at "
        f"{history[second].invoked} and saw the other"
    )
