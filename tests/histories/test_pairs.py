"""Indexes, associations and totals of one snapshot: right ones pass, each anomaly is named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fastness.testing.ledger import Ledger
from fastness.testing.pairs import Beheld, check_pairs


def beheld(
    *,
    records: dict[str, str] | None = None,
    index: Sequence[tuple[str, str]] = (("x", "a"), ("y", "b")),
    source: Sequence[tuple[str, str]] = (("a", "b"),),
    target: Sequence[tuple[str, str]] = (("a", "b"),),
    totals: dict[str, int] | None = None,
) -> list[str]:
    """The classes found in a snapshot of a and b with the values x and y, where a follows b."""
    one = Beheld(
        attempt=Ledger().begin(0),
        records=records or {"a": "x", "b": "y"},
        index=index,
        from_source=source,
        from_target=target,
        totals=totals or {"a": 1, "b": 0},
    )
    report = check_pairs([one])
    assert all("T0 found" in anomaly.explanation for anomaly in report.anomalies)
    return sorted(report.counts)


def test_what_agrees_passes() -> None:
    """Records, index, pairs and totals say the same."""
    assert beheld() == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"index": [("x", "a")]}, ["index-differs"]),
        ({"index": [("x", "a"), ("z", "b")]}, ["index-differs"]),
        ({"index": [("x", "a"), ("y", "b"), ("z", "c")]}, ["index-differs"]),
        ({"records": {"a": "x", "b": "x"}, "index": [("x", "a"), ("x", "b")]}, ["shared-value"]),
        ({"target": []}, ["half-pair"]),
        ({"source": []}, ["half-pair", "wrong-total"]),
        ({"totals": {"a": 2}}, ["wrong-total"]),
    ],
)
def test_what_differs_is_named(changes: dict[str, object], found: list[str]) -> None:
    """An entry too few, too many or elsewhere; two owners; half a pair; a miscount."""
    assert beheld(**changes) == found  # type: ignore[arg-type]  # one table for all cases
