"""Every figure a server shows: what it is called, what it means, and where it is read.

`MEASURES` is the one list: `/metrics` shows it, `docs/SERVER.md` has its table (written by
`python -m tools.server_reference`, held current by a test). Names follow Prometheus' conventions:
`fastness_`, the unit last, `_total` on what only rises. The number of series is bounded: tokens
beyond `TOKENS_SHOWN` are added up under the name `others`.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from importlib import metadata
from typing import NamedTuple

from fastness.node import Counts
from fastness.runtime.clock import Clock
from fastness.server.access import Access, Usage
from fastness.server.exposition import NO_LABELS, Family, Histogram, Kind, Sample
from fastness.server.gateway import GatewayCounts
from fastness.server.helps import NODE, NOW, TRANSPORT
from fastness.server.latencies import Latencies
from fastness.server.nodes import ServedNode
from fastness.server.store_watch import StoreTimes
from fastness.transport.counts import TransportCounts

TOKENS_SHOWN = 100
"""Tokens with series of their own: the first of the file."""

OTHERS = "others"


class Figures(NamedTuple):
    """Where everything is read."""

    server: ServedNode
    transport: TransportCounts
    latencies: Latencies
    store_times: StoreTimes
    loop_lag: Histogram
    accesses: Callable[[], list[Access]]
    """The accounts of tokens, their connections counted."""
    gateway: Callable[[], GatewayCounts | None]
    clock: Clock
    started_ns: int


class Measure(NamedTuple):
    """One figure: a name, what it is, its labels, and how it is read."""

    name: str
    kind: Kind
    help: str
    read: Callable[[Figures], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def families(figures: Figures) -> Iterator[Family]:
    """Everything, now."""
    for measure in MEASURES:
        yield Family(measure.name, measure.kind, measure.help, measure.read(figures))


def _plain(value: float) -> list[Sample]:
    return [Sample(NO_LABELS, value)]


# Build and process.


def _build(_figures: Figures) -> list[Sample]:
    labels = {"version": metadata.version("fastness"), "python": platform.python_version()}
    return [Sample(labels, 1)]


def _uptime(figures: Figures) -> list[Sample]:
    return _plain((figures.clock.boot_ns() - figures.started_ns) / 1e9)


def _ready(figures: Figures) -> list[Sample]:
    return _plain(int(figures.server.is_ready))


def _writes_refused(figures: Figures) -> list[Sample]:
    return _plain(int(figures.server.write_refusal is not None))


def _cpu(_figures: Figures) -> list[Sample]:
    return _plain(time.process_time())


def _requests(figures: Figures) -> list[Sample]:
    return [
        Sample({"request": name}, histogram)
        for name, histogram in figures.latencies.by_name.items()
    ]


# Tokens.


class Shown(NamedTuple):
    """The use of one token, or of the rest together."""

    name: str
    usage: Usage


def shown(accesses: list[Access]) -> list[Shown]:
    """Usage by token, of tokens of one name and of those beyond `TOKENS_SHOWN` together."""
    together: dict[str, Usage] = {}
    for access in accesses:
        full = len(together) >= TOKENS_SHOWN and access.name not in together
        name = OTHERS if full else access.name
        found = together.get(name)
        together[name] = access.usage if found is None else _sum(found, access.usage)
    return [Shown(name, usage) for name, usage in together.items()]


def _sum(one: Usage, other: Usage) -> Usage:
    added = {name: value + getattr(other, name) for name, value in asdict(one).items()}
    return Usage(**added)


def _of_tokens(field: str) -> Callable[[Figures], Iterable[Sample]]:
    def read(figures: Figures) -> Iterator[Sample]:
        for name, usage in shown(figures.accesses()):
            yield Sample({"token": name}, getattr(usage, field))

    return read


_TOKEN = (
    ("requests", Kind.COUNTER, "Requests let in, by token."),
    ("operations", Kind.COUNTER, "Keys and intervals named in requests let in, by token."),
    ("bytes_in", Kind.COUNTER, "Bytes of requests let in, by token."),
    ("bytes_out", Kind.COUNTER, "Bytes sent, by token."),
    ("refused", Kind.COUNTER, "Requests refused for lack of rights or for their rate, by token."),
    ("limited", Kind.COUNTER, "Of them, those refused for their rate, by token."),
    ("in_flight", Kind.GAUGE, "Requests being worked on, by token."),
    ("connections", Kind.GAUGE, "Open connections, by token."),
)


def _token_measures() -> Iterator[Measure]:
    for field, kind, text in _TOKEN:
        suffix = "_total" if kind is Kind.COUNTER else ""
        name = f"fastness_token_{field}{suffix}"
        yield Measure(name, kind, text, _of_tokens(field), ("token",))


# Counts of the node and of the transport.


def _of_node(field: str) -> Callable[[Figures], Iterable[Sample]]:
    return lambda figures: _plain(getattr(figures.server.counts, field))


def _of_transport(field: str) -> Callable[[Figures], Iterable[Sample]]:
    return lambda figures: _plain(getattr(figures.transport, field))


_RANGES = (
    ("fastness_commits_total", Kind.COUNTER, "commits", "Transactions committed."),
    ("fastness_commits_refused_total", Kind.COUNTER, "conflicts", "Commits refused: conflicts."),
    (
        "fastness_cache_invalidations_total",
        Kind.COUNTER,
        "invalidations",
        "Notices to clients that what they cached or watch is being written.",
    ),
    (
        "fastness_cache_leases",
        Kind.GAUGE,
        "cache_leases",
        "Clients that may serve what they cached, and those that watch.",
    ),
    (
        "fastness_cache_entries",
        Kind.GAUGE,
        "cache_entries",
        "Keys and intervals tracked for caches and watches.",
    ),
)


def _of_ranges(field: str) -> Callable[[Figures], Iterable[Sample]]:
    return lambda figures: _plain(getattr(figures.server.node.range_totals(), field))


def _range_measures() -> Iterator[Measure]:
    for name, kind, field, text in _RANGES:
        yield Measure(name, kind, text, _of_ranges(field))


# The part of a cluster that this node is.


def _ranges_held(figures: Figures) -> list[Sample]:
    return _plain(len(figures.server.node.leaseholders))


def _is_oracle(figures: Figures) -> list[Sample]:
    return _plain(int(figures.server.node.is_oracle))


def _stores_unusable(figures: Figures) -> list[Sample]:
    stores = figures.server.node.store_reports()
    return [Sample({"store": one.name}, int(bool(one.problem or one.refusal))) for one in stores]


def _node_measures() -> Iterator[Measure]:
    for field in fields(Counts):
        name = f"fastness_node_{field.name}_total"
        yield Measure(name, Kind.COUNTER, NODE[field.name], _of_node(field.name))


def _transport_measures() -> Iterator[Measure]:
    for field in fields(TransportCounts):
        kind = Kind.GAUGE if field.name in NOW else Kind.COUNTER
        suffix = "_total" if kind is Kind.COUNTER else ""
        name = f"fastness_transport_{field.name}{suffix}"
        yield Measure(name, kind, TRANSPORT[field.name], _of_transport(field.name))


# The store.


def _store(field: str) -> Callable[[Figures], Iterable[Sample]]:
    """None while it is being opened again, so that the others show."""

    def read(figures: Figures) -> list[Sample]:
        store = figures.server.store_figures()
        return [] if store is None else _plain(getattr(store, field))

    return read


# The gateway, where there is one.


def _answers(figures: Figures) -> list[Sample]:
    counts = figures.gateway()
    if counts is None:
        return []
    return [Sample({"status": str(one)}, number) for one, number in sorted(counts.answers.items())]


def _operations(figures: Figures) -> list[Sample]:
    counts = figures.gateway()
    if counts is None:
        return []
    return [Sample({"operation": one}, times) for one, times in sorted(counts.seconds.items())]


def _of_gateway(field: str) -> Callable[[Figures], list[Sample]]:
    def read(figures: Figures) -> list[Sample]:
        counts = figures.gateway()
        return [] if counts is None else _plain(getattr(counts, field))

    return read


_GATEWAY = (
    Measure(
        "fastness_gateway_answers_total",
        Kind.COUNTER,
        "Answers over HTTP, by status.",
        _answers,
        ("status",),
    ),
    Measure(
        "fastness_gateway_request_seconds",
        Kind.HISTOGRAM,
        "How long requests over HTTP took, by operation; `watch` waits.",
        _operations,
        ("operation",),
    ),
    Measure(
        "fastness_gateway_connections",
        Kind.GAUGE,
        "Open connections of the gateway.",
        _of_gateway("connections"),
    ),
    Measure(
        "fastness_gateway_clients",
        Kind.GAUGE,
        "Tokens for which the gateway keeps a client.",
        _of_gateway("clients"),
    ),
    Measure(
        "fastness_gateway_held_bytes",
        Kind.GAUGE,
        "Bodies, and answers that nobody has read, in memory.",
        _of_gateway("held_bytes"),
    ),
)


MEASURES: tuple[Measure, ...] = (
    Measure("fastness_build_info", Kind.GAUGE, "1, with versions.", _build, ("version", "python")),
    Measure("fastness_uptime_seconds", Kind.GAUGE, "Since the server started.", _uptime),
    Measure(
        "fastness_ready",
        Kind.GAUGE,
        "Whether every range is served and timestamps are issued.",
        _ready,
    ),
    Measure(
        "fastness_writes_refused",
        Kind.GAUGE,
        "Whether the store takes no writes, as on a full disk; reads go on.",
        _writes_refused,
    ),
    Measure("fastness_process_cpu_seconds_total", Kind.COUNTER, "Processor time used.", _cpu),
    Measure(
        "fastness_loop_lag_seconds",
        Kind.HISTOGRAM,
        "How late timers of the event loop ran: what every request waits on top.",
        lambda figures: [Sample(NO_LABELS, figures.loop_lag)],
    ),
    Measure(
        "fastness_request_seconds",
        Kind.HISTOGRAM,
        "From the admission of a request to its answer, by kind.",
        _requests,
        ("request",),
    ),
    Measure(
        "fastness_slow_requests_total",
        Kind.COUNTER,
        "Requests that took log.slow_ms or longer.",
        lambda figures: _plain(figures.latencies.slow),
    ),
    Measure(
        "fastness_store_wait_seconds",
        Kind.HISTOGRAM,
        "How long batches and other writes waited for the store's thread.",
        lambda figures: [Sample(NO_LABELS, figures.store_times.waits)],
    ),
    Measure(
        "fastness_store_apply_seconds",
        Kind.HISTOGRAM,
        "How long the store took to apply a batch, without making it durable.",
        lambda figures: [Sample(NO_LABELS, figures.store_times.applies)],
    ),
    Measure(
        "fastness_store_sync_seconds",
        Kind.HISTOGRAM,
        "How long the store took to make batches durable (fsync).",
        lambda figures: [Sample(NO_LABELS, figures.store_times.syncs)],
    ),
    Measure("fastness_store_disk_bytes", Kind.GAUGE, "Size on the disk.", _store("bytes_on_disk")),
    Measure("fastness_store_keys", Kind.GAUGE, "Keys, estimated.", _store("newest_keys")),
    Measure(
        "fastness_store_old_versions",
        Kind.GAUGE,
        "Overwritten versions kept, estimated.",
        _store("history_versions"),
    ),
    *_range_measures(),
    Measure("fastness_ranges", Kind.GAUGE, "Ranges this node serves.", _ranges_held),
    Measure(
        "fastness_oracle",
        Kind.GAUGE,
        "Whether this node issues timestamps: one of a cluster does.",
        _is_oracle,
    ),
    Measure(
        "fastness_store_unusable",
        Kind.GAUGE,
        "Whether a store cannot be reached from this node, or takes no writes, by store.",
        _stores_unusable,
        ("store",),
    ),
    *_token_measures(),
    *_node_measures(),
    *_transport_measures(),
    *_GATEWAY,
)
"""Every figure, in the order it is shown."""
