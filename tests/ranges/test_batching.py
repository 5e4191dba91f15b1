"""A closed batch as store writes: each member sees what the earlier ones did."""

from __future__ import annotations

from dataclasses import replace

from fastness.encoding import counters
from fastness.errors import Conflict, InvalidEncoding, LimitExceeded
from fastness.limits import KEY_SPACE_BYTES_MAX, Limits
from fastness.ranges import AtomicKind, AtomicOperation, Commit, CommitState, Stamped
from fastness.ranges.batching import assemble, versionstamp
from fastness.storage import cells
from fastness.storage.contract import CommittedWrites
from tests.ranges.requests import request

LIMITS = replace(Limits(), value_bytes=16, key_bytes=16)
HITS = b"hits"


def number(amount: int) -> bytes:
    """A stored counter."""
    return counters.encode(amount)


def operating(*operations: tuple[AtomicKind, bytes]) -> Commit:
    """A commit of these operations on one key."""
    commit = request()
    commit.atomics = {HITS: [AtomicOperation(kind, operand) for kind, operand in operations]}
    return commit


def written(
    commits: list[Commit], found: bytes | None = None, first: int = 100
) -> list[CommittedWrites]:
    """The batch, over a store where the counter's newest cell is `found`."""
    return assemble(commits, first, {HITS: found}, LIMITS)


def values(batch: list[CommittedWrites]) -> list[bytes | None]:
    """What each member made of the counter."""
    return [writes.writes[HITS] for writes in batch]


def test_additions_add_up_in_join_order() -> None:
    """A hot counter never conflicts (HOLES M4); nor is an addition lost (second round, 4)."""
    commits = [request(additions={HITS: [amount]}) for amount in (1, 20, 300)]
    assert values(written(commits, cells.plain(5, number(4000)))) == [
        number(4001), number(4021), number(4321),
    ]  # fmt: skip


def test_operations_see_what_earlier_members_wrote_deleted_and_erased() -> None:
    """The overlay follows sets, deletions and erased intervals of the same batch."""
    commits = [
        request(writes={HITS: number(50)}),
        request(additions={HITS: [1]}),
        request(writes={HITS: None}),
        request(additions={HITS: [2]}),
        request(erased=[(b"a", b"z")]),
        request(additions={HITS: [3]}),
        request(erased=[(b"a", b"z")], writes={HITS: number(60)}),
        request(additions={HITS: [4]}),
        request(erased=[(b"x", b"z")]),
        request(additions={HITS: [5]}),
    ]
    batch = written(commits, cells.plain(5, number(7)))
    assert [values([one])[0] for one in batch if HITS in one.writes] == [
        number(50), number(51), None, number(2), number(3), number(60), number(64), number(69),
    ]  # fmt: skip


def test_an_expiring_value_keeps_its_expiry_and_is_gone_from_it_on() -> None:
    """Expiry is judged at the member's own timestamp (CONSISTENCY 1.8)."""
    commits = [request(additions={HITS: [1]}) for _ in range(3)]
    batch = written(commits, cells.expiring(5, 102, number(7)))
    assert values(batch) == [number(8), number(9), number(1)]
    assert [(one.expiries or {}).get(HITS) for one in batch] == [102, 102, None]


def test_an_expiring_value_written_in_the_batch_is_judged_as_one_found() -> None:
    """Written by a first member, alive for the second, gone for the third."""
    setting = request(writes={HITS: number(7)})
    setting.expiries = {HITS: 102}
    commits = [request(additions={HITS: [5]}), setting, *operations_that_add(2)]
    batch = written(commits, first=99)
    assert values(batch) == [number(5), number(7), number(8), number(1)]
    assert [(one.expiries or {}).get(HITS) for one in batch] == [None, 102, 102, None]


def operations_that_add(count: int) -> list[Commit]:
    """Commits that add one each."""
    return [request(additions={HITS: [1]}) for _ in range(count)]


def test_what_a_cleared_value_is_replaced_by_does_not_inherit_its_expiry() -> None:
    """Cleared and added to: the counter is a new one, which nobody gave an expiry."""
    clearing = operating((AtomicKind.COMPARE_AND_CLEAR, number(7)), (AtomicKind.ADD, number(1)))
    batch = written([clearing], cells.expiring(5, 500, number(7)))
    assert values(batch) == [number(1)]
    assert not batch[0].expiries


