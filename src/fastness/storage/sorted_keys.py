"""An ordered set of byte strings, for the memory store: chunks of sorted lists.

Adding and removing cost a bisection and a shift within one chunk; a plain sorted list would
shift everything. About fifty lines, hence no dependency.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

CHUNK_KEYS_MAX = 1_024


class SortedKeys:
    """Byte strings in order, each once."""

    __slots__ = ("_chunks", "_lasts")

    def __init__(self) -> None:
        self._chunks: list[list[bytes]] = []
        self._lasts: list[bytes] = []

    def add(self, key: bytes) -> None:
        """Add a key that is not in the set."""
        if not self._chunks:
            self._chunks.append([key])
            self._lasts.append(key)
            return
        at = min(bisect_left(self._lasts, key), len(self._chunks) - 1)
        chunk = self._chunks[at]
        insort(chunk, key)
        self._lasts[at] = chunk[-1]
        if len(chunk) > CHUNK_KEYS_MAX:
            self._split(at)

    def remove(self, key: bytes) -> None:
        """Remove a key that is in the set."""
        at = bisect_left(self._lasts, key)
        chunk = self._chunks[at]
        del chunk[bisect_left(chunk, key)]
        if chunk:
            self._lasts[at] = chunk[-1]
        else:
            del self._chunks[at], self._lasts[at]

    def ascending(self, begin: bytes, end: bytes) -> Iterator[bytes]:
        """The keys in [begin, end), in order. The set must not change meanwhile."""
        for at in range(bisect_left(self._lasts, begin), len(self._chunks)):
            chunk = self._chunks[at]
            yield from chunk[bisect_left(chunk, begin) : bisect_left(chunk, end)]
            if chunk[-1] >= end:
                return

    def descending(self, begin: bytes, end: bytes) -> Iterator[bytes]:
        """The keys in [begin, end), against their order. The set must not change meanwhile."""
        for at in range(min(bisect_left(self._lasts, end), len(self._chunks) - 1), -1, -1):
            chunk = self._chunks[at]
            yield from reversed(chunk[bisect_left(chunk, begin) : bisect_left(chunk, end)])
            if chunk[0] < begin:
                return

    def _split(self, at: int) -> None:
        chunk = self._chunks[at]
        upper = chunk[len(chunk) // 2 :]
        del chunk[len(chunk) // 2 :]
        self._chunks.insert(at + 1, upper)
        self._lasts[at : at + 1] = [chunk[-1], upper[-1]]
