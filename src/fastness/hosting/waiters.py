"""Who waits for a commit: a thread on a lock, or a task on a future of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock

from fastness.ranges import Waiter


class ThreadWaiter:
    """A thread that sleeps on a lock until its commit is settled or it must lead a batch."""

    __slots__ = ("_lock", "_start_committer", "gone", "leads")

    def __init__(self, start_committer: Callable[[], None]) -> None:
        self._lock = Lock()
        self._lock.acquire()
        self._start_committer = start_committer
        self.gone = False
        """Set when the thread was torn away and waits no more."""
        self.leads = False
        """Set when this thread must write the open batch."""

    def wake(self) -> None:
        """The commit is settled. Waking twice is harmless: only the leader wakes."""
        if self._lock.locked():
            self._lock.release()

    def lead(self) -> None:
        """Make the thread write the open batch, which its commit is a member of."""
        if self.gone:
            self._start_committer()
        else:
            self.leads = True
            self.wake()

    def sleep(self) -> None:
        """Wait until woken."""
        self._lock.acquire()


class TaskWaiter:
    """A task that awaits a future. Futures of one loop are resolved in one call to it."""

    __slots__ = ("_start_committer", "future", "loop")

    def __init__(self, start_committer: Callable[[], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self._start_committer = start_committer

    def wake(self) -> None:
        """The commit is settled."""
        call_loop(self.loop, [self])

    def lead(self) -> None:
        """Tasks never write batches themselves: the committer thread does."""
        self._start_committer()

    def resolve(self) -> None:
        """Resolve the future, on its loop; a cancelled task no longer cares."""
        if not self.future.done():
            self.future.set_result(None)


def call_loop(loop: asyncio.AbstractEventLoop, waiters: list[TaskWaiter]) -> None:
    """Resolve these waiters on their loop; a loop closed meanwhile has nobody waiting."""

    def resolve_all() -> None:
        for waiter in waiters:
            waiter.resolve()

    # Asking first whether it is closed would leave it time to close before the call.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(resolve_all)


def wake_all(waiters: Iterable[Waiter | None]) -> None:
    """Wake everybody whose commit is settled: one call per event loop, one per thread."""
    loops: dict[asyncio.AbstractEventLoop, list[TaskWaiter]] | None = None
    for waiter in waiters:
        if isinstance(waiter, TaskWaiter):
            loops = {} if loops is None else loops
            loops.setdefault(waiter.loop, []).append(waiter)
        elif waiter is not None:
            waiter.wake()
    if loops is not None:
        for loop, tasks in loops.items():
            call_loop(loop, tasks)
