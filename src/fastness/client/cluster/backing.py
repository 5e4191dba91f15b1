"""A cluster behind the asynchronous face of a database; see `client.backing.AsyncBacking`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastness.client.cache_audit import CacheAudit
from fastness.client.cluster.access import Access
from fastness.client.cluster.attempts import ClusterAttempts
from fastness.client.cluster.auditing import audit_cached
from fastness.client.cluster.core import ClusterCore
from fastness.client.cluster.figures import asked_figures, server_stat, store_stat
from fastness.client.cluster.records import Records
from fastness.client.cluster.transaction import NO_SCHEMA, ClusterTransaction
from fastness.client.cluster.view import Moment
from fastness.client.embedded import Embedded
from fastness.client.figures import DatabaseStat
from fastness.client.freshness import AtLeast, Freshness, check_freshness
from fastness.encoding.intervals import USER_END
from fastness.encoding.timestamps import Timestamp, from_datetime
from fastness.errors import InvalidKey, InvalidOption, InvalidTimestamp, UsageError
from fastness.hosting import Watch
from fastness.model import IndexOf, Record, TotalOf
from fastness.model.operations import Schema


class ClusterBacking:
    """One client of a cluster, for the tasks of its loop."""

    def __init__(self, core: ClusterCore, access: Access) -> None:
        self.core = core
        self.url = access.url
        self.limits = core.limits
        self.caching = access.cache
        self.read_only = access.read_only
        self.records = Records(core, self._begin_attempt, builds=not access.read_only)

    @property
    def schema(self) -> Schema:
        """The schema known now."""
        return self.records.schema

    @property
    def embedded(self) -> Embedded:
        """There is none."""
        raise UsageError(
            f"{self.url} is served by another process: run this where the database is, or open "
            "its directory (file:PATH) while no server has it"
        )

    # ------------------------------------------------------------ transactions

    def moment(self, at: Timestamp | datetime | None, freshness: Freshness | None) -> Moment:
        """The moment to read at, from what the user gave."""
        if freshness is not None:
            check_freshness(freshness)
            if at is not None:
                raise InvalidOption(f"at={at!r} and freshness={freshness!r} exclude each other")
        if isinstance(at, datetime):
            timestamp = from_datetime(at)
            if timestamp >> 18 > self.core.calls.process.clock.wall_ms():
                raise InvalidTimestamp(f"{at.isoformat()} lies in the future: read the past or now")
            return Moment(timestamp, is_time=True)
        if at is not None and (type(at) is not int or at < 0):
            raise InvalidTimestamp(f"at={at!r} is neither a timestamp nor a datetime")
        return Moment(at, freshness=freshness)

    def begin(
        self,
        at: Timestamp | datetime | None = None,
        *,
        read_only: bool = False,
        cache: bool | None = None,
        freshness: Freshness | None = None,
    ) -> ClusterTransaction:
        """A transaction, one attempt."""
        return ClusterTransaction(
            self.core,
            schema=self.records.schema,
            moment=self.moment(at, freshness),
            read_only=read_only or self.read_only,
            cache=self.caching if cache is None else cache,
        )

    def _begin_attempt(self, priority: tuple[Timestamp, bytes] | None) -> ClusterTransaction:
        return ClusterTransaction(
            self.core,
            schema=self.records.schema,
            read_only=self.read_only,
            priority=priority,
            cache=self.caching,
        )

    def attempts(self, timeout: float | None) -> ClusterAttempts:
        """The attempts of one function, `timeout` seconds at most."""
        return ClusterAttempts(self.records, self._begin_attempt, timeout)

    # ------------------------------------------------------------------- reads

    async def get(
        self, key: bytes, cache: bool | None, freshness: Freshness | None
    ) -> bytes | None:
        """The value of a key: one message, or none on a hit."""
        core = self.core
        core.require_here()
        if type(key) is not bytes or key >= USER_END or len(key) > self.limits.key_bytes:
            self.check_key(key)
        if freshness is not None:
            await self._require(freshness)
        outside = core.space + key
        if self.caching if cache is None else cache:
            entry = core.cached.find(outside)
            if entry is None:
                cell = (await core.cached.latest([outside]))[outside].cell
            else:
                cell = entry.cell
        else:
            cell = await core.reader.cell(outside, 0)
        if cell is None:
            return None
        if _is_plain(cell):
            return cell[8:]
        # Only a timestamp can tell whether it has expired.
        return await self.begin(read_only=True, freshness=freshness).get(key, cache=False)

    async def get_many(
        self, keys: Sequence[bytes], cache: bool | None, freshness: Freshness | None
    ) -> list[bytes | None]:
        """The values of the keys at one moment, in the order asked."""
        core = self.core
        core.require_here()
        caching = self.caching if cache is None else cache
        tx = self.begin(read_only=True, cache=caching, freshness=freshness)
        for key in keys:
            tx.check_key(key)
        if keys and not caching and freshness is None:
            wanted = list(dict.fromkeys(keys))
            outside = [core.space + key for key in wanted] if core.space else wanted
            answer = await core.reader.latest(outside, None, 0, reverse=False)
            if answer is not None and all(cell is None or _is_plain(cell) for cell in answer.cells):
                found = dict(zip(wanted, answer.cells, strict=True))
                return [None if (cell := found[key]) is None else cell[8:] for key in keys]
        return await tx.get_many(keys)

    async def _require(self, freshness: Freshness) -> None:
        """The present meets every freshness but that of a timestamp that was never issued."""
        check_freshness(freshness)
        if isinstance(freshness, AtLeast):
            await self.core.require_issued(freshness.timestamp)

    def check_key(self, key: bytes) -> None:
        """Refuse what no key of a user may be."""
        ClusterTransaction(self.core, schema=NO_SCHEMA).check_key(key)

    # ------------------------------------------------------------------- typed

    async def use(self, classes: Sequence[type[Record]]) -> list[str]:
        """Register record classes beside those known; what changed, in words."""
        return await self.records.use(classes)

    async def build_indexes(self) -> dict[str, str]:
        """Build what is pending, here and now; problems by name."""
        return await self.records.build_all()

    async def wait_until_readable(
        self,
        parts: Sequence[IndexOf[Any] | TotalOf[Any]],
        timeout: float | None,  # noqa: ASYNC109 - counted by the process's own clock
    ) -> bool:
        """Wait until these are built, by whomever, `timeout` seconds at most."""
        return await self.records.wait_until_readable(parts, timeout)

    # ------------------------------------------------------------------ others

    async def now(self) -> Timestamp:
        """A timestamp issued from now on."""
        self.core.require_here()
        return await self.core.timestamps.read()

    async def watch(
        self,
        key: bytes,
        seen: Timestamp | None,
        cancel: Callable[[Watch], None] | None = None,
    ) -> Watch:
        """A notice of the next change of a key."""
        core = self.core
        core.require_here()
        if type(key) is not bytes:
            raise InvalidKey(f"key {key!r} is {type(key).__name__}, not bytes: pack it first")
        if seen is not None:
            if type(seen) is not int or seen < 0:
                raise InvalidTimestamp(f"seen={seen!r} is no timestamp: give a read timestamp")
            await core.require_issued(seen)
        return await core.watches.watch(core.space + key, seen, cancel)

    async def outcome(self, transaction_id: bytes) -> Timestamp | None:
        """When a commit happened, `None` if it did not and never will.

        A commit under way in this client is waited for; any other that is undecided is aborted
        by asking. Raises `MaybeCommitted` where nobody can tell any more.
        """
        self.core.require_here()
        return await self.core.commits.outcome(transaction_id)

    async def stat(self) -> DatabaseStat:
        """Figures of this client, and of the server: one message; raises as reads do."""
        core = self.core
        core.require_here()
        answer = await asked_figures(core)
        commits = core.commits.counts
        return DatabaseStat(
            url=self.url,
            read_timestamp=core.calls.issued,
            commits=commits.one_range + commits.across_ranges,
            conflicts=commits.refused,
            watches=len(core.watches),
            cache=replace(core.cached.near.counts),
            server=None if answer is None else server_stat(answer),
            store_told=None if answer is None else store_stat(answer),
        )

    async def audit_cache(self, entries: int) -> CacheAudit:
        """Compare what the near cache serves with the truth."""
        self.core.require_here()
        return await audit_cached(self.core, entries)

    async def close(self) -> None:
        """Stop: commits under way are left to be resolved by their ids. Idempotent."""
        self.core.close()


def _is_plain(cell: bytes) -> bool:
    """Whether a cell needs no timestamp to be judged."""
    return cell[:1] < b"\x80"


__all__ = ["ClusterBacking"]
