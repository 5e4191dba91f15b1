"""A database of many accounts, filled, opened and overwritten in a process of its own.

    python -m benchmarks.accounts fill URL ACCOUNTS READS
    python -m benchmarks.accounts open URL NUMBER
    python -m benchmarks.accounts overwrite URL ACCOUNTS GENERATION

What a process uses and how long it takes to open says most in one that does nothing else.
Each prints what it found as lines of JSON; `overwrite` goes on until it is killed.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from random import Random
from time import perf_counter_ns

import msgspec

import fastness
from benchmarks.workload import SEED
from fastness.model import Entity, Index

BATCH_ACCOUNTS = 1_000
"""Accounts in one transaction."""
START = datetime(2024, 1, 31, tzinfo=UTC)
STATUS = Path("/proc/self/status")


class Account(Entity, key="number"):
    """A user's account, about 110 bytes as a record, with one index."""

    number: int
    email: str
    name: str
    joined: datetime
    generation: int = 0
    """Which overwriting it was last written by."""
    by_email = Index("email", unique=True)


class Memory(msgspec.Struct, frozen=True):
    """What a process holds at a stage of its work, in bytes."""

    stage: str
    accounts: int
    resident: int
    peak: int
    """The most that was ever resident until then."""
    elapsed_s: float
    """Since the stage before."""


class Opened(msgspec.Struct, frozen=True):
    """An opening: everything until the first record has been read."""

    elapsed_s: float
    generation: int
    """Of that record."""


class Overwritten(msgspec.Struct, frozen=True):
    """An acknowledged transaction that overwrote the accounts from `first` on."""

    first: int
    generation: int


def account(number: int, generation: int = 0) -> Account:
    """The account of a number."""
    return Account(
        number=number,
        email=f"{number * 2_654_435_761 % (1 << 32):08x}@example.org",
        name=f"Somebody Number {number}",
        joined=START + timedelta(seconds=number),
        generation=generation,
    )


def resident_bytes() -> tuple[int, int]:
    """What this process holds in memory now, and the most it ever held.

    Where the system does not tell the first, the second stands for both.
    """
    if STATUS.exists():
        kib = {
            name: int(rest.split()[0])
            for name, _colon, rest in map(_parted, STATUS.read_text().splitlines())
            if name in ("VmRSS", "VmHWM")
        }
        return kib["VmRSS"] * 1024, kib["VmHWM"] * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return peak, peak


def _parted(line: str) -> tuple[str, str, str]:
    return line.partition(":")


def fill(url: str, accounts: int, reads: int) -> None:
    """Load the accounts in batches, then read some at random; tell the memory all along."""
    told = perf_counter_ns()

    def tell(stage: str, stored: int) -> None:
        nonlocal told
        now = perf_counter_ns()
        _say(Memory(stage, stored, *resident_bytes(), (now - told) / 1e9))
        told = now

    tell("imported", 0)
    with fastness.open(url, schema=[Account]) as db:
        tell("opened", 0)
        eighth = max(accounts // 8 // BATCH_ACCOUNTS, 1) * BATCH_ACCOUNTS
        for first in range(0, accounts, BATCH_ACCOUNTS):
            if first and first % eighth == 0:
                tell("loading", first)
            _put(db, range(first, min(first + BATCH_ACCOUNTS, accounts)), 0)
        tell("loaded", accounts)
        random = Random(SEED)
        numbers = (random.randrange(accounts) for _ in range(reads))
        while some := list(islice(numbers, BATCH_ACCOUNTS)):
            with db.transaction() as tx:
                for number in some:
                    tx.require(Account, number)
        tell("read", accounts)


def open_once(url: str, number: int) -> None:
    """Open the database and read one account."""
    start = perf_counter_ns()
    with fastness.open(url, schema=[Account]) as db, db.transaction() as tx:
        found = tx.require(Account, number)
        _say(Opened((perf_counter_ns() - start) / 1e9, found.generation))


def overwrite(url: str, accounts: int, generation: int) -> None:
    """Overwrite accounts, batch by batch, for ever, telling each that is acknowledged."""
    random = Random(generation)
    with fastness.open(url, schema=[Account]) as db:
        for _ in count():
            first = random.randrange(max(accounts - BATCH_ACCOUNTS, 1))
            _put(db, range(first, min(first + BATCH_ACCOUNTS, accounts)), generation)
            _say(Overwritten(first, generation))


def _put(db: fastness.Database, numbers: Iterable[int], generation: int) -> None:
    with db.transaction() as tx:
        for number in numbers:
            tx.put(account(number, generation))


def _say(told: msgspec.Struct) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


ACTIONS: dict[str, Callable[..., None]] = {
    "fill": fill,
    "open": open_once,
    "overwrite": overwrite,
}

if __name__ == "__main__":
    ACTIONS[sys.argv[1]](sys.argv[2], *map(int, sys.argv[3:]))
