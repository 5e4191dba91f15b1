"""Bugs of the near cache, at the leaseholder and at the client.

Each function makes the buggy piece of the right one; `planting.py` says how it is put in place.
"""

from __future__ import annotations

from typing import Any

from fastness.cache import leases
from fastness.cache.near_cache import NearCache
from fastness.client.cluster.view import View
from fastness.limits import Limits
from fastness.ranges.admission import Admission
from fastness.ranges.leaseholder import Leaseholder
from fastness.ranges.reads import Reads
from fastness.ranges.tracking import Tracking
from fastness.testing.simulation.bugs.planting import always, plant

plant(
    "commit-without-invalidation",
    "7.2, H5, M5",
    "a commit does not wait until the copies of what it writes are gone",
    (Admission, "_stopped_by_caches", always(answer=False)),
)


def _acked_at_once(right: Any) -> Any:
    def invalidate(self: Tracking, *args: Any) -> Any:
        _waits, told = right(self, *args)
        return False, told

    return invalidate


plant(
    "acknowledgement-not-awaited",
    "7.2, H5",
    "an invalidation is sent and not waited for",
    (Tracking, "invalidate", _acked_at_once),
)


def _not_spoiled(right: Any) -> Any:
    def drop(self: NearCache, keys: Any, intervals: Any) -> int:
        fills, self._fills = self._fills, {}
        taken: int = right(self, keys, intervals)
        self._fills = fills
        return taken

    return drop


plant(
    "fill-after-invalidation",
    "7.4, H5",
    "an answer under way is cached although its invalidation overtook it",
    (NearCache, "_drop", _not_spoiled),
)


def _lease_never_lapses(_right: Any) -> Any:
    return lambda grant, sent_ns: sent_ns + 100 * grant.milliseconds * 1_000_000


plant(
    "lapsed-lease-served",
    "7.1, H5",
    "a client serves from a lease long after it ended",
    (leases, "end_of", _lease_never_lapses),
)


def _any_moment(right: Any) -> Any:
    def admits(self: View, entry: Any) -> bool:
        return True if self.drawn else bool(right(self, entry))

    return admits


plant(
    "valid-from-ignored",
    "7.5, H7, m15",
    "a cached entry serves every read timestamp",
    (View, "admits", _any_moment),
)
plant(
    "used-entries-not-rechecked",
    "7.5, H7, m13",
    "a transaction served by the cache does not look at what it used before",
    (NearCache, "all_valid", always(answer=True)),
)


def _tracked_in_any_case(_right: Any) -> Any:
    def track(self: Reads, caller: Any, read: Any, interval: Any) -> Any:
        owner = self._owner
        lease, told = owner.tracking.track(caller, read.keys, interval, owner.ports.boot_ns())
        owner.tell(told)
        return lease

    return track


plant(
    "filled-under-a-lock",
    "7.4, m15",
    "what is being changed is cached all the same",
    (Reads, "_track", _tracked_in_any_case),
)


def _drained_all_the_same(right: Any) -> Any:
    def tell_drained(self: Leaseholder) -> None:
        tracking, self.tracking = self.tracking, _NOTHING_CACHED
        try:
            right(self)
        finally:
            if self.tracking is _NOTHING_CACHED:
                self.tracking = tracking

    return tell_drained


_NOTHING_CACHED = Tracking(range_id=0, epoch=0, limits=Limits())


plant(
    "caches-kept-over-a-transfer",
    "7.3, H5",
    "a range is handed over without revoking what clients cached of it",
    (Tracking, "void_all", always(answer=[])),
    (Leaseholder, "_tell_drained", _drained_all_the_same),
)


def _own_forgotten(right: Any) -> Any:
    def hold(self: NearCache, keys: Any, intervals: Any) -> Any:
        held = right(self, [], [])
        held.keys, held.intervals = [], []
        del keys, intervals
        return held

    return hold


plant(
    "own-copies-kept",
    "7.2, m16",
    "a client keeps its own copies of what its commit writes",
    (NearCache, "hold", _own_forgotten),
)
