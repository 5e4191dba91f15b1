"""Key intervals: which keys lie inside, and the ends of prefixes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastness.encoding.intervals import (
    SYSTEM_END,
    USER_END,
    KeyInterval,
    prefix_end,
    successor,
)

keys = st.lists(st.sampled_from((0x00, 0x01, 0xFE, 0xFF)), max_size=4).map(bytes)
intervals = st.builds(KeyInterval, keys, keys)


@given(intervals, intervals, keys)
def test_overlapping_intervals_share_a_key(
    left: KeyInterval, right: KeyInterval, key: bytes
) -> None:
    """Two intervals overlap when a key lies in both, such as the larger begin."""
    shared = left.contains(max(left.begin, right.begin)) and right.contains(
        max(left.begin, right.begin)
    )
    assert (left.overlaps(right) and left.begin < left.end and right.begin < right.end) == shared
    if left.contains(key) and right.contains(key):
        assert left.overlaps(right)
        assert right.overlaps(left)


@given(keys, keys)
def test_nothing_lies_before_the_successor(key: bytes, other: bytes) -> None:
    """The successor is the least key above a key."""
    assert key < successor(key)
    assert not key < other < successor(key)


@given(keys.filter(lambda prefix: prefix < SYSTEM_END), keys.filter(lambda key: key < SYSTEM_END))
def test_a_prefix_ends_behind_its_keys(prefix: bytes, key: bytes) -> None:
    """The keys from a prefix to its end are those that start with it."""
    assert KeyInterval(prefix, prefix_end(prefix)).contains(key) == key.startswith(prefix)


@pytest.mark.parametrize(
    ("prefix", "end"),
    [
        (b"a", b"b"),
        (b"a\xff\xff", b"b"),
        (b"\xfe", USER_END),
        (b"\xff", SYSTEM_END),
        (b"", SYSTEM_END),
    ],
)
def test_ends_written_by_hand(prefix: bytes, end: bytes) -> None:
    """Trailing 0xff bytes carry over, and nothing lies above the system space."""
    assert prefix_end(prefix) == end
