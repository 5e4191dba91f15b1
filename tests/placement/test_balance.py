"""Plans that even out what nodes have to do: they converge, do not flap, do little at a time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fastness.placement.balance import (
    IDLE_COST,
    MOVES_MAX,
    RANGES_PER_NODE,
    SPLIT_REQUESTS_S,
    SPLITS_MAX,
    Load,
    Split,
    Transfer,
    plan,
)

STORES = frozenset({"a", "b"})


def nodes_of(count: int) -> dict[str, frozenset[str]]:
    """Nodes that all reach both stores."""
    return {f"node-{number}": STORES for number in range(count)}


loads_of = st.builds(
    lambda rates, holders: [
        Load(number, 1, f"node-{holder}", "a" if number % 2 else "b", rate)
        for number, (rate, holder) in enumerate(zip(rates, holders, strict=False))
    ],
    st.lists(st.floats(0, 5_000), max_size=40),
    st.lists(st.integers(0, 4), min_size=40, max_size=40),
)


def costs(nodes: dict[str, frozenset[str]], loads: list[Load]) -> dict[str, float]:
    """What each node has to do."""
    found = dict.fromkeys(nodes, 0.0)
    for load in loads:
        if load.holder in found:
            found[load.holder] += load.cost
    return found


def squares(nodes: dict[str, frozenset[str]], loads: list[Load]) -> float:
    """How uneven it is."""
    return sum(cost * cost for cost in costs(nodes, loads).values())


def carried_out(loads: list[Load], steps: list[Transfer]) -> list[Load]:
    """The ranges after these moves."""
    to = {step.load.range_id: step.to for step in steps}
    return [load._replace(holder=to.get(load.range_id, load.holder)) for load in loads]


def transfers(nodes: dict[str, frozenset[str]], loads: list[Load]) -> list[Transfer]:
    """The plan, where nothing can be split."""
    return [step for step in plan(nodes, loads) if isinstance(step, Transfer)]


@given(st.integers(1, 5), loads_of)
def test_moves_come_to_an_end(count: int, loads: list[Load]) -> None:
    """Each plan makes it more even, moves few ranges, each once; in the end nothing is planned."""
    nodes = nodes_of(count)
    for _round in range(100):
        steps = transfers(nodes, loads)
        assert steps == transfers(nodes, list(reversed(loads)))
        if not steps:
            break
        assert len(steps) <= MOVES_MAX
        assert max(Counter(step.load.range_id for step in steps).values()) == 1
        after = carried_out(loads, steps)
        assert squares(nodes, after) < squares(nodes, loads)
        loads = after
    assert not transfers(nodes, loads)


@given(st.integers(2, 5), st.integers(1, 60), st.floats(0, 5_000))
def test_equal_ranges_spread_evenly(count: int, ranges: int, rate: float) -> None:
    """However they lay before, no node has many more of them than another in the end."""
    nodes = nodes_of(count)
    loads = [Load(number, 1, "node-0", "a", rate) for number in range(ranges)]
    while steps := transfers(nodes, loads):
        loads = carried_out(loads, steps)
    found = costs(nodes, loads).values()
    mean = sum(found) / count
    assert max(found) - min(found) <= max(0.25 * mean, 1.5 * (rate + IDLE_COST), 30.0)


@given(
    st.integers(2, 5),
    st.integers(1, 12),
    st.lists(st.floats(0.9, 1.1), min_size=60, max_size=60),
    st.floats(0, 5_000),
)
def test_noise_moves_nothing(count: int, each: int, noise: list[float], rate: float) -> None:
    """Where all nodes have as much to do, rates that waver by a tenth change nothing."""
    nodes = nodes_of(count)
    loads = [
        Load(number, 1, f"node-{number % count}", "a", rate * noise[number])
        for number in range(count * each)
    ]
    assert not plan(nodes, loads)


def test_the_range_nearest_to_half_of_the_distance_goes() -> None:
    """Of those that are small enough, as a look at each of them would find it."""
    nodes = nodes_of(2)
    rates = [0, 40, 90, 150, 400, 900, 1_600]
    loads = [Load(number, 1, "node-0", "a", rate) for number, rate in enumerate(rates)]
    distance = sum(load.cost for load in loads)
    small = [load for load in loads if load.cost <= 0.75 * distance]
    best = min(small, key=lambda load: abs(load.cost - distance / 2))
    assert transfers(nodes, loads)[0] == Transfer(best, "node-1")


def test_one_hot_range_stays_where_it_is() -> None:
    """Moving it would only make another node the busiest; others leave its node instead."""
    nodes = nodes_of(2)
    loads = [Load(1, 1, "node-0", "a", 3_000), Load(2, 1, "node-1", "a", 0)]
    assert not plan(nodes, loads)
    loads.append(Load(3, 1, "node-0", "a", 400))
    assert plan(nodes, loads) == [Transfer(loads[2], "node-1")]


def test_a_hot_range_is_split_where_it_can_be() -> None:
    """At the key that parts its requests, if it is asked enough and there are few ranges."""
    nodes = nodes_of(2)
    hot = Load(1, 7, "node-0", "a", 3_000, split_key=b"m")
    assert plan(nodes, [hot]) == [Split(hot, b"m")]
    assert not plan(nodes, [hot._replace(split_key=b"")])
    assert not plan(nodes, [hot._replace(requests_s=SPLIT_REQUESTS_S - 1)])
    assert not plan(nodes_of(1), [hot])
    idle = [Load(number, 1, "node-1", "a", 0) for number in range(2, 2 * RANGES_PER_NODE + 1)]
    assert not plan(nodes, [hot._replace(requests_s=30_000.0), *idle])


def test_what_is_changing_or_just_came_is_left_alone() -> None:
    """It counts, and is neither moved nor split."""
    nodes = nodes_of(2)
    loads = [
        Load(number, 1, "node-0", "a", 900, may_change=False, split_key=b"m", half_key=b"m")
        for number in range(8)
    ]
    assert not plan(nodes, loads)


def test_large_ranges_are_split_even_on_one_node() -> None:
    """A few at a time."""
    loads = [Load(number, 1, "node-0", "a", 0, half_key=b"m") for number in range(8)]
    steps = plan(nodes_of(1), loads)
    assert steps == [Split(load, b"m") for load in loads[:SPLITS_MAX]]


def test_a_range_goes_only_where_its_store_is_reached() -> None:
    """And a node that may hold nothing, as it drains, gets nothing."""
    loads = [Load(number, 1, "node-0", "a", 900) for number in range(8)]
    nodes = {"node-0": STORES, "node-1": frozenset({"b"}), "node-2": frozenset({"a"})}
    steps = transfers(nodes, loads)
    assert steps
    assert {step.to for step in steps} == {"node-2"}
    del nodes["node-2"]
    assert not plan(nodes, loads)
