"""Rounds and what is computed from them: medians, percentiles, ratios.

Ratios are taken round by round and the median of them is judged: two contenders that play a
round each, one right after the other, meet the same noise, so their ratio is far steadier
than either figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

NS_PER_S = 1_000_000_000
NS_PER_US = 1_000


class Cpu(NamedTuple):
    """Processor time, all threads together."""

    client: float
    server: float


class Round(NamedTuple):
    """One round of one contender."""

    operations: int
    elapsed_ns: int
    latencies_ns: list[int]
    """One per operation where they were timed singly, else empty."""
    cpu_ns: Cpu | None = None
    """Processor time that it took, where a server is another process."""


class Spread(NamedTuple):
    """The middle and the edges of several measurements of one thing."""

    median: float
    least: float
    greatest: float


class Percentiles(NamedTuple):
    """Latencies in microseconds."""

    p50: float
    p99: float
    p999: float


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest of at least one value."""
    return Spread(median(values), min(values), max(values))


def percentile(ordered: Sequence[int], fraction: float) -> int:
    """The nearest-rank percentile: the least value with `fraction` of all at or below it.

    `ordered` is ascending and not empty; 0 < fraction <= 1.
    """
    rank = -(-len(ordered) * round(fraction * 1_000_000) // 1_000_000)
    return ordered[rank - 1]


@dataclass(slots=True)
class Series:
    """All rounds of one contender, in the order played."""

    name: str
    rounds: list[Round] = field(default_factory=list)

    def cost_us(self) -> Spread:
        """Microseconds per operation, over the rounds."""
        return spread([one.elapsed_ns / one.operations / NS_PER_US for one in self.rounds])

    def rate(self) -> Spread:
        """Operations per second, over the rounds."""
        return spread([one.operations * NS_PER_S / one.elapsed_ns for one in self.rounds])

    def percentiles(self) -> Percentiles | None:
        """Latencies over all rounds together; `None` where operations were not timed singly."""
        ordered = sorted(one for played in self.rounds for one in played.latencies_ns)
        if not ordered:
            return None
        p50, p99, p999 = (percentile(ordered, part) / NS_PER_US for part in (0.5, 0.99, 0.999))
        return Percentiles(p50, p99, p999)

    def cpu_us(self) -> Cpu | None:
        """Microseconds of processor time per operation; `None` where that was not measured."""
        known = [one.cpu_ns for one in self.rounds if one.cpu_ns is not None]
        if not known:
            return None
        operations = sum(one.operations for one in self.rounds if one.cpu_ns is not None)
        client, server = (sum(part) / operations / NS_PER_US for part in zip(*known, strict=True))
        return Cpu(client, server)


def p50_us(series: Series) -> Spread:
    """The median latency of each round, in microseconds; operations were timed singly."""
    return spread([median(one.latencies_ns) / NS_PER_US for one in series.rounds])


def p50_ratio(ours: Series, theirs: Series) -> Spread:
    """How many times their median latency ours is, round by round: lower is better for us."""
    return spread(
        [
            median(one.latencies_ns) / median(other.latencies_ns)
            for one, other in zip(ours.rounds, theirs.rounds, strict=True)
        ]
    )


def cost_ratio(ours: Series, theirs: Series) -> Spread:
    """How many times their cost ours is, round by round: lower is better for us."""
    return spread(
        [
            (one.elapsed_ns / one.operations) / (other.elapsed_ns / other.operations)
            for one, other in zip(ours.rounds, theirs.rounds, strict=True)
        ]
    )


def rate_ratio(ours: Series, theirs: Series) -> Spread:
    """How many times their throughput ours is, round by round: higher is better for us."""
    return spread(
        [
            (one.operations / one.elapsed_ns) / (other.operations / other.elapsed_ns)
            for one, other in zip(ours.rounds, theirs.rounds, strict=True)
        ]
    )
