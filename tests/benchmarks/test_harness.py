"""The harness end to end: every benchmark at a size that measures nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.catalogue import BENCHMARKS
from benchmarks.contests import Contestant, contest, dealt, threads_together
from benchmarks.publication import END, begin
from benchmarks.report import read_json
from benchmarks.samples import Round

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> None:
    """Run the command as a user does; it must end well."""
    subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])},
        check=True,
        capture_output=True,
    )


@pytest.mark.process
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs(name: str, tmp_path: Path) -> None:
    """The command measures, writes its files and leaves no database behind."""
    databases = tmp_path / "databases"
    told = ["--directory", str(databases), "--output", str(tmp_path)]
    run("--tiny", "--only", name, *told)
    report = read_json(tmp_path / "results.json")
    assert list(report.benchmarks) == [name]
    assert report.benchmarks[name]
    assert all(row.figure > 0 for row in report.benchmarks[name])
    assert (tmp_path / "results.svg").read_text().startswith("<svg")
    assert not list(databases.iterdir())


@pytest.mark.process
def test_a_run_is_published_and_shown_again(tmp_path: Path) -> None:
    """One command measures and publishes; another publishes the same results without measuring."""
    (tmp_path / "BENCHMARKS.md").write_text(f"# Before\n\n{begin('embedded')}\n{END}\n")
    published = ["--publish", "--documents", str(tmp_path)]
    run("--tiny", "--only", "typed", "--output", str(tmp_path / "out"), *published)
    page, chart = (tmp_path / name for name in ("BENCHMARKS.md", "benchmarks.svg"))
    once = page.read_text(), chart.read_text()
    assert "typed fetch" in once[0]
    chart.unlink()
    run("--from", str(tmp_path / "out" / "results.json"), *published)
    assert (page.read_text(), chart.read_text()) == once


def test_rounds_alternate_and_rotate() -> None:
    """After warming up, each plays each round once, and who begins changes."""
    played: list[str] = []

    def player(name: str) -> Contestant:
        def play() -> Round:
            played.append(name)
            return Round(1, len(played), [])

        return Contestant(name, play)

    series = contest([player("a"), player("b"), player("c")], rounds=3)
    assert "".join(played) == "abc" + "abc" + "bca" + "cab"
    assert [one.elapsed_ns for one in series["a"].rounds] == [4, 9, 11]


def test_every_argument_is_dealt_once() -> None:
    """Hands differ by at most one."""
    hands = dealt([b"1", b"2", b"3", b"4", b"5"], 2)
    assert hands == [[b"1", b"3", b"5"], [b"2", b"4"]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_round_with_a_dead_worker_does_not_count() -> None:
    """Work that was not done must not look fast."""

    def operation(argument: bytes) -> None:
        if argument == b"bad":
            raise ValueError(argument)

    with pytest.raises(RuntimeError, match="2 of 3"):
        threads_together(operation, [[b"1", b"2"], [b"bad"]])
