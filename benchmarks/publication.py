"""Puts a run into the documents: docs/benchmarks.json, docs/benchmarks.svg, docs/BENCHMARKS.md.

The page keeps its prose; what stands between its two markers is replaced.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import juicefs
from benchmarks.chart import svg
from benchmarks.report import Report, markdown

BEGIN = "<!-- written by: python -m benchmarks --publish -->"
PAGE = "BENCHMARKS.md"
CHART = "benchmarks.svg"
FIGURES = "benchmarks.json"
END = "<!-- end of what is written -->"


def publish(report: Report, documents: Path) -> None:
    """Write the report, the chart and the table; `ValueError` where the page has no markers."""
    page = documents / PAGE
    text = replaced(page.read_text(encoding="utf-8"), summary(report))
    report.write_json(documents / FIGURES)
    (documents / CHART).write_text(svg(report), encoding="utf-8")
    page.write_text(text, encoding="utf-8")


def summary(report: Report) -> str:
    """What the page says of the run: when and where it was, the tables, the chart."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    parts = [
        f"Measured {report.started}, {report.effort} run, on {report.machine} ({versions}).\n",
        f"**{report.warning}**\n" if report.warning else "",
        markdown(report),
        f"![How far each target is reached]({CHART})\n",
        juicefs.markdown(report),
    ]
    return "\n".join(part for part in parts if part)


def replaced(page: str, inside: str) -> str:
    """The page with `inside` between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}, in this order")
    return f"{before}{BEGIN}\n\n{inside}\n{END}{after}"