def test_a_member_that_cannot_be_evaluated_fails_alone() -> None:
    """Neither its writes nor its operations are seen; the others keep their timestamps."""
    overflowing = request(additions={HITS: [counters.COUNTER_MAX]}, writes={b"x": b"1"})
    commits = [request(additions={HITS: [1]}), overflowing, request(additions={HITS: [2]})]
    batch = written(commits, cells.plain(5, number(10)))
    assert values(batch) == [number(11), number(13)]
    assert [one.timestamp for one in batch] == [100, 102]
    assert [commit.timestamp for commit in commits] == [100, 0, 102]
    assert overflowing.state is CommitState.FAILED
    assert isinstance(overflowing.error, LimitExceeded)
    assert "8 bytes" in str(overflowing.error)


def test_operations_on_what_is_no_counter_fail_with_the_value() -> None:
    """An addition to text is the adder's mistake, and says so."""
    commit = request(additions={HITS: [1]})
    assert written([commit], cells.plain(5, b"text")) == []
    assert isinstance(commit.error, InvalidEncoding)
    assert "b'text' is not a counter of 8 bytes" in str(commit.error)


def test_an_append_beyond_the_limit_fails() -> None:
    """A value grows to its limit and no further; the message says by how much."""
    fitting, growing = (operating((AtomicKind.APPEND, b"x" * 8)) for _ in range(2))
    batch = written([fitting, growing], cells.plain(5, b"y" * 8))
    assert values(batch) == [b"y" * 8 + b"x" * 8]
    assert isinstance(growing.error, LimitExceeded)
    assert "append of 8 bytes to a value of 16 exceeds value_bytes=16" in str(growing.error)


def test_smaller_and_larger_and_cleared() -> None:
    """min, max and compare-and-clear, on what is there and on what is absent."""
    cases = [
        ([(AtomicKind.MIN, number(3))], 5, 3),
        ([(AtomicKind.MIN, number(9))], 5, 5),
        ([(AtomicKind.MIN, number(9))], None, 9),
        ([(AtomicKind.MAX, number(-3))], None, -3),
        ([(AtomicKind.MAX, number(9)), (AtomicKind.ADD, number(1))], 5, 10),
        ([(AtomicKind.COMPARE_AND_CLEAR, number(5))], 5, None),
        ([(AtomicKind.COMPARE_AND_CLEAR, number(6))], 5, 5),
        ([(AtomicKind.COMPARE_AND_CLEAR, number(5))], None, None),
    ]
    for operations, found, expected in cases:
        cell = None if found is None else cells.plain(5, number(found))
        result = None if expected is None else number(expected)
        assert values(written([operating(*operations)], cell)) == [result], operations


def test_versionstamps_are_filled_in() -> None:
    """Keys and values get the stamp of their own member."""
    commit = request(stamped=[Stamped(b"log/", b"!", b"v"), Stamped(b"index/", b"", b"w")])
    commit.stamped_values = {b"last": (b"<", b">")}
    (writes,) = written([commit])
    stamp = versionstamp(100)
    assert writes.writes == {
        b"log/" + stamp + b"!": b"v",
        b"index/" + stamp: b"w",
        b"last": b"<" + stamp + b">",
    }


def test_a_stamped_key_that_grew_too_long_is_refused() -> None:
    """The limit holds for the key as it is stored, with the longest key space before it."""
    fits, longer = b"x" * (KEY_SPACE_BYTES_MAX + 1), b"x" * (KEY_SPACE_BYTES_MAX + 2)
    assert written([request(stamped=[Stamped(b"long/", fits, b"v")])])
    commit = request(stamped=[Stamped(b"long/", longer, b"v")])
    assert written([commit]) == []
    assert isinstance(commit.error, LimitExceeded)
    assert "versionstamped key of 273 bytes exceeds key_bytes=16" in str(commit.error)


def test_an_expired_find_is_a_conflict_of_its_own() -> None:
    """Whoever found a value alive and commits at its expiry must look again."""
    commits = [request(writes={b"x": b"1"}, alive_until=until) for until in (100, 101, 103, 0)]
    batch = written(commits)
    assert [one.timestamp for one in batch] == [102, 103]
    assert [type(commit.error) for commit in commits] == [
        Conflict,
        Conflict,
        type(None),
        type(None),
    ]
