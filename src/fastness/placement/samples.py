"""How many bytes lie where in a store, from a sample of its keys: for ranges that grow too large.

A store is asked now and then for some of its rows, evenly drawn, each standing for as many bytes as
the whole has for each row drawn. What lies in a range is then what its sampled keys stand for: good
to a few parts in a hundred where a range has hundreds of them, and unknown where it has few.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

KEYS_MIN = 20
"""Fewer sampled keys say nothing about a range."""
LESSER_HALF = 0.25
"""A key parts the bytes if at least so much of them lie to either side."""


class Extent(NamedTuple):
    """What lies in an interval, as far as the sample tells."""

    size_bytes: int = 0
    """0: too little is known."""
    half_key: bytes = b""
    """Where about half of it lies to either side; empty: nowhere, or not known."""


class StoreSample:
    """See the module's page. Immutable."""

    __slots__ = ("_keys", "_sums", "keys", "size_bytes")

    def __init__(self, drawn: Iterable[tuple[bytes, float]], *, size_bytes: int, keys: int) -> None:
        """Keys and the bytes each stands for; and of the whole store, bytes on disk and keys."""
        ordered = sorted(drawn)
        self._keys = [key for key, _bytes in ordered]
        self._sums = [0.0, *accumulate(each for _key, each in ordered)]
        self.size_bytes = size_bytes
        self.keys = keys

    def extent(self, begin: bytes, end: bytes) -> Extent:
        """What lies in [begin, end)."""
        keys, sums = self._keys, self._sums
        first, last = bisect_left(keys, begin), bisect_left(keys, end)
        if last - first < KEYS_MIN:
            return Extent()
        whole = sums[last] - sums[first]
        middle = bisect_left(sums, sums[first] + whole / 2, first, last)
        # The first place of that key: a border lies before all of its versions.
        half_key = keys[min(middle, last - 1)]
        share = (sums[bisect_left(keys, half_key)] - sums[first]) / whole if whole else 0.0
        parted = begin < half_key and LESSER_HALF <= share <= 1 - LESSER_HALF
        return Extent(int(whole), half_key if parted else b"")
