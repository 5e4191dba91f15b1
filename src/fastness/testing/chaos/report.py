"""What a run was, and what was found: a table for people, a document for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastness.testing.chaos.probes import Pause
from fastness.testing.report import Report

SHOWN_MAX = 6
TABLE_WIDTH = 130


@dataclass(slots=True, kw_only=True)
class Struck:
    """One fault, and how it was borne. Times are seconds from its blow on."""

    kind: str
    member: str
    at_s: float
    """Since the run began."""
    with_another: bool = False
    """Whether a second fault struck meanwhile: what stood still may be due to either."""
    reshaped: bool = False
    """Whether ranges changed their shape and place meanwhile, which stops each for a moment."""
    touched: int = 0
    """First ranges that it may stop."""
    promoted_s: float | None = None
    """Until another primary was up, where one had to come."""
    writes_stood_s: float = 0.0
    """The longest time that writes to a touched range stood still."""
    reads_stood_s: float = 0.0
    writes_back_s: float = 0.0
    """When that had ended for the last of them."""
    reads_back_s: float = 0.0
    others_writes_s: float = 0.0
    """The longest time that writes to an untouched range stood still."""
    others_reads_s: float = 0.0
    whole_s: float = 0.0
    """Until every member was there again, and every standby followed."""

    def measure(
        self, touched: Iterable[tuple[Pause, Pause]], others: Iterable[tuple[Pause, Pause]]
    ) -> None:
        """Take in pauses of writes and of reads."""
        for writes, reads in touched:
            self.touched += 1
            self.writes_stood_s = max(self.writes_stood_s, writes.longest_s)
            self.reads_stood_s = max(self.reads_stood_s, reads.longest_s)
            self.writes_back_s = max(self.writes_back_s, writes.back_after_s)
            self.reads_back_s = max(self.reads_back_s, reads.back_after_s)
        for writes, reads in others:
            self.others_writes_s = max(self.others_writes_s, writes.longest_s)
            self.others_reads_s = max(self.others_reads_s, reads.longest_s)


@dataclass(slots=True, kw_only=True)
class Results:
    """A run of chaos."""

    seed: int
    up_s: float = 0.0
    ran_s: float = 0.0
    struck: list[Struck] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Faults that this machine cannot strike, and why."""
    reports: list[Report] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong besides: alarms, what did not come back, stale entries of caches."""
    figures: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.problems and all(one.ok for one in self.reports)

    def as_document(self) -> dict[str, object]:
        """For a program."""
        return {
            "ok": self.ok,
            "seed": self.seed,
            "up_s": round(self.up_s, 1),
            "ran_s": round(self.ran_s, 1),
            "figures": self.figures,
            "faults": [_document(one) for one in self.struck],
            "skipped": self.skipped,
            "checkers": {one.checker: dict(one.counts) for one in self.reports},
            "anomalies": [str(each) for one in self.reports for each in one.anomalies],
            "problems": self.problems,
        }


def _document(struck: Struck) -> dict[str, object]:
    told = {name: getattr(struck, name) for name in Struck.__dataclass_fields__}
    return {
        name: round(value, 2) if isinstance(value, float) else value for name, value in told.items()
    }


def print_report(console: Console, results: Results) -> None:
    """Everything that was found."""
    # A terminal may be narrower, or none: figures that are cut off tell nothing.
    console.width = max(console.width, TABLE_WIDTH)
    console.print(_table(results.struck))
    for kind, reason in results.skipped.items():
        console.print(f"not struck: {kind} ({escape(reason)})")
    figures = ", ".join(f"{value:,} {name}" for name, value in results.figures.items())
    console.print(f"{results.ran_s:.0f} s, seed {results.seed}: {figures}")
    for one in results.reports:
        found = ", ".join(f"{count} {name}" for name, count in sorted(one.counts.items()))
        judged = f"{one.checker}: {one.committed:,} committed, {one.reads:,} reads"
        console.print(f"[{'green' if one.ok else 'red'}]{judged}: {found or 'no anomaly'}[/]")
    for problem in results.problems:
        console.print(f"[red]{escape(problem)}[/]")
    for one in results.reports:
        for anomaly in one.anomalies[:SHOWN_MAX]:
            console.print(f"\n{escape(str(anomaly))}", highlight=False)
    console.print(
        "[bold green]Nothing was lost, nothing was stale[/]"
        if results.ok
        else "[bold red]Not everything is right[/]"
    )


def _table(struck: Sequence[Struck]) -> Table:
    """A line for each kind: medians, and the worst in brackets."""
    table = Table(box=None, pad_edge=False)
    table.add_column("fault: median (worst) in seconds", no_wrap=True)
    for heading in (
        "times",
        "promoted",
        "writes stood",
        "reads stood",
        "others' writes",
        "others' reads",
        "whole",
    ):
        table.add_column(heading, justify="right", no_wrap=True)
    for kind in dict.fromkeys(one.kind for one in struck):
        same = [one for one in struck if one.kind == kind]
        promoted = [one.promoted_s for one in same if one.promoted_s is not None]
        table.add_row(
            kind,
            str(len(same)),
            _shown(promoted),
            _shown([one.writes_stood_s for one in same if one.touched]),
            _shown([one.reads_stood_s for one in same if one.touched]),
            _shown([one.others_writes_s for one in same]),
            _shown([one.others_reads_s for one in same]),
            _shown([one.whole_s for one in same]),
        )
    return table


def _shown(seconds: Sequence[float]) -> str:
    if not seconds:
        return ""
    return f"{median(seconds):.1f} ({max(seconds):.1f})"
