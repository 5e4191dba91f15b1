"""Comparing what the near cache serves with the truth (CONSISTENCY, section 7.6).

A timestamp T is drawn *before* the cache is looked at. Whatever committed at or below T was
finished before, so a hit must show it: an entry that is valid from T or earlier must equal
what the range holds at T, and an older version than that at T is stale whatever it claims. An
entry that became valid after T proves nothing.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

from fastness.cache import CachedKey, CachedScan
from fastness.client.cache_audit import CacheAudit
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
    return Audit(key, _verdict(entry, truth, at), at, entry.cell, truth)


def _verdict(entry: CachedKey, truth: bytes | None, at: Timestamp) -> Verdict:
    if entry.valid_from > at:
        return Verdict.NEWER
    same = entry.cell == truth or _gone(entry.cell, truth, at)
    return Verdict.TRUE if same else Verdict.STALE


async def audit_scan(
    core: ClusterCore, interval: KeyInterval, limit: int, *, reverse: bool
) -> list[Audit]:
    """The same for the entries that the cache serves for a scan, range by range."""
    at = await core.timestamps.read()
    scans = core.cached.find_scans(interval, limit, reverse=reverse) or []
    audits = [Audit(scan.covered.begin, await _verdict_of(core, scan, at), at) for scan in scans]
    return audits or [Audit(interval.begin, Verdict.MISS, at)]


async def audit_cached(core: ClusterCore, entries: int) -> CacheAudit:
    """The same for everything that the cache serves, up to so many entries: those used last."""
    at = await core.timestamps.read()
    now_ns = core.calls.process.clock.boot_ns()
    served = [one for one in core.cached.near.recent(entries) if now_ns < one.lease.ends_ns]
    keys = [one for one in served if isinstance(one, CachedKey)]
    truths = await core.reader.cells([one.key for one in keys], at)
    verdicts = [_verdict(one, truths[one.key], at) for one in keys]
    scans = [one for one in served if isinstance(one, CachedScan)]
    verdicts += [await _verdict_of(core, one, at) for one in scans]
    return CacheAudit(
        true=verdicts.count(Verdict.TRUE),
        stale=verdicts.count(Verdict.STALE),
        newer=verdicts.count(Verdict.NEWER),
    )


async def _verdict_of(core: ClusterCore, scan: CachedScan, at: Timestamp) -> Verdict:
    if scan.valid_from > at:
        return Verdict.NEWER
    reverse = scan.asked[2]
    found = await core.reader.scan(scan.covered, len(scan.items) + 1, at, reverse=reverse)
    same = _alive(found, at) == _alive(scan.items, at)
    return Verdict.TRUE if same else Verdict.STALE


def _alive(items: list[Item], at: Timestamp) -> list[Item]:
    """The entries that a reader at `at` sees."""
    return [(key, cell) for key, cell in items if cells.value_at(cell, at) is not None]


def _gone(cached: bytes | None, truth: bytes | None, at: Timestamp) -> bool:
    """Whether both show nothing to a reader at `at`: expired, or expired and removed."""
    return cells.value_at(cached, at) is None and cells.value_at(truth, at) is None
