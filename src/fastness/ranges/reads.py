"""The reading half of a leaseholder: who must wait, at what timestamp the others read, caching.

A reader at R waits for whatever may yet be committed at or below R: a batch whose timestamps
have been requested, and prepared transactions, as long as their floor lies below R. The latest
read waits for all of those. What is then read from the store at R, or at the highest durable
timestamp, is the truth, whatever is locked meanwhile: that can only be committed later
(CONSISTENCY, sections 2 and 3.5).

The lease is looked at when a read starts, and again after every wait. The prune horizon is
looked at after the store was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import TIMESTAMP_MAX, Timestamp
from fastness.errors import (
    FastnessError,
    InvalidKey,
    InvalidTimestamp,
    Overloaded,
    RangeMoved,
    SnapshotTooOld,
)
from fastness.ranges.ports import Caller, StoreFound
from fastness.ranges.requests import Grant, Pending, Read, ReadAnswer, RenewCache, Scan
from fastness.ranges.tracking import CacheLease

if TYPE_CHECKING:
    from fastness.ranges.leaseholder import Leaseholder


class _Reading:
    """A read that the store is being asked for."""

    __slots__ = ("apart", "at", "caller", "lease", "read", "scan")

    def __init__(
        self,
        caller: Caller,
        read: Read,
        at: Timestamp,
        scan: Scan | None,
        lease: CacheLease | None,
    ) -> None:
        self.caller = caller
        self.read = read
        self.at = at
        self.scan = scan
        self.lease = lease
        self.apart: list[int] = []
        """Places among the keys asked for of those left out."""


class Reads:
    """Serves the reads of one leaseholder."""

    def __init__(self, owner: Leaseholder) -> None:
        self._owner = owner
        self._waiting: dict[int, tuple[Caller, Read]] = {}
        self._numbers = 0
        self.in_flight = 0
        """Reads that the store is being asked for."""

    @property
    def waiting(self) -> int:
        """Reads that wait for something undecided."""
        return len(self._waiting)

    def handle(self, caller: Caller, read: Read) -> None:
        """Serve a read, now or once nothing undecided is in its way."""
        owner = self._owner
        interval = _interval(read.scan)
        if not self._within_shape(read, interval):
            owner.refuse(
                caller, InvalidKey(f"the read leaves {owner.shape.interval}: {read.keys[:1]!r}")
            )
        elif read.cache and read.at:
            owner.refuse(
                caller, InvalidTimestamp(f"at={read.at} with cache: only the newest is kept")
            )
        elif len(self._waiting) + self.in_flight >= owner.limits.reads_queued:
            owner.refuse(
                caller,
                Overloaded(
                    f"{owner.limits.reads_queued} reads are queued (limit reads_queued): back off"
                ),
            )
        else:
            self._begin(caller, read, waited=False)

    def _within_shape(self, read: Read, interval: KeyInterval | None) -> bool:
        begin, end = self._owner.shape.begin, self._owner.shape.end
        keys = read.keys
        if keys and not (begin <= min(keys) and max(keys) < end):
            return False
        return interval is None or (begin <= interval.begin and interval.end <= end)

    def _begin(self, caller: Caller, read: Read, *, waited: bool) -> None:
        owner = self._owner
        if owner.ports.lease_left_ms() <= 0:
            owner.refuse(caller, RangeMoved("the lease of this range has ended here: ask again"))
            return
        interval = _interval(read.scan)
        apart = self._in_their_way(read) if read.each and interval is None else []
        if apart:
            free = [key for place, key in enumerate(read.keys) if place not in set(apart)]
            read = msgspec.structs.replace(read, keys=free)
        elif self._blocked(caller, read, interval, waited=waited):
            return
        # An idle range is pruned above its last commit: nothing was committed in between.
        at = read.at or max(owner.range.visible, owner.prune_horizon)
        if at < owner.prune_horizon:
            owner.refuse(caller, _too_old(at, owner.prune_horizon))
            return
        lease = self._track(caller, read, interval) if read.cache else None
        scan = read.scan
        if scan is not None:
            # One entry more than asked tells whether there are more.
            scan = Scan(scan.begin, scan.end, scan.limit + 1, scan.reverse)
        reading = _Reading(caller, read, at, scan, lease)
        reading.apart = apart
        found = owner.ports.read_at_once(read.keys, scan, at)
        if found is not None:
            if isinstance(found, FastnessError):
                self._answer(reading, found)
            else:
                self._answer(reading, found[:3], cut=found.cut)
            return
        self.in_flight += 1
        owner.read_store(read.keys, scan, at, lambda found: self._done(reading, found))

    def _in_their_way(self, read: Read) -> list[int]:
        """Places of the keys that something undecided is in the way of, unless that is all."""
        owner, keys = self._owner, read.keys
        above = read.at or TIMESTAMP_MAX
        floor = owner.range.frozen_floor()
        frozen = floor is not None and floor < above
        if not (
            (frozen and owner.range.frozen_writes(set(keys), []))
            or owner.locks.blocking(keys, None, above)
        ):
            return []
        apart = [
            place
            for place, key in enumerate(keys)
            if (frozen and owner.range.frozen_writes({key}, []))
            or owner.locks.blocking((key,), None, above)
        ]
        return apart if len(apart) < len(keys) else []

    def _blocked(
        self, caller: Caller, read: Read, interval: KeyInterval | None, *, waited: bool
    ) -> bool:
        """Let the read wait if something undecided is in its way; it begins again after."""
        owner = self._owner
        above = read.at or TIMESTAMP_MAX
        holders = owner.locks.blocking(read.keys, interval, above)
        floor = owner.range.frozen_floor()
        frozen = (
            floor is not None
            and floor < above
            and owner.range.frozen_writes(set(read.keys), [] if interval is None else [interval])
        )
        if not holders and not frozen:
            return False
        if waited and not read.at:
            # A hot key could keep a latest read for ever: it goes on at a timestamp of its own.
            owner.ports.answer(caller, Pending())
            return True
        self._numbers += 1
        number = self._numbers
        self._waiting[number] = (caller, read)

        def wake() -> None:
            if self._waiting.pop(number, None) is not None:
                self._begin(caller, read, waited=True)

        if holders:
            holders[0].when_released(wake)
            owner.wants_decision(holders[0])
        else:
            owner.after_batch(wake)
        return True

    def _track(self, caller: Caller, read: Read, interval: KeyInterval | None) -> CacheLease | None:
        """Track what is about to be given away; `None` where it must not be kept."""
        owner = self._owner
        intervals = [] if interval is None else [interval]
        if (
            owner.paused
            or not owner.ports.may_cache()
            or owner.range.undurable_writes(set(read.keys), intervals)
            or owner.locks.blocking(read.keys, interval, TIMESTAMP_MAX)
            or owner.tracking.invalidating(read.keys, interval)
        ):
            return None
        lease, told = owner.tracking.track(caller, read.keys, interval, owner.ports.boot_ns())
        owner.tell(told)
        return lease

    def _done(self, reading: _Reading, found: StoreFound | FastnessError) -> None:
        self.in_flight -= 1
        self._answer(reading, found)

    def _answer(
        self, reading: _Reading, found: StoreFound | FastnessError, *, cut: bool = False
    ) -> None:
        owner = self._owner
        if isinstance(found, FastnessError):
            owner.refuse(reading.caller, found)
            return
        cells, entries, horizon = found
        owner.raise_horizon(horizon)
        if reading.at < owner.prune_horizon:
            if reading.read.at:
                owner.refuse(reading.caller, _too_old(reading.at, owner.prune_horizon))
            else:
                # The horizon passed the last commit meanwhile: the client names a moment above.
                owner.ports.answer(reading.caller, Pending())
            return
        complete = not cut
        if reading.scan is not None and len(entries) >= reading.scan.limit:
            complete = False
            entries = entries[: reading.scan.limit - 1]
        grant, apart = self._grant(reading), reading.apart
        if apart:
            cells = _spread(cells, apart)
            apart = [place for place in apart if place < len(cells)]
        answer = ReadAnswer(cells, entries, complete, reading.at, grant, apart)
        owner.ports.answer(reading.caller, answer)

    def _grant(self, reading: _Reading) -> Grant | None:
        if reading.lease is None:
            return None
        ports = self._owner.ports
        return self._owner.tracking.grant(
            reading.lease,
            boot_ns=ports.boot_ns(),
            left_ms=ports.lease_left_ms(),
            valid_from=reading.at,
        )

    def renew(self, caller: Caller, request: RenewCache) -> None:
        """Extend a client's cache lease, or tell it that it has none any more."""
        owner = self._owner
        boot_ns = owner.ports.boot_ns()
        lease = owner.tracking.current(caller.address, boot_ns)
        grant = None
        if lease is not None and lease.lease == request.lease and not owner.paused:
            grant = owner.tracking.grant(
                lease,
                boot_ns=boot_ns,
                left_ms=owner.ports.lease_left_ms(),
                valid_from=owner.range.visible,
            )
        if grant is None:
            grant = Grant(0, owner.epoch, 0, 0)
        owner.ports.answer(caller, grant)

    def give_up(self, error: FastnessError) -> None:
        """Refuse everybody who waits."""
        waiting, self._waiting = list(self._waiting.values()), {}
        for caller, _ in waiting:
            self._owner.refuse(caller, error)


def _spread(cells: list[bytes | None], apart: list[int]) -> list[bytes | None]:
    """The cells at their places among all that were asked for, nothing at the places `apart`."""
    spread: list[bytes | None] = []
    left_out = dict.fromkeys(apart)
    for cell in cells:
        while len(spread) in left_out:
            spread.append(None)
        spread.append(cell)
    while len(spread) in left_out:
        spread.append(None)
    return spread


def _interval(scan: Scan | None) -> KeyInterval | None:
    return None if scan is None else KeyInterval(scan.begin, scan.end)


def _too_old(at: Timestamp, horizon: Timestamp) -> SnapshotTooOld:
    return SnapshotTooOld(
        f"a snapshot at {at} lies below the retained window, which begins at {horizon}: read at a "
        "newer timestamp, or raise limits.retention_ms"
    )
