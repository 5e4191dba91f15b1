"""Reservations: younger commits wait for a starving elder, elders pass, and time ends all."""

from __future__ import annotations

from fastness.encoding.intervals import KeyInterval
from fastness.ranges import CommitState, Reservation
from tests.ranges.requests import committed, new_range, request

A, B = b"a", b"b"


def reservation(age: int, *keys: bytes, scan: tuple[bytes, bytes] | None = None) -> Reservation:
    """A reservation of keys, and perhaps an interval, until nanosecond 1,000."""
    return Reservation(
        owner=(age, b"owner"),
        keys=set(keys),
        intervals=[KeyInterval(*scan)] if scan else [],
        ends_ns=1_000,
    )


def test_the_younger_waits_and_the_older_passes() -> None:
    """First-attempt timestamps decide, and ids where those are the same."""
    owned = new_range()
    owned.reservations.add(reservation(5, A))
    older, same, younger = (request(writes={A: b"1"}, age=age) for age in (4, 5, 6))
    assert owned.submit(older) is CommitState.JOINED
    assert same.priority < (5, b"owner"), "its id is the lower one"
    assert owned.submit(same) is CommitState.JOINED
    assert owned.submit(younger) is CommitState.WAITING
    assert owned.submit(request(writes={B: b"1"}, age=7)) is CommitState.JOINED


def test_the_owner_is_not_held_back_by_its_own() -> None:
    """Otherwise nobody would ever get through."""
    owned = new_range()
    commit = request(writes={A: b"1"}, age=5)
    owned.reservations.add(
        Reservation(owner=commit.priority, keys={A}, intervals=[], ends_ns=1_000)
    )
    assert owned.submit(commit) is CommitState.JOINED


def test_intervals_are_reserved_like_keys() -> None:
    """A write inside, an erased interval and a declared one all wait."""
    owned = new_range()
    owned.reservations.add(reservation(5, scan=(b"a", b"c")))
    declaring = request(age=6)
    declaring.write_keys = {B}
    for commit in (
        request(writes={B: b"1"}, age=6),
        request(erased=[(b"b", b"z")], age=6),
        declaring,
    ):
        assert owned.submit(commit) is CommitState.WAITING
    assert owned.reservations.waiting == 3


def test_whoever_waited_is_validated_again_at_the_release() -> None:
    """Time has passed: what it read may have been overwritten by the owner."""
    owned = new_range()
    turn = reservation(5, A)
    owned.reservations.add(turn)
    reader = request(reads=[A], writes={A: b"1"}, age=6)
    blind = request(writes={A: b"2"}, age=6)
    for commit in (reader, blind):
        assert owned.submit(commit) is CommitState.WAITING
    owned.submit(request(writes={A: b"owner's"}, age=5))
    committed(owned, 10)
    owned.reservations.remove(turn)
    owned.released()
    assert owned.take_settled() == [reader]
    assert reader.state is CommitState.FAILED
    assert blind.state is CommitState.JOINED


def test_a_reservation_runs_out() -> None:
    """Whoever dies with a reservation holds nobody back for longer than its time."""
    owned = new_range()
    owned.reservations.add(reservation(5, A))
    blind = request(writes={A: b"1"}, age=6)
    owned.submit(blind)
    assert not owned.reservations.expire(999)
    owned.released()
    assert owned.first_member() is None, "it waits on"
    assert owned.reservations.expire(1_000)
    owned.released()
    assert owned.first_member() is blind


def test_two_owners_never_wait_for_each_other() -> None:
    """Only the younger one waits, so no circle can close."""
    owned = new_range()
    owned.reservations.add(reservation(5, A))
    owned.reservations.add(reservation(6, B))
    assert owned.submit(request(writes={B: b"1"}, age=5)) is CommitState.JOINED
    assert owned.submit(request(writes={A: b"1"}, age=6)) is CommitState.WAITING


def test_releasing_twice_is_harmless() -> None:
    """One that ran out before it was released is gone already."""
    owned = new_range()
    turn = reservation(5, A)
    owned.reservations.add(turn)
    owned.reservations.expire(2_000)
    owned.reservations.remove(turn)
    assert owned.submit(request(writes={A: b"1"}, age=6)) is CommitState.JOINED
