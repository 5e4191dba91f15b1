"""Runs of whole clusters: a few seeds, that they repeat exactly, and how a failing one shrinks."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest

from fastness.cli.simulate import simulate
from fastness.errors import InvalidOption
from fastness.testing.simulation.faults import KINDS
from fastness.testing.simulation.report import Finding, RunReport
from fastness.testing.simulation.scenario import COMMITS, Scenario
from fastness.testing.simulation.simulate import Tally, run_seed, run_seeds, shrink
from fastness.testing.simulation.workloads import WORKLOADS

SMOKE = range(1, 9)


@pytest.mark.parametrize("seed", SMOKE)
def test_a_seed_passes(seed: int) -> None:
    """All workloads together under the faults of a seed: much is committed, nothing found.

    Where outcomes are remembered for longer than they are asked for, every one is told in the end.
    """
    scenario = Scenario.draw(seed)
    report = run_seed(scenario)
    assert report.ok, str(report)
    assert report.commits + report.reads >= COMMITS
    assert report.commits >= COMMITS // 2
    if scenario.limits.outcome_ms > scenario.limits.commit_ms:
        assert report.unresolved == 0


def small(seed: int) -> Scenario:
    """A short run of few clients."""
    return Scenario.draw(seed).smaller(commits=40, clients=2, tasks=2, faults_ms=600)


def test_a_seed_repeats_exactly() -> None:
    """The same seed gives the same run, byte for byte, whatever ran before in this process."""
    first, other, again = (run_seed(small(seed)) for seed in (5, 6, 5))
    assert first.digest == again.digest
    assert first.digest != other.digest
    assert (first.commits, first.aborts, first.virtual_ms) == (
        again.commits,
        again.aborts,
        again.virtual_ms,
    )


@pytest.mark.process
def test_a_seed_repeats_in_another_interpreter() -> None:
    """Neither the order of hashes nor what else the interpreter did can be seen in a run."""
    code = (
        "from tests.simulation.runs.test_runs import small\n"
        "from fastness.testing.simulation.simulate import run_seed\n"
        "print(run_seed(small(5)).digest)"
    )
    digests = set()
    for seed in ("1", "2"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.add(run.stdout.strip())
    assert digests == {run_seed(small(5)).digest}


def test_the_story_does_not_change_the_run() -> None:
    """A traced run is the same run, and its lines tell who did what when."""
    lines: list[str] = []
    traced = run_seed(small(7), write_line=lines.append)
    assert traced.digest == run_seed(small(7)).digest
    assert any("node-1" in line for line in lines)
    assert any("CommitOne" in line for line in lines)


@pytest.mark.process
def test_many_seeds_run_in_many_processes() -> None:
    """Each seed is run once, and the figures of all are added up."""
    tally = Tally()
    for report in run_seeds([small(seed) for seed in (1, 2, 3)], jobs=2):
        tally.add(report)
    assert tally.runs == 3
    assert tally.failed == []
    assert tally.fewest_commits >= 20
    assert tally.fewest_committed >= 40
    assert tally.as_document()["runs"] == 3


def test_sessions_are_pruned_before_the_eyes_of_the_judges() -> None:
    """With little retention many that have expired are removed, and nobody misses one."""
    scenario = Scenario.draw(2, workloads=["session"])
    limits = replace(scenario.limits, retention_ms=100, prune_every_ms=50, prune_pause_ms=5)
    report = run_seed(replace(scenario, limits=limits))
    assert report.ok, str(report)
    assert report.faults["expired value removed"] > 5


# ------------------------------------------------------------------------ scenarios


def test_a_command_line_describes_its_scenario() -> None:
    """What was made smaller is named; what was drawn is not."""
    scenario = Scenario.draw(9)
    assert scenario.command() == "fastness simulate --seed 9"
    kinds = list(scenario.plan.intensities)
    smaller = scenario.smaller(
        workloads=["bank", "list"], without=kinds[:1], clients=2, commits=10, faults_ms=500
    )
    words = shlex.split(smaller.command())
    assert words[:4] == ["fastness", "simulate", "--seed", "9"]
    assert words[4:8] == ["--workload", "list", "--workload", "bank"]
    assert words[8:10] == ["--disable", kinds[0]]
    assert words[10:] == ["--clients", "2", "--commits", "10", "--faults-ms", "500"]
    assert simulate.__annotations__.keys() >= {"seed", "workload", "disable", "clients", "commits"}


def test_leaving_out_keeps_the_rest() -> None:
    """Without a fault or a workload, what is left is as it was."""
    scenario = Scenario.draw(12, disabled=["crash"])
    whole = Scenario.draw(12)
    assert scenario.plan.intensity("crash") == 0.0
    assert all(
        scenario.plan.intensity(kind) == whole.plan.intensity(kind)
        for kind in KINDS
        if kind != "crash"
    )
    assert scenario.ranges() == whole.ranges()
    assert scenario.limits == whole.limits


def test_unknown_names_are_refused() -> None:
    """A workload or a fault that does not exist is named, with those that do."""
    with pytest.raises(InvalidOption, match="bank"):
        Scenario.draw(1, workloads=["banks"])
    with pytest.raises(InvalidOption, match="crash"):
        Scenario.draw(1, disabled=["crashes"])


# ------------------------------------------------------------------------- shrinking


def fails_if(scenario: Scenario) -> RunReport:
    """Stands for a run: fails while crashes strike and two clients act on lists."""
    report = RunReport(seed=scenario.seed)
    crashes = scenario.plan.intensity("crash") > 0.0
    if crashes and "list" in scenario.workloads and scenario.clients > 1:
        report.findings.append(Finding("lost-update", "of a list"))
    elif scenario.commits > 10:
        report.findings.append(Finding("another", "which is not the one"))
    return report


def test_a_failure_is_made_small() -> None:
    """Only what the failure needs is left, and other failures do not count."""
    seed = next(n for n in range(1, 100) if not fails_if(Scenario.draw(n)).ok
                and fails_if(Scenario.draw(n)).findings[0].name == "lost-update")  # fmt: skip
    told: list[str] = []
    smallest = shrink(Scenario.draw(seed), run=fails_if, runs_max=500, note=told.append)
    assert smallest.workloads == ("list",)
    assert list(smallest.plan.intensities) == ["crash"]
    assert (smallest.clients, smallest.tasks, smallest.commits) == (2, 1, 1)
    assert smallest.faults_ms <= 100
    assert told[-1].endswith(smallest.command())


def test_what_does_not_fail_is_left_alone() -> None:
    """Nothing is made of a run that passes."""
    scenario = Scenario.draw(1).smaller(commits=5)
    calm = scenario.smaller(without=list(scenario.plan.intensities))
    assert shrink(calm, run=fails_if) == calm


# --------------------------------------------------------------------------- reports


def test_a_report_says_how_to_run_it_again() -> None:
    """A failed run names what was found, and the command line that shows it again."""
    report = RunReport(seed=3, command="fastness simulate --seed 3")
    assert "nothing found" in str(report)
    report.findings.append(Finding("stale-read", "T1 read a"))
    assert "FAILED" in str(report)
    assert "T1 read a" in str(report)
    assert str(report).endswith("fastness simulate --seed 3")
    assert report.as_document()["findings"] == [{"name": "stale-read", "explanation": "T1 read a"}]


def test_every_workload_has_its_own_name() -> None:
    """Names are how attempts, keys and the command line tell them apart."""
    kinds = [workload.kind for workload in WORKLOADS]
    assert len(set(kinds)) == len(kinds)
