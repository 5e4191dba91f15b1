"""Figures for Prometheus: histograms, and the text format in which a server is asked for them.

The format is Prometheus' text exposition 0.0.4, which every collector reads. The figures
themselves are plain integers that their owners count; they are read when somebody asks. Nothing
here takes a lock: everything runs on one loop.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (
    0.00001,
    0.000025,
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    1.0,
    10.0,
)
"""Upper bounds of what is measured in seconds: from a read out of memory to a dying disk."""

_BOUNDS_NS = tuple(round(bound * 1e9) for bound in SECONDS)


class Kind(StrEnum):
    """What a figure does."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Histogram:
    """How long something took, in buckets that any number of servers can be added up by."""

    __slots__ = ("counts", "sum_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS_NS) + 1)
        """How many took up to each bound and longer than the one before; at the end, the rest."""
        self.sum_ns = 0

    def record(self, nanoseconds: int) -> None:
        """It took this long."""
        self.counts[bisect_left(_BOUNDS_NS, nanoseconds)] += 1
        self.sum_ns += nanoseconds

    @property
    def total(self) -> int:
        """How often it happened."""
        return sum(self.counts)


Labels = Mapping[str, str]
NO_LABELS: Labels = {}


class Sample(NamedTuple):
    """One figure of a family, under its labels."""

    labels: Labels
    value: float | Histogram


class Family(NamedTuple):
    """Figures of one name. The name ends in the unit, and in `_total` if it only rises."""

    name: str
    kind: Kind
    help: str
    samples: Iterable[Sample]


def exposed(families: Iterable[Family]) -> str:
    """The text that a collector is given."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped_help(family.help)}"
    yield f"# TYPE {family.name} {family.kind.value}"
    for labels, value in family.samples:
        if isinstance(value, Histogram):
            yield from _histogram_lines(family.name, labels, value)
        else:
            yield f"{family.name}{_written(labels)} {_number(value)}"


def _histogram_lines(name: str, labels: Labels, histogram: Histogram) -> Iterator[str]:
    below = 0
    for bound, count in zip(SECONDS, histogram.counts, strict=False):
        below += count
        yield f"{name}_bucket{_written({**labels, 'le': _number(bound)})} {below}"
    total = histogram.total
    yield f"{name}_bucket{_written({**labels, 'le': '+Inf'})} {total}"
    yield f"{name}_sum{_written(labels)} {_number(histogram.sum_ns / 1e9)}"
    yield f"{name}_count{_written(labels)} {total}"


def _written(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + pairs + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _escaped_help(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
