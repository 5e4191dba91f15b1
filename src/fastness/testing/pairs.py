"""What is stored twice must agree: unique indexes with records, associations from both ends.

A model keeps records, index entries and totals in one transaction. A snapshot that lists
all of them, each by its own way, shows whether it does:

1. the index lists exactly the records there are, each under the value it holds;
2. no value of a unique index has two owners;
3. every pair seen from its source is seen from its target, and the other way round;
4. totals count what is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastness.testing._accusations import Accuser, report_on
from fastness.testing.ledger import Attempt
from fastness.testing.report import Report

Name = Hashable
"""Identifies a record: anything that compares and prints."""

_TITLES: Final = {
    "index-differs": "an index does not list what the records imply",
    "shared-value": "a value of a unique index has two owners",
    "half-pair": "an association is seen from one end only",
    "wrong-total": "a total does not count what is there",
}


@dataclass(slots=True, kw_only=True)
class Beheld:
    """What one snapshot listed."""

    attempt: Attempt
    records: Mapping[Any, Hashable]
    """Records and the value of their unique index."""
    index: Sequence[tuple[Hashable, Name]]
    """The index: values and whose they are."""
    from_source: Sequence[tuple[Name, Name]]
    """Pairs (source, target), as the sources list them."""
    from_target: Sequence[tuple[Name, Name]]
    """The same as the targets list them."""
    totals: Mapping[Any, int] = field(default_factory=dict)
    """How many pairs each record is said to be the source of."""


def check_pairs(snapshots: Sequence[Beheld]) -> Report:
    """Judge snapshots, each by itself."""
    report = report_on("pairs", [one.attempt for one in snapshots])
    accuser = Accuser(report, _TITLES)
    for one in snapshots:
        report.reads += len(one.records)
        _judge(accuser, one)
    return report


def _judge(accuser: Accuser, one: Beheld) -> None:
    def accuse(name: str, what: str) -> None:
        accuser.accuse(name, f"{one.attempt.name} found {what}", (one.attempt,))

    owners = Counter(value for value, _ in one.index)
    for value, count in owners.items():
        if count > 1:
            names = [name for held, name in one.index if held == value]
            accuse("shared-value", f"{value!r} with {count} owners: {_shown(names)}")
    due = Counter((value, name) for name, value in one.records.items())
    listed = Counter(one.index)
    if due != listed:
        missing, extra = [*(due - listed)], [*(listed - due)]
        accuse("index-differs", f"an index without {_shown(missing)} and with {_shown(extra)}")
    sources, targets = Counter(one.from_source), Counter(one.from_target)
    if sources != targets:
        here, there = [*(sources - targets)], [*(targets - sources)]
        accuse("half-pair", f"{_shown(here)} from the source only, {_shown(there)} from the target")
    counted = Counter(source for source, _ in one.from_source)
    for name, total in one.totals.items():
        if counted[name] != total:
            accuse("wrong-total", f"{counted[name]} pairs of {name!r}, and a total of {total}")


def _shown(names: Sequence[object]) -> str:
    return ", ".join(repr(name) for name in names[:6]) or "none"
