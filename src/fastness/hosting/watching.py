"""Watches: told once, after durability, that a key was written.

A watch carries the version its owner saw. It is compared at registration, so a write between
the read and the registration is not missed. A watch fires at most once; whoever wants more
registers again with the version then seen. It may fire for a write that left the value as it
was, never misses one that changed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Event, Lock

from fastness.errors import Overloaded
from fastness.limits import Limits
from fastness.storage.contract import Batch


class Watch:
    """A one-time notice about one key. Wait for it from a thread or from a task."""

    __slots__ = ("_cancel", "_event", "_listeners", "_lock", "key")

    def __init__(self, key: bytes, cancel: Callable[[Watch], None]) -> None:
        self.key = key
        self._event = Event()
        self._lock = Lock()
        self._listeners: list[Callable[[], None]] = []
        self._cancel = cancel

    @property
    def fired(self) -> bool:
        """Whether the key was written since the version seen."""
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the watch fires; `False` when `timeout` seconds passed first."""
        return self._event.wait(timeout)

    async def wait_async(self) -> None:
        """Wait in a task until the watch fires; use `asyncio.timeout` to bound it."""
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def tell() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived.set)

        with self._lock:
            if self._event.is_set():
                return
            self._listeners.append(tell)
        try:
            await arrived.wait()
        finally:
            with self._lock:
                if tell in self._listeners:
                    self._listeners.remove(tell)

    def cancel(self) -> None:
        """Forget the watch; it will not fire any more."""
        self._cancel(self)

    def fire(self) -> None:
        """Tell whoever waits. Called by the host after durability."""
        with self._lock:
            self._event.set()
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


class WatchTable:
    """The watches of one host, by key; bounded by `limits.watches`."""

    __slots__ = ("_by_key", "_count", "_limits", "_lock")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = Lock()
        self._by_key: dict[bytes, list[Watch]] = {}
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: bytes) -> Watch:
        """Register a watch on `key`; `Overloaded` beyond the limit."""
        watch = Watch(key, self.remove)
        with self._lock:
            if self._count >= self._limits.watches:
                raise Overloaded(
                    f"{self._count} watches are registered (limit watches): cancel some first"
                )
            self._by_key.setdefault(key, []).append(watch)
            self._count += 1
        return watch

    def remove(self, watch: Watch) -> None:
        """Forget a watch; one that fired is gone already."""
        with self._lock:
            watches = self._by_key.get(watch.key, [])
            if watch in watches:
                watches.remove(watch)
                self._count -= 1
                if not watches:
                    del self._by_key[watch.key]

    def fire(self, batch: Batch) -> None:
        """Fire every watch on a key that this durable batch wrote."""
        with self._lock:
            hit = [key for key in self._by_key if _writes(batch, key)]
            fired = [watch for key in hit for watch in self._by_key.pop(key)]
            self._count -= len(fired)
        for watch in fired:
            watch.fire()


def _writes(batch: Batch, key: bytes) -> bool:
    return any(
        key in commit.writes or any(interval.contains(key) for interval in commit.erased)
        for commit in batch.commits
    )
