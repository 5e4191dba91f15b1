"""The graph beneath the checkers: junctions mean what edges would, at linear cost."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fastness.testing import History, Outcome
from fastness.testing._components import components
from fastness.testing._cycles import find_cycles
from fastness.testing._graph import (
    ALL,
    READ_WRITE,
    REAL_TIME,
    WRITE_READ,
    WRITE_WRITE,
    Graph,
    add_real_time,
)
from tests.histories.small_histories import random_lists

NODES = 8
SUBSETS = st.lists(st.integers(0, NODES - 1), unique=True, max_size=NODES)
PAIRS = st.lists(st.tuples(st.integers(0, NODES - 1), st.integers(0, NODES - 1)), max_size=24)
KINDS = (WRITE_WRITE, WRITE_READ, READ_WRITE)


def reached(graph: Graph[str], start: int) -> set[int]:
    """The transactions one logical edge away: through junctions, up to the next transaction."""
    found: set[int] = set()
    waiting = [graph.target[edge] for edge in graph.outgoing[start]]
    while waiting:
        node = waiting.pop()
        if node < graph.transactions:
            found.add(node)
        else:
            waiting += [graph.target[edge] for edge in graph.outgoing[node]]
    return found


def closure(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Which nodes reach which, by brute force."""
    reach = set(pairs)
    for middle in range(NODES):
        into = [a for a, b in reach if b == middle]
        onward = [b for a, b in reach if a == middle]
        reach.update((a, b) for a in into for b in onward)
    return reach


@given(SUBSETS, SUBSETS)
def test_a_fan_joins_everything_but_itself(sources: list[int], targets: list[int]) -> None:
    """`add_all` means an edge from every source to every target except itself."""
    graph: Graph[str] = Graph(NODES)
    graph.add_all(sources, targets, READ_WRITE, "x")
    for node in range(NODES):
        expected = set(targets) - {node} if node in sources else set()
        assert reached(graph, node) == expected
    assert len(graph.target) <= 4 * len(targets) + 2 * len(sources)


@given(st.integers(0, 2**32))
def test_real_time_is_exact_and_linear(seed: int) -> None:
    """Edges and junctions say just which transactions were complete before others began."""
    history = random_lists(Random(seed))
    graph: Graph[str] = Graph(len(history))
    add_real_time(graph, history, [True] * len(history))
    for one in history:
        after = {
            other.index
            for other in history
            if one.outcome is Outcome.OK and (one.completed or 0) < other.invoked
        }
        assert reached(graph, one.index) == after
    assert len(graph.target) <= 3 * len(history)


def test_real_time_leaves_out_the_uncommitted() -> None:
    """Transactions that did not commit have no place in time."""
    history = random_lists(Random(5))
    graph: Graph[str] = Graph(len(history))
    add_real_time(graph, history, [False] * len(history))
    assert graph.target == []
    add_real_time(graph, History([]), [])
    assert graph.target == []


@given(PAIRS)
def test_components_are_those_that_reach_each_other(pairs: list[tuple[int, int]]) -> None:
    """Two nodes share a component exactly if each reaches the other; numbers sink along edges."""
    graph: Graph[str] = Graph(NODES)
    for source, target in pairs:
        graph.add(source, target, WRITE_WRITE, "x")
    found = components(graph, ALL)
    reach = closure(pair for pair in pairs if pair[0] != pair[1])
    for one in range(NODES):
        for other in range(NODES):
            together = one == other or {(one, other), (other, one)} <= reach
            assert (found.number[one] == found.number[other]) == together
    assert all(found.number[source] >= found.number[target] for source, target in pairs)


@given(PAIRS, SUBSETS)
def test_components_of_a_part_ignore_the_rest(
    pairs: list[tuple[int, int]], part: list[int]
) -> None:
    """Nodes outside the part, and kinds outside the mask, do not exist."""
    graph: Graph[str] = Graph(NODES)
    inside: Graph[str] = Graph(NODES)
    for source, target in pairs:
        graph.add(source, target, WRITE_WRITE, "x")
        graph.add(target, source, REAL_TIME)
        if {source, target} <= set(part):
            inside.add(source, target, WRITE_WRITE, "x")
    assert components(graph, WRITE_WRITE, part).cyclic == components(inside, ALL, part).cyclic


@given(st.integers(0, 2**32))
def test_cycles_are_cycles_and_shortest(seed: int) -> None:
    """What is found follows edges of the graph around, and no cycle of its class is shorter."""
    random = Random(seed)
    graph: Graph[str] = Graph(NODES)
    edges = {
        (random.randrange(NODES), random.randrange(NODES), random.choice(KINDS))
        for _ in range(random.randint(2, 16))
    }
    for source, target, kind in sorted(edges):
        graph.add(source, target, kind, "x")
    acyclic = not any(one == other for one, other in closure((a, b) for a, b, _ in edges if a != b))
    found = list(find_cycles(graph))
    assert acyclic == (not found)
    for cycle in found:
        steps = cycle.steps
        assert {(step.source, step.target, step.kind) for step in steps} <= edges
        assert len(set(cycle.transactions)) == len(steps)
        for step, following in zip(steps, [*steps[1:], steps[0]], strict=True):
            assert step.target == following.source
        if cycle.name in {"G0", "G2"}:
            kinds = WRITE_WRITE if cycle.name == "G0" else ALL
            assert len(steps) == _girth(edges, kinds, set(cycle.transactions))


def _girth(edges: set[tuple[int, int, int]], kinds: int, through: set[int]) -> int:
    """The length of the shortest cycle in the component of some nodes, by breadth-first search."""
    pairs = {(a, b) for a, b, kind in edges if kind & kinds and a != b}
    reach = closure(pairs)
    home = {node for node in range(NODES) if any({(node, t), (t, node)} <= reach for t in through)}
    best = NODES + 1
    for start in home:
        level, length = {start}, 0
        while level and length < NODES:
            length += 1
            level = {b for a, b in pairs if a in level and b in home}
            if start in level:
                best = min(best, length)
                break
    return best
