"""Comparing what the near cache serves with the truth (CONSISTENCY, section 7.6).

A timestamp T is drawn *before* the cache is looked at. Whatever committed at or below T was
finished before, so a hit must show it: an entry that is valid from T or earlier must equal
what the range holds at T, and an older version than that at T is stale whatever it claims. An
entry that became valid after T proves nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from fastness.client.cluster.core import ClusterCore
from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.storage import cells
from fastness.storage.contract import Item


class Verdict(Enum):
    """What an audit came to."""

    TRUE = auto()
    STALE = auto()
    NEWER = auto()
    """The entry became valid after the timestamp: nothing can be said."""
    MISS = auto()
    """The cache served nothing."""


class Audit(NamedTuple):
    """One comparison."""

    key: bytes
    verdict: Verdict
    at: Timestamp
    cached: bytes | None = None
    truth: bytes | None = None


async def audit_key(core: ClusterCore, key: bytes) -> Audit:
    """Compare what the cache serves for a key, after drawing a timestamp, with the truth at it."""
    at = await core.timestamps.read()
    entry = core.cached.find(key)
    if entry is None:
        return Audit(key, Verdict.MISS, at)
    truth = await core.reader.cell(key, at)
    verdict = Verdict.TRUE
    if entry.valid_from <= at:
        if entry.cell != truth and not _gone(entry.cell, truth, at):
            verdict = Verdict.STALE
    elif entry.cell is None or truth is None or entry.valid_from > cells.timestamp_of(truth):
        verdict = Verdict.NEWER
    return Audit(key, verdict, at, entry.cell, truth)


async def audit_scan(
    core: ClusterCore, interval: KeyInterval, limit: int, *, reverse: bool
) -> list[Audit]:
    """The same for the entries that the cache serves for a scan, range by range."""
    at = await core.timestamps.read()
    scans = core.cached.find_scans(interval, limit, reverse=reverse) or []
    audits: list[Audit] = []
    for scan in scans:
        begin = scan.covered.begin
        if scan.valid_from > at:
            audits.append(Audit(begin, Verdict.NEWER, at))
            continue
        found = await core.reader.scan(scan.covered, len(scan.items) + 1, at, reverse=reverse)
        verdict = Verdict.TRUE if _alive(found, at) == _alive(scan.items, at) else Verdict.STALE
        audits.append(Audit(begin, verdict, at))
    return audits or [Audit(interval.begin, Verdict.MISS, at)]


def _alive(items: list[Item], at: Timestamp) -> list[Item]:
    """The entries that a reader at `at` sees."""
    return [(key, cell) for key, cell in items if cells.value_at(cell, at) is not None]


def _gone(cached: bytes | None, truth: bytes | None, at: Timestamp) -> bool:
    """Whether both show nothing to a reader at `at`: expired, or expired and removed."""
    return cells.value_at(cached, at) is None and cells.value_at(truth, at) is None
