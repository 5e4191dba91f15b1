"""bench and demo: they run, measure what they name, and clean up after themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastness.cli.bench import file_system
from tests.cli.commands import answer, failure, run


def test_bench(tmp_path: Path) -> None:
    """Each line has a rate and rising percentiles, and nothing is left behind."""
    told = answer("bench", tmp_path, "--seconds", "0.05")
    assert told["directory"] == str(tmp_path)
    names = [one["name"] for one in told["measurements"]]
    assert names == [
        "point read in a transaction",
        "scan of 1,000 entries",
        "durable commit, 1 writer",
        "durable commit, 64 writers",
    ]
    for one in told["measurements"]:
        assert one["samples"] > 0
        assert 0 < one["p50_s"] <= one["p99_s"] <= one["p999_s"]
    assert list(tmp_path.iterdir()) == []


def test_bench_for_people(tmp_path: Path) -> None:
    """Piped, the table is a heading and four lines of fields."""
    lines = run("bench", tmp_path, "--seconds", "0.02").stdout.splitlines()
    assert lines[0] == "operation\tper second\tp50\tp99\tp99.9"
    assert len(lines) == 5
    assert all(line.count("\t") == 4 for line in lines)


def test_bench_nowhere(tmp_path: Path) -> None:
    """A directory that is not there is a usage error."""
    assert failure("bench", tmp_path / "absent")["exit"] == 2


def test_file_system(tmp_path: Path) -> None:
    """The file system of a path is the one of the innermost mount around it."""
    assert file_system(Path("/proc")) == "proc"
    assert file_system(tmp_path) not in {"", "proc"}


def test_demo_refuses_what_it_cannot_load(tmp_path: Path) -> None:
    """The demo of the checkout runs from the command, and its refusal is the command's."""
    result = run("demo", tmp_path / "absent", "--directory", tmp_path / "db")
    assert result.exit_code == 2
    assert not (tmp_path / "db").exists()


def test_demo_without_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no checkout the demo says where it is to be had."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastness.__file__", str(tmp_path / "site" / "x" / "fastness" / "a.py"))
    told = failure("demo", tmp_path)
    assert told["error"] == "invalid_option"
    assert "clone the repository" in told["message"]
