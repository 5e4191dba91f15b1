"""What the ranges of a node have done, those it held once included: figures for a collector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from fastness.ranges.leaseholder import Leaseholder


class RangeTotals(NamedTuple):
    """Since the node started."""

    commits: int = 0
    """Transactions committed; each range of one over several counts it."""
    conflicts: int = 0
    """Commits that were not carried out, conflicts above all."""
    invalidations: int = 0
    """Notices to clients that what they cached, or watch, is being written."""
    cache_leases: int = 0
    """Running now."""
    cache_entries: int = 0
    """Keys and intervals that are tracked for caches and watches now."""

    def with_(self, leaseholders: Iterable[Leaseholder]) -> RangeTotals:
        """These, and what the leaseholders have done and track."""
        totals = self
        for one in leaseholders:
            tracking = one.tracking
            totals = RangeTotals(
                totals.commits + one.counts.commits,
                totals.conflicts + one.counts.conflicts,
                totals.invalidations + tracking.invalidations,
                totals.cache_leases + len(tracking),
                totals.cache_entries + tracking.entries,
            )
        return totals

    def past(self, leaseholder: Leaseholder) -> RangeTotals:
        """These, and what a leaseholder has done that tracks nothing any more."""
        return self.with_([leaseholder])._replace(cache_leases=0, cache_entries=0)


__all__ = ["RangeTotals"]
