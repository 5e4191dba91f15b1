"""`python -m benchmarks`: measure, print the table, write JSON and the chart."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.catalogue import BENCHMARKS
from benchmarks.chart import svg
from benchmarks.publication import publish
from benchmarks.report import Report, table
from benchmarks.settings import EFFORTS

OUTPUT = Path("build/benchmarks")
DOCUMENTS = Path("docs")

Only = Annotated[
    list[str] | None, typer.Option(help=f"Run only this one, or these: {', '.join(BENCHMARKS)}.")
]
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the data, a third of the rounds.")]
Tiny = Annotated[bool, typer.Option("--tiny", help="Seconds that measure nothing: a self-test.")]
Directory = Annotated[
    Path | None, typer.Option(help="Write the databases below this; else below the temporary one.")
]
Output = Annotated[Path, typer.Option(help="Where results.json and results.svg are written.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when a target is missed.")]
Publish = Annotated[bool, typer.Option("--publish", help="Put the results into docs/ as well.")]


def main(
    *,
    only: Only = None,
    quick: Quick = False,
    tiny: Tiny = False,
    directory: Directory = None,
    output: Output = OUTPUT,
    publishing: Publish = False,
    strict: Strict = False,
) -> None:
    """Measure Fastness beside raw RocksDB, LMDB and SQLite, as ratios in one run."""
    console = Console(width=max(Console().width, 190))
    names = only or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            raise typer.BadParameter(f"--only {name}: there are {', '.join(BENCHMARKS)}")
    effort = "tiny" if tiny else "quick" if quick else "full"
    report = _empty(effort)
    with _place(directory) as place:
        settings = EFFORTS[effort](place)
        for name in names:
            with console.status(f"{name} ..."):
                report.benchmarks[name] = BENCHMARKS[name](settings)
    console.print(table(report))
    output.mkdir(parents=True, exist_ok=True)
    report.write_json(output / "results.json")
    (output / "results.svg").write_text(svg(report), encoding="utf-8")
    if publishing:
        publish(report, DOCUMENTS)
    console.print(f"{len(report.missed)} targets missed; wrote {output}/results.json and .svg")
    if strict and report.missed:
        raise typer.Exit(1)


def _empty(effort: str) -> Report:
    return Report(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        effort=effort,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        versions={
            "Python": platform.python_version(),
            "rocksdict": version("rocksdict"),
            "LMDB": version("lmdb"),
            "SQLite": sqlite3.sqlite_version,
        },
        benchmarks={},
    )


@contextmanager
def _place(directory: Path | None) -> Iterator[Path]:
    """A fresh directory for the databases, removed at the end, however that comes."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="fastness-benchmarks-", dir=directory))
    try:
        yield place
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    typer.run(main)
