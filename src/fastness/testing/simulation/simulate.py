"""Run seeds: one with its story, many over all cores, a failing one made small.

::

    report = run_seed(Scenario.draw(7))
    for report in run_seeds([Scenario.draw(seed) for seed in range(1, 1_001)], jobs=8):
        ...
    smallest = shrink(scenario)        # still fails, with as little in it as could be found
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from fastness.testing.simulation.bugs import planted
from fastness.testing.simulation.cluster import SimulatedCluster
from fastness.testing.simulation.report import RunReport
from fastness.testing.simulation.scenario import Scenario

SHRINK_RUNS_MAX = 120


def run_seed(scenario: Scenario, *, write_line: Callable[[str], None] | None = None) -> RunReport:
    """Run one scenario; `write_line` gets its story, line by line, while it happens."""
    with planted(scenario.plant) if scenario.plant else nullcontext():
        return SimulatedCluster(scenario, write_line=write_line).run()


def run_seeds(scenarios: Sequence[Scenario], *, jobs: int) -> Iterator[RunReport]:
    """Run many, `jobs` at a time, each in one of so many processes; in the order they end."""
    if jobs <= 1 or len(scenarios) <= 1:
        yield from map(run_seed, scenarios)
        return
    # Forked processes would share threads and locks of whoever calls.
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(jobs, len(scenarios)), maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(run_seed, scenarios)


@dataclass(slots=True)
class Tally:
    """Figures of many runs together."""

    runs: int = 0
    failed: list[int] = field(default_factory=list)
    """Seeds with findings."""
    findings: Counter[str] = field(default_factory=Counter)
    figures: Counter[str] = field(default_factory=Counter)
    virtual_ms: float = 0.0
    cpu_seconds: float = 0.0
    fewest_committed: int = 0
    """In one run, read-only transactions included."""
    fewest_commits: int = 0
    """Of transactions that wrote, in one run."""

    def add(self, report: RunReport) -> None:
        """Count a run."""
        first = not self.runs
        self.runs += 1
        committed = report.commits + report.reads
        self.fewest_committed = committed if first else min(self.fewest_committed, committed)
        self.fewest_commits = report.commits if first else min(self.fewest_commits, report.commits)
        self.virtual_ms += report.virtual_ms
        self.cpu_seconds += report.cpu_seconds
        for name in (
            "commits",
            "across_ranges",
            "reads",
            "aborts",
            "unknown",
            "unresolved",
            "crashes",
            "partitions",
            "failovers",
            "splits",
            "merges",
            "transfers",
            "moves",
            "cache_hits",
        ):
            self.figures[name] += getattr(report, name)
        if not report.ok:
            self.failed.append(report.seed)
            self.findings.update(dict.fromkeys(one.name for one in report.findings).keys())

    @property
    def committed_per_second(self) -> float:
        """Transactions that committed, read-only ones included, per second of the processor."""
        committed = self.figures["commits"] + self.figures["reads"]
        return committed / self.cpu_seconds if self.cpu_seconds else 0.0

    def as_document(self) -> dict[str, object]:
        """For a program."""
        return {
            "runs": self.runs,
            "failed": sorted(self.failed),
            "findings": dict(sorted(self.findings.items())),
            "virtual_hours": self.virtual_ms / 3_600_000,
            "cpu_seconds": round(self.cpu_seconds, 2),
            "committed_per_second": round(self.committed_per_second, 1),
            "fewest_committed": self.fewest_committed,
            "fewest_commits": self.fewest_commits,
            **self.figures,
        }


def shrink(
    scenario: Scenario,
    *,
    run: Callable[[Scenario], RunReport] = run_seed,
    runs_max: int = SHRINK_RUNS_MAX,
    note: Callable[[str], None] = lambda _line: None,
) -> Scenario:
    """A smaller scenario that still shows a finding of the same class as this one's first.

    Tries to leave out workloads, kinds of faults, clients, tasks and time, one thing after the
    other, and begins again after each that may go, until nothing may or `runs_max` is reached.
    What does not fail is returned as it is.
    """
    report = run(scenario)
    if report.ok:
        return scenario
    name = report.findings[0].name
    left = runs_max
    smallest = scenario
    progress = True
    while progress and left > 0:
        progress = False
        for candidate in _smaller(smallest):
            if left <= 0:
                break
            left -= 1
            found = run(candidate)
            if any(one.name == name for one in found.findings):
                smallest, progress = candidate, True
                note(f"still {name}: {candidate.command()}")
                break
    return smallest


def _smaller(scenario: Scenario) -> Iterable[Scenario]:
    """Scenarios with a little less in them, the boldest first."""
    kinds = list(scenario.plan.intensities)
    if len(kinds) > 1:
        yield scenario.smaller(without=kinds)
        half = len(kinds) // 2
        yield scenario.smaller(without=kinds[:half])
        yield scenario.smaller(without=kinds[half:])
    if len(scenario.workloads) > 1:
        for name in scenario.workloads:
            yield scenario.smaller(workloads=[name])
        half = len(scenario.workloads) // 2
        yield scenario.smaller(workloads=scenario.workloads[:half])
        yield scenario.smaller(workloads=scenario.workloads[half:])
    if scenario.commits > 1:
        yield scenario.smaller(commits=max(1, scenario.commits // 4))
    if scenario.faults_ms > 100.0:
        yield scenario.smaller(faults_ms=round(scenario.faults_ms * 0.6))
    if scenario.tasks > 1:
        yield scenario.smaller(tasks=scenario.tasks // 2)
    if scenario.clients > 1:
        yield scenario.smaller(clients=scenario.clients // 2)
    for kind in kinds:
        yield scenario.smaller(without=[kind])
    if len(scenario.workloads) > 2:
        for name in scenario.workloads:
            yield scenario.smaller(workloads=[one for one in scenario.workloads if one != name])
    if scenario.clients > 1:
        yield scenario.smaller(clients=scenario.clients - 1)
