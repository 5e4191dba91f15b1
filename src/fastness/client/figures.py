"""Figures of an open database."""

from __future__ import annotations

from dataclasses import dataclass

from fastness.cache import CacheCounts
from fastness.encoding.timestamps import Timestamp
from fastness.errors import UsageError
from fastness.storage.contract import StoreSize


@dataclass(frozen=True, slots=True)
class StoreStat:
    """Figures of a store that this process has opened itself."""

    identity: str
    prune_horizon: Timestamp
    batches: int
    clock_jumps: int
    size: StoreSize


@dataclass(frozen=True, slots=True)
class DatabaseStat:
    """Figures of an open database, as this process sees it."""

    url: str
    read_timestamp: Timestamp
    """The newest timestamp known."""
    commits: int
    conflicts: int
    """Commits that were refused."""
    watches: int
    cache: CacheCounts
    """What the near cache did; all 0 where there is none."""
    opened: StoreStat | None
    """Of the store, where it is this process that opened it; a server tells its own."""

    @property
    def store(self) -> StoreStat:
        """Of the store; `UsageError` where a server has it."""
        if self.opened is None:
            raise UsageError(
                f"{self.url} is served by another process: its admin address (/status, /metrics) "
                "tells of its store"
            )
        return self.opened
