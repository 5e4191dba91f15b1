"""How long somebody stood still, and who may."""

from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from fastness.placement.descriptors import Descriptor
from fastness.testing.chaos.arena import Sight, Touch
from fastness.testing.chaos.probes import Pause
from fastness.testing.chaos.report import Results, Struck, print_report
from fastness.testing.report import Anomaly, Report

SIGHT = Sight(
    [
        Descriptor(1, b"", b"m", 1, "store-1", 1, "first:1", 5),
        Descriptor(2, b"m", b"\xff", 1, "store-2", 1, "second:1", 6),
    ],
    "second:1",
)
KEYS = [b"a", b"x"]


def test_the_longest_pause_is_told() -> None:
    """Also one that began before the interval, and one that never ended."""
    assert Pause.of([1.0, 2.0, 7.0, 8.0], 2.5, 9.0) == Pause(5.0, 4.5)
    assert Pause.of([1.0, 2.0], 1.5, 9.0) == Pause(7.0, 7.5)
    assert Pause.of([], 1.0, 9.0) == Pause(0.0, 0.0)
    assert Pause.of([1.0, 2.0, 3.0], 5.0, 5.0) == Pause(0.0, 0.0)


def test_a_fault_touches_the_ranges_of_whom_it_hits() -> None:
    """A node's ranges, a store's ranges; all of them where nobody issues timestamps."""
    assert Touch(nodes=frozenset({"first:1"})).keys_of(SIGHT, KEYS) == {b"a"}
    assert Touch(stores=frozenset({"store-2"})).keys_of(SIGHT, KEYS) == {b"x"}
    assert Touch(nodes=frozenset({"second:1"})).keys_of(SIGHT, KEYS) == set(KEYS)
    assert Touch(everything=True).keys_of(SIGHT, KEYS) == set(KEYS)
    assert Touch().keys_of(SIGHT, KEYS) == set()


def test_a_report_tells_what_was_found() -> None:
    """The table has every kind; an anomaly makes the run a failure, in text and as JSON."""
    struck = Struck(kind="kill-node", member="node-2", at_s=5.0, whole_s=9.0)
    struck.measure([(Pause(4.0, 3.5), Pause(1.0, 0.5))], [(Pause(0.3, 0.1), Pause(0.2, 0.1))])
    results = Results(seed=3, struck=[struck])
    assert results.ok
    report = Report("change-log", 1, 1, 0)
    report.add(Anomaly("lost-commit", "gone", (0,), ("k",), "T0 is not there"))
    results.reports.append(report)
    text = StringIO()
    print_report(Console(file=text), results)
    for word in ("kill-node", "4.0 (4.0)", "0.3 (0.3)", "1 lost-commit", "T0 is not there"):
        assert word in text.getvalue()
    document = json.loads(json.dumps(results.as_document()))
    assert document["ok"] is False
    assert document["checkers"] == {"change-log": {"lost-commit": 1}}
    assert document["faults"][0]["writes_back_s"] == 3.5
