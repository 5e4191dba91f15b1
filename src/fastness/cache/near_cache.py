"""What a client has cached, under which leases, and what takes it away again.

::

    begin(keys, scan) -> Fill ... request ... answer -> finish(fill, grant, ...): entries
    find(key), find_scan(...)  -> an entry that may be served now, or None
    invalidate(notice)         -> drops, and spoils the fills whose request is out
    hold(writes) -> Hold ... commit ... release(hold)

An entry may be served at the instant it is found: while its lease runs, and before anything took
it away. To be served for a read timestamp R it must also be `valid_from` R or earlier. Whoever
used entries earlier and wants to know whether *all* of them may still be served asks
`all_valid`; `losses` counts everything that was ever taken away (invalidated, evicted, dropped,
lapsed), so that the answer costs one comparison while nothing was.

A commit of this very client is not notified of its own writes: it drops them before it is sent
(`hold`), and until it has ended nothing it writes is filled.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from fastness.cache.leases import HeldLease
from fastness.cache.shelves import Shelves
from fastness.cache.watched import WatchedKeys
from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.limits import Limits
from fastness.ranges.requests import Grant, Interval, Invalidate, Scan
from fastness.runtime.clock import DRIFT
from fastness.storage import cells
from fastness.storage.contract import Item
from fastness.storage.sorted_keys import SortedKeys

ENTRY_BYTES = 160
"""What an entry takes besides its keys and cells, roughly."""


@dataclass(slots=True)
class CacheCounts:
    """Figures of a near cache since it began."""

    hits: int = 0
    misses: int = 0
    fills: int = 0
    invalidations: int = 0
    """Entries taken away because somebody else wrote them."""
    evictions: int = 0
    spoiled_fills: int = 0
    lease_losses: int = 0
    """Leases that lapsed, were revoked or replaced while there were entries under them."""


class CachedKey:
    """The newest cell of a key (`None`: absent), as its range granted it."""

    __slots__ = ("cell", "key", "lease", "taken", "valid_from")

    def __init__(
        self, key: bytes, cell: bytes | None, lease: HeldLease, valid_from: Timestamp
    ) -> None:
        self.key = key
        self.cell = cell
        self.lease = lease
        self.valid_from = valid_from if cell is None else cells.timestamp_of(cell)
        self.taken = False
        """It was taken away, and will never be served again."""

    @property
    def size(self) -> int:
        """Bytes it counts for."""
        return ENTRY_BYTES + len(self.key) + len(self.cell or b"")

    @property
    def expires(self) -> bool:
        """Whether a reader needs a timestamp to judge it."""
        return self.cell is not None and self.cell[:1] >= b"\x80"


class CachedScan:
    """The newest entries of an interval within one range, from one end on."""

    __slots__ = ("asked", "complete", "covered", "items", "lease", "size", "taken", "valid_from")

    def __init__(
        self, scan: Scan, items: list[Item], lease: HeldLease, valid_from: Timestamp, complete: bool
    ) -> None:
        self.asked = (scan.begin, scan.end, scan.reverse)
        self.items = items
        self.complete = complete
        """Whether nothing of the interval lies beyond the items."""
        self.covered = covered(scan, items, complete=complete)
        self.lease = lease
        self.valid_from = valid_from
        self.size = ENTRY_BYTES + sum(len(key) + len(cell) + 64 for key, cell in items)
        self.taken = False

    @property
    def is_partial(self) -> bool:
        """Whether it speaks for less than the interval asked for."""
        begin, end, _reverse = self.asked
        return (begin, end) != tuple(self.covered)

    @property
    def expires(self) -> bool:
        """Whether a reader needs a timestamp to judge any of it."""
        return any(cell[:1] >= b"\x80" for _key, cell in self.items)


Cached = CachedKey | CachedScan


def covered(scan: Scan, items: list[Item], *, complete: bool) -> KeyInterval:
    """The stretch of a scan's interval that its items speak for."""
    if complete or not items:
        return KeyInterval(scan.begin, scan.end)
    last = items[-1][0]
    if scan.reverse:
        return KeyInterval(last, scan.end)
    return KeyInterval(scan.begin, successor(last))


