"""`fastness simulate`: seeds, stories, wrong usage, exit codes."""

from __future__ import annotations

import json

import pytest

from tests.cli.commands import answer, failure, run

SMALL = ("--commits", 20, "--clients", 2, "--tasks", 1, "--faults-ms", 200)


def test_one_seed() -> None:
    """A run tells what it committed, and ends with 0 when nothing was found."""
    told = run("simulate", "--seed", 4, *SMALL)
    assert told.exit_code == 0
    assert "seed 4: nothing found" in told.stdout
    document = answer("simulate", "--seed", 4, *SMALL)
    assert document["commits"] >= 20
    assert document["findings"] == []


def test_a_story() -> None:
    """With --trace every message is told, before the figures."""
    lines = run("simulate", "--seed", 4, "--trace", *SMALL).stdout.splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("seed 4"))
    assert begin > 100
    assert any("client-1" in line for line in lines[:begin])


def test_many_seeds() -> None:
    """The figures of all together, on a terminal and as a document."""
    document = answer("simulate", "--seeds", "1-2", "--jobs", 1, "--disable", "all", *SMALL)
    assert document["runs"] == 2
    assert document["failed"] == []
    told = run("simulate", "--seeds", "1-2", "--jobs", 1, "--disable", "all", *SMALL)
    assert "fewest" in told.stdout


def test_a_planted_bug_ends_with_another_code() -> None:
    """What is found is printed, with the command line that shows it again, and the code is 1."""
    told = run(
        "simulate", "--seeds", "1-2", "--jobs", 1, "--plant", "no-point-validation",
        "--disable", "all", "--workload", "list", "--no-shrink", "--json",
    )  # fmt: skip
    assert told.exit_code == 1
    assert json.loads(told.stdout)["failed"]


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--seed", 1, "--seeds", "1-2"),
        ("--seed", -1),
        ("--seeds", "2-1"),
        ("--seeds", "all"),
        ("--seeds", "1-3", "--trace"),
        ("--seed", 1, "--workload", "nothing"),
        ("--seed", 1, "--disable", "nothing"),
        ("--seed", 1, "--plant", "nothing"),
    ],
)
def test_wrong_usage(words: tuple[object, ...]) -> None:
    """What makes no sense is refused before anything runs."""
    assert failure("simulate", *words)["error"] == "invalid_option"
