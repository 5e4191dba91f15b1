"""What stands behind the two faces of a database: an engine in this process, or a cluster.

`Database` and `AsyncDatabase` are the same types for every engine. They hold what is the same
everywhere (the one-operation calls, `run`, the words); a backing begins transactions and does
what engines do in different ways. Both contracts say the same; one blocks, the other awaits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from fastness.client.cache_audit import CacheAudit
from fastness.client.embedded import Embedded
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import Freshness
from fastness.client.running import AsyncAttempts, Attempts
from fastness.client.transaction import AsyncTransaction, Transaction
from fastness.encoding.timestamps import Timestamp
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.model import IndexOf, Record, TotalOf


class Backing(Protocol):
    """What a `Database` stands on. Safe for all threads of its process."""

    url: str
    """As the user gave it, without secrets."""
    limits: Limits

    @property
    def embedded(self) -> Embedded:
        """The engine in this process; `UsageError` where there is none."""
        ...

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,
        freshness: Freshness | None,
    ) -> Transaction:
        """A transaction, one attempt."""
        ...

    def attempts(self, timeout: float | None) -> Attempts:
        """The attempts of one function, `timeout` seconds at most."""
        ...

    def get(self, key: bytes, cache: bool | None, freshness: Freshness | None) -> bytes | None:
        """The value of a key."""
        ...

    def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        ...

    def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        ...

    def build_indexes(self) -> dict[str, str]:
        """Build what is pending; problems by name."""
        ...

    def wait_until_readable(
        self, parts: Sequence[IndexOf[Any] | TotalOf[Any]], timeout: float | None
    ) -> bool:
        """Wait until these are built, `timeout` seconds at most."""
        ...

    def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        ...

    def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        ...

    def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        ...

    def stat(self) -> DatabaseStat:
        """Figures now."""
        ...

    def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        ...

    def close(self) -> None:
        """End. Idempotent."""
        ...


class AsyncBacking(Protocol):
    """What an `AsyncDatabase` stands on: the same, awaited."""

    url: str
    limits: Limits

    @property
    def embedded(self) -> Embedded:
        """The engine in this process; `UsageError` where there is none."""
        ...

    def begin(
        self,
        at: Timestamp | datetime | None,
        *,
        read_only: bool,
        cache: bool | None,
        freshness: Freshness | None,
    ) -> AsyncTransaction:
        """A transaction, one attempt."""
        ...

    def attempts(self, timeout: float | None) -> AsyncAttempts:
        """The attempts of one function, `timeout` seconds at most."""
        ...

    async def get(
        self, key: bytes, cache: bool | None, freshness: Freshness | None
    ) -> bytes | None:
        """The value of a key."""
        ...

    async def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment."""
        ...

    async def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        ...

    async def build_indexes(self) -> dict[str, str]:
        """Build what is pending; problems by name."""
        ...

    async def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,  # noqa: ASYNC109 - counted by the engine's own clock
    ) -> bool:
        """Wait until these are built, `timeout` seconds at most."""
        ...

    async def now(self) -> Timestamp:
        """The timestamp a transaction begun now would read at."""
        ...

    async def watch(self, key: bytes, seen: Timestamp | None) -> Watch:
        """A notice of the next change of a key."""
        ...

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not."""
        ...

    async def stat(self) -> DatabaseStat:
        """Figures now."""
        ...

    async def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        ...

    async def close(self) -> None:
        """End. Idempotent."""
        ...
