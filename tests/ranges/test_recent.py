"""What the range remembers of recent writes: exact down to its mark, silent below."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.ranges.commit import OpenBatch
from fastness.ranges.recent import RecentWrites
from tests.ranges.requests import request

A, B, C = b"a", b"b", b"c"


Written = tuple[set[bytes], list[KeyInterval]]


def batch_of(*keys: bytes, erased: tuple[bytes, bytes] | None = None) -> Written:
    """What an applied batch wrote."""
    return set(keys), [KeyInterval(*erased)] if erased else []


def remembered(*batches: tuple[Timestamp, Written], keys_max: int = 100) -> RecentWrites:
    """Batches applied over a store whose highest timestamp was 10."""
    recent = RecentWrites(low_water=10, keys_max=keys_max)
    for last, (keys, intervals) in batches:
        recent.add(keys, intervals, last)
    return recent


def test_a_read_at_the_batch_is_true_and_below_it_is_not() -> None:
    """A snapshot at a batch's last timestamp has seen all of it, one below none."""
    recent = remembered((20, batch_of(A)), (30, batch_of(B)))
    assert recent.overwritten({A}, [], 20) is None
    assert recent.overwritten({A}, [], 19) == (A, 20)
    assert recent.overwritten({B}, [], 20) == (B, 30)
    assert recent.overwritten({C}, [], 10) is None
    assert recent.overwritten(set(), [KeyInterval(A, B)], 20) is None
    assert recent.overwritten(set(), [KeyInterval(A, C)], 20) == (B, 30)


def test_the_newest_write_of_a_key_counts() -> None:
    """A key written again is remembered by its last writer, and takes the room of one."""
    recent = remembered((20, batch_of(A)), (30, batch_of(A)), (40, batch_of(B)), keys_max=2)
    assert recent.low_water == 10
    assert recent.overwritten({A}, [], 25) == (A, 30)
    assert recent.overwritten({A}, [], 30) is None


def test_erased_intervals_overtake_keys_and_intervals() -> None:
    """An interval written is compared with keys read and with intervals read."""
    recent = remembered((20, batch_of(erased=(B, C))))
    assert recent.overwritten({B}, [], 10) == (B, 20)
    assert recent.overwritten({A, C}, [], 10) is None
    assert recent.overwritten(set(), [KeyInterval(A, b"bb")], 10) == (B, 20)
    assert recent.overwritten(set(), [KeyInterval(b"bb", b"bc")], 10) == (b"bb", 20)
    assert recent.overwritten(set(), [KeyInterval(A, B)], 10) is None


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from([bytes([letter]) for letter in b"abcdefgh"]), max_size=4),
            st.lists(st.sampled_from([KeyInterval(A, C), KeyInterval(b"c", b"f")]), max_size=1),
            st.integers(0, 6),
        ),
        max_size=30,
    ),
    st.integers(1, 12),
)
def test_it_agrees_with_a_list_of_everything(
    batches: list[tuple[set[bytes], list[KeyInterval], int]], keys_max: int
) -> None:
    """At or above the mark every answer is exact, however runs were merged; it stays bounded.

    A batch that is late is a resolved intent: written below what was added before, but above
    every other write of its keys, which were locked.
    """
    recent = RecentWrites(low_water=10, keys_max=keys_max)
    history: list[tuple[Timestamp, set[bytes], list[KeyInterval]]] = []
    newest: dict[bytes, Timestamp] = {}
    for number, (keys, intervals, late) in enumerate(batches, start=1):
        written_at = max(11, 10 + number - late)
        locked = {key for key in keys if newest.get(key, 0) < written_at}
        newest.update(dict.fromkeys(locked, written_at))
        recent.add(locked, intervals, max(recent.newest, written_at), written_at=written_at)
        history.append((written_at, locked, intervals))
        if late % 2:
            # Asking makes a run of what was added.
            recent.touches(KeyInterval(A, C), recent.low_water)
    for since in range(recent.low_water, recent.newest + 1):
        for key in (bytes([letter]) for letter in b"abcdefghi"):
            winners = [
                last
                for last, keys, intervals in history
                if last > since and (key in keys or any(one.contains(key) for one in intervals))
            ]
            point = KeyInterval(key, key + b"\x00")
            assert bool(recent.overwritten({key}, [], since)) == bool(winners)
            assert bool(recent.overwritten(set(), [point], since)) == bool(winners)
            assert recent.touches(point, since) == bool(winners)
            named = recent.overwritten({key}, [], since)
            assert named is None or (named.key == key and named.winner in winners)


def test_a_late_write_is_forgotten_with_an_older_run_and_asked_for_in_a_newer_one() -> None:
    """A resolved intent may lie below the mark at once, while its key stays listed."""
    recent = remembered((20, batch_of(A)), (30, batch_of(B)), keys_max=3)
    assert recent.overwritten(set(), [KeyInterval(A, C)], 10) == (A, 20)
    recent.add([A], [], 30, written_at=25)
    recent.add([C], [], 40)
    assert recent.low_water == 30
    assert recent.overwritten(set(), [KeyInterval(A, B)], 30) is None
    assert recent.overwritten(set(), [KeyInterval(A, b"d")], 30) == (C, 40)


def test_memory_is_bounded_and_the_mark_rises_with_what_is_forgotten() -> None:
    """What is forgotten lies at or below the mark; whoever asks below it is told maybe."""
    recent = remembered(*((20 + n, batch_of(bytes([n]))) for n in range(50)), keys_max=8)
    assert 60 <= recent.low_water < recent.newest == 69
    assert recent.touches(KeyInterval(b"x", b"z"), recent.low_water - 1)
    assert not recent.touches(KeyInterval(b"x", b"z"), recent.low_water)


def test_one_batch_beyond_the_memory_is_forgotten_at_once() -> None:
    """A batch larger than the memory leaves only the mark, at its own timestamp."""
    recent = remembered((20, batch_of(A, B, C)), keys_max=2)
    assert recent.low_water == recent.newest == 20


def test_a_key_that_joins_later_is_found_in_a_batch_already_asked() -> None:
    """The order of a batch's keys is kept in step with the batch."""
    batch = OpenBatch()
    batch.join(request(writes={C: b""}))
    assert batch.overlaps(set(), [KeyInterval(A, B)]) is None
    batch.join(request(writes={A: b""}))
    assert batch.overlaps(set(), [KeyInterval(A, B)]) == A
    assert batch.overlaps({C, A}, []) == A
    assert batch.ordered() == [A, C]
