"""What clients have cached of a range, and who must be told before it changes. Pure.

A *cache lease* belongs to one client, in one range under one epoch. While it runs the client may
serve what it was granted without asking. The range tracks the keys and intervals behind each
lease. A commit that touches any of it waits until the client acknowledged an invalidation or
the lease has ended by the server's clock, before its timestamp is drawn (CONSISTENCY, section 7).

* The server counts a lease from after it answered, with the drift margin; the client from
  before it asked. A lease once lapsed, or with an invalidation outstanding, is never extended.
* Tracking dropped for space first voids the whole lease.
* An acknowledgement that never comes costs a commit at most the rest of that lease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.limits import Limits
from fastness.ranges.ports import Caller
from fastness.ranges.requests import Grant, Interval, Invalidate
from fastness.runtime.clock import DRIFT, NANOSECONDS_PER_MILLISECOND


class Notice:
    """An invalidation that its client has not acknowledged yet."""

    __slots__ = ("everything", "intervals", "keys", "number", "waiting")

    def __init__(
        self, number: int, keys: list[bytes], intervals: list[KeyInterval], *, everything: bool
    ) -> None:
        self.number = number
        self.keys = dict.fromkeys(keys)
        self.intervals = intervals
        self.everything = everything
        self.waiting: list[Invalidation] = []

    def touches(self, keys: Iterable[bytes], intervals: Iterable[KeyInterval]) -> bool:
        """Whether it covers any of these."""
        for key in keys:
            if key in self.keys or any(one.contains(key) for one in self.intervals):
                return True
        for interval in intervals:
            if any(interval.contains(key) for key in self.keys):
                return True
            if any(one.overlaps(interval) for one in self.intervals):
                return True
        return False


class Invalidation:
    """What one commit waits for: a number of notices."""

    __slots__ = ("pending", "resume")

    def __init__(self, resume: Callable[[], None]) -> None:
        self.pending = 0
        self.resume = resume


class CacheLease:
    """One client's lease, and what is tracked behind it."""

    __slots__ = ("client", "ends_ns", "intervals", "keys", "lease", "notices", "void")

    def __init__(self, lease: int, client: str, ends_ns: int) -> None:
        self.lease = lease
        self.client = client
        self.ends_ns = ends_ns
        self.keys: dict[bytes, int] = {}
        self.intervals: dict[KeyInterval, int] = {}
        """What is tracked, and the number of the call that asked for it last."""
        self.notices: dict[int, Notice] = {}
        self.void = False
        """Everything in it was invalidated; it ends as soon as that is acknowledged."""

    @property
    def entries(self) -> int:
        """Keys and intervals tracked."""
        return len(self.keys) + len(self.intervals)


class Told(NamedTuple):
    """A notice to send."""

    client: str
    notice: Invalidate


