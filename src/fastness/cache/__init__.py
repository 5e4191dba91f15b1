"""The near cache of a client: what it may serve without asking, and when no longer. Pure.

`near_cache.py` decides; `shelves.py` finds the cached scans that an invalidation touches;
`leases.py` is a cache lease as the client counts it. Time is handed in, messages are the
shell's (`fastness.client.cluster.caching`). The rules are those of CONSISTENCY, section 7.
"""

from fastness.cache.leases import HeldLease
from fastness.cache.near_cache import (
    CacheCounts,
    Cached,
    CachedKey,
    CachedScan,
    Fill,
    Hold,
    NearCache,
)

__all__ = [
    "CacheCounts",
    "Cached",
    "CachedKey",
    "CachedScan",
    "Fill",
    "HeldLease",
    "Hold",
    "NearCache",
]
