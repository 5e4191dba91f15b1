"""What a transaction asks of the engine that serves it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from fastness.encoding.intervals import KeyInterval
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError
from fastness.limits import Limits
from fastness.ranges import Commit
from fastness.storage.contract import Item


class Engine(Protocol):
    """Snapshot reads without waiting, and commits; thread-safe."""

    limits: Limits
    random: Random
    newest: Callable[[bytes], bytes | None]
    """The newest cell of a key. At or below the read timestamp it is the one to see."""
    applying: Timestamp
    """Raised before a batch is applied: above it nothing has ever been written."""
    prune_horizon: Timestamp
    """Raised before anything is pruned: what is absent below it may have been there."""

    def failure(self, error: Exception) -> FastnessError:
        """What an exception that `newest` let through means to the caller."""
        ...

    def read_timestamp(self) -> Timestamp:
        """A snapshot that holds everything acknowledged so far, and nothing undurable."""
        ...

    def cell_at(self, key: bytes, at: Timestamp) -> bytes | None:
        """The cell a reader at `at` is to see; `SnapshotTooOld` below the retained window."""
        ...

    def scan(
        self, interval: KeyInterval, at: Timestamp, limit: int, *, reverse: bool
    ) -> list[Item]:
        """The first `limit` entries of the interval as of `at`, with their cells."""
        ...

    def commit(self, commit: Commit) -> None:
        """Commit and block until it is settled."""
        ...

    async def commit_async(self, commit: Commit) -> None:
        """As `commit`, for a task; cancelling it leaves the commit under way."""
        ...

    def remember(self, commit: Commit) -> None:
        """Keep a commit nobody waits for any more, so that its outcome can be asked for."""
        ...
