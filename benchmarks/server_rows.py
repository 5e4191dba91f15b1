"""Rows of Fastness beside every peer of a field, those that are missing included."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.clients.field import PEERS, Field
from benchmarks.rows import Row, Target, Unit, cost_row, missing_row, rate_row
from benchmarks.samples import Series

OURS = "Fastness"

Contest = Mapping[str, Series]
"""What a contest came to, by the contestant's name."""
Targets = Mapping[str, Target]
"""Bounds of the ratios, by the peer's name."""


def rates(what: str, found: Field, series: Contest, targets: Targets) -> list[Row]:
    """Operations per second."""

    def missing(peer: str) -> Row:
        ours, reason, target = series[OURS], found.missing[peer], targets.get(peer)
        return missing_row(what, ours, Unit.PER_SECOND, peer=peer, reason=reason, target=target)

    def measured(peer: str) -> Row:
        return rate_row(what, series[OURS], series[peer], target=targets.get(peer))

    return _rows(found, series, measured, missing)


def costs(what: str, found: Field, series: Contest, targets: Targets) -> list[Row]:
    """Microseconds per operation."""

    def missing(peer: str) -> Row:
        ours, reason, target = series[OURS], found.missing[peer], targets.get(peer)
        return missing_row(what, ours, Unit.MICROSECONDS, peer=peer, reason=reason, target=target)

    def measured(peer: str) -> Row:
        return cost_row(what, series[OURS], series[peer], target=targets.get(peer))

    return _rows(found, series, measured, missing)


def _rows(
    found: Field, series: Contest, measured: Callable[[str], Row], missing: Callable[[str], Row]
) -> list[Row]:
    rows = [measured(peer) for peer in PEERS if peer in series]
    return rows + [missing(peer) for peer in PEERS if peer in found.missing]
