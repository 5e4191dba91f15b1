"""`python -m benchmarks`: measure, print the table, write JSON and the chart."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import chart, comparison, juicefs, publication
from benchmarks.catalogue import BENCHMARKS, FAMILIES
from benchmarks.report import Report, read_json, table
from benchmarks.servers import MISSING
from benchmarks.settings import EFFORTS, Settings
from benchmarks.versions import versions

OUTPUT = Path("build/benchmarks")
DOCUMENTS = Path("docs")
WIDTH = 230
TERMINATED = 143
"""Columns of the table, also where the terminal says it has fewer."""

Only = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Run only this one, or these: {', '.join(BENCHMARKS)}; "
        f"or a family: {', '.join(FAMILIES)}."
    ),
]
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the data, a third of the rounds.")]
Tiny = Annotated[bool, typer.Option("--tiny", help="Seconds that measure nothing: a self-test.")]
Directory = Annotated[
    Path | None, typer.Option(help="Write the databases below this; else below the temporary one.")
]
Tree = Annotated[Path | None, typer.Option(help="The directory tree to load; else /usr.")]
Output = Annotated[Path, typer.Option(help="Where results.json and results.svg are written.")]
Results = Annotated[
    Path | None, typer.Option("--from", help="Measure nothing: show this results.json again.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when a target is missed.")]
Publish = Annotated[
    bool, typer.Option("--publish", help="Put table, chart and JSON into the documents as well.")
]
Documents = Annotated[Path, typer.Option(help="Where --publish finds BENCHMARKS.md.")]


def main(  # noqa: PLR0913 - the options of a command
    *,
    only: Only = None,
    quick: Quick = False,
    tiny: Tiny = False,
    directory: Directory = None,
    tree: Tree = None,
    output: Output = OUTPUT,
    results: Results = None,
    publish: Publish = False,
    documents: Documents = DOCUMENTS,
    strict: Strict = False,
) -> None:
    """Measure Fastness beside its peers, embedded and over sockets, as ratios in one run."""
    # As with Ctrl-C the stack unwinds, and the servers that were started are stopped.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(TERMINATED))
    console = Console(width=max(Console().width, WIDTH))
    file = results or output / "results.json"
    if results is None:
        effort = "tiny" if tiny else "quick" if quick else "full"
        with _place(directory) as place:
            settings = EFFORTS[effort](place)
            if tree is not None:
                settings = replace(settings, tree=tree)
            names = _chosen(only)
            _measure(names, settings, _empty(effort, versions(names)), file, console)
    report = read_json(file)
    _show(report, console)
    file.with_suffix(".svg").write_text(chart.svg(report), encoding="utf-8")
    if "server" in publication.parts_of(report):
        beside = file.with_name(f"{file.stem}-server.svg")
        beside.write_text(comparison.svg(publication.parts_of(report)["server"]), encoding="utf-8")
    console.print(f"{len(report.missed)} targets missed; see {file} and .svg")
    if publish:
        publication.publish(report, documents)
        console.print(f"published in {documents / publication.PAGE}")
    if strict and report.missed:
        raise typer.Exit(1)


def _chosen(only: list[str] | None) -> list[str]:
    """The names to run, each once, in the order given, else in that of the catalogue."""
    chosen: dict[str, None] = {}
    for name in only or FAMILIES:
        if name not in BENCHMARKS and name not in FAMILIES:
            known = ", ".join([*FAMILIES, *BENCHMARKS])
            raise typer.BadParameter(f"--only {name}: there are {known}")
        chosen.update(dict.fromkeys(FAMILIES.get(name, [name])))
    return list(chosen)


def _measure(
    names: list[str], settings: Settings, report: Report, file: Path, console: Console
) -> None:
    """Run the benchmarks; after each, what is known so far is on disk."""
    if report.warning:
        console.print(report.warning, style="bold yellow")
    file.parent.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, 1):
        with console.status(f"{name} ({number} of {len(names)}) ..."):
            try:
                report.benchmarks[name] = BENCHMARKS[name](settings)
            except MISSING as missing:
                # One that has no other contender; the others go on.
                console.print(f"{name} was not measured: {missing}", style="bold yellow")
        report.write_json(file)


def _show(report: Report, console: Console) -> None:
    """The tables, and what speaks against them."""
    console.print(table(report))
    beside = juicefs.table(report)
    if beside is not None:
        console.print(beside)
    if report.warning:
        console.print(report.warning, style="bold yellow")


def _empty(effort: str, used: dict[str, str]) -> Report:
    return Report(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        effort=effort,
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        load=round(os.getloadavg()[0], 2),
        versions=used,
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
