"""A run as a table for people, as JSON for programs and as Markdown for the documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.rows import Row, Unit
from benchmarks.samples import Cpu, Percentiles, Spread

HEADINGS = (
    "what",
    "Fastness",
    "p50 / p99 / p99.9 us",
    "CPU us",
    "peer",
    "peer's",
    "its p50 / p99 / p99.9 us",
    "peer's CPU us",
    "ratio (least to most)",
    "target",
    "",
)
LEFT = ("what", "peer")
CPU = ("CPU us", "peer's CPU us")
"""Columns that a table without servers does not have."""

QUIET_LOAD = 1.0
"""A load average above it means that others used the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything one run measured, and on what."""

    started: str
    """UTC, ISO 8601."""
    effort: str
    """"full", "quick" or "tiny"."""
    machine: str
    load: float
    """The machine's load average when the run began: processes that ran or wanted to."""
    versions: dict[str, str]
    benchmarks: dict[str, list[Row]]

    @property
    def missed(self) -> list[Row]:
        """The rows whose target was not reached."""
        return [row for rows in self.benchmarks.values() for row in rows if row.reached is False]

    @property
    def warning(self) -> str:
        """Why the figures are not to be trusted; empty when nothing speaks against them."""
        if self.load <= QUIET_LOAD:
            return ""
        return (
            f"The machine was busy when the run began (load average {self.load:.1f}): figures are "
            "worse than they would be, and ratios less steady. Repeat it on a quiet machine."
        )

    def write_json(self, path: Path) -> None:
        """Write the report, indented."""
        encoded = msgspec.json.encode(self)
        path.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def read_json(path: Path) -> Report:
    """A report written earlier; `msgspec.ValidationError` where the file is none."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def table(report: Report) -> Table:
    """The whole run, one line a comparison."""
    shown = Table(title=f"Fastness beside its peers ({report.effort} run)", title_justify="left")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading in LEFT else "right")
    for rows in report.benchmarks.values():
        for row in rows:
            shown.add_row(*cells(row), style="red" if row.reached is False else None)
        shown.add_section()
    return shown


def markdown(report: Report) -> str:
    """The same table in Markdown, without the columns that only a terminal has room for."""
    texts = [cells(row) for rows in report.benchmarks.values() for row in rows]
    kept = [
        at
        for at, heading in enumerate(HEADINGS)
        if not heading.startswith("its") and (heading not in CPU or any(line[at] for line in texts))
    ]
    lines = ["| " + " | ".join(HEADINGS[at] or "reached" for at in kept) + " |"]
    lines.append("|" + "|".join("---" if HEADINGS[at] in LEFT else "---:" for at in kept) + "|")
    lines += ["| " + " | ".join(line[at] for at in kept) + " |" for line in texts]
    return "\n".join(lines) + "\n"


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, column by column."""
    return (
        row.what,
        figure(row.figure, row.unit),
        percentiles(row.percentiles),
        cpu(row.cpu),
        f"{row.peer} (missing: {row.missing})" if row.missing else row.peer,
        "" if row.peer_figure is None else figure(row.peer_figure, row.unit),
        percentiles(row.peer_percentiles),
        cpu(row.peer_cpu),
        "" if row.ratio is None else ratio(row.ratio),
        target(row),
        {None: "", True: "yes", False: "MISSED"}[row.reached],
    )


def digits(value: float) -> str:
    """A number with the three digits that mean something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def figure(value: float, unit: Unit) -> str:
    """A figure and its unit."""
    if unit is Unit.SHARE:
        return f"{value:.4f}"
    return f"{digits(value)}{unit}" if unit is Unit.PER_SECOND else f"{digits(value)} {unit}"


def percentiles(taken: Percentiles | None) -> str:
    """Three latencies, or nothing."""
    return "" if taken is None else " / ".join(digits(value) for value in taken)


def cpu(taken: Cpu | None) -> str:
    """Processor time in the client and in the server, or nothing."""
    return "" if taken is None else f"{digits(taken.client)} + {digits(taken.server)}"


def ratio(value: Spread) -> str:
    """A ratio and how far it strayed."""
    return f"{value.median:.2f} ({value.least:.2f} to {value.greatest:.2f})"


def target(row: Row) -> str:
    """The bound, or nothing."""
    if row.target is None:
        return ""
    sign = ">=" if row.target.at_least else "<="
    if row.ratio is None and not row.missing:
        return f"{sign} {figure(row.target.bound, row.unit)}"
    return f"{sign} {row.target.bound:g}x"
