"""The doctor: a sound cluster has no findings, and each thing that goes wrong is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from fastness.encoding.intervals import SYSTEM_END
from fastness.encoding.timestamps import from_milliseconds
from fastness.errors import InvalidOption, ProtocolMismatch, Unreachable
from fastness.hosting.store_health import Standby, StoreHealth
from fastness.operations.control import Seen, SeenNode
from fastness.operations.doctor import Gravity, Survey, diagnose
from fastness.placement.descriptors import Descriptor
from fastness.placement.membership import ClusterRecord, StoreRecord
from fastness.wire.reports import NodeReport, RangeReport, StoreReport

NOW = from_milliseconds(1_700_000_000_000)
HOUR = from_milliseconds(3_600_000)
HEALTHY = StoreHealth(180_004, [Standby("standby", True, 0)], 0, 1_000, 10, 1 << 20, 0.1)  # noqa: FBT003 - a field


def range_report(range_id: int) -> RangeReport:
    """A range that fares well."""
    return RangeReport(range_id, 1, 1, 10.0, True, b"", True, "", 0, NOW - HOUR, NOW)  # noqa: FBT003 - fields


def node(number: int, *ranges: int) -> SeenNode:
    """A node that fares well."""
    report = NodeReport(
        name=f"n{number}",
        version="1.0",
        protocols=[1],
        state="serving",
        is_oracle=number == 1,
        wall_ms=0,
        issued=NOW,
        uptime_ms=1,
        ranges=[range_report(one) for one in ranges],
        stores=[StoreReport("main")],
        counts={"requests": 9},
    )
    return SeenNode(f"h{number}:1#{number}", f"n{number}", "1.0", report)


def sound() -> Survey:
    """A cluster of two nodes, two ranges and one store, all well."""
    nodes = [node(1, 1), node(2, 2)]
    ranges = [
        Descriptor(1, b"", b"m", 1, "main", 1, nodes[0].address, 1),
        Descriptor(2, b"m", SYSTEM_END, 1, "main", 1, nodes[1].address, 2),
    ]
    stores = {"main": StoreRecord("main", "postgresql://h/x", identity="i")}
    seen = Seen(ClusterRecord("c", "s", 1), nodes, ranges, nodes[0].address, stores)
    return Survey(seen, {"e1": None, "e2": None, "e3": None}, {"main": None}, {"main": HEALTHY})


def test_a_sound_cluster() -> None:
    """Nothing is found."""
    assert diagnose(sound()) == []


def _with_report(found: Survey, number: int, **changes: object) -> None:
    seen = found.seen.nodes[number - 1]
    assert seen.report is not None
    seen.report = structs.replace(seen.report, **changes)


def _with_range(found: Survey, **changes: object) -> None:
    _with_report(found, 1, ranges=[structs.replace(range_report(1), **changes)])


def _without_nodes(found: Survey) -> None:
    found.seen.nodes.clear()


def _one_node(found: Survey) -> None:
    found.seen.nodes[0] = replace(found.seen.nodes[0], report=node(1, 1, 2).report)
    found.seen.ranges[1] = structs.replace(found.seen.ranges[1], holder=found.seen.nodes[0].address)
    del found.seen.nodes[1]


def _silent(found: Survey) -> None:
    found.seen.nodes[1].report = None
    found.seen.nodes[1].problem = Unreachable("no answer")


def _off(found: Survey) -> None:
    found.seen.nodes[1].wall_off_ms = -700.0


def _gap(found: Survey) -> None:
    found.seen.ranges[1] = structs.replace(found.seen.ranges[1], begin=b"n")


def _released(found: Survey) -> None:
    found.seen.ranges[1] = structs.replace(found.seen.ranges[1], released=True)


def _unregistered(found: Survey) -> None:
    found.seen.ranges[1] = structs.replace(found.seen.ranges[1], store="gone")


def _unreplicated(found: Survey) -> None:
    record = found.seen.stores["main"]
    found.seen.stores["main"] = structs.replace(record, allow_unreplicated=True)


def _ill(**changes: object) -> Callable[[Survey], None]:
    def plant(found: Survey) -> None:
        found.health["main"] = structs.replace(HEALTHY, **changes)

    return plant


def _store_problem(found: Survey) -> None:
    found.stores["main"] = InvalidOption("fsync=off: set it on")


def _member_down(found: Survey) -> None:
    found.members["e2"] = Unreachable("refused")


def _member_refused(found: Survey) -> None:
    found.members["e2"] = ProtocolMismatch("etcd 3.5.1: upgrade it")


def _few_members(found: Survey) -> None:
    found.members = {"e1": None}


def _newer(found: Survey) -> None:
    found.seen.nodes[1].version = "1.1"


E, W, N = Gravity.ERROR, Gravity.WARNING, Gravity.NOTE
PLANTED: list[tuple[Callable[[Survey], None], Gravity, str, str]] = [
    (_without_nodes, E, "nodes", "no node lives"),
    (_one_node, W, "nodes", "only one node"),
    (_silent, E, "node n2", "does not answer: no answer"),
    (lambda found: _with_report(found, 2, state="waiting"), E, "node n2", "no session"),
    (lambda found: _with_report(found, 2, state="draining"), W, "node n2", "drained"),
    (lambda found: _with_report(found, 2, counts={"alarms": 2}), E, "node n2", "2 alarms"),
    (_off, W, "nodes n2 and n1", "700 ms apart"),
    (_newer, N, "nodes", "1.0, 1.1"),
    (lambda found: _with_report(found, 1, is_oracle=False), E, "oracle", "no node issues"),
    (_gap, E, "ranges", "do not cover every key once"),
    (_released, E, "range 2", "nobody holds it"),
    (lambda found: _with_report(found, 2, ranges=[]), E, "range 2", "does not serve it"),
    (_unregistered, E, "range 2", "'gone', which is not registered"),
    (
        lambda found: _with_range(found, prune_horizon=NOW - 4 * HOUR),
        W,
        "range 1",
        "nothing was pruned of it for 4.0 hours",
    ),
    (lambda found: _with_range(found, undecided=5_000), W, "range 1", "5000 transactions"),
    (lambda found: _with_range(found, size_bytes=5 << 30), W, "range 1", "5.0 GiB"),
    (_store_problem, E, "store main", "fsync=off"),
    (
        lambda found: _with_report(found, 2, stores=[StoreReport("main", "no primary")]),
        E,
        "store main",
        "node n2 cannot use it: no primary",
    ),
    (
        lambda found: _with_report(found, 2, stores=[StoreReport("main", refusal="disk full")]),
        E,
        "store main",
        "node n2 cannot use it: disk full",
    ),
    (_unreplicated, W, "store main", "without a synchronous standby"),
    (_ill(standbys=[Standby("s", False, 0)]), E, "store main", "no synchronous standby"),  # noqa: FBT003 - a field
    (_ill(standbys=[Standby("s", True, 1 << 30)]), W, "store main", "1024 MiB behind"),  # noqa: FBT003 - a field
    (_ill(standbys=[], hidden=2), N, "store main", "2 standbys fare is not shown"),
    (_ill(dead_rows=2_000_000), W, "store main", "2,000,000 of 2,001,000 rows are dead"),
    (_ill(oldest_transaction_s=1_200.0), W, "store main", "open for 20 minutes"),
    (_member_down, W, "etcd e2", "cannot be used: refused"),
    (_member_refused, E, "etcd e2", "upgrade it"),
    (_few_members, W, "etcd", "names 1 of its members"),
]


@pytest.mark.parametrize(
    ("plant", "gravity", "about", "what"), PLANTED, ids=[p[3] for p in PLANTED]
)
def test_what_is_wrong_is_found(
    plant: Callable[[Survey], None], gravity: Gravity, about: str, what: str
) -> None:
    """With its gravity, whom it concerns, and a next step."""
    found = sound()
    plant(found)
    findings = diagnose(found)
    told = [one for one in findings if one.about == about and what in one.what]
    assert len(told) == 1, findings
    assert told[0].gravity is gravity
    assert told[0].advice
    order = [E, W, N]
    assert [one.gravity for one in findings] == sorted(
        (one.gravity for one in findings), key=order.index
    )
