"""The ordered set of the memory store, against a sorted list."""

from __future__ import annotations

from random import Random

import pytest

from fastness.storage.sorted_keys import CHUNK_KEYS_MAX, SortedKeys


@pytest.mark.parametrize("seed", range(4))
def test_it_is_a_sorted_set(seed: int) -> None:
    """Over random additions and removals, intervals read as those of a sorted list."""
    random = Random(seed)
    keys, found = SortedKeys(), set[bytes]()
    for _turn in range(6 * CHUNK_KEYS_MAX):
        key = random.randbytes(2)
        if key in found and random.random() < 0.7:
            keys.remove(key)
            found.remove(key)
        elif key not in found:
            keys.add(key)
            found.add(key)
    for _turn in range(50):
        begin, end = sorted((random.randbytes(2), random.randbytes(2)))
        expected = sorted(key for key in found if begin <= key < end)
        assert list(keys.ascending(begin, end)) == expected
        assert list(keys.descending(begin, end)) == expected[::-1]
    for key in found:
        keys.remove(key)
    assert list(keys.ascending(b"", b"\xff\xff")) == []
    assert list(keys.descending(b"", b"\xff\xff")) == []
