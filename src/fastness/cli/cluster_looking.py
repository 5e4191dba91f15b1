"""The commands `cluster status`, `nodes`, `ranges`, `stores`: what there is, and how it fares."""

from __future__ import annotations

from collections.abc import Iterable

from fastness.cli.arguments import JsonOption
from fastness.cli.cluster_access import CaOption, ClusterOption, UrlOption, controlled
from fastness.cli.figures import duration, size
from fastness.cli.notation import shown
from fastness.cli.output import Output, answering
from fastness.encoding.intervals import SYSTEM_END
from fastness.operations.control import Control, Seen, SeenNode
from fastness.placement.descriptors import Descriptor
from fastness.server.shown import shown_url
from fastness.wire.reports import StoreReport

UNKNOWN = "?"


async def _look(control: Control) -> Seen:
    return await control.look()


def status(
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """Show a cluster at a glance: nodes, ranges, stores, and what does not answer.

    'fastness cluster doctor' looks closer, and says what to do.
    """
    with answering(json) as output:
        seen = controlled(_look, coordinator, url, ca)
        if output.as_json:
            output.document(_status(seen))
        else:
            output.facts(_facts(seen))


def _status(seen: Seen) -> dict[str, object]:
    return {
        "cluster": None if seen.cluster is None else seen.cluster.id,
        "oracle": _name(seen, seen.oracle),
        "nodes": len(seen.nodes),
        "nodes_serving": len(_serving(seen)),
        "ranges": len(seen.ranges),
        "ranges_served": len(_served(seen)),
        "stores": len(_stores(seen)),
        "problems": _problems(seen),
        "requests_per_second": round(sum(map(_requests, seen.nodes)), 1),
    }


def _facts(seen: Seen) -> list[tuple[str, str]]:
    facts = [] if seen.cluster is None else [("cluster", seen.cluster.id)]
    facts += [
        ("nodes", f"{len(_serving(seen))} of {len(seen.nodes)} serving"),
        ("ranges", f"{len(_served(seen))} of {len(seen.ranges)} served"),
        ("stores", ", ".join(_stores(seen)) or "none"),
        ("timestamps", f"from {_name(seen, seen.oracle)}" if seen.oracle else "from nobody"),
        ("requests", f"{sum(map(_requests, seen.nodes)):,.0f} per second"),
    ]
    facts += [("problem", problem) for problem in _problems(seen)]
    return facts


def _serving(seen: Seen) -> list[SeenNode]:
    return [node for node in seen.nodes if node.report and node.report.state == "serving"]


def _served(seen: Seen) -> list[Descriptor]:
    return [one for one in seen.ranges if seen.report_of(one) is not None]


def _problems(seen: Seen) -> list[str]:
    problems = [f"node {node.shown}: {node.problem}" for node in seen.nodes if node.problem]
    for name, reports in _stores(seen).items():
        told = {report.problem or report.refusal for report in reports.values()}
        problems += [f"store {name}: {problem}" for problem in sorted(told) if problem]
    return problems


def _name(seen: Seen, address: str) -> str:
    node = seen.node_at(address)
    return address if node is None else node.shown


def _requests(node: SeenNode) -> float:
    return 0.0 if node.report is None else sum(one.requests_s for one in node.report.ranges)


# Nodes.


def nodes(
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """List the nodes that live: what they hold, and how much is asked of them.

    The one marked '*' issues timestamps. 'off' is how far its clock is from this machine's.
    """
    with answering(json) as output:
        seen = controlled(_look, coordinator, url, ca)
        if output.as_json:
            output.document({"nodes": [_node(node) for node in seen.nodes]})
            return
        columns = ("node", "address", "state", ">ranges", ">requests/s", ">up", ">off", "version")
        output.table(columns, map(_node_row, seen.nodes))
        _remark_problems(output, seen)


def _node(node: SeenNode) -> dict[str, object]:
    document: dict[str, object] = {
        "name": node.name,
        "address": node.address,
        "version": node.version,
        "problem": None if node.problem is None else str(node.problem),
    }
    report = node.report
    if report is not None:
        document |= {
            "state": report.state,
            "oracle": report.is_oracle,
            "protocols": report.protocols,
            "ranges": len(report.ranges),
            "requests_per_second": round(_requests(node), 1),
            "uptime_seconds": report.uptime_ms / 1_000,
            "clock_off_ms": round(node.wall_off_ms, 1),
            "counts": report.counts,
        }
    return document


def _node_row(node: SeenNode) -> tuple[str, ...]:
    report = node.report
    if report is None:
        return (node.shown, node.address, "silent", *[UNKNOWN] * 4, node.version)
    return (
        node.shown + ("*" if report.is_oracle else ""),
        node.address,
        report.state,
        str(len(report.ranges)),
        f"{_requests(node):,.0f}",
        duration(report.uptime_ms / 1_000),
        f"{node.wall_off_ms:+.0f} ms",
        node.version,
    )


def _remark_problems(output: Output, seen: Seen) -> None:
    for problem in _problems(seen):
        output.remark(problem, "yellow")


# Ranges.


def ranges(
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """List the ranges in the order of their keys: where they are, who serves them, their load."""
    with answering(json) as output:
        seen = controlled(_look, coordinator, url, ca)
        if output.as_json:
            output.document({"ranges": [_range(seen, one) for one in seen.ranges]})
            return
        columns = (">range", "begin", "store", "node", ">epoch", ">size", ">requests/s", "state")
        output.table(columns, (_range_row(seen, one) for one in seen.ranges))


def _range(seen: Seen, one: Descriptor) -> dict[str, object]:
    report = seen.report_of(one)
    document: dict[str, object] = {
        "range": one.range_id,
        "begin": shown(one.begin),
        "end": None if one.end == SYSTEM_END else shown(one.end),
        "generation": one.generation,
        "epoch": one.epoch,
        "store": one.store,
        "node": _name(seen, one.holder),
        "state": _range_state(seen, one),
    }
    if report is not None:
        document |= {
            "requests_per_second": round(report.requests_s, 1),
            "size_bytes": report.size_bytes or None,
            "undecided": report.undecided,
        }
    return document


def _range_row(seen: Seen, one: Descriptor) -> tuple[str, ...]:
    report = seen.report_of(one)
    return (
        str(one.range_id),
        shown(one.begin),
        one.store,
        _name(seen, one.holder) if one.holder and not one.released else "nobody",
        str(one.epoch),
        size(report.size_bytes) if report and report.size_bytes else UNKNOWN,
        UNKNOWN if report is None else f"{report.requests_s:,.0f}",
        _range_state(seen, one),
    )


def _range_state(seen: Seen, one: Descriptor) -> str:
    """What is the matter with it, or that nothing is."""
    report = seen.report_of(one)
    if report is None:
        return "not served" if seen.node_at(one.holder) is None else "silent"
    if report.doing:
        return report.doing
    return "served" if report.may_commit else "reads only"


# Stores.


def stores(
    *,
    coordinator: ClusterOption = None,
    url: UrlOption = None,
    ca: CaOption = "",
    json: JsonOption = False,
) -> None:
    """List the stores: where they are, how large, and which nodes cannot use them."""
    with answering(json) as output:
        seen = controlled(_look, coordinator, url, ca)
        found = _stores(seen)
        if output.as_json:
            output.document({"stores": [_store(seen, name, found[name]) for name in found]})
            return
        columns = ("store", "url", ">ranges", ">size", ">keys", "state")
        output.table(columns, (_store_row(seen, name, found[name]) for name in found))


def _stores(seen: Seen) -> dict[str, dict[str, StoreReport]]:
    """What each node says of each store, by the store's name and the node's."""
    found: dict[str, dict[str, StoreReport]] = {name: {} for name in seen.stores}
    for node in seen.nodes:
        for report in () if node.report is None else node.report.stores:
            found.setdefault(report.name, {})[node.shown] = report
    return dict(sorted(found.items()))


def _store(seen: Seen, name: str, reports: dict[str, StoreReport]) -> dict[str, object]:
    record = seen.stores.get(name)
    return {
        "store": name,
        "url": None if record is None else shown_url(record.url),
        "identity": None if record is None else record.identity,
        "allow_unreplicated": None if record is None else record.allow_unreplicated,
        "ranges": _ranges_in(seen, name),
        "size_bytes": _largest(report.size_bytes for report in reports.values()),
        "keys": _largest(report.keys for report in reports.values()),
        "problems": {
            node: report.problem or report.refusal
            for node, report in reports.items()
            if report.problem or report.refusal
        },
    }


def _store_row(seen: Seen, name: str, reports: dict[str, StoreReport]) -> tuple[str, ...]:
    record = seen.stores.get(name)
    bytes_there = _largest(report.size_bytes for report in reports.values())
    keys = _largest(report.keys for report in reports.values())
    problems = {report.problem or report.refusal for report in reports.values()} - {""}
    return (
        name,
        UNKNOWN if record is None else shown_url(record.url),
        str(_ranges_in(seen, name)),
        UNKNOWN if bytes_there is None else size(bytes_there),
        UNKNOWN if keys is None else f"{keys:,}",
        "; ".join(sorted(problems)) or ("in use" if reports else UNKNOWN),
    )


def _ranges_in(seen: Seen, name: str) -> int:
    return sum(one.store == name for one in seen.ranges)


def _largest(figures: Iterable[int]) -> int | None:
    """The newest estimate is the largest; `None` where nobody has any."""
    return max(figures, default=0) or None
