"""What a check of stored records can find. The check itself is in `_async/checking.py`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where it belongs, what it is, and the exact key."""

    place: str
    """Such as 'User', 'User.by_email' or 'User.count'."""
    what: str
    key: bytes

    def __str__(self) -> str:
        return f"{self.place}: {self.what}, at key {self.key!r}"
