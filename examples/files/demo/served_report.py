"""What the demo tells of the time behind a server: in words, as a table of its metrics, as data."""

from __future__ import annotations

from rich.table import Table

from examples.files.demo.metrics import Histogram
from examples.files.demo.serving import Served

REQUESTS, SYNCS = "fastness_request_seconds", "fastness_store_sync_seconds"
COMMITS, BATCHES = "fastness_commits_total", "fastness_node_batches_total"
REFUSED, NOTICES = "fastness_commits_refused_total", "fastness_cache_invalidations_total"
_QUANTILES = (0.5, 0.99)


def served_lines(served: Served) -> list[tuple[str, str]]:
    """A heading and a sentence for each thing worth knowing."""
    return [("Served", _done(served)), ("", _kills(served)), ("Cached", _cached(served))]


def _done(served: Served) -> str:
    rate = served.operations / max(served.seconds, 1e-9)
    return (
        f"{served.operations:,} operations by {served.processes} client processes in "
        f"{served.seconds:.1f} s, deaths of the server included: [bold]{rate:,.0f} "
        f"operations/s[/]; {served.total('retries'):,} retries, no operation given up"
    )


def _kills(served: Served) -> str:
    back = ", ".join(f"{seconds:.1f} s" for seconds in served.back_s)
    return (
        f"SIGKILL for the server {len(served.back_s)} times amid them, served again after "
        f"{back}; {served.acknowledged:,} acknowledged writes: {_kept(served)}"
    )


def _cached(served: Served) -> str:
    reads = served.total("hits") + served.total("misses")
    return (
        f"{served.hit_share:.0%} of {reads:,} reads of near caches never left their process; "
        f"{served.total('audited'):,} entries compared with the truth: consistency ratio "
        f"{_ratio(served)}; {served.total('looks'):,} looks at all ledgers, none went back"
    )


def _kept(served: Served) -> str:
    if served.problems:
        return "[bold red]problems, see below[/]"
    return "every one there, each applied once"


def _ratio(served: Served) -> str:
    return "[bold]1[/]" if served.ratio == 1 else f"[bold red]{served.ratio:.6f}[/]"


def metrics_table(served: Served) -> Table:
    """The server's own figures, of all its lives."""
    metrics = served.metrics
    table = Table(box=None, pad_edge=False)
    table.add_column("the server's /metrics")
    for heading in ("answered", *(f"p{share * 100:g} ms" for share in _QUANTILES)):
        table.add_column(heading, justify="right")
    for label in metrics.labels_of(REQUESTS):
        table.add_row(label, *_figures(metrics.histogram(REQUESTS, label)))
    table.add_row("fsync of batches", *_figures(metrics.histogram(SYNCS)))
    return table


def _figures(histogram: Histogram) -> list[str]:
    quantiles = [f"{histogram.quantile_s(share) * 1e3:.2f}" for share in _QUANTILES]
    return [f"{histogram.count:,}", *quantiles]


def metrics_line(served: Served) -> str:
    """Sizes of batches, and the price of caches."""
    metrics = served.metrics
    commits, batches = metrics.counter(COMMITS), metrics.counter(BATCHES)
    taken, lost = served.total("invalidations"), served.total("leases_lost")
    return (
        f"{commits:,} commits in {batches:,} batches, {commits / max(batches, 1):.1f} each; "
        f"{metrics.counter(REFUSED):,} refused; {metrics.counter(NOTICES):,} notices took "
        f"{taken:,} entries out of caches; {lost:,} cache leases lost"
    )


def served_document(served: Served) -> dict[str, object]:
    """The same for programs."""
    metrics = served.metrics
    return {
        "processes": served.processes,
        "operations": served.operations,
        "seconds": round(served.seconds, 3),
        "kills": len(served.back_s),
        "acknowledged": served.acknowledged,
        "cache_hits": served.total("hits"),
        "cache_misses": served.total("misses"),
        "audited": served.total("audited"),
        "consistency_ratio": served.ratio,
        "commits": metrics.counter(COMMITS),
        "batches": metrics.counter(BATCHES),
        "invalidations": metrics.counter(NOTICES),
        "requests": {
            label: {
                "count": histogram.count,
                "p50_ms": round(histogram.quantile_s(0.5) * 1e3, 3),
                "p99_ms": round(histogram.quantile_s(0.99) * 1e3, 3),
            }
            for label in metrics.labels_of(REQUESTS)
            for histogram in [metrics.histogram(REQUESTS, label)]
        },
    }
