"""One page of a scan, and how much of its budget a transaction has used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Page:
    """Entries of a scan in the order asked, and how to go on."""

    entries: list[tuple[bytes, bytes]]
    continuation: bytes | None
    """Hand it to the next call of the same scan; `None` when nothing is left."""

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a transaction has used of its budget."""

    bytes_used: int
    bytes_max: int
    keys_used: int
    """Keys read and written, and intervals read."""
    keys_max: int

    @property
    def fraction(self) -> float:
        """The larger share of the two budgets, 0.0 to 1.0."""
        return max(self.bytes_used / self.bytes_max, self.keys_used / self.keys_max)
