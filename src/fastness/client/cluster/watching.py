"""Watches of a cluster's client: told once that a key was written, whatever fails meanwhile.

A watched key is read through the near cache, so its leaseholder tells of the next write before
it is acknowledged to anybody. When what it told, or a lease that ran out, takes the key away,
it is read again: a watch fires when the version is not the one seen. So it fires after the
write is durable, for no write that failed, and misses none, however long nobody could be asked.

One coroutine, the *keeper*, does all of it while there are watches: it arms keys in batches
(`KEYS_AT_ONCE` in one request), and renews the leases they stand under.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice

from fastness.client.cluster.background import Background, Sleep
from fastness.client.cluster.caching import CachedReads, Latest
from fastness.client.cluster.calls import Calls
from fastness.client.cluster.reads import Reader
from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Overloaded
from fastness.hosting import Watch
from fastness.limits import Limits
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND
from fastness.storage import cells

KEYS_AT_ONCE = 500
PAUSE_MS = 2.0
TICKS_PER_LEASE = 4
"""How often in the time of a cache lease it is looked whether it wants renewal."""

SOON_LEASES = 10
"""Leases that are lost within the time of so many show that there is no room."""

ABSENT: Timestamp = 0
"""The version of a key that is not there."""


class _Watched:
    """One key, and who watches it."""

    __slots__ = ("asking", "gone_from", "version", "watches")

    def __init__(self) -> None:
        self.version: Timestamp | None = None
        """The commit timestamp of its newest cell; `None` before it was read."""
        self.gone_from: Timestamp = 0
        """When that has expired, 0 for never: then it may vanish without a write."""
        self.watches: dict[Watch, None] = {}
        self.asking: list[asyncio.Future[None]] = []
        """Who waits for the version."""


class Watches:
    """The watches of one client, bounded by `limits.watches`."""

    def __init__(
        self,
        calls: Calls,
        cached: CachedReads,
        reader: Reader,
        background: Background,
        limits: Limits,
    ) -> None:
        self._calls = calls
        self._cached = cached
        self._reader = reader
        self._background = background
        self._limits = limits
        self._by_key: dict[bytes, _Watched] = {}
        self._count = 0
        self._unarmed: dict[bytes, None] = {}
        self._sleep: Sleep | None = None
        self._keeping = False
        self._keeps_leases = False
        self._lapses = 0
        """Leases lost, one soon after the other."""
        self._lapsed_ns = 0
        self._arm_from_ns = 0
        cached.near.watched.lost = self._lost
        cached.near.watched.lapsed = self._lapsed

    def __len__(self) -> int:
        return self._count

    async def watch(
        self, key: bytes, seen: Timestamp | None, cancel: Callable[[Watch], None] | None = None
    ) -> Watch:
        """Watch a key for changes above `seen` (`None`: from now on).

        It is registered first and compared after, so a change in between is not missed.
        """
        self._calls.require_open()
        if self._count >= self._limits.watches:
            raise Overloaded(f"{self._count} watches are registered (limit watches): cancel some")
        watch = Watch(key, cancel or self.remove)
        watched = self._by_key.setdefault(key, _Watched())
        watched.watches[watch] = None
        self._count += 1
        try:
            await self._armed(key, watched)
            if seen is not None and await self._changed_since(key, watched, seen):
                self.remove(watch)
                watch.fire()
        except BaseException:
            self.remove(watch)
            raise
        return watch

    async def _armed(self, key: bytes, watched: _Watched) -> None:
        """Wait until the version is known as of a moment after this call."""
        near = self._cached.near
        if watched.version is not None and near.watched.is_armed(key, self._now_ns()):
            return
        near.watched.want(key)
        waiter: asyncio.Future[None] = self._calls.process.future()
        watched.asking.append(waiter)
        self._unarmed[key] = None
        self.keep()
        await waiter

    async def _changed_since(self, key: bytes, watched: _Watched, seen: Timestamp) -> bool:
        if watched.version != ABSENT:
            return watched.version is None or watched.version > seen
        # It is not there now. Was it, for whoever read at `seen`?
        then = await self._reader.cell(key, seen) if seen else None
        return cells.value_at(then, seen) is not None

    def remove(self, watch: Watch) -> None:
        """Forget a watch; one that fired is gone already."""
        watched = self._by_key.get(watch.key)
        if watched is not None and watch in watched.watches:
            del watched.watches[watch]
            self._count -= 1
            if not watched.watches:
                self._forget(watch.key)

    def _forget(self, key: bytes) -> None:
        del self._by_key[key]
        self._unarmed.pop(key, None)
        self._cached.near.watched.forget(key)

    def end(self, error: FastnessError) -> None:
        """Tell everybody that nothing will be told any more."""
        for key in list(self._by_key):
            self._refuse(key, error)
        self._wake()

    def disown(self) -> None:
        """In a forked child: no watch is the child's."""
        self._by_key.clear()
        self._unarmed.clear()
        self._count = 0

    # ------------------------------------------------------------------ keeper

    def keep_leases(self) -> None:
        """Let the keeper run also while anything is cached: for clients that are pumped."""
        self._keeps_leases = True
        self._cached.on_grant = self.keep

    def keep(self) -> None:
        """Let the keeper run, and look at once at what there is to do."""
        if self._keeping:
            self._wake()
        elif not self._calls.is_closed:
            self._keeping = True
            self._background.start(self._keep(), "watches")

    def _wake(self) -> None:
        if self._sleep is not None:
            self._sleep.end()

    def _lost(self, key: bytes) -> None:
        if not self._calls.is_closed:
            self._unarmed[key] = None
            self.keep()

    def _lapsed(self) -> None:
        """A lease ended. Where leaseholders have no room, they end again and again."""
        lease_ms, now_ns = self._limits.cache_lease_ms, self._now_ns()
        if now_ns - self._lapsed_ns > SOON_LEASES * lease_ms * NANOSECONDS_PER_MILLISECOND:
            self._lapses = 0
        self._lapsed_ns = now_ns
        pause_ms = min(float(lease_ms), PAUSE_MS * 2.0 ** min(self._lapses, 16))
        self._lapses += 1
        pause_ms = self._calls.process.random.uniform(pause_ms / 2, pause_ms)
        self._arm_from_ns = now_ns + int(pause_ms * NANOSECONDS_PER_MILLISECOND)

    def _lull_ms(self, pause_ms: float) -> float:
        """How long to wait before keys are armed again."""
        left_ns = self._arm_from_ns - self._now_ns()
        return max(pause_ms, left_ns / NANOSECONDS_PER_MILLISECOND)

    async def _keep(self) -> None:
        tick_ms = self._limits.cache_lease_ms / TICKS_PER_LEASE
        pause_ms = 0.0
        try:
            while self._has_work():
                lull_ms = self._lull_ms(pause_ms) if self._unarmed else tick_ms
                if lull_ms > 0:
                    # Nothing to do; or keys being written, and leaseholders not to be asked.
                    self._sleep = Sleep(self._calls, lull_ms)
                    await self._sleep.over()
                    self._sleep = None
                if self._unarmed and self._lull_ms(0) <= 0:
                    armed = await self._arm()
                    pause_ms = 0.0 if armed else self._longer(pause_ms)
                self._renew()
        finally:
            self._keeping = False
            self._sleep = None

    def _longer(self, pause_ms: float) -> float:
        return min(max(PAUSE_MS, 2 * pause_ms), self._limits.reroute_ms)

    def _has_work(self) -> bool:
        if self._calls.is_closed:
            return False
        return self._count > 0 or (self._keeps_leases and self._cached.near.has_leases)

    def _renew(self) -> None:
        near, now_ns = self._cached.near, self._now_ns()
        near.void_lapsed(now_ns)
        for lease in near.watched.leases:
            if lease.wants_renewal(now_ns):
                self._cached.renew(lease, near.watched.an_armed_key(lease))

    async def _arm(self) -> bool:
        """Read the next keys that are not armed; whether any of them got a step further."""
        keys = list(islice(self._unarmed, KEYS_AT_ONCE))
        try:
            latest = await self._cached.latest(keys)
        except FastnessError as error:
            for key in keys:
                self._could_not(key, error)
            return not error.retryable
        before = len(self._unarmed)
        for key in keys:
            # Those that stay go to the end.
            self._unarmed.pop(key, None)
            self._read(key, latest[key])
        return not self._unarmed or len(self._unarmed) < before

    def _read(self, key: bytes, latest: Latest) -> None:
        """The version of a key is known again."""
        watched = self._by_key.get(key)
        if watched is None:
            return
        version = ABSENT if latest.cell is None else cells.timestamp_of(latest.cell)
        if watched.version is not None and version != watched.version:
            pruned = version == ABSENT and 0 < watched.gone_from <= self._calls.issued
            if not pruned:
                self._fire(key, watched)
                return
        watched.version = version
        watched.gone_from = 0 if latest.cell is None else cells.gone_from(latest.cell)
        if not self._cached.near.watched.is_armed(key, self._now_ns()):
            self._unarmed[key] = None
        _resolve(watched)

    def _fire(self, key: bytes, watched: _Watched) -> None:
        self._count -= len(watched.watches)
        self._forget(key)
        _resolve(watched)
        for watch in watched.watches:
            watch.fire()

    def _could_not(self, key: bytes, error: FastnessError) -> None:
        """Whoever begins to watch is told; whoever does already goes on waiting."""
        watched = self._by_key.get(key)
        if watched is None:
            self._unarmed.pop(key, None)
        elif error.retryable:
            _resolve(watched, error)
        else:
            self._refuse(key, error)

    def _refuse(self, key: bytes, error: FastnessError) -> None:
        watched = self._by_key[key]
        self._count -= len(watched.watches)
        self._forget(key)
        _resolve(watched, error)
        for watch in watched.watches:
            watch.fire(error)

    def _now_ns(self) -> int:
        return self._calls.process.clock.boot_ns()


def _resolve(watched: _Watched, error: FastnessError | None = None) -> None:
    asking, watched.asking = watched.asking, []
    for waiter in asking:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(type(error)(str(error)))
