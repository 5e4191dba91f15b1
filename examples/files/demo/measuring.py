"""Counts and latencies of operations, by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Measured:
    """What was measured of one operation; merged over workers."""

    latencies_s: list[float] = field(default_factory=list)
    """Of each operation that was done, its retries included."""
    attempts: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    """Operations the service refused, by the name of the error: answers like any other."""

    @property
    def operations(self) -> int:
        """How many were answered."""
        return len(self.latencies_s) + self.refusals.total()

    @property
    def retries(self) -> int:
        """Attempts beyond the first of each operation."""
        return self.attempts - self.operations

    def percentile_s(self, percent: float) -> float:
        """The latency that this share of the operations did not exceed; 0 for none."""
        ordered = sorted(self.latencies_s)
        if not ordered:
            return 0.0
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def add(self, other: Measured) -> None:
        """Take over what another worker measured."""
        self.latencies_s += other.latencies_s
        self.attempts += other.attempts
        self.refusals += other.refusals


Measures = defaultdict[str, Measured]


def no_measures() -> Measures:
    """Measures to be filled."""
    return defaultdict(Measured)


def merged(measures: list[Measures]) -> Measures:
    """The measures of all workers together."""
    everything = no_measures()
    for of_worker in measures:
        for name, measured in of_worker.items():
            everything[name].add(measured)
    return everything
