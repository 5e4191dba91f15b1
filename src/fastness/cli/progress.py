"""A progress bar on stderr for whatever takes longer than a second, on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from fastness.cli import figures
from fastness.cli.output import Output
from fastness.operations import OnProgress
from fastness.operations import Progress as Notice

PATIENCE_S = 1.0
"""Nothing is shown of what is done before."""


class _Amount(ProgressColumn):
    """How much is done, of how much: sizes for bytes, numbers for everything else."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        done, total = int(task.completed), task.total
        if unit == "bytes":
            of = "" if total is None else f" of {figures.size(int(total))}"
            return Text(f"{figures.size(done)}{of}")
        about = "about " if unit == "rows" else ""
        of = "" if total is None else f" of {about}{int(total):,}"
        return Text(f"{done:,}{of} {unit}")


class _Bars:
    """One bar per stage, made when a stage has lasted long enough to be worth one."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            _Amount(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._begun = time.monotonic()
        self._stage = ""
        self._bar: TaskID | None = None

    def notice(self, notice: Notice) -> None:
        """Show a notice, unless it is too early."""
        if self._bar is None:
            if time.monotonic() - self._begun < PATIENCE_S:
                return
            self._progress.start()
        # What is estimated may be passed.
        total = notice.total if notice.total is None else max(notice.total, notice.done)
        if self._bar is None or notice.stage != self._stage:
            self._stage = notice.stage
            self._bar = self._progress.add_task(notice.stage, total=total, unit=notice.unit)
        self._progress.update(self._bar, completed=notice.done, total=total)

    def end(self) -> None:
        """Take the bars away."""
        self._progress.stop()


@contextmanager
def progress_of(output: Output) -> Iterator[OnProgress]:
    """What an operation may report to; shown where a person waits."""
    if output.as_json or not output.remarks.is_terminal:
        yield lambda _notice: None
        return
    bars = _Bars(output.remarks)
    try:
        yield bars.notice
    finally:
        bars.end()
