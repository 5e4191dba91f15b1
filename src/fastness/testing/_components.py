"""Strongly connected components of a part of a graph, in time linear in its edges.

Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972) without
recursion, because a history's graph is deeper than any stack.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fastness.testing._graph import Graph, Reason

_OUTSIDE: Final = -1
_UNSEEN: Final = 0


@dataclass(frozen=True, slots=True)
class Components:
    """The components of a graph's part.

    `number` gives each node's component, -1 outside the part. Along an edge it never rises, so
    a node can only reach nodes of the same or of lower numbers.
    """

    number: list[int]
    cyclic: list[list[int]]
    """The members of each component that holds a cycle, in rising order."""


def components(graph: Graph[Reason], mask: int, part: Iterable[int] | None = None) -> Components:
    """The components over the edges whose kind is in `mask`, among the nodes of `part`."""
    nodes = range(len(graph.outgoing)) if part is None else part
    order = [_OUTSIDE] * len(graph.outgoing)
    for node in nodes:
        order[node] = _UNSEEN
    search = _Search(graph, mask, order)
    for node in nodes:
        if order[node] == _UNSEEN:
            search.visit(node)
    return Components(search.number, search.cyclic)


class _Search:
    """The state of one run. `order[node]` is its time of discovery, outside once numbered."""

    def __init__(self, graph: Graph[Reason], mask: int, order: list[int]) -> None:
        self._outgoing, self._target, self._kind = graph.outgoing, graph.target, graph.kind
        self._mask = mask
        self._order = order
        self._low = [0] * len(order)
        self._time = 0
        self._open: list[int] = []
        self._numbered = 0
        self.number = [-1] * len(order)
        self.cyclic: list[list[int]] = []

    def visit(self, root: int) -> None:
        """Number everything that `root` reaches; each turn of the loop enters or leaves a node."""
        order, low = self._order, self._low
        path = [root]
        pending = [iter(self._enter(root))]
        while path:
            node = path[-1]
            child = self._descend(node, pending[-1])
            if child is not None:
                path.append(child)
                pending.append(iter(self._enter(child)))
                continue
            path.pop()
            pending.pop()
            if path and low[node] < low[path[-1]]:
                low[path[-1]] = low[node]
            if low[node] == order[node]:
                self._close(node)

    def _enter(self, node: int) -> list[int]:
        self._time += 1
        self._order[node] = self._low[node] = self._time
        self._open.append(node)
        return self._outgoing[node]

    def _descend(self, node: int, edges: Iterable[int]) -> int | None:
        """The next unseen successor of `node`; on the way, the lowest open one is noted."""
        target, kind, mask, order = self._target, self._kind, self._mask, self._order
        lowest = self._low[node]
        found = None
        for edge in edges:
            if kind[edge] & mask:
                seen = order[target[edge]]
                if seen == _UNSEEN:
                    found = target[edge]
                    break
                if 0 < seen < lowest:
                    lowest = seen
        self._low[node] = lowest
        return found

    def _close(self, node: int) -> None:
        """Take the component that `node` was entered first of off the stack, and number it."""
        members = []
        member = -1
        while member != node:
            member = self._open.pop()
            self._order[member] = _OUTSIDE
            self.number[member] = self._numbered
            members.append(member)
        self._numbered += 1
        if len(members) > 1:
            self.cyclic.append(sorted(members))
