"""Plans of a cluster's size: the arithmetic, and the page that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import capacity_page
from benchmarks.capacity import (
    LEAST_NODES,
    MIXES,
    NODE_SHARE,
    Mix,
    oracle_draws,
    plan,
    saturation,
)
from benchmarks.cluster_costs import (
    DRAW,
    ETCD,
    HIT,
    IDLE,
    NODE,
    ONE,
    PRIMARIES,
    RENEWED,
    WARM,
    cost_of,
    draws_of,
)
from benchmarks.publication import END, begin, publish
from benchmarks.report import Report
from benchmarks.rows import Row, Unit

COSTS = {
    cost_of(HIT, "client"): 2.0,
    cost_of(WARM, NODE): 10.0,
    cost_of(ONE, NODE): 100.0,
    cost_of(ONE, PRIMARIES): 200.0,
    draws_of(ONE): 0.1,
    cost_of(DRAW, NODE): 60.0,
    cost_of(IDLE, ETCD): 4_000.0,
}
MIX = Mix("half a percent writes", {HIT: 0.9, WARM: 0.095, ONE: 0.005})


def report_of(costs: dict[str, float]) -> Report:
    """A run that measured these."""
    rows = [Row(what=what, unit=Unit.MICROSECONDS, figure=value) for what, value in costs.items()]
    return Report(
        started="2024-01-31T00:00:00+00:00",
        effort="tiny",
        machine="any",
        load=0.5,
        versions={},
        benchmarks={capacity_page.BENCHMARK: rows},
    )


def test_cores_are_rates_times_microseconds() -> None:
    """A million requests: each kind's share of them, times what one takes of each part."""
    made = plan(COSTS, MIX, 1_000_000)
    assert made.client_cores == pytest.approx(1.8)
    # 95,000 reads of 10 us, 5,000 commits of 100 us, and for each of these a draw at both ends.
    assert made.node_cores == pytest.approx(0.95 + 0.5 + 2 * 5_000 * 60 / 1e6)
    assert made.primary_cores == pytest.approx(1.0)
    assert made.standby_cores == 0.0
    assert made.draws == pytest.approx(500)
    assert made.draws_most == pytest.approx(5_000)


def test_a_plan_keeps_a_node_to_spare() -> None:
    """Cores over what one node is meant to give, and one more; never fewer than three."""
    made = plan(COSTS, MIX, 1_000_000)
    assert made.nodes == -int(-(made.node_cores / NODE_SHARE) // 1) + 1
    assert plan(COSTS, MIX, 10).nodes == LEAST_NODES
    assert made.etcd_cores == pytest.approx(made.nodes * 4_000 / 2 / 1e6)


def test_what_a_node_does_at_rest_is_not_there_for_requests() -> None:
    """The more each takes for itself, the more there must be."""
    resting = COSTS | {cost_of(IDLE, NODE): 300_000.0}
    assert plan(resting, MIX, 1_000_000).nodes > plan(COSTS, MIX, 1_000_000).nodes


def test_the_oracle_is_full_where_its_draws_are() -> None:
    """At that rate of requests its node has just as many draws as it can answer."""
    unshared, shared = saturation(COSTS, MIX)
    assert oracle_draws(COSTS) == pytest.approx(10_000)
    assert plan(COSTS, MIX, round(unshared)).draws_most == pytest.approx(10_000, rel=1e-3)
    assert plan(COSTS, MIX, round(shared)).draws == pytest.approx(10_000, rel=1e-3)


@pytest.mark.parametrize("mix", MIXES, ids=lambda mix: mix.name)
def test_a_mix_is_one_request(mix: Mix) -> None:
    """Its parts add up to 1, a renewal counting as the two requests that it is."""
    parts = sum(share * (2 if kind == RENEWED else 1) for kind, share in mix.kinds.items())
    assert parts == pytest.approx(1.0)


def test_the_page_is_written_from_what_was_measured(tmp_path: Path) -> None:
    """Tables stand between the markers of both pages; the prose around them stays."""
    marked = f"# Before\n\n{begin('cluster')}\n{END}\n\nAfter.\n"
    for name in ("BENCHMARKS.md", "CAPACITY.md"):
        (tmp_path / name).write_text(marked)
    publish(report_of(COSTS), tmp_path)
    page = (tmp_path / "CAPACITY.md").read_text()
    assert page.startswith("# Before\n")
    assert page.endswith("After.\n")
    assert f"| {ONE} |  | 100 | 200 |" in page
    assert "10,000,000" in page
    assert (tmp_path / "benchmarks-cluster.json").exists()


def test_without_costs_the_page_stays(tmp_path: Path) -> None:
    """A run of other benchmarks of the family leaves plans that were made earlier."""
    (tmp_path / "BENCHMARKS.md").write_text(f"{begin('cluster')}\n{END}\n")
    row = Row(what="statements", unit=Unit.SHARE, figure=1.0)
    report = report_of({})
    report.benchmarks["cluster-ranges"] = [row]
    publish(report, tmp_path)
    assert not (tmp_path / "CAPACITY.md").exists()
    assert not capacity_page.markdown(report)