class Tracking:
    """Every cache lease of one range under one epoch."""

    def __init__(self, *, range_id: int, epoch: int, limits: Limits) -> None:
        self._range_id = range_id
        self._epoch = epoch
        self._limits = limits
        self._leases: dict[int, CacheLease] = {}
        self._of_client: dict[str, CacheLease] = {}
        self._by_key: dict[bytes, dict[int, CacheLease]] = {}
        self._wide: dict[int, CacheLease] = {}
        self._with_notices: dict[int, CacheLease] = {}
        self._numbers = 0
        self._entries = 0
        self.invalidations = 0
        self.lapsed = 0

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def entries(self) -> int:
        """Keys and intervals tracked, over all leases."""
        return self._entries

    # ------------------------------------------------------------- granting

    def track(
        self, caller: Caller, keys: list[bytes], interval: KeyInterval | None, boot_ns: int
    ) -> tuple[CacheLease | None, list[Told]]:
        """Track what the client is about to be given; `None` where it must not be cached.

        Called before the store is read, so that a commit that comes meanwhile invalidates what
        is under way.
        """
        client, number = caller
        lease = self._of_client.get(client)
        if lease is not None and lease.ends_ns <= boot_ns:
            self._end(lease)
            lease = None
        if lease is not None and (lease.notices or lease.void):
            return None, []
        wanted = len(keys) + (interval is not None)
        if self._entries + wanted > self._limits.tracked_keys:
            return None, self._make_room(lease)
        if lease is None:
            self._numbers += 1
            lease = CacheLease(self._numbers, client, boot_ns + self._span_ns())
            self._leases[lease.lease] = lease
            self._of_client[client] = lease
        before = lease.entries
        for key in keys:
            lease.keys[key] = max(number, lease.keys.get(key, 0))
            self._by_key.setdefault(key, {})[lease.lease] = lease
        if interval is not None:
            lease.intervals[interval] = max(number, lease.intervals.get(interval, 0))
            self._wide[lease.lease] = lease
        self._entries += lease.entries - before
        return lease, []

    def grant(
        self, lease: CacheLease, *, boot_ns: int, left_ms: float, valid_from: Timestamp
    ) -> Grant | None:
        """Extend a lease from now, as far as the range's own lease lasts; `None`: not any more."""
        if lease.ends_ns <= boot_ns or lease.notices or lease.void:
            return None
        # It must end before the range's own lease does, by either side's clock.
        milliseconds = int(min(self._limits.cache_lease_ms, left_ms * (1 - 4 * DRIFT)))
        if milliseconds <= 0:
            return None
        ends_ns = boot_ns + int(milliseconds * (1 + 2 * DRIFT) * NANOSECONDS_PER_MILLISECOND)
        lease.ends_ns = max(lease.ends_ns, ends_ns)
        return Grant(lease.lease, self._epoch, milliseconds, valid_from)

    def current(self, client: str, boot_ns: int) -> CacheLease | None:
        """The client's lease while it runs."""
        lease = self._of_client.get(client)
        return lease if lease is not None and lease.ends_ns > boot_ns else None

    def _span_ns(self) -> int:
        return int(self._limits.cache_lease_ms * (1 + 2 * DRIFT) * NANOSECONDS_PER_MILLISECOND)

    def _make_room(self, asking: CacheLease | None) -> list[Told]:
        """Void the asking client's lease, or the fullest; its room is free once acknowledged."""
        if asking is not None and asking.entries:
            return [self._void(asking)]
        candidates = [one for one in self._leases.values() if not one.void and one.entries]
        return [self._void(max(candidates, key=lambda one: one.entries))] if candidates else []

    # --------------------------------------------------------- invalidating

    def forget_own(
        self, caller: Caller, lease: int, keys: Iterable[bytes], intervals: Iterable[KeyInterval]
    ) -> None:
        """The client has dropped these itself before it sent its commit, as the call it is.

        It speaks for what was asked for before: a commit that comes late, after its client has
        learned its end and filled again, knows nothing of that.
        """
        own = self._leases.get(lease)
        if own is None or own.client != caller.address:
            return
        hit_keys, hit_intervals = _touched(own, list(keys), list(intervals))
        self._untrack(
            own,
            [key for key in hit_keys if own.keys[key] < caller.number],
            [one for one in hit_intervals if own.intervals[one] < caller.number],
        )

    def invalidate(
        self,
        keys: Iterable[bytes],
        intervals: Iterable[KeyInterval],
        boot_ns: int,
        resume: Callable[[], None],
    ) -> tuple[bool, list[Told]]:
        """Whether a commit that writes these must wait; `resume` is called when it need not.

        What must be sent now comes with it.
        """
        if not self._leases:
            return False, []
        keys, intervals = list(keys), list(intervals)
        waiting = Invalidation(resume)
        told: list[Told] = []
        for lease in self._tracking(keys, intervals):
            if lease.ends_ns <= boot_ns:
                self._end(lease)
                continue
            hit_keys, hit_intervals = _touched(lease, keys, intervals)
            told.append(self._notify(lease, hit_keys, hit_intervals, everything=False))
        for lease in list(self._with_notices.values()):
            for notice in lease.notices.values():
                if notice.touches(keys, intervals):
                    notice.waiting.append(waiting)
                    waiting.pending += 1
        return waiting.pending > 0, told

    def invalidating(self, keys: Iterable[bytes], interval: KeyInterval | None) -> bool:
        """Whether somebody's copy of these is being invalidated: then nobody may cache them."""
        if not self._with_notices:
            return False
        keys = list(keys)
        intervals = [] if interval is None else [interval]
        return any(
            notice.touches(keys, intervals)
            for lease in self._with_notices.values()
            for notice in lease.notices.values()
        )

    def void_all(self, boot_ns: int) -> list[Told]:
        """Revoke every lease: nothing is granted to them any more."""
        told: list[Told] = []
        if not self._leases:
            return told
        for lease in list(self._leases.values()):
            if lease.ends_ns <= boot_ns:
                self._end(lease)
            elif not lease.void:
                told.append(self._void(lease))
        return told

    def acknowledge(self, client: str, lease_id: int, number: int) -> None:
        """The client dropped what notice `number` named."""
        lease = self._leases.get(lease_id)
        if lease is None or lease.client != client:
            return
        notice = lease.notices.pop(number, None)
        if notice is None:
            return
        if not lease.notices:
            self._with_notices.pop(lease.lease, None)
        if notice.everything:
            self._end(lease)
        _settle(notice)

    def tick(self, boot_ns: int) -> list[Told]:
        """End lapsed leases; answers the notices to send again."""
        told: list[Told] = []
        if not self._leases:
            return told
        for lease in list(self._leases.values()):
            if lease.ends_ns <= boot_ns:
                self.lapsed += 1
                self._end(lease)
        for lease in self._with_notices.values():
            told.extend(self._message(lease, notice) for notice in lease.notices.values())
        return told

    def _tracking(self, keys: list[bytes], intervals: list[KeyInterval]) -> list[CacheLease]:
        """The leases that track any of these, in the order they were given out."""
        hit: dict[int, CacheLease] = {}
        for key in keys:
            hit.update(self._by_key.get(key, {}))
        for lease in self._wide.values():
            if _covers(lease.intervals, keys, intervals):
                hit[lease.lease] = lease
        if intervals:
            for lease in self._leases.values():
                if any(one.contains(key) for one in intervals for key in lease.keys):
                    hit[lease.lease] = lease
        return [hit[number] for number in sorted(hit)]

    def _void(self, lease: CacheLease) -> Told:
        lease.void = True
        return self._notify(lease, list(lease.keys), list(lease.intervals), everything=True)

    def _notify(
        self,
        lease: CacheLease,
        keys: list[bytes],
        intervals: list[KeyInterval],
        *,
        everything: bool,
    ) -> Told:
        self._untrack(lease, keys, intervals)
        self._numbers += 1
        notice = Notice(self._numbers, keys, intervals, everything=everything)
        lease.notices[notice.number] = notice
        self._with_notices[lease.lease] = lease
        self.invalidations += 1
        return self._message(lease, notice)

    def _message(self, lease: CacheLease, notice: Notice) -> Told:
        intervals: list[Interval] = [(one.begin, one.end) for one in notice.intervals]
        # A voided lease needs no list of what was in it.
        keys = [] if notice.everything else list(notice.keys)
        return Told(
            lease.client,
            Invalidate(
                self._range_id,
                self._epoch,
                lease.lease,
                notice.number,
                keys,
                [] if notice.everything else intervals,
                notice.everything,
            ),
        )

    def _untrack(
        self, lease: CacheLease, keys: Iterable[bytes], intervals: Iterable[KeyInterval]
    ) -> None:
        before = lease.entries
        for key in list(keys):
            if key in lease.keys:
                del lease.keys[key]
                tracked = self._by_key[key]
                del tracked[lease.lease]
                if not tracked:
                    del self._by_key[key]
        for interval in list(intervals):
            lease.intervals.pop(interval, None)
        if not lease.intervals:
            self._wide.pop(lease.lease, None)
        self._entries -= before - lease.entries

    def _end(self, lease: CacheLease) -> None:
        """The client serves nothing of this lease any more."""
        self._untrack(lease, list(lease.keys), list(lease.intervals))
        self._leases.pop(lease.lease, None)
        self._with_notices.pop(lease.lease, None)
        if self._of_client.get(lease.client) is lease:
            del self._of_client[lease.client]
        notices, lease.notices = list(lease.notices.values()), {}
        for notice in notices:
            _settle(notice)


def _settle(notice: Notice) -> None:
    waiting, notice.waiting = notice.waiting, []
    for invalidation in waiting:
        invalidation.pending -= 1
        if invalidation.pending == 0:
            invalidation.resume()


def _covers(cached: Iterable[KeyInterval], keys: list[bytes], intervals: list[KeyInterval]) -> bool:
    return any(
        any(one.contains(key) for key in keys) or any(one.overlaps(other) for other in intervals)
        for one in cached
    )


def _touched(
    lease: CacheLease, keys: list[bytes], intervals: list[KeyInterval]
) -> tuple[list[bytes], list[KeyInterval]]:
    """What of a lease these writes make stale."""
    hit_keys = dict.fromkeys(key for key in keys if key in lease.keys)
    for interval in intervals:
        hit_keys.update(dict.fromkeys(key for key in lease.keys if interval.contains(key)))
    hit_intervals = [one for one in lease.intervals if _covers((one,), keys, intervals)]
    return list(hit_keys), hit_intervals
