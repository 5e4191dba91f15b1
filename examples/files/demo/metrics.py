"""What a server tells of itself at `/metrics`, added up over its lives, and made readable.

Counters begin again with every start, so that what is read before each end is added up, as a
collector does. A quantile is taken from a histogram as Prometheus takes it: the bucket is found,
and within it values are taken to lie evenly.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

_LINE = re.compile(r"^(?P<name>\w+?)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Place = tuple[str, str]
"""A name and the value of its one label, empty where it has none."""


@dataclass(slots=True)
class Histogram:
    """How often something took up to so many seconds, cumulated as it is told."""

    buckets: Counter[float] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How often in all."""
        return self.buckets[float("inf")]

    def quantile_s(self, share: float) -> float:
        """The seconds that this share of them did not exceed; 0 for none."""
        rank = share * self.count
        low, below = 0.0, 0
        for bound, count in sorted(self.buckets.items()):
            if count >= rank and count > below:
                if bound == float("inf"):
                    return low
                return low + (bound - low) * (rank - below) / (count - below)
            low, below = bound, count
        return 0.0


@dataclass(slots=True)
class Metrics:
    """Counters, and histograms, by name and label."""

    counters: Counter[Place] = field(default_factory=Counter)
    histograms: dict[Place, Histogram] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read what `/metrics` answers."""
        found = cls()
        for line in text.splitlines():
            match = _LINE.match(line)
            if match is not None and not line.startswith("#"):
                found._take(
                    match["name"], dict(_LABEL.findall(match["labels"] or "")), match["value"]
                )
        return found

    def _take(self, name: str, labels: dict[str, str], value: str) -> None:
        bound = labels.pop("le", None)
        place = (name.removesuffix("_bucket"), next(iter(labels.values()), ""))
        if bound is not None:
            histogram = self.histograms.setdefault(place, Histogram())
            histogram.buckets[float(bound)] += int(value)
        elif name.endswith("_total"):
            self.counters[place] += float(value)  # type: ignore[assignment]  # Counters of floats add up as well

    def add(self, later: Metrics) -> None:
        """And what a later life has counted."""
        self.counters += later.counters
        for place, histogram in later.histograms.items():
            self.histograms.setdefault(place, Histogram()).buckets += histogram.buckets

    def counter(self, name: str) -> int:
        """One without labels."""
        return round(self.counters[name, ""])

    def histogram(self, name: str, label: str = "") -> Histogram:
        """One by its name and label; empty where there is none."""
        return self.histograms.get((name, label), Histogram())

    def labels_of(self, name: str) -> list[str]:
        """Labels of a histogram for which anything was counted, the most frequent first."""
        counts = {
            label: one.count for (known, label), one in self.histograms.items() if known == name
        }
        return sorted(
            (label for label, count in counts.items() if count), key=lambda one: -counts[one]
        )
