"""What the demo tells at its end: what was done, how fast, and whether it was right."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from examples.files.demo.checking import Checked
from examples.files.demo.killing import Killed
from examples.files.demo.served_report import (
    metrics_line,
    metrics_table,
    served_document,
    served_lines,
)
from examples.files.demo.serving import Served
from examples.files.demo.verifying import Verdict
from examples.files.demo.walking import Walk
from examples.files.demo.workload import Worked

_PERCENTILES = (50.0, 99.0, 99.9)


@dataclass(slots=True)
class Results:
    """What each stage found, once it is over."""

    loaded_s: float = 0.0
    walk: Walk | None = None
    verdict: Verdict | None = None
    worked: Worked | None = None
    conflicts: int = 0
    checked: dict[str, Checked] = field(default_factory=dict)
    served: Served | None = None
    killed: list[Killed] = field(default_factory=list)
    disk_bytes: int = 0

    def failures(self) -> list[str]:
        """Everything that should not be, a line each."""
        lines = []
        if self.verdict is not None:
            lines += [f"lost: {loss}" for loss in self.verdict.losses]
        for name, checked in self.checked.items():
            lines += [f"{name}: {problem}" for problem in checked.problems]
        if self.served is not None:
            lines += [f"served: {problem}" for problem in self.served.problems]
        for number, killed in enumerate(self.killed, start=1):
            lines += [f"kill {number}: {problem}" for problem in killed.problems]
        return lines


def document(results: Results) -> dict[str, object]:
    """The results for programs."""
    worked, walk, served = results.worked, results.walk, results.served
    return {
        "failures": results.failures(),
        "loaded": None if walk is None else walk.entries,
        "loaded_seconds": round(results.loaded_s, 3),
        "operations": 0 if worked is None else worked.operations,
        "conflicts": results.conflicts,
        "killed": len(results.killed),
        "served": None if served is None else served_document(served),
        "disk_bytes": results.disk_bytes,
    }


def print_report(console: Console, results: Results, *, path: Path, database: Path) -> None:
    """The summary, failures last where they cannot be missed."""
    console.print()
    console.rule("What was done")
    console.print(_told(_lines(results, path)))
    if results.worked is not None:
        console.print()
        console.print(_operations(results.worked))
    if results.served is not None:
        console.print()
        console.print(metrics_table(results.served))
        console.print(metrics_line(results.served))
    failures = results.failures()
    console.print()
    if failures:
        console.rule(f"[bold red]{len(failures)} checks failed")
        for failure in failures:
            console.print(Text(failure, style="red"))
    else:
        console.print("[bold green]Every check passed.")
    print_next_steps(console, database)


def _told(lines: list[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column()
    for what, outcome in lines:
        grid.add_row(what, Text.from_markup(outcome))
    return grid


def _lines(results: Results, path: Path) -> list[tuple[str, str]]:
    lines = []
    if results.walk is not None:
        lines += _loaded(results.walk, results.loaded_s, path)
    if results.verdict is not None:
        lines.append(("Verified", _verified(results.verdict)))
    if results.worked is not None:
        lines.append(("Contended", _worked(results.worked, results.conflicts)))
    for name, checked in results.checked.items():
        lines.append(("Checked", _checked(name, checked)))
    if results.served is not None:
        lines += served_lines(results.served)
    lines += [("Killed", _killed(killed)) for killed in results.killed]
    if results.disk_bytes and results.walk is not None:
        lines.append(("On disk", f"{results.disk_bytes / 1e6:,.1f} MB, everything above"))
    return lines


def _loaded(walk: Walk, seconds: float, path: Path) -> list[tuple[str, str]]:
    rate = walk.entries / max(seconds, 1e-9)
    told = (
        f"{walk.entries:,} entries of {escape(str(path))} in {seconds:.1f} s: [bold]{rate:,.0f} "
        "entries/s[/], walking included, with all indexes, counters and the journal, durably"
    )
    lines = [("Loaded", told)]
    if walk.unreadable:
        lines.append(("", f"{walk.unreadable:,} could not be read, such as:"))
        lines += [("", f"  {escape(refusal)}") for refusal in walk.refusals]
    if walk.not_entered:
        told = (
            f"{walk.not_entered:,} folders were not entered: on other file systems, the demo's "
            f"own, or beyond {walk.entries_max:,} entries (--entries-max)"
        )
        lines.append(("", told))
    return lines


def _verified(verdict: Verdict) -> str:
    changed = f"; {verdict.changed:,} changed on disk meanwhile" if verdict.changed else ""
    lost = f"[bold red]{verdict.lost:,} lost[/]" if verdict.lost else "none lost"
    return f"{verdict.entries:,} entries equal to a fresh walk{changed}; {lost}"


def _worked(worked: Worked, conflicts: int) -> str:
    retries = sum(measured.retries for measured in worked.measures.values())
    return (
        f"{worked.operations:,} operations by {worked.workers} workers in {worked.seconds:.1f} s: "
        f"[bold]{worked.operations / max(worked.seconds, 1e-9):,.0f} operations/s[/]; "
        f"{conflicts:,} conflicts, {retries:,} retries, no operation given up"
    )


def _checked(name: str, checked: Checked) -> str:
    wrong = f"[bold red]{len(checked.problems)} problems[/]" if checked.problems else "sound"
    return (
        f"{escape(name)}, {checked.entries:,} entries, {checked.shares:,} shares: one parent each, "
        f"no cycle, unique names, listings, counters; {checked.changes:,} changes of the journal "
        f"replay to it: {wrong}"
    )


def _killed(killed: Killed) -> str:
    there = "[bold red]broken promises[/]" if killed.problems else "every one there"
    under_way = "was stored" if killed.in_flight_stored else "left nothing"
    return (
        f"SIGKILL after {killed.commits:,} acknowledged commits ({killed.entries:,} entries): "
        f"{there}; the commit under way {under_way}; reopened in {killed.reopened_s * 1e3:.0f} ms"
    )


def _operations(worked: Worked) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("operation")
    headings = ("done", "refused", "retries", *(f"p{percent:g} ms" for percent in _PERCENTILES))
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("refused because", ratio=1)
    for name, measured in sorted(worked.measures.items(), key=lambda pair: -pair[1].operations):
        table.add_row(
            name,
            f"{len(measured.latencies_s):,}",
            f"{measured.refusals.total():,}",
            f"{measured.retries:,}",
            *(f"{measured.percentile_s(percent) * 1e3:.2f}" for percent in _PERCENTILES),
            ", ".join(f"{why} {count:,}" for why, count in measured.refusals.most_common(2)),
        )
    return table


def print_next_steps(console: Console, database: Path) -> None:
    """How to go on looking."""
    url = shlex.quote(f"file:{database}")
    console.print()
    console.rule("Explore it")
    steps = [
        (f"fastness stat {url}", "sizes and figures"),
        (f"fastness shell {url}", "look at keys and records"),
        (f"fastness check {url}", "verify every index, counter and checksum"),
        ("examples/files/", "the code: schema.py first, then tree.py"),
    ]
    console.print(_told([(escape(step), purpose) for step, purpose in steps]))
