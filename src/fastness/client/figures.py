"""Figures of an open database."""

from __future__ import annotations

from dataclasses import dataclass

from fastness.cache import CacheCounts
from fastness.encoding.timestamps import Timestamp
from fastness.errors import UsageError
from fastness.storage.contract import StoreSize
from fastness.wire.figures import TokenUse


@dataclass(frozen=True, slots=True)
class StoreStat:
    """Figures of a store, since whoever serves it began to."""

    identity: str
    applied: Timestamp
    """The newest commit."""
    prune_horizon: Timestamp
    """Moments before it can no longer be read."""
    batches: int
    clock_jumps: int
    size: StoreSize


@dataclass(frozen=True, slots=True)
class ServerStat:
    """Figures of the server behind a database."""

    agent: str
    """Its program and version."""
    uptime_ms: int
    is_ready: bool
    write_refusal: str
    """Why its store takes no writes for now, empty while it does."""
    readable_since: Timestamp
    """Moments before it can no longer be read."""
    use: TokenUse | None
    """What was taken with this client's token, by all who have it; `None` without tokens."""


@dataclass(frozen=True, slots=True)
class DatabaseStat:
    """Figures of an open database: of this process, and of the server where there is one."""

    url: str
    read_timestamp: Timestamp
    """The newest timestamp known."""
    commits: int
    """By this process, as are the three below."""
    conflicts: int
    """Commits that were refused."""
    watches: int
    cache: CacheCounts
    """What the near cache did; all 0 where there is none."""
    server: ServerStat | None
    """`None` where the engine is in this process, or the server is too old to tell."""
    store_told: StoreStat | None
    """Of the store, as far as this process may know."""

    @property
    def store(self) -> StoreStat:
        """Of the store; `UsageError` where nothing is told of it."""
        if self.store_told is None:
            raise UsageError(
                f"{self.url} tells nothing of its store: a server tells those whose token reaches "
                "all keys, while its store is open; on its machine /status and /metrics do"
            )
        return self.store_told
