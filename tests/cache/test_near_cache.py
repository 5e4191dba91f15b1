"""What a near cache serves, rule by rule."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastness.cache import CachedKey, NearCache
from fastness.encoding.intervals import KeyInterval
from fastness.limits import Limits
from fastness.ranges.ports import Caller
from fastness.ranges.requests import Grant, Invalidate, Scan
from fastness.ranges.tracking import Tracking
from fastness.storage import cells

MS = 1_000_000


def grant(
    lease: int = 1, *, epoch: int = 1, valid_from: int = 5, milliseconds: int = 1_000
) -> Grant:
    """A grant of range 1."""
    return Grant(lease, epoch, milliseconds, valid_from)


def invalidation(*keys: bytes, lease: int = 1, everything: bool = False) -> Invalidate:
    """A notice of range 1."""
    return Invalidate(1, 1, lease, 1, list(keys), [], everything)


def filled(
    cache: NearCache,
    key: bytes,
    cell: bytes | None,
    *,
    given: Grant | None = None,
    sent_ns: int = 0,
) -> bool:
    """Ask for a key and be answered; whether it was kept."""
    fill = cache.begin(1, [key], None, sent_ns)
    assert fill is not None
    return cache.finish(fill, given or grant(), [cell], [], complete=False, now_ns=sent_ns)


def found(cache: NearCache, key: bytes, now_ns: int = 0) -> CachedKey:
    """An entry that must be there."""
    entry = cache.find(key, now_ns)
    assert entry is not None
    return entry


def test_a_lease_counts_from_before_it_was_asked_for() -> None:
    """It ends a hundredth before the time granted, counted from the request, not the answer."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 100 * MS)
    assert fill is not None
    assert cache.finish(fill, grant(), [b"x" * 8], [], complete=False, now_ns=900 * MS)
    assert cache.find(b"a", 1_089 * MS) is not None
    assert cache.find(b"a", 1_090 * MS) is None
    assert cache.counts.lease_losses == 1


def test_a_grant_that_took_too_long_is_worth_nothing() -> None:
    """An answer that arrives after its own lease ended is not kept."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 0)
    assert fill is not None
    assert not cache.finish(fill, grant(), [b"x" * 8], [], complete=False, now_ns=990 * MS)


def test_a_lapsed_lease_is_not_revived() -> None:
    """What was cached under it stays gone, even if the leaseholder still extends it."""
    cache = NearCache(Limits())
    filled(cache, b"a", cells.plain(3, b"1"))
    entry = found(cache, b"a")
    assert cache.find(b"a", 2_000 * MS) is None
    assert cache.granted(1, grant(), 2_000 * MS, 2_000 * MS) is not None
    assert cache.find(b"a", 2_000 * MS) is None
    assert entry.taken
    assert not cache.all_valid([entry], 2_000 * MS)


def test_an_invalidation_takes_away_what_it_names() -> None:
    """Keys and the scans over them go, others stay; absences are entries too."""
    cache = NearCache(Limits())
    filled(cache, b"a", cells.plain(3, b"1"))
    filled(cache, b"b", None)
    scan = Scan(b"a", b"m", 10)
    fill = cache.begin(1, [], scan, 0)
    assert fill is not None
    cache.finish(fill, grant(), [], [(b"a", cells.plain(3, b"1"))], complete=True, now_ns=0)
    cache.invalidate(invalidation(b"b"))
    assert cache.find(b"a", 0) is not None
    assert cache.find(b"b", 0) is None
    assert cache.find_scan(b"a", b"m", 10, 0, reverse=False) is None
    assert cache.counts.invalidations == 2


def test_an_invalidation_spoils_what_is_under_way() -> None:
    """An answer that was overtaken by a notice is not kept, whatever lease the notice names."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 0)
    assert fill is not None
    cache.invalidate(invalidation(b"a", lease=9))
    assert not cache.finish(fill, grant(9), [b"x" * 8], [], complete=False, now_ns=0)
    assert cache.find(b"a", 0) is None
    assert cache.counts.spoiled_fills == 1


