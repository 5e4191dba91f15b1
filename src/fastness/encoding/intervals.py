"""Key intervals: half-open stretches of the ordered key space."""

from __future__ import annotations

from typing import NamedTuple


class KeyInterval(NamedTuple):
    """The keys k with begin <= k < end."""

    begin: bytes
    end: bytes

    def contains(self, key: bytes) -> bool:
        """Whether `key` lies in the interval."""
        return self.begin <= key < self.end

    def overlaps(self, other: KeyInterval) -> bool:
        """Whether some key lies in both."""
        return self.begin < other.end and other.begin < self.end


def successor(key: bytes) -> bytes:
    """The least key above `key`."""
    return key + b"\x00"


def prefix_end(prefix: bytes) -> bytes:
    """The least key above every key that starts with `prefix`.

    FoundationDB's tuple layer calls it `strinc`. Nothing lies above a prefix of 0xff bytes
    alone but the end of the system space, which is what it answers.
    """
    stripped = prefix.rstrip(b"\xff")
    if not stripped:
        return SYSTEM_END
    return stripped[:-1] + bytes((stripped[-1] + 1,))


USER_END = b"\xff"
"""Above every key of the user space. Keys from here on are the system space: typed records,
their indexes, the schema registry. Plain key-value calls refuse them."""

SYSTEM_END = b"\xff\xff"
"""Above every key of the system space: none begins with two 0xff bytes."""
