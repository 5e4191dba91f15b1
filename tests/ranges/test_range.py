"""The range alone, by hand: who joins, who waits, who fails, and who is answered when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastness.encoding.intervals import KeyInterval
from fastness.errors import Conflict, MaybeCommitted, Overloaded, StoreUnavailable
from fastness.invariants import InvariantViolation, present
from fastness.limits import Limits
from fastness.ranges import CommitState, Stamped, versionstamp
from tests.ranges.requests import committed, new_range, request, written

A, B, C = b"a", b"b", b"c"


def test_a_batch_draws_one_timestamp_per_member_in_join_order() -> None:
    """Commit order is join order, from the first timestamp of the block."""
    owned = new_range(visible=10)
    members = [request(at=10, writes={key: b"1"}) for key in (C, A, B)]
    assert [owned.submit(member) for member in members] == [CommitState.JOINED] * 3
    batch = present(written(owned, 20), "three members")
    assert [commit.timestamp for commit in batch.commits] == [20, 21, 22]
    assert [list(commit.writes) for commit in batch.commits] == [[C], [A], [B]]
    assert (batch.epoch, batch.number) == (1, 1)
    assert owned.visible == 10
    assert owned.applied() == members
    assert owned.visible == 22
    assert [member.state for member in members] == [CommitState.COMMITTED] * 3


def test_a_block_at_or_below_visible_is_refused() -> None:
    """A timestamp that a reader may have been given is never a commit timestamp."""
    owned = new_range(visible=10)
    owned.submit(request(writes={A: b"1"}))
    with pytest.raises(InvariantViolation, match="drawn at or below the visible"):
        written(owned, 10)


def test_a_read_overtaken_by_an_applied_batch_fails_at_once() -> None:
    """The conflict names the key and who won it."""
    owned = new_range()
    owned.submit(request(writes={A: b"1"}))
    committed(owned, 5)
    late = request(at=4, reads=[A], writes={B: b"1"})
    assert owned.submit(late) is CommitState.FAILED
    assert isinstance(late.error, Conflict)
    assert (late.error.key, late.error.winner) == (A, 5)
    seen = request(at=5, reads=[A], writes={B: b"1"})
    assert owned.submit(seen) is CommitState.JOINED


def test_a_read_of_what_the_open_batch_writes_waits_and_is_validated_again() -> None:
    """H1: validated, then made to wait, then committed unvalidated would lose an update."""
    owned = new_range()
    first = request(reads=[A], writes={A: b"1"})
    second = request(reads=[A], writes={A: b"2"})
    assert owned.submit(first) is CommitState.JOINED
    assert owned.submit(second) is CommitState.WAITING
    assert committed(owned, 1) == [first, second]
    assert first.state is CommitState.COMMITTED
    assert isinstance(second.error, Conflict)


def test_a_read_of_what_is_being_written_waits_too() -> None:
    """H1: a batch that is closed and not yet durable is as undecided as an open one."""
    owned = new_range()
    owned.submit(request(writes={A: b"1"}))
    written(owned, 1)
    reader = request(reads=[A], writes={B: b"1"})
    assert owned.submit(reader) is CommitState.WAITING
    assert reader in owned.applied()
    assert isinstance(reader.error, Conflict)


def test_one_batch_admits_no_write_skew() -> None:
    """H1, second: T1 reads y and writes x, T2 reads x and writes y, in one batch."""
    owned = new_range()
    first = request(reads=[B], writes={A: b"1"})
    second = request(reads=[A], writes={B: b"1"})
    assert owned.submit(first) is CommitState.JOINED
    assert owned.submit(second) is CommitState.WAITING
    committed(owned, 1)
    assert isinstance(second.error, Conflict)


def test_a_later_member_may_write_what_an_earlier_one_read() -> None:
    """It can only be ordered after it, so it need not wait (H1, third)."""
    owned = new_range()
    reader = request(reads=[A], writes={B: b"1"})
    writer = request(writes={A: b"1"})
    owned.submit(reader)
    assert owned.submit(writer) is CommitState.JOINED
    committed(owned, 1)
    assert reader.timestamp < writer.timestamp


def test_a_waiting_commit_goes_on_where_the_writer_failed() -> None:
    """A member dropped at the close has written nothing: who waited for another key joins."""
    owned = new_range()
    owned.submit(request(writes={A: b"1"}, alive_until=3))
    waiting = request(reads=[B], writes={B: b"1"})
    owned.submit(request(writes={B: b"0"}, alive_until=3))
    assert owned.submit(waiting) is CommitState.WAITING
    assert written(owned, 5) is None
    assert waiting not in owned.applied()
    assert waiting.state is CommitState.JOINED
    assert owned.first_member() is waiting


def test_a_commit_that_found_a_value_alive_must_commit_before_its_expiry() -> None:
    """CONSISTENCY 1.8: a batch drops such a member, with a conflict, and nobody else."""
    owned = new_range()
    early = request(writes={A: b"1"}, alive_until=11)
    late = request(writes={B: b"1"}, alive_until=11)
    owned.submit(early)
    owned.submit(late)
    batch = present(written(owned, 10), "one member is left")
    assert [commit.timestamp for commit in batch.commits] == [10]
    assert owned.applied() == [early, late]
    assert early.state is CommitState.COMMITTED
    assert isinstance(late.error, Conflict)
    assert "not below 11, where a value it found alive expires" in str(late.error)


def test_an_interval_read_meets_keys_intervals_and_stamps() -> None:
    """No phantoms: an insertion, an erased interval and a versionstamped key are all seen."""
    scan = [(b"b", b"d")]
    for writer in (
        request(writes={C: b"1"}),
        request(erased=[(b"c", b"z")]),
        request(stamped=[Stamped(b"c", b"", b"1")]),
    ):
        owned = new_range()
        owned.submit(writer)
        reader = request(scans=scan, writes={A: b"1"})
        assert owned.submit(reader) is CommitState.WAITING
        committed(owned, 1)
        assert isinstance(reader.error, Conflict)


def test_what_touches_an_interval_from_outside_is_no_conflict() -> None:
    """Begin belongs to an interval, end does not."""
    owned = new_range()
    owned.submit(request(writes={b"d": b"1", A: b"1"}))
    owned.submit(request(erased=[(b"d", b"e")]))
    assert owned.submit(request(scans=[(b"b", b"d")], writes={B: b"1"})) is CommitState.JOINED


def test_a_key_read_in_an_erased_interval_is_a_conflict() -> None:
    """An erased interval overtakes reads of its keys, present or not."""
    owned = new_range()
    owned.submit(request(erased=[(b"a", b"c")]))
    committed(owned, 1)
    for key, state in ((A, CommitState.FAILED), (B, CommitState.FAILED), (C, CommitState.JOINED)):
        assert owned.submit(request(reads=[key], writes={b"x": b"1"})) is state


def test_a_full_batch_lets_others_queue_in_order() -> None:
    """Overflow is admitted when the batch closes, oldest first, as far as there is room."""
    owned = new_range(replace(Limits(), batch_commits=2))
    requests = [request(writes={bytes([n]): b"1"}) for n in range(5)]
    states = [owned.submit(one) for one in requests]
    assert states == [CommitState.JOINED] * 2 + [CommitState.WAITING] * 3
    assert committed(owned, 1) == requests[:2]
    assert committed(owned, 11) == requests[2:4]
    assert committed(owned, 21) == requests[4:]


def test_a_batch_is_bounded_by_bytes_too() -> None:
    """One commit may exceed the limit alone; the next one waits for its own batch."""
    owned = new_range(replace(Limits(), batch_bytes=10))
    big, small = request(writes={A: b"1"}, size=99), request(writes={B: b"1"})
    assert owned.submit(big) is CommitState.JOINED
    assert owned.submit(small) is CommitState.WAITING
    assert committed(owned, 1) == [big]
    assert committed(owned, 2) == [small]


def test_too_many_are_refused_before_anything_is_done() -> None:
    """Overload is an early, retryable answer that names the limit."""
    owned = new_range(replace(Limits(), commits_queued=2))
    owned.submit(request(writes={A: b"1"}))
    owned.submit(request(reads=[A], writes={B: b"1"}))
    refused = request(writes={C: b"1"})
    assert owned.submit(refused) is CommitState.FAILED
    assert isinstance(refused.error, Overloaded)
    assert refused.error.retryable
    assert "2 commits are queued (limit commits_queued)" in str(refused.error)


def test_reads_below_the_low_water_mark_need_the_store() -> None:
    """M2: a range just opened remembers nothing, so it vouches for nothing below the mark."""
    owned = new_range(visible=50)
    blind = request(at=10, writes={B: b"1"})
    assert owned.submit(blind) is CommitState.JOINED
    current = request(at=50, reads=[A], writes={B: b"1"})
    assert owned.submit(current) is CommitState.JOINED
    committed(owned, 60)
    old = request(at=49, reads=[A], writes={B: b"1"})
    assert owned.submit(old) is CommitState.NEEDS_STORE
    old.validated_at = owned.visible
    assert owned.submit(old) is CommitState.JOINED


def test_a_store_failure_leaves_only_the_batch_being_written_in_doubt() -> None:
    """Members may be on disk: MaybeCommitted with their id. Everybody else knows for sure."""
    owned = new_range(replace(Limits(), batch_commits=1))
    member = request(writes={A: b"1"})
    owned.submit(member)
    written(owned, 1)
    waiting = request(reads=[A], writes={B: b"1"})
    joined, queued = request(writes={B: b"1"}), request(writes={C: b"1"})
    for one in (waiting, joined, queued):
        owned.submit(one)
    failure = StoreUnavailable("the disk is gone")
    failed = owned.fail_all(failure)
    assert sorted(failed, key=id) == sorted([member, waiting, joined, queued], key=id)
    assert isinstance(member.error, MaybeCommitted)
    assert member.error.transaction_id == member.id
    assert "the disk is gone" in str(member.error)
    assert [one.error for one in (waiting, joined, queued)] == [failure] * 3
    assert owned.queued() == 0


def test_a_store_failure_answers_whoever_was_refused_at_the_close() -> None:
    """A commit of the overflow that lost its read, or that needs the store, is not forgotten."""
    owned = new_range(replace(Limits(), batch_commits=1, recent_keys=1))
    overtaken = request(at=0, reads=[C], writes={C: b"1"})
    owned.submit(request(writes={A: b"1", B: b"1"}))
    written(owned, 1)
    owned.submit(request(writes={B: b"1"}))
    assert owned.submit(overtaken) is CommitState.WAITING
    owned.applied()
    written(owned, 2)
    assert overtaken.state in (CommitState.NEEDS_STORE, CommitState.FAILED)
    assert overtaken in owned.fail_all(StoreUnavailable("the disk is gone"))
    assert overtaken.settled


def test_a_dropped_member_keeps_its_own_error_when_the_store_fails() -> None:
    """What was refused at the close was never sent to the store: it is in no doubt."""
    owned = new_range()
    dropped, kept = request(writes={A: b"1"}, alive_until=1), request(writes={B: b"1"})
    owned.submit(dropped)
    owned.submit(kept)
    written(owned, 5)
    assert set(owned.fail_all(StoreUnavailable("gone"))) == {dropped, kept}
    assert isinstance(dropped.error, Conflict)
    assert isinstance(kept.error, MaybeCommitted)


def test_touches_sees_what_is_being_written_and_what_was_forgotten() -> None:
    """A scan asks it whether newer entries may hide what its snapshot holds."""
    owned = new_range(replace(Limits(), recent_keys=3), visible=10)
    interval, elsewhere = KeyInterval(A, B), KeyInterval(b"x", b"z")
    owned.submit(request(writes={A: b"1"}))
    assert not owned.touches(interval, 10)
    written(owned, 20)
    assert owned.touches(interval, 10)
    assert not owned.touches(elsewhere, 10)
    owned.applied()
    assert owned.touches(interval, 10)
    assert not owned.touches(interval, 20)
    for first, key in ((30, C), (40, b"d"), (50, b"e")):
        owned.submit(request(writes={key: b"1"}))
        committed(owned, first)
    assert owned.touches(elsewhere, 10), "forgotten: it can only say maybe"
    assert not owned.touches(interval, 50)


def test_a_versionstamp_is_the_timestamp_and_its_order() -> None:
    """Ten bytes that sort as commits do."""
    assert versionstamp(1) < versionstamp(2) < versionstamp(1 << 60)
    assert len(versionstamp(7)) == 10
    owned = new_range()
    owned.submit(request(stamped=[Stamped(b"log/", b"/x", b"v")]))
    batch = present(written(owned, 7), "one member")
    assert batch.commits[0].writes == {b"log/" + versionstamp(7) + b"/x": b"v"}
