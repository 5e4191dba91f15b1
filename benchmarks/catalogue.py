"""The benchmarks by name, in the order they run."""

from __future__ import annotations

from benchmarks.commits import many_writers, one_writer
from benchmarks.reads import point_reads
from benchmarks.rows import Measure
from benchmarks.scans import scans

BENCHMARKS: dict[str, Measure] = {
    "reads": point_reads,
    "scans": scans,
    "one-writer": one_writer,
    "many-writers": many_writers,
}
