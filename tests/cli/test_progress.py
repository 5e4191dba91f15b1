"""Progress bars: for people at a terminal who have waited a second, for nobody else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from fastness.cli import progress
from fastness.cli.output import Output
from fastness.operations import Progress


def shown(*, terminal: bool, as_json: bool = False) -> str:
    """What an operation of two stages shows on stderr."""
    output = Output(as_json=as_json)
    stream = io.StringIO()
    output.remarks = Console(file=stream, force_terminal=terminal, width=80)
    with progress.progress_of(output) as notice:
        notice(Progress("copying", 1 << 20, 2 << 20, "bytes"))
        notice(Progress("copying", 2 << 20, 2 << 20, "bytes"))
        notice(Progress("counting", 30, 20, "rows"))
        notice(Progress("listing", 40, None, "entries"))
    return stream.getvalue()


def test_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the patience is used up each stage has a bar with what is done of how much."""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    text = shown(terminal=True)
    assert "copying" in text
    assert "2.0 MiB of 2.0 MiB" in text
    assert "30 of about 30 rows" in text
    assert "40 entries" in text


def test_quick_work_shows_nothing() -> None:
    """What takes less than a second draws no bar."""
    assert shown(terminal=True) == ""


def test_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe and a program get none, however long it takes."""
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    assert shown(terminal=False) == ""
    assert shown(terminal=True, as_json=True) == ""
