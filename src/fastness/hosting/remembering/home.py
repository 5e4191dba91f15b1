"""What is known of a range under one epoch, and why an answer from here is the store's own.

Every batch of the range passes through here before it reaches the store, since only the holder
of the epoch can write and all it writes goes through its one `RememberingStore`. So:

1. **Nothing else changes.** From the opening of the epoch on a key has another version only after
   a batch that was *sent* from here. Whoever opens a higher epoch may write unseen; but reads are
   served under a running lease only, and the successor's first commit waits for the end of it
   (CONSISTENCY, 5.3 and 5.4). A range that is opened again begins with an empty memory.
2. **A batch counts once it is durable.** While it is under way or in doubt, a key it writes at T
   is answered from here below T alone, where it makes no difference; at T and above the store is
   asked. Once the store has answered, or `settle` has, it is taken in whole or forgotten whole.
3. **What is learned from the store is the newest.** A version read at R is kept if no batch that
   may have written the key above R was ever sent, and none at all from before the read was sent
   until it was answered (`_Sent`). The answer must also come from a primary that has applied every
   batch decided when the read was sent, and from above the prune horizon.
4. **Each version is known from its own beginning**: the newest is the answer at every timestamp
   from its commit on, one that was overwritten up to where the next begins, an absence from the
   timestamp it was read at. What was evicted is not known; what is known stays true without it.
5. **Transactions resolved late** commit below other keys' versions, never below those of their own
   keys. An absence read above such a commit (by a reader that need not have waited, as it read
   something else) would contradict it: the key is forgotten.
6. **Pruning** removes nothing that a reader at or above the horizon sees, so what is kept here may
   tell more than the store, to nobody who is let in. An expired cell and none are the same.
7. **Splits**: parent and child go on with one home, each asked for its own keys alone; batches of
   both pass through it. **Merges**: the union begins anew, since a half may have been elsewhere.

Keys found in a stretch need no versions of their own, absent ones too.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

from fastness.encoding.intervals import KeyInterval, successor
from fastness.encoding.timestamps import Timestamp
from fastness.hosting.remembering.pool import Owner, Pool
from fastness.hosting.remembering.stretches import Stretch
from fastness.hosting.remembering.under_way import UnderWay
from fastness.hosting.remembering.versions import UNKNOWN, Cell, Unknown, Versions
from fastness.ranges.recent import RecentWrites
from fastness.ranges.requests import Scan
from fastness.storage.cells import expiring, header, timestamp_of
from fastness.storage.contract import Batch, CommittedWrites, Item
from fastness.storage.sorted_keys import SortedKeys

MARKS_MAX = 2_048
"""How many rises of the highest timestamp are remembered."""


class _Sent:
    """Which keys batches were sent for, by their order, back to some batch."""

    __slots__ = ("_floor", "_sequences", "_tops", "_written", "sequence")

    def __init__(self, applied: Timestamp, keys_max: int) -> None:
        self.sequence = 0
        self._written = RecentWrites(low_water=0, keys_max=keys_max)
        """Not by timestamps: by the place of each batch in the order they were sent in."""
        self._floor = applied
        """No batch whose place is forgotten wrote above it."""
        self._tops: list[Timestamp] = []
        self._sequences: list[int] = []
        """Each batch that wrote above all before it: up to where, and its place."""

    @property
    def highest(self) -> Timestamp:
        """No batch wrote above it."""
        return self._tops[-1] if self._tops else self._floor

    def add(self, batch: UnderWay) -> None:
        """A batch is being sent."""
        self.sequence = batch.sequence
        # Copies: what lies here must not keep the batch's values in memory.
        intervals = [interval for interval, _since in batch.erased]
        self._written.add(list(batch.firsts), intervals, batch.sequence)
        last = batch.last
        if last > self.highest:
            self._tops.append(last)
            self._sequences.append(batch.sequence)
            if len(self._tops) > MARKS_MAX:
                half = MARKS_MAX // 2
                self._floor = self._tops[half - 1]
                del self._tops[:half], self._sequences[:half]

    def all_below(self, at: Timestamp) -> int:
        """Up to which place all that was ever sent wrote at or below `at`; -1: nobody knows."""
        if at < self._floor:
            return -1
        place = bisect_right(self._tops, at)
        return self.sequence if place == len(self._tops) else self._sequences[place] - 1

    def key(self, key: bytes, after: int) -> bool:
        """Whether a batch beyond that place may write the key."""
        written = self._written
        return after < written.low_water or written.overwritten({key}, [], after) is not None

    def interval(self, interval: KeyInterval, after: int) -> bool:
        """Whether a batch beyond that place may write in the interval."""
        return self._written.touches(interval, after)


class Home(Owner):
    """See the module's page. Used by the store's one loop alone."""

    __slots__ = (
        "_begins",
        "_order",
        "_pool",
        "_sent",
        "_stretches",
        "under_way",
        "versions",
    )

    def __init__(self, pool: Pool, *, applied: Timestamp, keys_max: int) -> None:
        """`applied` is at or above every commit so far."""
        super().__init__()
        self._pool = pool
        self.versions: dict[bytes, Versions] = {}
        self._order = SortedKeys()
        self._stretches: dict[bytes, Stretch] = {}
        """By their begins; none overlaps another."""
        self._begins: list[bytes] = []
        self._sent = _Sent(applied, keys_max)
        self.under_way: dict[int, UnderWay] = {}
        """Batches by their place in the order they were sent in."""

    # ------------------------------------------------------------------ reading

    @property
    def applied(self) -> Timestamp:
        """At or above every commit so far, and every one that may be."""
        return self._sent.highest

    def cell(self, key: bytes, at: Timestamp) -> Cell | Unknown:
        """The cell of a key as of `at`, as the store would answer now."""
        for under_way in self.under_way.values():
            if under_way.changes(key, at):
                return UNKNOWN
        versions = self.versions.get(key)
        if versions is not None:
            versions.used = True
            if at >= versions.begin:
                return versions.cell
            before = versions.before(at)
            if before is not UNKNOWN:
                return before
        stretch = self._stretch_at(key) if self._begins else None
        if stretch is None:
            return UNKNOWN
        stretch.used = True
        return stretch.cell(key, at)

    def entries(self, scan: Scan, at: Timestamp) -> list[Item] | None:
        """What a scan finds as of `at`, if all of it is known."""
        begin, end, limit, reverse = scan.begin, scan.end, scan.limit, scan.reverse
        if any(one.changes_in(begin, end, at) for one in self.under_way.values()):
            return None
        found: list[Item] = []
        while begin < end and len(found) < limit:
            stretch = self._stretch_below(end) if reverse else self._stretch_at(begin)
            if stretch is None or at < stretch.since:
                return None
            stretch.used = True
            rest = limit - len(found)
            found += stretch.part(begin, end, at, limit=rest, reverse=reverse)
            if reverse:
                end = stretch.begin
            else:
                begin = stretch.end
        return found

    def _stretch_at(self, key: bytes) -> Stretch | None:
        place = bisect_right(self._begins, key) - 1
        if place < 0:
            return None
        stretch = self._stretches[self._begins[place]]
        return stretch if key < stretch.end else None

    def _stretch_below(self, end: bytes) -> Stretch | None:
        place = bisect_left(self._begins, end) - 1
        if place < 0:
            return None
        stretch = self._stretches[self._begins[place]]
        return stretch if end <= stretch.end else None

    def _overlapping(self, interval: KeyInterval) -> Iterator[Stretch]:
        begin, end = interval
        first = self._stretch_at(begin)
        if first is not None:
            yield first
        # Copied, as whoever walks may forget one.
        places = slice(bisect_right(self._begins, begin), bisect_left(self._begins, end))
        for one in self._begins[places]:
            yield self._stretches[one]

    # ------------------------------------------------- what the store answered

    def settled(self, at: Timestamp) -> int:
        """A place in the order of batches, for `learn`: asked for when a read is sent.

        Beyond it are all batches that may show in the answer, or write above `at`.
        """
        decided = min(self.under_way, default=self._sent.sequence + 1) - 1
        return min(decided, self._sent.all_below(at))

    def learn(self, key: bytes, cell: Cell, at: Timestamp, settled: int) -> bool:
        """Keep what a key was as of `at`, if it is known to be its newest version."""
        if settled < 0 or self._sent.key(key, settled):
            return False
        versions = self.versions.get(key)
        begin = at if cell is None else timestamp_of(cell)
        if versions is None:
            return self._take_key(Versions(self, key, begin, cell))
        if cell is None and versions.cell is None and not versions.older:
            # It was absent from the earlier of the two timestamps on.
            versions.begin = min(versions.begin, at)
        return True

    def learn_stretch(
        self, begin: bytes, end: bytes, items: list[Item], at: Timestamp, settled: int
    ) -> bool:
        """Keep all that [begin, end) held as of `at`, in order, if it is known to be the newest."""
        interval = KeyInterval(begin, end)
        if begin >= end or settled < 0 or self._sent.interval(interval, settled):
            return False
        kept = True
        # Only the gaps between what is known already, which is as new.
        for known in list(self._overlapping(interval)):
            if interval.begin <= known.begin and known.end <= interval.end:
                known.since = min(known.since, at)
            if begin < known.begin:
                kept &= self._take_stretch(begin, known.begin, items, at)
            begin = max(begin, known.end)
        if begin < end:
            kept &= self._take_stretch(begin, end, items, at)
        return kept

    def _take_key(self, versions: Versions) -> bool:
        if versions.size > self._pool.size_max:
            return False
        self.versions[versions.key] = versions
        self._order.add(versions.key)
        self._pool.take(versions)
        return True

    def _take_stretch(self, begin: bytes, end: bytes, items: list[Item], at: Timestamp) -> bool:
        inside = [item for item in items if begin <= item[0] < end]
        stretch = Stretch(self, begin, end, inside, at)
        if stretch.size > self._pool.size_max:
            return False
        self._stretches[begin] = stretch
        insort(self._begins, begin)
        self._pool.take(stretch)
        return True

    # ------------------------------------------------------------------ batches

    def send(self, batch: Batch) -> UnderWay:
        """A batch is about to be sent: from now on it may take place."""
        under_way = UnderWay(batch, self._sent.sequence + 1)
        self._sent.add(under_way)
        self.under_way[under_way.sequence] = under_way
        return under_way

    def lost(self, under_way: UnderWay) -> None:
        """It never took place and never will."""
        del self.under_way[under_way.sequence]

    def durable(self, under_way: UnderWay) -> None:
        """It took place."""
        del self.under_way[under_way.sequence]
        for commit in under_way.commits():
            for interval in commit.erased:
                self._erase(interval, commit.timestamp)
            self._write(commit)
        self._pool.fit()

    def _write(self, commit: CommittedWrites) -> None:
        at, expiries = commit.timestamp, commit.expiries or {}
        head = header(at)
        for key, value in commit.writes.items():
            cell: Cell = None
            if value is not None:
                cell = expiring(at, expiries[key], value) if key in expiries else head + value
            self._overwrite(key, at, cell)
            stretch = self._stretch_at(key) if self._begins else None
            if stretch is not None:
                self._grew(stretch, stretch.write(key, at, cell))

    def _overwrite(self, key: bytes, at: Timestamp, cell: Cell) -> None:
        versions = self.versions.get(key)
        if versions is None:
            self._take_key(Versions(self, key, at, cell))
        elif at > versions.begin:
            self._grew(versions, versions.overwrite(at, cell))
        elif at == versions.begin:
            self._grew(versions, versions.replace(cell))
        else:
            self._forget(versions)

    def _erase(self, interval: KeyInterval, at: Timestamp) -> None:
        for key in list(self._order.ascending(*interval)):
            versions = self.versions[key]
            # What lies above was not there to be erased.
            if versions.cell is not None and versions.begin < at:
                self._grew(versions, versions.overwrite(at, None))
        for stretch in list(self._overlapping(interval)):
            begin, end = max(interval.begin, stretch.begin), min(interval.end, stretch.end)
            self._grew(stretch, stretch.erase(begin, end, at))

    def _grew(self, held: Versions | Stretch, by: int) -> None:
        self._pool.resize(held, by)
        if held.size > self._pool.size_max:
            self._forget(held)

    # ------------------------------------------------------------------ forgetting

    def _forget(self, held: Versions | Stretch) -> None:
        held.leave()
        self._pool.left(held)

    def forget_key(self, versions: Versions) -> None:
        """A key goes."""
        del self.versions[versions.key]
        self._order.remove(versions.key)

    def forget_stretch(self, stretch: Stretch) -> None:
        """An interval goes."""
        del self._stretches[stretch.begin]
        del self._begins[bisect_left(self._begins, stretch.begin)]

    def forget_all(self) -> None:
        """Nothing here is known to be true any more."""
        self._pool.left_all(self)
        self.versions = {}
        self._stretches = {}
        self._begins = []
        self._order = SortedKeys()
        self.under_way = {}


def covered(scan: Scan, items: list[Item]) -> tuple[bytes, bytes]:
    """The interval all of whose keys a scan has told of."""
    if len(items) < scan.limit:
        return scan.begin, scan.end
    if not items:
        return scan.begin, scan.begin
    last = items[-1][0]
    return (last, scan.end) if scan.reverse else (scan.begin, successor(last))
