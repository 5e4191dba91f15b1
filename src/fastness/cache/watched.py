"""The keys somebody watches, and the cache lease under which each is tracked.

A watched key is *armed* while the leaseholder would tell of its next change: from the answer
that granted it until anything takes that away (a notice, a commit of this client, the end of the
lease). Whatever the reason, `lost` is told the key; it must be read again, and armed again.

Apart from the entries of the cache, which may be evicted: the leaseholder does not know of
that and tells of them all the same, so a watch costs no value in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fastness.cache.leases import HeldLease
from fastness.ranges.requests import Interval
from fastness.storage.sorted_keys import SortedKeys


class WatchedKeys:
    """The watched keys of one client."""

    def __init__(self) -> None:
        self.lost: Callable[[bytes], object] | None = None
        """Who is told of a key that is armed no more."""
        self.lapsed: Callable[[], object] | None = None
        """Who is told that a lease ended under which keys were armed, after those keys."""
        self._lease_of: dict[bytes, HeldLease | None] = {}
        self._ordered = SortedKeys()
        self._under: dict[HeldLease, dict[bytes, None]] = {}

    def __len__(self) -> int:
        return len(self._lease_of)

    @property
    def leases(self) -> list[HeldLease]:
        """Those under which any key is armed."""
        return list(self._under)

    def an_armed_key(self, lease: HeldLease) -> bytes:
        """One of the keys that are armed under a lease."""
        return next(iter(self._under[lease]))

    def want(self, key: bytes) -> None:
        """Arm the key with the next grant for it."""
        if key not in self._lease_of:
            self._lease_of[key] = None
            self._ordered.add(key)

    def forget(self, key: bytes) -> None:
        """Nobody watches the key any more."""
        if key in self._lease_of:
            self._disarm(key)
            del self._lease_of[key]
            self._ordered.remove(key)

    def is_armed(self, key: bytes, now_ns: int) -> bool:
        """Whether a change of the key from now on would be told."""
        lease = self._lease_of.get(key)
        return lease is not None and lease.runs(now_ns)

    def arm(self, keys: Iterable[bytes], lease: HeldLease) -> None:
        """These were granted under a lease; what is not watched is passed over."""
        if not self._lease_of:
            return
        for key in keys:
            if key in self._lease_of and self._lease_of[key] is not lease:
                self._disarm(key)
                self._lease_of[key] = lease
                self._under.setdefault(lease, {})[key] = None

    def drop(self, keys: Iterable[bytes], intervals: Iterable[Interval]) -> None:
        """These change, or are about to."""
        if not self._under:
            return
        for key in keys:
            self._lose(key)
        for begin, end in intervals:
            for key in list(self._ordered.ascending(begin, end)):
                self._lose(key)

    def void(self, lease: HeldLease) -> None:
        """A lease has ended."""
        lost = list(self._under.get(lease, ()))
        for key in lost:
            self._lose(key)
        if lost and self.lapsed is not None:
            self.lapsed()

    def _lose(self, key: bytes) -> None:
        if self._disarm(key) and self.lost is not None:
            self.lost(key)

    def _disarm(self, key: bytes) -> bool:
        """Whether the key was armed."""
        lease = self._lease_of.get(key)
        if lease is None:
            return False
        self._lease_of[key] = None
        under = self._under[lease]
        del under[key]
        if not under:
            del self._under[lease]
        return True
