"""What the demo of a cluster tells: its members, the blows and how they were borne, the figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fastness.laptop.cluster import LaptopCluster
from fastness.laptop.survey import survey

if TYPE_CHECKING:
    from examples.files.cluster.run import Results


def print_members(console: Console, cluster: LaptopCluster) -> None:
    """A line for each member."""
    table = Table(box=None, pad_edge=False)
    for heading in ("member", "role", "state", "clients"):
        table.add_column(heading)
    for heading in ("pid", "MB"):
        table.add_column(heading, justify="right")
    for one in survey(cluster):
        memory = f"{one.memory_bytes / 1e6:.0f}"
        pid = str(one.pids[0]) if one.pids else ""
        table.add_row(one.name, one.role, one.state, one.address, pid, memory)
    console.print(table)


def print_report(console: Console, results: Results) -> None:
    """Everything that was found."""
    console.print()
    console.print(_blows(results))
    console.print()
    for heading, text in _lines(results):
        console.print(f"[bold]{heading:<9}[/]{text}")
    failures = results.failures()
    for failure in failures:
        console.print(f"[red]{escape(failure)}[/]")
    console.print(
        "[bold red]Not everything is right[/]"
        if failures
        else "[bold green]Every check passed[/]: no acknowledged write was lost, none came twice"
    )


def _blows(results: Results) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("SIGKILL for")
    for heading in ("space 1 stood still", "space 2 stood still", "whole again after"):
        table.add_column(heading, justify="right")
    for blow in results.blows:
        stood = [f"{seconds:.1f} s" for seconds in blow.standstill_s]
        table.add_row(f"{blow.what} ({blow.member})", *stood, f"{blow.whole_s:.1f} s")
    return table


def _lines(results: Results) -> list[tuple[str, str]]:
    served = results.served
    operations = sum(one.operations for one in served)
    hits = sum(one.total("hits") for one in served)
    reads = hits + sum(one.total("misses") for one in served)
    audited, stale = (sum(one.total(name) for one in served) for name in ("audited", "stale"))
    entries = ", ".join(f"{one.entries:,}" for one in results.checked)
    seconds = max((one.seconds for one in served), default=0.0)
    loaded = (
        f"{results.loaded:,} entries, {results.loaded / max(results.loaded_s, 1e-9):,.0f} a second"
    )
    sizes = ", ".join(f"{size / 1e6:.0f} MB" for size in results.store_bytes)
    processes, kept = (
        sum(getattr(one, name) for one in served) for name in ("processes", "acknowledged")
    )
    worked = f"{operations:,} operations by {processes} client processes in {seconds:.0f} s"
    share = f"{hits / max(reads, 1):.0%} of {reads:,} reads never left their process"
    return [
        ("Up", f"etcd, PostgreSQL and nodes, as processes, in {results.up_s:.0f} s"),
        ("Loaded", f"{loaded}; the stores hold {sizes}"),
        ("Worked", f"{worked}, deaths included; {kept:,} acknowledged writes asked for"),
        ("Cached", f"{share}; {audited:,} entries audited, {stale} stale"),
        ("Checked", f"{entries} entries: trees, names, listings, counters, journals"),
    ]