def test_a_revoked_lease_is_void_before_it_arrives() -> None:
    """A notice of everything outruns the answer that brings the lease."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 0)
    assert fill is not None
    cache.invalidate(invalidation(lease=3, everything=True))
    assert not cache.finish(fill, grant(3), [b"x" * 8], [], complete=False, now_ns=0)
    assert filled(cache, b"a", b"x" * 8, given=grant(4))


def test_a_new_lease_voids_the_old_one() -> None:
    """Nothing granted under another lease, or another epoch, is served any more."""
    cache = NearCache(Limits())
    for newer in (grant(2), grant(1, epoch=2)):
        filled(cache, b"a", cells.plain(3, b"1"))
        filled(cache, b"b", cells.plain(4, b"2"), given=newer)
        assert cache.find(b"a", 0) is None
        assert found(cache, b"b").lease.lease == newer.lease


def test_an_older_lease_that_arrives_late_is_ignored() -> None:
    """Answers may overtake each other: the lower number was given out earlier, and is void."""
    cache = NearCache(Limits())
    late = cache.begin(1, [b"a"], None, 0)
    assert late is not None
    filled(cache, b"b", cells.plain(4, b"2"), given=grant(2))
    assert not cache.finish(late, grant(1), [b"x" * 8], [], complete=False, now_ns=0)
    assert cache.find(b"b", 0) is not None


def test_own_writes_are_dropped_before_they_are_sent() -> None:
    """Until the commit has ended, nothing that it writes is filled or kept."""
    cache = NearCache(Limits())
    filled(cache, b"a", cells.plain(3, b"1"))
    out = cache.begin(1, [b"c"], None, 0)
    assert out is not None
    hold = cache.hold([b"a", b"c"], [(b"x", b"y")])
    assert cache.find(b"a", 0) is None
    assert cache.begin(1, [b"a"], None, 0) is None
    assert cache.begin(1, [b"xx"], None, 0) is None
    assert cache.begin(1, [], Scan(b"b", b"d", 5), 0) is None
    assert cache.begin(1, [b"b"], None, 0) is not None
    assert not cache.finish(out, grant(), [b"x" * 8], [], complete=False, now_ns=0)
    cache.release(hold)
    cache.release(hold)
    assert filled(cache, b"a", cells.plain(7, b"2"))


@pytest.mark.parametrize("reverse", [False, True])
def test_own_writes_beyond_a_page_drop_it(reverse: bool) -> None:
    """The leaseholder tracks the whole interval that was asked for, and forgets the whole."""
    cache = NearCache(Limits())
    tracking = Tracking(range_id=1, epoch=1, limits=Limits())
    fill = cache.begin(1, [], Scan(b"a", b"z", 2, reverse), 0)
    assert fill is not None
    lease, _told = tracking.track(Caller("app", 1), [], KeyInterval(b"a", b"z"), 0)
    assert lease is not None
    given = tracking.grant(lease, boot_ns=0, left_ms=9_000, valid_from=5)
    items = [(b"n", cells.plain(1, b"1")), (b"o", cells.plain(2, b"2"))]
    items = items[::-1] if reverse else items
    assert cache.finish(fill, given, [], items, complete=False, now_ns=0)
    beyond = b"c" if reverse else b"x"
    cache.hold([beyond], [])
    tracking.forget_own(Caller("app", 2), lease.lease, [beyond], [])
    # Nobody is told of this one: so nothing may be served that it changes.
    assert not tracking.invalidate([b"nn"], [], 0, lambda: None)[0]
    assert cache.find_scan(b"a", b"z", 2, 0, reverse=reverse) is None
    assert len(cache) == 0


def test_own_writes_beside_a_page_leave_it() -> None:
    """Neither a key nor an interval outside what was asked for touches it."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [], Scan(b"b", b"y", 1), 0)
    assert fill is not None
    cache.finish(fill, grant(), [], [(b"c", cells.plain(1, b"1"))], complete=False, now_ns=0)
    cache.hold([b"a", b"y"], [(b"y", b"z")])
    assert cache.find_scan(b"b", b"y", 1, 0, reverse=False) is not None
    cache.hold([], [(b"x", b"z")])
    assert cache.find_scan(b"b", b"y", 1, 0, reverse=False) is None


def test_holds_of_two_commits_add_up() -> None:
    """A key that two commits write is free after both."""
    cache = NearCache(Limits())
    first, second = cache.hold([b"a"], []), cache.hold([b"a"], [])
    cache.release(first)
    assert cache.begin(1, [b"a"], None, 0) is None
    cache.release(second)
    assert cache.begin(1, [b"a"], None, 0) is not None


