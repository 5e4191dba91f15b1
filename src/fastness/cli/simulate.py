"""The command `simulate`: whole clusters in a simulated world, judged, reproduced and shrunk."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fastness.cli import exits
from fastness.cli.arguments import JsonOption
from fastness.cli.output import Output, answering
from fastness.errors import InvalidOption
from fastness.testing.simulation.faults import KINDS
from fastness.testing.simulation.report import RunReport
from fastness.testing.simulation.scenario import Scenario
from fastness.testing.simulation.simulate import (
    SHRINK_RUNS_MAX,
    Tally,
    run_seed,
    run_seeds,
    shrink,
)

FAILURES_SHOWN = 5
FAILED_LISTED = 20


def simulate(  # noqa: PLR0913 - one for each thing a run can be told
    *,
    seed: Annotated[int | None, typer.Option(help="Run this seed.", show_default=False)] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="Run these seeds, over all cores.", show_default=False),
    ] = None,
    trace: Annotated[bool, typer.Option("--trace", help="Tell the story of the run.")] = False,
    workload: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this one; may be repeated.", show_default=False),
    ] = None,
    disable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FAULT",
            help="Leave a kind of fault out, or 'all'; may be repeated.",
            show_default=False,
        ),
    ] = None,
    plant: Annotated[
        str, typer.Option(metavar="BUG", help="Plant a bug.", show_default=False)
    ] = "",
    no_shrink: Annotated[
        bool, typer.Option("--no-shrink", help="Do not look for a smaller failure.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time.", show_default="all cores")
    ] = None,
    clients: Annotated[int, typer.Option(min=0, hidden=True)] = 0,
    tasks: Annotated[int, typer.Option(min=0, hidden=True)] = 0,
    commits: Annotated[int, typer.Option(min=0, hidden=True)] = 0,
    faults_ms: Annotated[float, typer.Option(min=0.0, hidden=True)] = 0.0,
    json: JsonOption = False,
) -> None:
    """Run clusters in a simulated world under faults, and judge what their clients saw.

    Everything is drawn from the seed, so a seed that fails fails again; it is then made smaller,
    and the command line that shows the smaller failure is printed.
    """
    with answering(json, interrupted="interrupted") as output:
        numbers = _numbers(seed, seeds)
        disabled = list(KINDS) if "all" in (disable or []) else disable or []
        scenarios = [
            Scenario.draw(number, workloads=workload or [], disabled=disabled, plant=plant).smaller(
                clients=clients, tasks=tasks, commits=commits, faults_ms=faults_ms
            )
            for number in numbers
        ]
        if len(scenarios) == 1:
            failed = _run_one(output, scenarios[0], trace=trace)
        else:
            if trace:
                raise InvalidOption("--trace tells the story of one run: give --seed")
            failed = _run_many(output, scenarios, jobs or os.cpu_count() or 1)
        if failed and not no_shrink:
            _shrink(output, next(one for one in scenarios if one.seed == failed[0]))
    raise typer.Exit(exits.FOUND_WRONG if failed else exits.DONE)


def _numbers(seed: int | None, seeds: str | None) -> list[int]:
    """The seeds asked for."""
    if (seed is None) == (seeds is None):
        raise InvalidOption("give either --seed N or --seeds A-B")
    if seed is not None:
        if seed < 0:
            raise InvalidOption(f"--seed {seed} is negative: seeds count from 0")
        return [seed]
    match = re.fullmatch(r"(\d+)-(\d+)", seeds or "")
    if match is None or int(match[1]) > int(match[2]):
        raise InvalidOption(f"--seeds {seeds!r} is no range of seeds: write 1-1000")
    return list(range(int(match[1]), int(match[2]) + 1))


def _run_one(output: Output, scenario: Scenario, *, trace: bool) -> list[int]:
    def write(line: str) -> None:
        (sys.stderr if output.as_json else sys.stdout).write(f"{line}\n")

    report = run_seed(scenario, write_line=write if trace else None)
    _tell(output, report)
    return [] if report.ok else [report.seed]


def _tell(output: Output, report: RunReport) -> None:
    if output.as_json:
        output.document(report.as_document())
    else:
        output.text(str(report))


def _run_many(output: Output, scenarios: list[Scenario], jobs: int) -> list[int]:
    tally = Tally()
    shown = 0
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,} seeds"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=output.as_json or not output.remarks.is_terminal,
    )
    try:
        with progress:
            bar = progress.add_task("simulating", total=len(scenarios))
            for report in run_seeds(scenarios, jobs=jobs):
                tally.add(report)
                progress.update(bar, advance=1)
                if not report.ok and shown < FAILURES_SHOWN:
                    shown += 1
                    _tell_failure(output, progress.console, report)
    except KeyboardInterrupt:
        _tell_tally(output, tally)  # Of the runs that ended.
        raise
    _tell_tally(output, tally)
    return sorted(tally.failed)


def _tell_tally(output: Output, tally: Tally) -> None:
    if output.as_json:
        output.document(tally.as_document())
    else:
        output.facts(_facts(tally))


def _tell_failure(output: Output, console: Console, report: RunReport) -> None:
    if output.as_json:
        output.aside(report.as_document())
    else:
        console.print(str(report), markup=False, highlight=False, soft_wrap=True)


def _facts(tally: Tally) -> list[tuple[str, str]]:
    figures = {name: f"{value:,}" for name, value in tally.figures.items()}
    failed = "".join(f" {seed}" for seed in sorted(tally.failed)[:FAILED_LISTED])
    found = ", ".join(f"{name} {count}" for name, count in sorted(tally.findings.items()))
    return [
        ("seeds", f"{tally.runs:,}"),
        ("failed", f"{len(tally.failed):,}{failed and ':' + failed}"),
        ("found", found or "nothing"),
        ("virtual hours", f"{tally.virtual_ms / 3_600_000:.2f}"),
        ("commits", "{commits}, {across_ranges} of them across ranges".format(**figures)),
        ("fewest", f"{tally.fewest_committed:,} committed, {tally.fewest_commits:,} with writes"),
        ("read only", "{reads}, {cache_hits} cache hits".format(**figures)),
        ("aborted", figures["aborts"]),
        ("unknown", "{unknown} to their clients".format(**figures)),
        ("faults", "{crashes} crashes, {partitions} partitions".format(**figures)),
        ("failovers", figures["failovers"]),
        ("changes", "{splits} splits, {merges} merges, {transfers} transfers".format(**figures)),
        ("committed", f"{tally.committed_per_second:,.0f} per second of the processor"),
    ]


def _shrink(output: Output, scenario: Scenario) -> None:
    """Look for a smaller failure, and print its command line."""
    output.remark(
        f"making seed {scenario.seed} smaller, in up to {SHRINK_RUNS_MAX} runs "
        "(Ctrl-C ends it, --no-shrink skips it) .."
    )
    smallest = shrink(scenario, note=output.remark)
    if output.as_json:
        output.aside({"smallest": smallest.command()})
    else:
        output.text(f"\nthe smallest that fails:\n  {smallest.command()}")
