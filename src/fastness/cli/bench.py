"""The command `bench`: how fast this machine's disk lets a database be.

A few seconds per line, on a database of its own that is removed afterwards. Every commit is
durable when it is counted. Comparisons with other databases are in `benchmarks/`; this is for
the question whether a disk is what it should be.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Barrier
from typing import Annotated

import typer

import fastness
from fastness import Database
from fastness.cli import figures
from fastness.cli.arguments import JsonOption
from fastness.cli.output import Output, answering
from fastness.cli.progress import progress_of
from fastness.errors import InvalidOption
from fastness.operations import OnProgress, Progress

ENTRIES = 20_000
VALUE_BYTES = 100
SCANNED = 1_000
WRITERS = 64
_QUANTILES = (0.5, 0.99, 0.999)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one line of the answer tells."""

    name: str
    per_second: float
    latencies_s: tuple[float, float, float]
    """At the median, the 99th and the 99.9th percentile."""
    samples: int


def bench(
    directory: Annotated[
        Path | None,
        typer.Argument(
            metavar="DIRECTORY",
            help="Where to put the database; by default the system's temporary directory.",
            show_default=False,
        ),
    ] = None,
    *,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.01, max=600, help="How long each line is measured.")
    ] = 2.0,
    json: JsonOption = False,
) -> None:
    """Measure durable commits, point reads and scans on a database made for it and removed.

    One writer and 64, each commit on the disk before it counts; p50, p99 and p99.9.
    """
    with answering(json) as output:
        with _place(directory) as place, progress_of(output) as progress:
            kind = file_system(place)
            with fastness.open(f"file:{place / 'data'}") as database:
                measured = list(_measurements(database, seconds, progress))
        _print(output, measured, directory or Path(tempfile.gettempdir()), kind)


@contextmanager
def _place(directory: Path | None) -> Iterator[Path]:
    if directory is not None and not directory.is_dir():
        raise InvalidOption(f"{directory} is no directory: name one on the disk to measure")
    place = Path(tempfile.mkdtemp(prefix="fastness-bench-", dir=directory))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def file_system(place: Path) -> str:
    """The type of the file system a path lies on, '' where the system does not tell."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return ""
    found = ("", "")
    for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
        point, kind = line.split(" ")[1:3]
        if place.resolve().is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1]


def _key(number: int) -> bytes:
    return b"entry %08d" % number


def _measurements(
    database: Database, seconds: float, progress: OnProgress
) -> Iterator[Measurement]:
    random = Random(1)
    _load(database, random, progress)
    value = random.randbytes(VALUE_BYTES)

    def read(random: Random) -> None:
        with database.transaction() as tx:
            tx.get(_key(random.randrange(ENTRIES)))

    def scan(random: Random) -> None:
        begin = random.randrange(ENTRIES - SCANNED)
        with database.transaction() as tx:
            tx.scan(_key(begin), _key(begin + SCANNED))

    def commit(random: Random) -> None:
        database.set(b"written %08d" % random.randrange(10_000_000), value)

    stages: tuple[tuple[str, Callable[[Random], None], int], ...] = (
        ("point read in a transaction", read, 1),
        (f"scan of {SCANNED:,} entries", scan, 1),
        ("durable commit, 1 writer", commit, 1),
        (f"durable commit, {WRITERS} writers", commit, WRITERS),
    )
    for at, (name, operation, workers) in enumerate(stages):
        progress(Progress("measuring", at, len(stages), "steps"))
        yield _measured(name, operation, seconds, workers)


def _load(database: Database, random: Random, progress: OnProgress) -> None:
    step = 1_000
    for begin in range(0, ENTRIES, step):
        with database.transaction() as tx:
            for number in range(begin, begin + step):
                tx.set(_key(number), random.randbytes(VALUE_BYTES))
        progress(Progress("loading", begin + step, ENTRIES, "entries"))


def _measured(
    name: str, operation: Callable[[Random], None], seconds: float, workers: int
) -> Measurement:
    """Run an operation again and again, in as many threads, and time each call."""
    samples = [array("Q") for _ in range(workers)]
    ready = Barrier(workers + 1)
    with ThreadPoolExecutor(workers) as pool:
        running = [
            pool.submit(_repeat, operation, seconds, ready, taken, Random(at))
            for at, taken in enumerate(samples)
        ]
        ready.wait()
        begun = time.perf_counter_ns()
        for one in running:
            one.result()
    elapsed_s = (time.perf_counter_ns() - begun) / 1e9
    ordered = sorted(sample for taken in samples for sample in taken)
    p50, p99, p999 = (ordered[int(len(ordered) * quantile)] / 1e9 for quantile in _QUANTILES)
    return Measurement(name, len(ordered) / elapsed_s, (p50, p99, p999), len(ordered))


def _repeat(
    operation: Callable[[Random], None],
    seconds: float,
    ready: Barrier,
    taken: array[int],
    random: Random,
) -> None:
    ready.wait()
    now = time.perf_counter_ns()
    end = now + int(seconds * 1e9)
    while now < end:
        operation(random)
        after = time.perf_counter_ns()
        taken.append(after - now)
        now = after


def _print(output: Output, measured: list[Measurement], directory: Path, kind: str) -> None:
    if output.as_json:
        output.document(
            {
                "directory": str(directory),
                "file_system": kind,
                "measurements": [
                    {
                        "name": one.name,
                        "per_second": round(one.per_second, 1),
                        "p50_s": one.latencies_s[0],
                        "p99_s": one.latencies_s[1],
                        "p999_s": one.latencies_s[2],
                        "samples": one.samples,
                    }
                    for one in measured
                ],
            }
        )
        return
    rows = (
        (one.name, f"{one.per_second:,.0f}", *map(figures.duration, one.latencies_s))
        for one in measured
    )
    output.table(("operation", ">per second", ">p50", ">p99", ">p99.9"), rows)
    if kind in {"tmpfs", "ramfs"}:
        output.remark(
            f"{directory} is in memory ({kind}): commits cost no disk here. Name a directory on "
            "a disk to measure that",
            "yellow",
        )
    else:
        output.remark(f"in {directory}{f' ({kind})' if kind else ''}")
