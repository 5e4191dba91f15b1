"""Scans: every entry of an interval, in order, and what one entry costs."""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns

from benchmarks.contenders.contract import Contender
from benchmarks.contenders.fastness_database import FastnessDatabase
from benchmarks.contenders.raw_rocksdb import RawRocksDB
from benchmarks.contests import Contestant, contest
from benchmarks.reads import contenders
from benchmarks.rows import Row, at_most, cost_row
from benchmarks.samples import Round
from benchmarks.settings import Settings
from benchmarks.workload import key


def scans(settings: Settings) -> list[Row]:
    """A listing of `settings.listed` entries, and a scan of everything."""
    rows: list[Row] = []
    with contenders(settings, "scans") as found:
        for length in (settings.entries, settings.listed):
            series = contest(
                [
                    Contestant(one.name, partial(_scan, one, length, settings.entries))
                    for one in found
                ],
                rounds=settings.rounds,
            )
            ours = series.pop(FastnessDatabase.name)
            rows += [
                cost_row(
                    f"scan of {length:,}, per entry",
                    ours,
                    theirs,
                    target=at_most(3.0) if theirs.name == RawRocksDB.name else None,
                )
                for theirs in series.values()
            ]
    return rows


def _scan(contender: Contender, length: int, entries: int) -> Round:
    """As many scans of `length` entries, side by side, as cover all entries."""
    elapsed_ns = 0
    count = 0
    for first in range(0, entries - length + 1, length):
        start = perf_counter_ns()
        count += contender.scan(key(first), key(first + length))
        elapsed_ns += perf_counter_ns() - start
    return Round(count, elapsed_ns, [])
