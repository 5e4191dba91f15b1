"""Which ranges change their node, and which are split, so that all nodes have about as much to do.

Pure: figures in, steps out, the same for the same figures. One node plans for all of them (the one
with the oracle's role), from what each told of its ranges.

What a range costs is its requests per second plus a constant, so that idle ranges spread by their
number. Between the node with the most to do and the one with the least:

- nothing happens while they are no further apart than noise, `SLACK` of the mean;
- a range that is moved costs less than `GAIN` of the distance, and is the one nearest to half of
  it. So the sum of the squares of what nodes have to do gets smaller with every move: moves come to
  an end, and no range goes back and forth;
- where every range is larger, the largest is split, if there is a key that parts its requests.

A range is touched only once its rate was measured where it is, and once in a plan, and no more than
`MOVES_MAX` change their node in one. A range that has grown too large is split wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

MOVES_MAX = 4
"""In one plan: each stops the commits of its range for some milliseconds."""
SPLITS_MAX = 4
IDLE_COST = 20.0
"""What a range costs that nobody asks anything of, in requests per second."""
SLACK = 0.25
GAIN = 0.75
SPLIT_REQUESTS_S = 500.0
"""A range with fewer requests is not split for them."""
RANGES_PER_NODE = 64
"""Beyond so many nothing is split for its load: more would only cost more."""


class Load(NamedTuple):
    """A range, where it is, and what it costs."""

    range_id: int
    generation: int
    holder: str
    store: str
    requests_s: float
    may_change: bool = True
    """Whether its rate was measured where it is, and nothing is being done to it."""
    split_key: bytes = b""
    """Where about half of its requests go to either side; empty: nowhere."""
    half_key: bytes = b""
    """Where it is to be split since it is too large; empty: it is not."""

    @property
    def cost(self) -> float:
        """What its holder has to do for it."""
        return self.requests_s + IDLE_COST


class Split(NamedTuple):
    """Ask the holder to split a range."""

    load: Load
    key: bytes


class Transfer(NamedTuple):
    """Ask the holder to hand a range over."""

    load: Load
    to: str


Step = Split | Transfer


def plan(nodes: Mapping[str, AbstractSet[str]], loads: Iterable[Load]) -> list[Step]:
    """What to do now; nothing, once all is even enough.

    `nodes` are those that may hold ranges, by address, with the stores each reaches.
    """
    held = [load for load in loads if load.holder in nodes]
    large = [load for load in held if load.may_change and load.half_key]
    large.sort(key=lambda load: load.range_id)
    steps: list[Step] = [Split(load, load.half_key) for load in large[:SPLITS_MAX]]
    board = _Board(nodes, held, touched={step.load.range_id for step in steps})
    for _move in range(MOVES_MAX):
        step = board.next_step()
        if step is None:
            break
        steps.append(step)
        if isinstance(step, Split):
            break  # What it will be like then is not known.
    return steps


class _Board:
    """What each node has to do, while steps are chosen."""

    def __init__(
        self, nodes: Mapping[str, AbstractSet[str]], held: list[Load], touched: set[int]
    ) -> None:
        self._nodes = nodes
        self._loads = sorted(held, key=lambda load: load.range_id)
        self._touched = touched
        self._costs = dict.fromkeys(sorted(nodes), 0.0)
        for load in held:
            self._costs[load.holder] += load.cost

    def next_step(self) -> Step | None:
        """The best one, taken note of."""
        costs = self._costs
        if len(costs) < 2:
            return None
        slack = max(SLACK * sum(costs.values()) / len(costs), 1.5 * IDLE_COST)
        # The busiest may hold nothing that can go: then the next one may.
        for busiest in sorted(costs, key=lambda node: (-costs[node], node)):
            for idlest in sorted(costs, key=lambda node: (costs[node], node)):
                distance = costs[busiest] - costs[idlest]
                if distance <= slack:
                    break
                load = self._fitting(busiest, idlest, distance)
                if load is not None:
                    return self._moved(load, idlest)
            splittable = self._splittable(busiest, slack)
            if splittable is not None:
                self._touched.add(splittable.range_id)
                return Split(splittable, splittable.split_key)
        return None

    def _free(self, node: str) -> list[Load]:
        return [
            load
            for load in self._loads
            if load.holder == node and load.may_change and load.range_id not in self._touched
        ]

    def _fitting(self, source: str, target: str, distance: float) -> Load | None:
        fitting = [
            load
            for load in self._free(source)
            if load.cost <= GAIN * distance and load.store in self._nodes[target]
        ]
        return min(
            fitting, key=lambda load: (abs(load.cost - distance / 2), load.range_id), default=None
        )

    def _moved(self, load: Load, to: str) -> Transfer:
        self._touched.add(load.range_id)
        self._costs[load.holder] -= load.cost
        self._costs[to] += load.cost
        return Transfer(load, to)

    def _splittable(self, node: str, slack: float) -> Load | None:
        """The largest range of a node that is too busy, if splitting it will help."""
        if self._costs[node] - min(self._costs.values()) <= slack:
            return None
        if len(self._loads) >= RANGES_PER_NODE * len(self._nodes):
            return None
        largest = max(self._free(node), key=lambda load: (load.cost, -load.range_id), default=None)
        if largest is None or largest.requests_s < SPLIT_REQUESTS_S or not largest.split_key:
            return None
        return largest
