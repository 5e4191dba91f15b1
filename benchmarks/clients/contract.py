"""What the client of every server can do in the benchmarks.

A value is a counter of 8 bytes, then filler: what a read-modify-write adds to can be checked
afterwards, so that a peer which loses updates does not pass as a fast one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from benchmarks.workload import VALUE_BYTES, Entry

COUNTER_BYTES = 8


class Client(Protocol):
    """A connection, or a pool of them, to one server. Used on one event loop."""

    name: str

    async def load(self, entries: Sequence[Entry]) -> None:
        """Write the entries, which are not there yet."""
        ...

    async def get(self, key: bytes) -> bytes | None:
        """A linearizable point read."""
        ...

    async def set(self, key: bytes) -> object:
        """Overwrite the value of a key with `VALUE`; returns once it is on disk."""
        ...

    async def increment(self, key: bytes) -> object:
        """Read a value and write `incremented` of it, serializably and durably."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


VALUE = bytes(VALUE_BYTES)


def counter_of(value: bytes) -> int:
    """How often a value was incremented."""
    return int.from_bytes(value[:COUNTER_BYTES], "big")


def incremented(value: bytes) -> bytes:
    """The value with its counter one higher."""
    counter = counter_of(value) + 1
    return counter.to_bytes(COUNTER_BYTES, "big") + value[COUNTER_BYTES:]
