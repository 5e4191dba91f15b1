"""The tables of docs/CAPACITY.md: what was measured, the arithmetic, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.capacity import (
    MIXES,
    NODE_SHARE,
    RATES,
    STORE_CORES,
    US_PER_S,
    Costs,
    Mix,
    oracle_draws,
    plan,
    saturation,
)
from benchmarks.cluster_costs import DRAW, KINDS, NODE, PARTS, PRIMARIES, cost_of, draws_of
from benchmarks.report import Report, digits

BENCHMARK = "cluster-costs"
LEAST = 0.01
"""Microseconds, or draws, that are still told apart from nothing."""
SHOWN_RATE = 1_000_000
"""Whose sums are written out."""


def costs_of(report: Report) -> Costs:
    """What was measured of each kind of request; empty where nothing was."""
    rows = report.benchmarks.get(BENCHMARK, [])
    return {row.what: row.figure for row in rows if row.figure >= LEAST}


def markdown(report: Report) -> str:
    """Everything that the page says in figures; empty where the oracle's cost was not measured."""
    costs = costs_of(report)
    if cost_of(DRAW, NODE) not in costs:
        return ""
    of_mixes = [
        f"### {mix.name}\n\n{_arithmetic(costs, mix)}\n{_plans(costs, mix)}" for mix in MIXES
    ]
    return "\n".join([_measured(costs), *of_mixes, f"### Timestamps\n\n{_oracle(costs)}"])


def _measured(costs: Costs) -> str:
    heads = ["microseconds of processor time", *PARTS, "draws"]

    def cells(kind: str) -> Iterator[str]:
        yield kind
        for what in [*(cost_of(kind, part) for part in PARTS), draws_of(kind)]:
            yield digits(costs[what]) if what in costs else ""

    return _table(heads, [list(cells(kind)) for kind in KINDS])


def _arithmetic(costs: Costs, mix: Mix) -> str:
    """The sums of one rate, term by term."""
    made = plan(costs, mix, SHOWN_RATE)

    def terms(part: str) -> str:
        return " + ".join(
            f"{share:g} x {digits(costs[cost_of(kind, part)])} ({kind})"
            for kind, share in mix.kinds.items()
            if cost_of(kind, part) in costs
        )

    draw = digits(costs[cost_of(DRAW, NODE)])
    return (
        f"At {SHOWN_RATE:,} requests a second, in microseconds a second:\n\n"
        f"- nodes: {SHOWN_RATE:,} x ({terms(NODE)}), and 2 x {digits(made.draws_most)} draws x "
        f"{draw}: **{digits(made.node_cores)} cores**;\n"
        f"- primaries: {SHOWN_RATE:,} x ({terms(PRIMARIES)}): "
        f"**{digits(made.primary_cores)} cores**.\n"
    )


def _plans(costs: Costs, mix: Mix) -> str:
    heads = [
        "requests/s",
        "nodes",
        f"stores of {STORE_CORES} cores",
        "etcd members",
        "cores: clients",
        "nodes",
        "primaries",
        "standbys, each",
        "etcd's leader",
    ]
    lines = []
    for rate in RATES:
        made = plan(costs, mix, rate)
        busy = (
            made.client_cores,
            made.node_cores,
            made.primary_cores,
            made.standby_cores,
            made.etcd_cores,
        )
        lines.append(
            [
                f"{rate:,}",
                f"{made.nodes:,}",
                f"{made.stores:,}",
                str(made.members),
                *(digits(cores) for cores in busy),
            ]
        )
    return _table(heads, lines)


def _oracle(costs: Costs) -> str:
    draw, full = costs[cost_of(DRAW, NODE)], oracle_draws(costs)
    text = (
        f"A draw takes {digits(draw)} microseconds of the oracle's node, so that one which serves "
        f"nothing else answers {NODE_SHARE:g} x {US_PER_S:,.0f} / {digits(draw)} = "
        f"{digits(full)} a second.\n\n"
    )
    heads = ["", *(f"draws/s at {rate:,}" for rate in RATES), "the oracle is full at, requests/s"]
    lines = []
    for mix in MIXES:
        plans = [plan(costs, mix, rate) for rate in RATES]
        unshared, shared = saturation(costs, mix)
        alone = [digits(made.draws_most) for made in plans]
        together = [digits(made.draws) for made in plans]
        lines.append([f"{mix.name}, no draw shared", *alone, digits(unshared)])
        lines.append([f"{mix.name}, shared as measured", *together, digits(shared)])
    return text + _table(heads, lines)


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    rows += ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join(rows) + "\n"
