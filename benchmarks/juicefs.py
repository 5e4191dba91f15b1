"""The files service beside the metadata engines of JuiceFS, as its project published them.

The figures are copied from the page "Metadata Engines Benchmark" of JuiceFS's documentation
(JuiceFS 1.1 beta, Go benchmark, microseconds per operation): engines and clients on hosts
of their own with 4 CPUs, so every operation of theirs holds at least one round trip over a
network, and TiKV and etcd commit to three hosts. Ours is embedded, on the machine of the run. So
the table places the service among orders of magnitude; it is no race, and has no target.
"""

from __future__ import annotations

from rich.table import Table

from benchmarks.report import Report, digits
from benchmarks.rows import Row

SOURCE = "https://juicefs.com/docs/community/metadata_engines_benchmark/"

MKDIR = "mkdir"
RENAME = "rename"
LOOKUP = "lookup"
GETATTR = "getattr"
LIST = "list of 1,000"

ENGINES = ("Redis, always synced", "TiKV", "FoundationDB", "etcd", "MySQL")
PUBLISHED_US = {
    MKDIR: (558, 1_237, 1_847, 1_916, 2_042),
    RENAME: (728, 1_419, 2_197, 2_445, 2_735),
    LOOKUP: (173, 608, 1_067, 1_054, 557),
    GETATTR: (87, 306, 528, 536, 530),
    LIST: (1_490, 5_834, 143_025, 15_809, 18_779),
}
"""By operation, in the order of `ENGINES`; LIST is `readdir_1k` there."""

TITLE = "Microseconds per operation, beside what JuiceFS published of its metadata engines"
HEADINGS = ("operation", "Fastness", *ENGINES)
BENCHMARK = "files"


def named(operation: str) -> str:
    """What the row of an operation is called in a report."""
    return f"files: {operation}"


def lines(report: Report) -> list[tuple[str, ...]]:
    """A line for each operation the report measured and JuiceFS published."""
    measured: dict[str, Row] = {row.what: row for row in report.benchmarks.get(BENCHMARK, [])}
    return [
        (operation, digits(measured[named(operation)].figure), *map(digits, published))
        for operation, published in PUBLISHED_US.items()
        if named(operation) in measured
    ]


def table(report: Report) -> Table | None:
    """The lines for a terminal; `None` where the report has none."""
    told = lines(report)
    if not told:
        return None
    shown = Table(title=TITLE, title_justify="left", caption=SOURCE, caption_justify="left")
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading == HEADINGS[0] else "right")
    for line in told:
        shown.add_row(*line)
    return shown


def markdown(report: Report) -> str:
    """The lines for the documents, with their title; empty where the report has none."""
    told = lines(report)
    if not told:
        return ""
    head = [f"{TITLE} ([source]({SOURCE})):", ""]
    head += ["| " + " | ".join(HEADINGS) + " |", "|---|" + "---:|" * (len(HEADINGS) - 1)]
    return "\n".join([*head, *("| " + " | ".join(line) + " |" for line in told)]) + "\n"