class Fill:
    """A request that is out, to be cached when it is answered."""

    __slots__ = ("keys", "number", "range_id", "scan", "sent_ns", "spoiled")

    def __init__(
        self, number: int, range_id: int, keys: list[bytes], scan: Scan | None, sent_ns: int
    ) -> None:
        self.number = number
        self.range_id = range_id
        self.keys = keys
        self.scan = scan
        self.sent_ns = sent_ns
        self.spoiled = False
        """Something it asks for was written meanwhile: its answer is not kept."""

    def touches(self, keys: Iterable[bytes], intervals: Iterable[Interval]) -> bool:
        """Whether it asks for any of these."""
        scan = self.scan
        for key in keys:
            if key in self.keys or (scan is not None and scan.begin <= key < scan.end):
                return True
        for begin, end in intervals:
            if any(begin <= key < end for key in self.keys):
                return True
            if scan is not None and begin < scan.end and scan.begin < end:
                return True
        return False


class Hold:
    """What a commit of this client writes, from before it is sent until it has ended."""

    __slots__ = ("intervals", "keys", "number")

    def __init__(self, number: int, keys: list[bytes], intervals: list[Interval]) -> None:
        self.number = number
        self.keys = keys
        self.intervals = intervals


class NearCache:
    """One client's cache, bounded by `limits.cache_bytes` and `limits.cache_scans`."""

    def __init__(self, limits: Limits) -> None:
        self.counts = CacheCounts()
        self.watched = WatchedKeys()
        self.losses = 0
        """Rises with everything taken away, whatever the reason."""
        self._bytes_max = limits.cache_bytes
        self._scans_max = limits.cache_scans
        self._bytes = 0
        self._recent: OrderedDict[Cached, None] = OrderedDict()
        self._keys: dict[bytes, CachedKey] = {}
        self._ordered = SortedKeys()
        self._scans: dict[tuple[bytes, bytes, bool], CachedScan] = {}
        self._partial: dict[CachedScan, None] = {}
        """Those that speak for less than was asked, and is tracked for them."""
        self._shelves: Shelves[CachedScan] = Shelves()
        self._leases: dict[int, HeldLease] = {}
        self._revoked: dict[int, tuple[int, int]] = {}
        self._resting: dict[int, int] = {}
        """Until when nothing is asked for, by range: a lease there is not to be trusted."""
        self._rest_ns = int(limits.cache_lease_ms * (1 + 5 * DRIFT)) * 1_000_000
        self._under: dict[HeldLease, dict[Cached, None]] = {}
        self._fills: dict[int, Fill] = {}
        self._holds: dict[int, Hold] = {}
        self._held_keys: dict[bytes, int] = {}
        self._numbers = 0

    def __len__(self) -> int:
        return len(self._recent)

    @property
    def has_leases(self) -> bool:
        """Whether anything could be served: without leases nothing is held under any."""
        return bool(self._leases)

    @property
    def size(self) -> int:
        """Bytes the entries take."""
        return self._bytes

    @property
    def fills_out(self) -> int:
        """Requests that are out, to be cached when they are answered."""
        return len(self._fills)

    def recent(self, limit: int) -> list[Cached]:
        """The entries used last, latest first, whether or not they may still be served."""
        return list(islice(reversed(self._recent), limit))

    # ----------------------------------------------------------------- serving

    def find(self, key: bytes, now_ns: int) -> CachedKey | None:
        """The entry of a key, if it may be served now."""
        entry = self._keys.get(key)
        if entry is None or not self._serves(entry, now_ns):
            self.counts.misses += 1
            return None
        self.counts.hits += 1
        return entry

    def glance(self, key: bytes, now_ns: int) -> CachedKey | None:
        """As `find`, from any thread, also while another uses the cache; finds less.

        Every step is one that no other thread can see half done, and nothing is changed but the
        order of recent use. In the second half of a lease it finds nothing, so that whoever
        looks properly renews it; the caller counts the hit.
        """
        entry = self._keys.get(key)
        if entry is None or entry.taken or entry.lease.void or entry.lease.wants_renewal(now_ns):
            return None
        try:
            self._recent.move_to_end(entry)
        except KeyError:
            return None
        return entry

    def find_scan(
        self, begin: bytes, end: bytes, limit: int, now_ns: int, *, reverse: bool
    ) -> CachedScan | None:
        """A cached scan that holds the first `limit` entries of the interval, or all of it."""
        entry = self._scans.get((begin, end, reverse))
        if entry is None or (not entry.complete and len(entry.items) < limit):
            self.counts.misses += 1
            return None
        if not self._serves(entry, now_ns):
            self.counts.misses += 1
            return None
        self.counts.hits += 1
        return entry

    def _serves(self, entry: Cached, now_ns: int) -> bool:
        lease = entry.lease
        if now_ns >= lease.ends_ns:
            self.void(lease)
            return False
        self._recent.move_to_end(entry)
        return True

    def all_valid(self, entries: Iterable[Cached], now_ns: int) -> bool:
        """Whether each of these may still be served at this instant."""
        for entry in entries:
            if entry.taken:
                return False
            if now_ns >= entry.lease.ends_ns:
                self.void(entry.lease)
                return False
        return True

    def lease_of(self, range_id: int, now_ns: int) -> int:
        """The cache lease of a range that runs now, 0 for none."""
        lease = self._leases.get(range_id)
        if lease is None:
            return 0
        if now_ns >= lease.ends_ns:
            self.void(lease)
            return 0
        return lease.lease

    # ----------------------------------------------------------------- filling

    def begin(
        self, range_id: int, keys: list[bytes], scan: Scan | None, now_ns: int
    ) -> Fill | None:
        """A request is about to be sent; `None` where its answer could not be kept.

        That is while a commit of this client writes any of it, and while a lease of the range
        that was distrusted may still be running at the leaseholder.
        """
        if self._resting and now_ns < self._resting.get(range_id, 0):
            return None
        self._numbers += 1
        fill = Fill(self._numbers, range_id, keys, scan, now_ns)
        if self._held_keys and any(key in self._held_keys for key in keys):
            return None
        for hold in self._holds.values():
            wide = hold.intervals or scan is not None
            if wide and fill.touches(hold.keys, hold.intervals):
                return None
        self._fills[fill.number] = fill
        return fill

    def abandon(self, fill: Fill | None) -> None:
        """Nobody waits for its answer any more; nothing happens where it was finished."""
        if fill is not None:
            self._fills.pop(fill.number, None)

    def finish(
        self,
        fill: Fill,
        grant: Grant | None,
        found: list[bytes | None],
        items: list[Item],
        *,
        complete: bool,
        now_ns: int,
    ) -> bool:
        """Keep what a fill was answered with; whether it was kept."""
        if self._fills.pop(fill.number, None) is None or grant is None:
            return False
        lease = self.granted(fill.range_id, grant, fill.sent_ns, now_ns)
        if fill.spoiled:
            self.counts.spoiled_fills += 1
            return False
        if lease is None:
            return False
        self.counts.fills += 1
        self.watched.arm(fill.keys, lease)
        for key, cell in zip(fill.keys, found, strict=True):
            self._put_key(CachedKey(key, cell, lease, grant.valid_from))
        if fill.scan is not None:
            self._put_scan(CachedScan(fill.scan, items, lease, grant.valid_from, complete))
        self._evict()
        return True

    def granted(self, range_id: int, grant: Grant, sent_ns: int, now_ns: int) -> HeldLease | None:
        """Take up a grant; the lease it is of, `None` where that has ended already.

        Leases of a range are numbered as they are given out, under rising epochs: an older one
        that arrives late is void, a newer one replaces what is held.
        """
        name = (grant.epoch, grant.lease)
        if name <= self._revoked.get(range_id, (0, 0)):
            if range_id in self._resting:
                # The leaseholder has just extended what must come to its end.
                self._resting[range_id] = now_ns + self._rest_ns
            return None
        self._resting.pop(range_id, None)
        held = self._leases.get(range_id)
        if held is not None and now_ns >= held.ends_ns:
            self.void(held)
            held = None
        if held is not None:
            if name < (held.epoch, held.lease):
                return None
            if name == (held.epoch, held.lease):
                held.extend(grant, sent_ns)
                return held
            self.void(held)
        lease = HeldLease(range_id, grant, sent_ns)
        if now_ns >= lease.ends_ns:
            return None
        self._leases[range_id] = lease
        return lease

    def _put_key(self, entry: CachedKey) -> None:
        before = self._keys.get(entry.key)
        if before is not None:
            if before.cell == entry.cell and before.lease is entry.lease:
                return
            self._take(before)
        self._keys[entry.key] = entry
        self._ordered.add(entry.key)
        self._add(entry)

    def _put_scan(self, entry: CachedScan) -> None:
        before = self._scans.get(entry.asked)
        if before is not None:
            self._take(before)
        if entry.covered.begin >= entry.covered.end or not self._shelves.add(entry.covered, entry):
            return
        self._scans[entry.asked] = entry
        if entry.is_partial:
            self._partial[entry] = None
        self._add(entry)

    def _add(self, entry: Cached) -> None:
        self._recent[entry] = None
        self._under.setdefault(entry.lease, {})[entry] = None
        self._bytes += entry.size

    def _evict(self) -> None:
        while self._recent and (
            self._bytes > self._bytes_max or len(self._scans) > self._scans_max
        ):
            scans_only = self._bytes <= self._bytes_max
            oldest = next(one for one in self._recent if not scans_only or type(one) is CachedScan)
            self._take(oldest)
            self.counts.evictions += 1

    # ------------------------------------------------------------- taking away

    def invalidate(self, notice: Invalidate) -> None:
        """Drop what a notice names, and spoil the fills of it whose request is out.

        A notice for a lease or entries that were never had is no error: the fills may be those
        that would have brought them.
        """
        name = (notice.epoch, notice.lease)
        held = self._leases.get(notice.range_id)
        if notice.everything:
            self._revoked[notice.range_id] = max(name, self._revoked.get(notice.range_id, (0, 0)))
            if held is not None and (held.epoch, held.lease) <= name:
                self.void(held)
        self.counts.invalidations += self._drop(notice.keys, notice.intervals)

    def _drop(self, keys: list[bytes], intervals: list[Interval]) -> int:
        """Take away every entry, and spoil every fill, that these touch; how many entries."""
        taken = 0
        for key in keys:
            entry = self._keys.get(key)
            if entry is not None:
                self._take(entry)
                taken += 1
            for scan in self._shelves.touching(key, successor(key)):
                self._take(scan)
                taken += 1
        for begin, end in intervals:
            for key in list(self._ordered.ascending(begin, end)):
                self._take(self._keys[key])
                taken += 1
            for scan in self._shelves.touching(begin, end):
                self._take(scan)
                taken += 1
        for fill in self._fills.values():
            if not fill.spoiled and fill.touches(keys, intervals):
                fill.spoiled = True
        self.watched.drop(keys, intervals)
        return taken

    def hold(self, keys: list[bytes], intervals: list[Interval]) -> Hold:
        """Drop what a commit is about to write; nothing of it is filled until `release`."""
        self._numbers += 1
        hold = Hold(self._numbers, keys, intervals)
        self._drop(keys, intervals)
        self._drop_partial(keys, intervals)
        self._holds[hold.number] = hold
        for key in keys:
            self._held_keys[key] = self._held_keys.get(key, 0) + 1
        return hold

    def _drop_partial(self, keys: list[bytes], intervals: list[Interval]) -> None:
        """Take away the pages of whose whole interval this client's commit writes any.

        The leaseholder tracks a scan by the interval asked for, not knowing how far its page
        came, and forgets it with a commit of its client that writes there.
        """
        for scan in list(self._partial):
            begin, end, _reverse = scan.asked
            if any(begin <= key < end for key in keys) or any(
                low < end and begin < high for low, high in intervals
            ):
                self._take(scan)

    def release(self, hold: Hold) -> None:
        """The commit has ended, one way or the other."""
        if self._holds.pop(hold.number, None) is None:
            return
        for key in hold.keys:
            left = self._held_keys[key] - 1
            if left:
                self._held_keys[key] = left
            else:
                del self._held_keys[key]

    def void(self, lease: HeldLease) -> None:
        """Take away everything under a lease."""
        if lease.void:
            return
        lease.void = True
        if self._leases.get(lease.range_id) is lease:
            del self._leases[lease.range_id]
        under = self._under.pop(lease, {})
        self.counts.lease_losses += bool(under)
        for entry in list(under):
            self._take(entry)
        self.watched.void(lease)

    def void_lapsed(self, now_ns: int) -> None:
        """Take away everything under leases that have ended by now."""
        for lease in list(self._leases.values()):
            if now_ns >= lease.ends_ns:
                self.void(lease)

    def distrust_all(self, now_ns: int) -> None:
        """A commit of this client may be carried out at any later time, unannounced.

        It was sent with the leases held now, whose ranges take it for granted that its writes
        were dropped. So no entry may ever come under them again, and for their rest nothing is
        cached there: asking would extend them.
        """
        for lease in list(self._leases.values()):
            name = (lease.epoch, lease.lease)
            self._revoked[lease.range_id] = max(name, self._revoked.get(lease.range_id, (0, 0)))
            self._resting[lease.range_id] = now_ns + self._rest_ns
        self.void_all()

    def void_all(self) -> None:
        """Take away everything, and spoil every fill: a fork, a close."""
        for lease in list(self._leases.values()):
            self.void(lease)
        for fill in self._fills.values():
            fill.spoiled = True

    def _take(self, entry: Cached) -> None:
        entry.taken = True
        self.losses += 1
        self._bytes -= entry.size
        del self._recent[entry]
        under = self._under.get(entry.lease)
        if under is not None:
            under.pop(entry, None)
        if type(entry) is CachedKey:
            del self._keys[entry.key]
            self._ordered.remove(entry.key)
        elif type(entry) is CachedScan:
            del self._scans[entry.asked]
            self._partial.pop(entry, None)
            self._shelves.remove(entry.covered, entry)
