"""What a benchmark answers: rows of figures, ratios and targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from benchmarks.contests import Timed
from benchmarks.samples import (
    Cpu,
    Percentiles,
    Series,
    Spread,
    cost_ratio,
    p50_ratio,
    p50_us,
    rate_ratio,
)
from benchmarks.settings import Settings


class Unit(StrEnum):
    """What a figure counts. Rates and shares are better high, everything else low."""

    MICROSECONDS = "us"
    PER_SECOND = "/s"
    MEGABYTES = "MB"
    SECONDS = "s"
    SHARE = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A bound of the ratio to the peer, or of the figure where there is no peer."""

    bound: float
    at_least: bool = False

    def reached_by(self, value: float) -> bool:
        """Whether `value` keeps to the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


def at_most(bound: float) -> Target:
    """Lower is better."""
    return Target(bound)


def at_least(bound: float) -> Target:
    """Higher is better."""
    return Target(bound, at_least=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison: Fastness, one peer, and whether the target is reached."""

    what: str
    unit: Unit
    figure: float
    percentiles: Percentiles | None = None
    peer: str = ""
    peer_figure: float | None = None
    peer_percentiles: Percentiles | None = None
    ratio: Spread | None = None
    """Cost to cost, or rate to rate; the figure's own spread is `None` for single shots."""
    target: Target | None = None
    """A bound of the ratio where there is a peer, else of the figure."""
    cpu: Cpu | None = None
    """Microseconds of processor time of an operation, in the client and in the server."""
    peer_cpu: Cpu | None = None
    missing: str = ""
    """Why the peer could not be measured; empty where it was, or where there is none."""

    @property
    def judged(self) -> float:
        """The value the target bounds."""
        return self.figure if self.ratio is None else self.ratio.median

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; `None` where there is none, or nothing to judge by."""
        if self.target is None or self.missing:
            return None
        return self.target.reached_by(self.judged)


Measure = Callable[[Settings], list[Row]]
"""A benchmark: does its work below `settings.directory` and answers rows."""


def cost_row(
    what: str,
    ours: Series,
    theirs: Series,
    *,
    target: Target | None = None,
    percentiles: Percentiles | None = None,
    peer_percentiles: Percentiles | None = None,
) -> Row:
    """A row of microseconds per operation."""
    return Row(
        what=what,
        unit=Unit.MICROSECONDS,
        figure=ours.cost_us().median,
        percentiles=percentiles or ours.percentiles(),
        peer=theirs.name,
        peer_figure=theirs.cost_us().median,
        peer_percentiles=peer_percentiles or theirs.percentiles(),
        ratio=cost_ratio(ours, theirs),
        target=target,
        cpu=ours.cpu_us(),
        peer_cpu=theirs.cpu_us(),
    )


def median_row(what: str, ours: Series, theirs: Series, *, target: Target | None = None) -> Row:
    """A row of median latencies: how long one waits, however many wait beside it."""
    return replace(
        cost_row(what, ours, theirs, target=target),
        figure=p50_us(ours).median,
        peer_figure=p50_us(theirs).median,
        ratio=p50_ratio(ours, theirs),
    )


def timed_row(what: str, ours: Timed, theirs: Timed, *, target: Target | None = None) -> Row:
    """A row of microseconds per operation, whose latencies were taken in rounds of their own."""
    return cost_row(
        what,
        ours.series,
        theirs.series,
        target=target,
        percentiles=ours.percentiles,
        peer_percentiles=theirs.percentiles,
    )


def ceiling_row(what: str, ours: Series, *, target: Target) -> Row:
    """A row of microseconds per operation that has no peer: the figure itself is bounded."""
    return Row(
        what=what,
        unit=Unit.MICROSECONDS,
        figure=ours.cost_us().median,
        percentiles=ours.percentiles(),
        target=target,
    )


def rate_row(what: str, ours: Series, theirs: Series, *, target: Target | None = None) -> Row:
    """A row of operations per second."""
    return Row(
        what=what,
        unit=Unit.PER_SECOND,
        figure=ours.rate().median,
        percentiles=ours.percentiles(),
        peer=theirs.name,
        peer_figure=theirs.rate().median,
        peer_percentiles=theirs.percentiles(),
        ratio=rate_ratio(ours, theirs),
        target=target,
        cpu=ours.cpu_us(),
        peer_cpu=theirs.cpu_us(),
    )


def missing_row(
    what: str, ours: Series, unit: Unit, *, peer: str, reason: str, target: Target | None = None
) -> Row:
    """A row whose peer could not be measured."""
    spread = ours.rate() if unit is Unit.PER_SECOND else ours.cost_us()
    return Row(
        what=what,
        unit=unit,
        figure=spread.median,
        percentiles=ours.percentiles(),
        peer=peer,
        target=target,
        cpu=ours.cpu_us(),
        missing=reason,
    )


def floor_row(what: str, ours: Series, *, target: Target) -> Row:
    """A row of operations per second that has no peer: the figure itself is bounded."""
    return Row(
        what=what,
        unit=Unit.PER_SECOND,
        figure=ours.rate().median,
        percentiles=ours.percentiles(),
        target=target,
    )
