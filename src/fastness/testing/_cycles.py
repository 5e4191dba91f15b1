"""Cycles in a graph: found, cut down to the shortest, and named.

A history is strictly serializable exactly if its transactions can be put in a line along all
edges, so every component with a cycle is a violation. Which one, is decided by the weakest
set of edges that closes a cycle, tried in this order::

    stage       edges added                            names
    data        dependencies of data only              G0 G1c G-single G-nonadjacent G2
    process     the order of each process              ...-process
    real time   completion before invocation           ...-realtime
    observed    versions ordered by who saw them       ...-realtime

One cycle is reported for each component of each stage and class, unless one reported earlier
lies inside it. Small components are searched exhaustively. In large ones a budget of visited
edges ends the search between two starts: what is then reported is a true cycle, named for what
it is, though a shorter one, or one of a graver class, may exist. A component never goes
unreported: from its first transaction the search for any cycle succeeds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic

from fastness.testing._components import Components, components
from fastness.testing._graph import (
    ALL,
    ANY_READ_WRITE,
    OBSERVED_READ_WRITE,
    OBSERVED_WRITE_WRITE,
    PROCESS,
    READ_WRITE,
    REAL_TIME,
    TIMED_READ_WRITE,
    WRITE_READ,
    WRITE_WRITE,
    Graph,
    Reason,
)

EDGES_VISITED_MAX: Final = 2_000_000
"""The edges a search of one component visits before it begins at no further transaction."""

_DATA: Final = WRITE_WRITE | WRITE_READ | READ_WRITE
_TIMED: Final = REAL_TIME | TIMED_READ_WRITE
_OBSERVED: Final = OBSERVED_WRITE_WRITE | OBSERVED_READ_WRITE
_STAGES: Final = (_DATA, _DATA | PROCESS, _DATA | PROCESS | _TIMED, ALL)


@dataclass(frozen=True, slots=True)
class Step(Generic[Reason]):
    """One edge of a cycle, between two transactions."""

    source: int
    target: int
    kind: int
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class Cycle(Generic[Reason]):
    """Steps of which each begins where the one before ended, the first at the lowest index."""

    steps: tuple[Step[Reason], ...]

    @property
    def transactions(self) -> tuple[int, ...]:
        """Its transactions, in the order of the cycle."""
        return tuple(step.source for step in self.steps)

    @property
    def name(self) -> str:
        """Adya's class, with the kind of time it needs."""
        kinds = [step.kind for step in self.steps]
        read_writes = [bool(kind & ANY_READ_WRITE) for kind in kinds]
        if not any(read_writes):
            base = "G1c" if any(kind & WRITE_READ for kind in kinds) else "G0"
        elif sum(read_writes) == 1:
            base = "G-single"
        else:
            base = "G2" if _adjacent(read_writes) else "G-nonadjacent"
        if any(kind & (_TIMED | _OBSERVED) for kind in kinds):
            return f"{base}-realtime"
        return f"{base}-process" if PROCESS in kinds else base


def _adjacent(read_writes: Sequence[bool]) -> bool:
    """Whether two anti-dependencies follow each other, the last and the first included."""
    return any(
        here and there
        for here, there in zip(read_writes, [*read_writes[1:], read_writes[0]], strict=True)
    )


def find_cycles(graph: Graph[Reason]) -> Iterator[Cycle[Reason]]:
    """Every cycle worth reporting, the gravest classes first."""
    suspects = sorted(node for group in components(graph, ALL).cyclic for node in group)
    reported: set[int] = set()
    for stage in _STAGES if suspects else ():
        for search in _searches(graph, stage, suspects):
            for group in search.within.cyclic:
                if reported.isdisjoint(group):
                    cycle = search.shortest(group)
                    if cycle is not None:
                        reported.update(cycle.transactions)
                        yield cycle


def _searches(graph: Graph[Reason], stage: int, suspects: list[int]) -> Iterator[_Search[Reason]]:
    """The searches of one stage: without reads, without anti-dependencies, and then with them."""
    writes = stage & ~(WRITE_READ | ANY_READ_WRITE)
    yield _Search(graph, writes, components(graph, writes, suspects))
    forward = stage & ~ANY_READ_WRITE
    without = components(graph, forward, suspects)
    yield _Search(graph, forward, without)
    whole = components(graph, stage, suspects)
    yield _Single(graph, stage, whole, without.number)
    yield _Nonadjacent(graph, stage, whole)
    yield _Search(graph, stage, whole)


