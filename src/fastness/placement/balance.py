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

from bisect import bisect_left
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
        self._ranges = len(held)
        self._costs = dict.fromkeys(sorted(nodes), 0.0)
        self._free: dict[str, list[Load]] = {node: [] for node in nodes}
        """What may go or be split, of each node, the cheapest first."""
        for load in sorted(held, key=lambda load: (load.cost, load.range_id)):
            self._costs[load.holder] += load.cost
            if load.may_change and load.range_id not in touched:
                self._free[load.holder].append(load)

    def next_step(self) -> Step | None:
        """The best one, taken note of."""
        costs = self._costs
        if len(costs) < 2:
            return None
        slack = max(SLACK * sum(costs.values()) / len(costs), 1.5 * IDLE_COST)
        by_cost = sorted(costs, key=lambda node: (costs[node], node))
        # The busiest may hold nothing that can go: then the next one may.
        for busiest in reversed(by_cost):
            for idlest in by_cost:
                distance = costs[busiest] - costs[idlest]
                if distance <= slack:
                    break
                load = self._fitting(busiest, idlest, distance)
                if load is not None:
                    return self._moved(load, idlest)
            splittable = self._splittable(busiest, slack)
            if splittable is not None:
                return Split(splittable, splittable.split_key)
        return None

    def _fitting(self, source: str, target: str, distance: float) -> Load | None:
        """The range whose cost is the nearest to half of the distance, if any is small enough."""
        free, stores = self._free[source], self._nodes[target]
        place = bisect_left(free, distance / 2, key=lambda load: load.cost)
        above = (load for load in free[place:] if load.store in stores)
        below = (load for load in reversed(free[:place]) if load.store in stores)
        nearest = [load for load in (next(above, None), next(below, None)) if load is not None]
        fitting = [load for load in nearest if load.cost <= GAIN * distance]
        return min(
            fitting, key=lambda load: (abs(load.cost - distance / 2), load.range_id), default=None
        )

    def _moved(self, load: Load, to: str) -> Transfer:
        self._free[load.holder].remove(load)
        self._costs[load.holder] -= load.cost
        self._costs[to] += load.cost
        return Transfer(load, to)

    def _splittable(self, node: str, slack: float) -> Load | None:
        """The largest range of a node that is too busy, if splitting it will help."""
        if self._costs[node] - min(self._costs.values()) <= slack or not self._free[node]:
            return None
        if self._ranges >= RANGES_PER_NODE * len(self._nodes):
            return None
        largest = self._free[node][-1]
        if largest.requests_s < SPLIT_REQUESTS_S or not largest.split_key:
            return None
        return largest
