"""Memory and opening of a database with many entities: bounded by caches, not by the data.

Three kinds of processes, see `accounts`, and what they print: one that loads and reads, one that
opens, and one that overwrites until it gets SIGKILL in the middle of it. How far it gets is
drawn at random, up to where the log is as long as it ever becomes: then a reopening has the
most to replay.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from random import Random
from statistics import median
from typing import IO, TypeVar

import msgspec

from benchmarks.accounts import BATCH_ACCOUNTS, Memory, Opened, Overwritten
from benchmarks.rows import Row, Unit, at_most
from benchmarks.settings import Settings
from benchmarks.workload import SEED
from fastness.invariants import check, present
from fastness.limits import Limits

MEMORY_MB = 400.0
OPENING_S = 1.0
READS_SHARE = 5
"""As many random reads as a fifth of the entities."""
OVERWRITTEN_BYTES = 350
"""What overwriting one account adds to the log, about: the record, its old version, its key."""
MERCY_S_MAX = 0.05
"""The blow falls up to so long after an acknowledgement: anywhere in a later transaction."""
BYTES_PER_MB = 1_000_000

T = TypeVar("T", bound=msgspec.Struct)


def footprint(settings: Settings) -> list[Row]:
    """Load, read, then open after clean closes and after kills."""
    settings.directory.joinpath("footprint").mkdir()
    url = f"file:{settings.directory / 'footprint' / 'accounts'}"
    return [*_memory(url, settings), *_openings(url, settings)]


def _memory(url: str, settings: Settings) -> list[Row]:
    accounts = settings.entities
    told = _answers(Memory, "fill", url, accounts, accounts // READS_SHARE)
    check(told[-1].accounts == accounts, "the process that loads has loaded everything")
    stages = {one.stage: one for one in told}
    loading = [one for one in told if one.stage in ("loading", "loaded")]
    what = f"{accounts:,} entities"
    bound = at_most(MEMORY_MB)
    figures = [
        ("memory of a process that imported Fastness", stages["imported"].resident, None),
        (f"memory, {what}: median while loading", median(m.resident for m in loading), bound),
        (f"memory, {what}: peak while loading", stages["loaded"].peak, bound),
        (f"memory, {what}: after random reads", stages["read"].resident, bound),
        (f"memory, {what}: peak of the process", stages["read"].peak, bound),
    ]
    rows = [
        Row(what=name, unit=Unit.MEGABYTES, figure=bytes_ / BYTES_PER_MB, target=target)
        for name, bytes_, target in figures
    ]
    return [*rows, *_pace(what, loading, stages["read"], accounts // READS_SHARE)]


def _pace(what: str, loading: list[Memory], read: Memory, reads: int) -> list[Row]:
    """Whether much data is as fast as little: the first and last part loaded, then reads."""
    whole = loading[-1].accounts / sum(one.elapsed_s for one in loading)
    first = loading[0].accounts / loading[0].elapsed_s
    before = loading[-2].accounts if len(loading) > 1 else 0
    last = (loading[-1].accounts - before) / loading[-1].elapsed_s
    rates = [("", whole), (": the first eighth", first), (": the last eighth", last)]
    rows = [
        Row(what=f"loading {what}{part}", unit=Unit.PER_SECOND, figure=rate) for part, rate in rates
    ]
    cost_us = read.elapsed_s / reads * 1e6
    return [*rows, Row(what=f"typed fetch among {what}", unit=Unit.MICROSECONDS, figure=cost_us)]


def _openings(url: str, settings: Settings) -> list[Row]:
    """The slowest opening of each kind is what is judged."""
    clean = [_opened(url, 0).elapsed_s for _ in range(settings.openings)]
    random = Random(SEED)
    killed = [_after_kill(url, settings, 1 + at, random) for at in range(settings.openings)]
    what = f"{settings.entities:,} entities"
    return [
        Row(what=f"opening {what}, {how}", unit=Unit.SECONDS, figure=figure, target=target)
        for state, taken in (("cleanly closed", clean), ("after SIGKILL", killed))
        for how, figure, target in (
            (f"{state}: median of {len(taken)}", median(taken), None),
            (f"{state}: slowest", max(taken), at_most(OPENING_S)),
        )
    ]


def _after_kill(url: str, settings: Settings, generation: int, random: Random) -> float:
    """Seconds that opening takes after an overwriting process was killed in the middle."""
    batch_bytes = OVERWRITTEN_BYTES * min(BATCH_ACCOUNTS, settings.entities)
    batches_max = max(Limits().write_buffer_bytes // batch_bytes, 1)
    batches = random.randint(1, min(batches_max, max(settings.entities // BATCH_ACCOUNTS, 1)))
    last = _killed(url, settings.entities, generation, batches, random)
    opened = _opened(url, last.first)
    check(opened.generation == generation, "what was acknowledged is there after the kill")
    return opened.elapsed_s


def _killed(url: str, accounts: int, generation: int, batches: int, random: Random) -> Overwritten:
    """The last transaction acknowledged by a process killed some time after so many of them."""
    acknowledged: list[bytes] = []
    with _child("overwrite", url, accounts, generation) as (process, lines):
        acknowledged += islice(lines, batches)
        time.sleep(random.uniform(0, MERCY_S_MAX))
        process.kill()
        acknowledged += (line for line in lines if line.endswith(b"\n"))
    check(process.returncode == -signal.SIGKILL, "the overwriting process lives until killed")
    return msgspec.json.decode(acknowledged[-1], type=Overwritten)


def _opened(url: str, number: int) -> Opened:
    (opened,) = _answers(Opened, "open", url, number)
    return opened


def _answers(kind: type[T], *arguments: str | int) -> list[T]:
    """What a process prints until it ends, which must be well."""
    with _child(*arguments) as (process, lines):
        told = [msgspec.json.decode(line, type=kind) for line in lines]
    check(process.returncode == 0, "the process ends well; it says above why it did not")
    return told


@contextmanager
def _child(*arguments: str | int) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """A process of `accounts`, which does not outlive the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.accounts", *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    with process:
        try:
            yield process, present(process.stdout, "stdout=PIPE gives a pipe")
        except BaseException:
            process.kill()
            raise
