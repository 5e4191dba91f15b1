"""Puts a run into the documents: figures, charts, and the tables of docs/BENCHMARKS.md.

From the costs of a cluster also come the plans of docs/CAPACITY.md.

Each family of benchmarks has a part of the page, between two markers, and files of its own. What
a run did not measure of a family is gone afterwards; a family it did not touch stays. The rest of
the page is prose, and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from benchmarks import capacity_page, chart, comparison, juicefs
from benchmarks.catalogue import FAMILIES
from benchmarks.report import Report, markdown

PAGE = "BENCHMARKS.md"
CAPACITY = "CAPACITY.md"
"""What is planned with the costs of a cluster."""
END = "<!-- end of what is written -->"
FILES = {
    "embedded": "benchmarks",
    "server": "benchmarks-server",
    "cluster": "benchmarks-cluster",
}
"""What the files of a family are called, before their endings."""


def begin(family: str) -> str:
    """The line after which the part of a family is written."""
    return f"<!-- written by: python -m benchmarks --only {family} --publish -->"


def parts_of(report: Report) -> dict[str, Report]:
    """The report cut into one for each family that it measured."""
    cut = {
        family: {name: rows for name, rows in report.benchmarks.items() if name in members}
        for family, members in FAMILIES.items()
    }
    return {family: replace(report, benchmarks=found) for family, found in cut.items() if found}


def publish(report: Report, documents: Path) -> None:
    """Write figures, charts and tables; `ValueError` where the page lacks a family's markers."""
    page = documents / PAGE
    text = page.read_text(encoding="utf-8")
    for family, part in parts_of(report).items():
        text = replaced(text, summary(part, family), family)
    for family, part in parts_of(report).items():
        part.write_json(documents / f"{FILES[family]}.json")
        for one in charts(family):
            (documents / one.file).write_text(one.draw(part), encoding="utf-8")
        _publish_plans(part, documents / CAPACITY)
    page.write_text(text, encoding="utf-8")


def _publish_plans(part: Report, page: Path) -> None:
    """Write what follows for the size of a cluster, where its costs were measured."""
    plans = capacity_page.markdown(part)
    if plans:
        text = page.read_text(encoding="utf-8")
        inside = f"{measured(part)}\n{plans}"
        page.write_text(replaced(text, inside, "cluster"), encoding="utf-8")


class Chart(NamedTuple):
    """A drawing of a family: its file, what it shows, and how it is drawn."""

    file: str
    shows: str
    draw: Callable[[Report], str]


def charts(family: str) -> list[Chart]:
    """The drawings of a family."""
    stem, reached = FILES[family], "How far each target is reached"
    if family == "server":
        return [
            Chart(f"{stem}.svg", "The server beside its peers", comparison.svg),
            Chart(f"{stem}-targets.svg", reached, chart.svg),
        ]
    return [Chart(f"{stem}.svg", reached, chart.svg)]


def measured(report: Report) -> str:
    """When and where a run was, and what speaks against it."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    told = f"Measured {report.started}, {report.effort} run, on {report.machine} ({versions}).\n"
    return f"{told}\n**{report.warning}**\n" if report.warning else told


def summary(report: Report, family: str) -> str:
    """What the page says of a family's run: when and where it was, the tables, the charts."""
    images = [f"![{one.shows}]({one.file})\n" for one in charts(family)]
    parts = [
        measured(report),
        markdown(report),
        *images,
        juicefs.markdown(report),
    ]
    return "\n".join(part for part in parts if part)


def replaced(page: str, inside: str, family: str) -> str:
    """The page with `inside` between the markers of a family."""
    before, opening, rest = page.partition(begin(family))
    _old, closing, after = rest.partition(END)
    if not opening or not closing:
        raise ValueError(f"the page needs the lines {begin(family)!r} and {END!r}, in this order")
    return f"{before}{opening}\n\n{inside}\n{END}{after}"
