"""Point reads while somebody scans everything: what the server's own latencies say.

A client reads random keys in a few tasks, first alone, then while a client in another process
scans all entries again and again. The server's histogram is asked before and after each
spell over its admin HTTP, as a monitor would: what is compared is the 99th percentile of the
reads in between. What the reader itself measured is shown as well, its wait for the network and
for the server's loop included.
"""

from __future__ import annotations

import itertools
import math
import re
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import fastness
from benchmarks.clients.field import Loop
from benchmarks.rows import Row, Unit, at_most, cost_row
from benchmarks.samples import Series, spread
from benchmarks.servers.fastness_server import fastness_server
from benchmarks.settings import Settings
from benchmarks.spells import tasks_for
from benchmarks.workload import entries, sample
from fastness.invariants import check
from fastness.laptop.daemon import Daemon, running
from fastness.laptop.programs import importable

WORSE = 2.0
SHARE = 0.99
HTTP_S = 10.0
BUCKET = re.compile(
    r'^fastness_request_seconds_bucket\{request="read",le="([^"]+)"\} (\d+)', re.MULTILINE
)
QUIET, BUSY = "alone", "while scanned"
US_PER_S = 1_000_000
LOAD_ENTRIES = 5_000
READERS = 16
"""Tasks that read together."""

Buckets = list[tuple[float, int]]
"""Upper bounds in seconds, and how many took up to so long."""


def busy_reads(settings: Settings) -> list[Row]:
    """Spells alone and beside the scan, in turn."""
    place = settings.directory / "busy-reads"
    place.mkdir(parents=True)
    database = place / "database"
    _fill(database, settings.scanned)
    with ExitStack() as opened:
        loop = Loop()
        opened.callback(loop.close)
        serving = opened.enter_context(fastness_server(place, database))
        reads = Reads(loop, serving.url, serving.admin, settings)
        opened.callback(reads.close)
        reads.warm_up()
        spells: dict[str, list[Buckets]] = {QUIET: [], BUSY: []}
        for number in range(settings.scan_spells):
            spells[QUIET].append(reads.play(QUIET))
            with scanning(serving.url, settings.scanned, place / f"scan-{number}"):
                spells[BUSY].append(reads.play(BUSY))
        return _rows(settings, spells, reads.seen)


def _fill(directory: Path, count: int) -> None:
    """Written by the embedded database, which is the faster way, and served as it is."""
    rest = iter(entries(count))
    with fastness.open(f"file:{directory}") as database:
        while some := list(itertools.islice(rest, LOAD_ENTRIES)):
            with database.transaction() as tx:
                for one, value in some:
                    tx.set(one, value)


class Reads:
    """A client that reads random keys in spells, and the server's view of them."""

    def __init__(self, loop: Loop, url: str, admin: str, settings: Settings) -> None:
        self._loop = loop
        self._metrics = f"{admin.removesuffix('/status')}/metrics"
        self._settings = settings
        self._keys = sample(settings.reads, settings.scanned)
        self._database = loop.run(fastness.open_async(url))
        self.seen = {name: Series(name) for name in (QUIET, BUSY)}
        """What the client measured."""

    def play(self, name: str) -> Buckets:
        """One spell; how long its reads took in the server."""
        before = self._asked()
        played = self._loop.run(
            tasks_for(self._settings.busy_spell_s, self._database.get, self._keys, READERS)
        )
        self.seen[name].rounds.append(played)
        after = self._asked()
        return [
            (bound, more - less) for (bound, more), (_, less) in zip(after, before, strict=True)
        ]

    def warm_up(self) -> None:
        """A spell that does not count."""
        self.play(QUIET)
        self.seen[QUIET].rounds.clear()

    def _asked(self) -> Buckets:
        with urllib.request.urlopen(self._metrics, timeout=HTTP_S) as answer:  # noqa: S310 - ours
            text = answer.read().decode()
        return [(float(bound), int(count)) for bound, count in BUCKET.findall(text)]

    def close(self) -> None:
        """Hang up."""
        self._loop.run(self._database.close())


def quantile_s(buckets: Buckets, share: float) -> float:
    """The duration that `share` of the observations stayed within, as Prometheus estimates it.

    Within a bucket observations are taken to be spread evenly.
    """
    total = buckets[-1][1]
    check(total > 0, "something was observed")
    wanted, lower, below = share * total, 0.0, 0
    for upper, count in buckets:
        if count >= wanted:
            if math.isinf(upper):
                return lower
            return lower + (upper - lower) * (wanted - below) / (count - below)
        lower, below = upper, count
    return lower


def _rows(
    settings: Settings, spells: dict[str, list[Buckets]], seen: dict[str, Series]
) -> list[Row]:
    what = f"a scan of {settings.scanned:,}"
    p99_us = {
        name: [quantile_s(one, SHARE) * US_PER_S for one in found] for name, found in spells.items()
    }
    ratio = spread([busy / quiet for busy, quiet in zip(p99_us[BUSY], p99_us[QUIET], strict=True)])
    in_server = Row(
        what=f"p99 of reads in the server, beside {what}",
        unit=Unit.MICROSECONDS,
        figure=median(p99_us[BUSY]),
        peer=QUIET,
        peer_figure=median(p99_us[QUIET]),
        ratio=ratio,
        target=at_most(WORSE),
    )
    return [in_server, cost_row(f"reads, {READERS} tasks, beside {what}", seen[BUSY], seen[QUIET])]


@contextmanager
def scanning(url: str, count: int, place: Path) -> Iterator[None]:
    """Another process that scans everything meanwhile, again and again."""
    command = [sys.executable, "-m", "benchmarks.scanner", url, str(count)]
    scanner = Daemon(
        "scanner",
        command,
        place,
        is_ready=lambda: scanner.log.read_bytes().endswith(b"\n"),
        environment=importable(),
    )
    with running(scanner):
        yield
