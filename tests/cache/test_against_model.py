"""The near cache against a leaseholder that is dumb and obeys the rules.

The leaseholder keeps every version. A write first sends a notice to whoever's lease still runs by
the server's count, and is carried out once that was acknowledged or the lease is over. Requests,
answers and notices are under way for as long as the test likes. Whatever the cache serves must
be the newest value at that instant, and must have been so since `valid_from`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fastness.cache import CachedKey, CachedScan, Fill, Hold, NearCache
from fastness.limits import Limits
from fastness.ranges.requests import Grant, Invalidate, Scan
from fastness.storage import cells

KEYS = [b"a", b"b", b"c", b"d"]
LEASE_MS = 100
MS = 1_000_000
FAST = 1.009
"""The client's clock runs this much faster or slower than the server's."""

keys = st.sampled_from(KEYS)
edges = st.tuples(st.sampled_from([*KEYS, b"e"]), st.sampled_from([*KEYS, b"e"])).filter(
    lambda pair: pair[0] < pair[1]
)


@dataclass
class Asked:
    """A fill under way; `answer` once the server has seen it."""

    fill: Fill
    answer: tuple[Grant | None, list[bytes | None], list[tuple[bytes, bytes]], bool] | None = None


@dataclass
class Writing:
    """A write that waits for the client; `noticed` once the notice arrived there."""

    key: bytes
    notice: Invalidate | None
    acknowledged: bool
    hold: Hold | None = None


class CacheMachine(RuleBasedStateMachine):
    """One client, one range."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = NearCache(replace(Limits(), cache_bytes=900, cache_scans=2))
        self.now_ms = 0.0
        self.rate = FAST
        self.versions: dict[bytes, list[tuple[int, bytes | None]]] = {key: [] for key in KEYS}
        self.applied = 1
        self.lease = 0
        self.lease_ends_ms = 0.0
        self.notices = 0
        self.asked: list[Asked] = []
        self.writing: list[Writing] = []
        self.used: list[tuple[CachedKey | CachedScan, int]] = []
        self.seen: dict[bytes, bytes | None] = {}
        """What each watched key was when it was armed, until it is lost."""
        for key in KEYS[:2]:
            self.cache.watched.want(key)
        self.cache.watched.lost = self.seen.pop

    # ------------------------------------------------------------------ truth

    def newest(self, key: bytes) -> bytes | None:
        """The newest cell."""
        return self.at(key, self.applied)

    def at(self, key: bytes, timestamp: int) -> bytes | None:
        """The cell at a timestamp."""
        cell: bytes | None = None
        for committed, value in self.versions[key]:
            if committed <= timestamp:
                cell = None if value is None else cells.plain(committed, value)
        return cell

    def now_ns(self) -> int:
        """The client's clock."""
        return int(self.now_ms * self.rate * MS)

    def grant(self) -> Grant | None:
        """What the server grants now: nothing while a notice of the lease is not acknowledged."""
        running = self.lease_ends_ms > self.now_ms
        if running and any(not one.acknowledged for one in self.writing):
            return None
        if self.lease_ends_ms <= self.now_ms:
            self.lease += 1
        self.lease_ends_ms = max(self.lease_ends_ms, self.now_ms + LEASE_MS * 1.02)
        return Grant(self.lease, 1, LEASE_MS, self.applied)

    # ------------------------------------------------------------------ rules

    @rule(milliseconds=st.sampled_from([1.0, 20.0, 45.0, 99.0, 101.0, 150.0]))
    def pass_time(self, milliseconds: float) -> None:
        """Time passes."""
        self.now_ms += milliseconds

    @rule(key=keys)
    def ask_key(self, key: bytes) -> None:
        """The client sends a fill."""
        fill = self.cache.begin(1, [key], None, self.now_ns())
        if fill is not None:
            self.asked.append(Asked(fill))

    @rule(pair=edges, limit=st.integers(1, 3), reverse=st.booleans())
    def ask_scan(self, pair: tuple[bytes, bytes], limit: int, reverse: bool) -> None:
        """The client sends a scan to be filled."""
        fill = self.cache.begin(1, [], Scan(*pair, limit, reverse), self.now_ns())
        if fill is not None:
            self.asked.append(Asked(fill))

    @rule(key=keys)
    def fill_key(self, key: bytes) -> None:
        """A fill, its answer at once."""
        self.ask_key(key)
        if self.asked and self.asked[-1].answer is None:
            self._serve(self.asked[-1])
            self._hear(self.asked[-1])

    @rule(pair=edges, limit=st.integers(1, 3), reverse=st.booleans())
    def fill_scan(self, pair: tuple[bytes, bytes], limit: int, reverse: bool) -> None:
        """A scan, its answer at once."""
        self.ask_scan(pair, limit, reverse)
        if self.asked and self.asked[-1].answer is None:
            self._serve(self.asked[-1])
            self._hear(self.asked[-1])

    @rule(key=keys, value=st.sampled_from([b"x", b"y", None]))
    def write_unseen(self, key: bytes, value: bytes | None) -> None:
        """A write whose notice arrives at once."""
        if key in [one.key for one in self.writing]:
            return
        self.begin_write(key)
        writing = self.writing[-1]
        if writing.notice is not None:
            self.cache.invalidate(writing.notice)
            writing.acknowledged = True
        self.end_write(len(self.writing) - 1, value)

    @precondition(lambda self: any(one.answer is None for one in self.asked))
    @rule(pick=st.integers(0, 3))
    def serve(self, pick: int) -> None:
        """A fill reaches the server. What is being written is not granted."""
        waiting = [one for one in self.asked if one.answer is None]
        self._serve(waiting[pick % len(waiting)])

    def _serve(self, asked: Asked) -> None:
        fill = asked.fill
        scan = fill.scan
        names = [one.key for one in self.writing]
        locked = any(fill.touches([name], []) for name in names)
        items: list[tuple[bytes, bytes]] = []
        complete = False
        if scan is not None:
            inside = [key for key in KEYS if scan.begin <= key < scan.end]
            items = [(key, cell) for key in inside if (cell := self.newest(key)) is not None]
            items.sort(reverse=scan.reverse)
            complete = len(items) <= scan.limit
            items = items[: scan.limit]
        grant = None if locked else self.grant()
        asked.answer = (grant, [self.newest(key) for key in fill.keys], items, complete)

    @precondition(lambda self: any(one.answer is not None for one in self.asked))
    @rule(pick=st.integers(0, 3))
    def hear(self, pick: int) -> None:
        """An answer reaches the client."""
        answered = [one for one in self.asked if one.answer is not None]
        self._hear(answered[pick % len(answered)])

    def _hear(self, asked: Asked) -> None:
        self.asked.remove(asked)
        assert asked.answer is not None
        grant, found, items, complete = asked.answer
        now_ns = self.now_ns()
        kept = self.cache.finish(asked.fill, grant, found, items, complete=complete, now_ns=now_ns)
        for key, cell in zip(asked.fill.keys, found, strict=True):
            if kept and self.cache.watched.is_armed(key, now_ns):
                self.seen[key] = cell

    @precondition(lambda self: self.asked)
    @rule()
    def give_up(self) -> None:
        """The client waits no longer."""
        self.cache.abandon(self.asked.pop(0).fill)

    @precondition(lambda self: len(self.writing) < 2)
    @rule(key=keys)
    def begin_write(self, key: bytes) -> None:
        """Somebody else writes: a notice is under way while the lease runs."""
        if key in [one.key for one in self.writing]:
            return
        notice = None
        if self.lease and self.lease_ends_ms > self.now_ms:
            self.notices += 1
            notice = Invalidate(1, 1, self.lease, self.notices, [key], [])
        self.writing.append(Writing(key, notice, acknowledged=notice is None))

    @precondition(lambda self: len(self.writing) < 2)
    @rule(key=keys)
    def begin_own_write(self, key: bytes) -> None:
        """The client itself writes: it is not notified, but drops first."""
        if key in [one.key for one in self.writing]:
            return
        hold = self.cache.hold([key], [])
        self.writing.append(Writing(key, None, acknowledged=True, hold=hold))

    @precondition(lambda self: any(not one.acknowledged for one in self.writing))
    @rule()
    def notify(self) -> None:
        """A notice reaches the client, and is acknowledged."""
        writing = next(one for one in self.writing if not one.acknowledged)
        assert writing.notice is not None
        self.cache.invalidate(writing.notice)
        writing.acknowledged = True

    @precondition(lambda self: self.writing)
    @rule(pick=st.integers(0, 1), value=st.sampled_from([b"x", b"y", None]))
    def end_write(self, pick: int, value: bytes | None) -> None:
        """A write is carried out, once nobody may be serving the old value."""
        writing = self.writing[pick % len(self.writing)]
        if not writing.acknowledged and self.lease_ends_ms > self.now_ms:
            return
        self.writing.remove(writing)
        self.applied += 1
        self.versions[writing.key].append((self.applied, value))
        if writing.hold is not None:
            self.cache.release(writing.hold)

    @rule()
    def renew(self) -> None:
        """The lease is renewed, its answer at once."""
        lease = self.cache.lease_of(1, self.now_ns())
        grant = self.grant()
        if grant is not None and lease:
            self.cache.granted(1, grant, self.now_ns(), self.now_ns())

    @rule()
    def lapse_at_the_client(self) -> None:
        """Entries used earlier are valid only while nothing happened to them."""
        now_ns = self.now_ns()
        valid = [(entry, at) for entry, at in self.used if self.cache.all_valid([entry], now_ns)]
        for entry, _at in valid:
            self.require_true(entry)
        self.used = valid

    # ----------------------------------------------------------------- checks

    def require_true(self, entry: CachedKey | CachedScan) -> None:
        """What is served is the newest, and has been since `valid_from`."""
        for moment in (self.applied, entry.valid_from):
            if isinstance(entry, CachedKey):
                assert entry.cell == self.at(entry.key, moment)
                continue
            begin, end = entry.covered
            truth = [(k, c) for k in KEYS if begin <= k < end and (c := self.at(k, moment))]
            assert sorted(entry.items) == truth

    @invariant()
    def serves_the_truth(self) -> None:
        """Every entry that is served now."""
        now_ns = self.now_ns()
        for key in KEYS:
            entry = self.cache.find(key, now_ns)
            if entry is not None:
                self.require_true(entry)
                self.used.append((entry, self.applied))
        for begin in KEYS:
            for end in [*KEYS, b"e"]:
                for reverse in (False, True):
                    scan = self.cache.find_scan(begin, end, 1, now_ns, reverse=reverse)
                    if scan is not None:
                        self.require_true(scan)
        del self.used[:-20]

    @invariant()
    def tells_every_change_of_what_is_watched(self) -> None:
        """While a key is armed it is what it was; whatever ends that is told, once."""
        now_ns = self.now_ns()
        for key in KEYS:
            if self.cache.watched.is_armed(key, now_ns):
                assert self.seen[key] == self.newest(key)

    @rule(key=keys)
    def watch_again(self, key: bytes) -> None:
        """Nobody watches it, then somebody does: it is not armed by what was granted before."""
        self.cache.watched.forget(key)
        self.seen.pop(key, None)
        self.cache.watched.want(key)
        assert not self.cache.watched.is_armed(key, self.now_ns())

    @invariant()
    def keeps_its_limits(self) -> None:
        """Never more than its bytes and scans."""
        assert self.cache.size <= 900


class SlowClockMachine(CacheMachine):
    """The client's clock runs slow: its lease seems longer to it than it is."""

    def __init__(self) -> None:
        super().__init__()
        self.rate = 1 / FAST


TestFastClock = CacheMachine.TestCase
TestSlowClock = SlowClockMachine.TestCase
TestFastClock.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSlowClock.settings = TestFastClock.settings