def test_the_oldest_go_first() -> None:
    """Beyond its bytes the cache lets go of what was used least recently, and counts it a loss."""
    cache = NearCache(replace(Limits(), cache_bytes=600))
    for key in (b"a", b"b", b"c"):
        filled(cache, key, cells.plain(3, b"1"))
    used = found(cache, b"a")
    losses = cache.losses
    filled(cache, b"d", cells.plain(3, b"1"))
    assert cache.find(b"b", 0) is None
    assert cache.find(b"a", 0) is used
    assert cache.losses == losses + 1
    assert cache.counts.evictions == 1
    assert cache.size <= 600


def test_scans_have_a_limit_of_their_own() -> None:
    """Beyond `cache_scans` the least recently used scan goes, keys stay."""
    cache = NearCache(replace(Limits(), cache_scans=2))
    filled(cache, b"a", cells.plain(3, b"1"))
    for begin in (b"b", b"c", b"d"):
        fill = cache.begin(1, [], Scan(begin, begin + b"\xff", 9), 0)
        assert fill is not None
        cache.finish(fill, grant(), [], [], complete=True, now_ns=0)
    assert cache.find(b"a", 0) is not None
    assert cache.find_scan(b"b", b"b\xff", 1, 0, reverse=False) is None
    assert cache.find_scan(b"d", b"d\xff", 1, 0, reverse=False) is not None


def test_valid_from() -> None:
    """A present key is valid from its own commit, an absence from what the range had applied."""
    cache = NearCache(Limits())
    filled(cache, b"a", cells.plain(3, b"1"), given=grant(valid_from=8))
    filled(cache, b"b", None, given=grant(valid_from=8))
    filled(cache, b"c", cells.expiring(4, 99, b"1"), given=grant(valid_from=8))
    assert [found(cache, key).valid_from for key in (b"a", b"b", b"c")] == [3, 8, 4]
    assert [found(cache, key).expires for key in (b"a", b"b", b"c")] == [False, False, True]


def test_a_page_serves_shorter_pages() -> None:
    """A cached page serves any limit up to its length; a longer one only if nothing is left."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [], Scan(b"a", b"z", 2, reverse=True), 0)
    assert fill is not None
    items = [(b"y", cells.plain(1, b"1")), (b"x", cells.plain(2, b"2"))]
    cache.finish(fill, grant(), [], items, complete=False, now_ns=0)
    assert cache.find_scan(b"a", b"z", 1, 0, reverse=True) is not None
    assert cache.find_scan(b"a", b"z", 2, 0, reverse=True) is not None
    assert cache.find_scan(b"a", b"z", 3, 0, reverse=True) is None
    assert cache.find_scan(b"a", b"z", 1, 0, reverse=False) is None
    cache.invalidate(invalidation(b"w"))
    assert cache.find_scan(b"a", b"z", 2, 0, reverse=True) is not None
    cache.invalidate(invalidation(b"x"))
    assert cache.find_scan(b"a", b"z", 2, 0, reverse=True) is None


def test_everything_goes_at_a_fork() -> None:
    """`void_all` empties the cache and spoils what is under way."""
    cache = NearCache(Limits())
    filled(cache, b"a", cells.plain(3, b"1"))
    fill = cache.begin(1, [b"b"], None, 0)
    assert fill is not None
    cache.void_all()
    assert len(cache) == 0
    assert cache.size == 0
    assert not cache.finish(fill, grant(), [None], [], complete=False, now_ns=0)


def test_what_was_abandoned_is_not_kept() -> None:
    """A fill whose reader went away is forgotten; abandoning twice, or nothing, is no error."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 0)
    assert fill is not None
    cache.abandon(fill)
    cache.abandon(fill)
    cache.abandon(None)
    assert not cache.finish(fill, grant(), [None], [], complete=False, now_ns=0)


def test_an_answer_without_a_grant_is_not_kept() -> None:
    """What is locked, or not to be cached, comes without a grant."""
    cache = NearCache(Limits())
    fill = cache.begin(1, [b"a"], None, 0)
    assert fill is not None
    assert not cache.finish(fill, None, [None], [], complete=False, now_ns=0)
