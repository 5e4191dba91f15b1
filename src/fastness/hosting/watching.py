"""Watches: told once, after durability, that a key was written.

A watch carries the version its owner saw. It is compared at registration, so a write between
the read and the registration is not missed. A watch fires at most once; whoever wants more
registers again with the version then seen. It may fire for a write that left the value as it
was, never misses one that changed it. A value that expires is written by nobody, and neither that
nor its removal fires a watch: whoever waits for the end of one waits until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import TIMEOUT_MAX, Lock

from fastness.errors import FastnessError, Overloaded
from fastness.limits import Limits
from fastness.storage.contract import Batch


class Watch:
    """A one-time notice about one key. Wait for it from a thread or from a task.

    There may be a hundred thousand of them, so what waiting takes is only made by who waits.
    """

    __slots__ = ("_cancel", "_error", "_listeners", "_lock", "_told", "key")

    def __init__(self, key: bytes, cancel: Callable[[Watch], None]) -> None:
        self.key = key
        self._lock = Lock()
        self._told = False
        self._listeners: list[Callable[[], None]] | None = None
        self._cancel = cancel
        self._error: FastnessError | None = None

    @property
    def fired(self) -> bool:
        """Whether the key was written since the version seen."""
        return self._told and self._error is None

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the watch fires; `False` when `timeout` seconds passed first.

        Raises what ended the database, when that comes first.
        """
        gate = Lock()
        gate.acquire()
        if self._listen(gate.release):
            try:
                gate.acquire(timeout=-1 if timeout is None else min(max(timeout, 0), TIMEOUT_MAX))
            finally:
                self._leave(gate.release)
        self._refuse_if_ended()
        return self._told

    def _listen(self, listener: Callable[[], None]) -> bool:
        """Have a listener told; `False` where there is nothing to wait for any more."""
        with self._lock:
            if not self._told:
                self._listeners = [*(self._listeners or ()), listener]
            return not self._told

    def _leave(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if self._listeners is not None and listener in self._listeners:
                self._listeners.remove(listener)

    async def wait_async(self) -> None:
        """Wait in a task until the watch fires; use `asyncio.timeout` to bound it.

        Raises what ended the database, when that comes first.
        """
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def tell() -> None:
            # A loop closed meanwhile has nobody waiting.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(arrived.set)

        if self._listen(tell):
            try:
                await arrived.wait()
            finally:
                self._leave(tell)
        self._refuse_if_ended()

    def _refuse_if_ended(self) -> None:
        if self._error is not None:
            raise type(self._error)(str(self._error))

    def cancel(self) -> None:
        """Forget the watch; it will not fire any more."""
        self._cancel(self)

    def fire(self, error: FastnessError | None = None) -> None:
        """Tell whoever waits: after durability, or that the database has ended by `error`."""
        with self._lock:
            if not self._told:
                self._error = error
            self._told = True
            listeners, self._listeners = self._listeners, None
        for listener in listeners or ():
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
        watched = self._by_key
        with self._lock:
            hit: set[bytes] = set()
            for commit in batch.commits:
                hit.update(watched.keys() & commit.writes.keys())
                for interval in commit.erased:
                    hit.update(key for key in watched if interval.contains(key))
            fired = [watch for key in hit for watch in watched.pop(key)]
            self._count -= len(fired)
        for watch in fired:
            watch.fire()

    def end(self, error: FastnessError) -> None:
        """Tell everybody that nothing will change any more."""
        with self._lock:
            ended = [watch for watches in self._by_key.values() for watch in watches]
            self._by_key.clear()
            self._count = 0
        for watch in ended:
            watch.fire(error)