class _Search(Generic[Reason]):
    """The shortest cycle of any shape over the edges of a mask, component by component.

    A position of the search is a node and a small state, which subclasses use to keep to a
    shape. Entering a transaction costs one, entering a junction nothing, so that paths are
    as long as they are to a reader.
    """

    starts_with: int = ALL
    """The kinds a cycle's first edge may have."""

    def __init__(self, graph: Graph[Reason], mask: int, within: Components) -> None:
        self.graph = graph
        self.mask = mask
        self.within = within

    def shortest(self, group: Sequence[int]) -> Cycle[Reason] | None:
        """The shortest cycle through the transactions of one component; none of its shape: `None`.

        Each search may only find something shorter than the best so far, so nearly all of them
        end at once; two transactions cannot be beaten.
        """
        best: list[int] | None = None
        length = len(group) + 1
        budget = EDGES_VISITED_MAX
        for start in group:
            if start >= self.graph.transactions:
                break
            edges, budget = self._from(start, length, budget)
            if edges is not None:
                best, length = edges, self._length(edges)
            if length <= 2 or budget <= 0:
                break
        return None if best is None else self._cycle(best)

    def admits(self, start: int, target: int, kind: int) -> bool:  # noqa: ARG002 - for subclasses
        """Whether a cycle through `start` may take this edge."""
        return bool(kind & self.mask)

    def after(self, state: int, kind: int) -> int | None:  # noqa: ARG002 - for subclasses
        """The state after a transaction's edge of this kind; `None` where the shape forbids it."""
        return 0

    def may_end(self, state: int) -> bool:  # noqa: ARG002 - for subclasses
        """Whether a cycle may close in this state."""
        return True

    def _from(self, start: int, limit: int, budget: int) -> tuple[list[int] | None, int]:
        """The shortest cycle through `start` below `limit`, as edges, and the budget left."""
        graph, number = self.graph, self.within.number
        home = number[start]
        distance = {(start, -1): 0}
        origin: dict[tuple[int, int], tuple[tuple[int, int], int]] = {}
        queue = deque([(start, -1)])
        while queue:
            position = queue.popleft()
            node, state = position
            walked = distance[position]
            if walked + 1 >= limit:
                continue
            edges = graph.outgoing[node]
            budget -= len(edges)
            for edge in edges:
                target, kind = graph.target[edge], graph.kind[edge]
                if number[target] != home or not self.admits(start, target, kind):
                    continue
                following = self._step(node, state, kind)
                if following is None:
                    continue
                if target == start:
                    if self.may_end(following):
                        return [*self._path(origin, position), edge], budget
                    continue
                cost = walked + (target < graph.transactions)
                reached = (target, following)
                if cost < distance.get(reached, limit):
                    distance[reached] = cost
                    origin[reached] = (position, edge)
                    if cost == walked:
                        queue.appendleft(reached)
                    else:
                        queue.append(reached)
        return None, budget

    def _step(self, node: int, state: int, kind: int) -> int | None:
        if state == -1:
            return self.after(0, kind) if kind & self.starts_with else None
        return state if node >= self.graph.transactions else self.after(state, kind)

    @staticmethod
    def _path(
        origin: dict[tuple[int, int], tuple[tuple[int, int], int]], position: tuple[int, int]
    ) -> list[int]:
        edges = []
        while position in origin:
            position, edge = origin[position]
            edges.append(edge)
        return edges[::-1]

    def _length(self, edges: Sequence[int]) -> int:
        return sum(self.graph.target[edge] < self.graph.transactions for edge in edges)

    def _cycle(self, edges: Sequence[int]) -> Cycle[Reason]:
        """Join the parts of paths through junctions, and turn the lowest transaction to the front.

        The parts of one path share kind and reason.
        """
        graph = self.graph
        steps: list[Step[Reason]] = []
        source = graph.target[edges[-1]]
        for edge in edges:
            target = graph.target[edge]
            if target < graph.transactions:
                steps.append(Step(source, target, graph.kind[edge], graph.reason[edge]))
                source = target
        first = min(range(len(steps)), key=lambda index: steps[index].source)
        return Cycle((*steps[first:], *steps[:first]))


class _Single(_Search[Reason]):
    """Cycles with one anti-dependency, begun at it.

    The way back has none, so it can only pass nodes that still reach `start` without: along it
    the numbers of `without` sink towards that of `start`.
    """

    starts_with = ANY_READ_WRITE

    def __init__(
        self, graph: Graph[Reason], mask: int, within: Components, without: Sequence[int]
    ) -> None:
        super().__init__(graph, mask, within)
        self._without = without

    def admits(self, start: int, target: int, kind: int) -> bool:
        if not kind & self.mask:
            return False
        if target >= self.graph.transactions and kind & ANY_READ_WRITE:
            return True
        return self._without[target] >= self._without[start]

    def after(self, state: int, kind: int) -> int | None:
        if kind & ANY_READ_WRITE:
            return None if state else 1
        return state


class _Nonadjacent(_Search[Reason]):
    """Cycles in which no two anti-dependencies follow each other, begun at one.

    The state says whether the last edge was one. Components with a cycle of fewer are not
    searched any more, so a path that met a transaction twice would hold a shorter cycle of this
    very shape.
    """

    starts_with = ANY_READ_WRITE

    def after(self, state: int, kind: int) -> int | None:
        if kind & ANY_READ_WRITE:
            return None if state else 1
        return 0

    def may_end(self, state: int) -> bool:
        return state == 0
