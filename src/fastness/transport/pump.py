"""Running asynchronous code in ordinary threads, without an event loop and without a thread.

`drive` runs a coroutine in the calling thread. While it waits for a future, the thread pumps:
it waits at the sockets, takes what arrives, and calls back whoever's time has come.

::

    thread 1   drive -- coroutine waits -- leads: poll, read, call back, poll ... -- result
    thread 2       drive -- waits -- follows: sleeps ......... leads when thread 1 is done
    thread 3          drive -- waits -- follows: sleeps ... woken, its future is done -- result

Everything but sleeping happens under one lock, so the code that is driven sees one thread at a
time, as under an event loop. One thread leads; when it has what it waited for it hands over.

Ctrl-C is only delivered where a coroutine waits: there the error is raised, as if the future had
failed. What others share is never left half-way, and the next call finds it in order.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import select
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from itertools import count
from threading import Lock, get_ident
from typing import Any, Protocol, TypeVar, cast

from fastness.errors import DatabaseClosed
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND, Clock
from fastness.runtime.interrupts import InterruptsDeferred, in_main_thread

T = TypeVar("T")

WAKE_BYTES = 4096
SLEEP_MS_MAX = 250
"""Nobody sleeps longer: a signal that comes just before the main thread does wakes nobody."""

CLOSED = "the connection was closed, or this process inherited it through a fork: open another here"


class Pollable(Protocol):
    """Something the pump waits at."""

    def handle(self, events: int) -> None:
        """These of the events it was registered for have come."""
        ...


class PumpTimer:
    """A callback still to come."""

    __slots__ = ("args", "callback")

    def __init__(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        self.callback: Callable[..., object] | None = callback
        self.args = args

    def cancel(self) -> None:
        """Let it not come. Harmless once it has."""
        self.callback = None


class PumpLoop:
    """What futures need of a loop: a place for their callbacks. It is never run."""

    def __init__(self, note: Callable[[str], object]) -> None:
        self.ready: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._note = note

    def call_soon(
        self,
        callback: Callable[..., object],
        *args: Any,  # noqa: ANN401 - handed through
        context: Context | None = None,  # noqa: ARG002 - nothing here looks at one
    ) -> None:
        """Have something called before the pump waits again."""
        self.ready.append((callback, args))

    def future(self) -> asyncio.Future[Any]:
        """A future whose callbacks are called by whoever pumps."""
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def get_debug(self) -> bool:
        """Never."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A future failed and nobody asked."""
        self._note(f"{context.get('message')}: {context.get('exception')!r}")


class _Follower:
    """A thread that sleeps until its future is done, or it is to lead."""

    __slots__ = ("_gate",)

    def __init__(self) -> None:
        self._gate = Lock()
        self._gate.acquire()

    def wake(self, _future: object = None) -> None:
        """Wake it. Twice is harmless, also in a signal's handler."""
        if self._gate.locked():
            with suppress(RuntimeError):
                self._gate.release()

    def sleep(self) -> None:
        """Until woken, or for a while."""
        self._gate.acquire(timeout=SLEEP_MS_MAX / 1_000)


class Pump:
    """See the module's page. All but `drive`, `exclusively`, `close` is called inside `drive`."""

    def __init__(
        self,
        clock: Clock,
        *,
        flush: Callable[[], object],
        note: Callable[[str], object],
    ) -> None:
        """`flush` is called before any wait, to write what was sent until then."""
        self.loop = PumpLoop(note)
        self._clock = clock
        self._flush = flush
        self._is_closed = False
        self._timers: list[tuple[int, int, PumpTimer]] = []
        self._numbers = count()
        self._begin()

    def _begin(self) -> None:
        self._lock = Lock()
        self._owner = 0
        """The thread that has the lock."""
        self._is_led = False
        self._followers: dict[_Follower, None] = {}
        self._users = 0
        """Threads inside `drive`."""
        self._main: _Follower | None = None
        self._main_interrupts: InterruptsDeferred | None = None
        self._leads_for: asyncio.Future[Any] | None = None
        """What the leader waits for."""
        self._polls_until_ns: int | None = None
        """Until when the leader sleeps, `None` while it does not."""
        self._lines: dict[int, Pollable] = {}
        self._poller = select.poll()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poller.register(self._wake_read, select.POLLIN)

    # ----------------------------------------------------------------- driving

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What the coroutine returns or raises, once it has ended.

        From any thread, and inside another `drive` of the same thread. `DatabaseClosed` once the
        pump was closed, also under a coroutine that waits, and in a forked child.
        """
        try:
            if self._owner == get_ident():
                return self._run(coroutine, self._main_interrupts if in_main_thread() else None)
            with InterruptsDeferred(self._interrupted) as interrupts:
                return self._enter(coroutine, interrupts)
        except BaseException:
            # Where it has not begun, it never will.
            coroutine.close()
            raise

    def _enter(self, coroutine: Coroutine[Any, Any, T], interrupts: InterruptsDeferred) -> T:
        self._lock.acquire()
        self._owner = get_ident()
        self._users += 1
        if interrupts.defers:
            self._main_interrupts = interrupts
        try:
            return self._run(coroutine, interrupts)
        finally:
            self._leave()

    def _leave(self) -> None:
        if not self._is_closed:
            if self.loop.ready or self._is_led:
                self._work_off()
            else:
                # What is due by now can wait for whoever comes next.
                self._flush()
            if self._followers and not self._is_led:
                next(iter(self._followers)).wake()
        self._users -= 1
        if self._is_closed and not self._users:
            self._close_pipe()
        if self._owner:
            # Unless this is a child that was forked meanwhile: the lock is its parent's.
            self._owner = 0
            self._lock.release()

    def exclusively(self, action: Callable[[], T]) -> T:
        """Call something that does not wait, while no coroutine is run by anybody."""

        async def act() -> T:
            return action()

        return self.drive(act())

    def _run(self, coroutine: Coroutine[Any, Any, T], interrupts: InterruptsDeferred | None) -> T:
        if self._is_closed:
            raise DatabaseClosed(CLOSED)
        error: BaseException | None = None
        try:
            while True:
                future = coroutine.send(None) if error is None else coroutine.throw(error)
                error = self._wait(future, interrupts)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _wait(
        self, future: asyncio.Future[Any] | None, interrupts: InterruptsDeferred | None
    ) -> BaseException | None:
        """Return when the future is done, or with what is to be raised where it is awaited."""
        if future is None:
            # A bare yield: let the others have their turn.
            self._call_back()
            return None
        # Awaiting it again would be refused otherwise; a loop's tasks do the same.
        future._asyncio_future_blocking = False  # noqa: SLF001 - the protocol of futures
        try:
            while not future.done():
                if self._is_closed:
                    return DatabaseClosed(CLOSED)
                if interrupts is not None and interrupts.arrived:
                    interrupts.deliver()
                elif self._is_led:
                    self._follow(future)
                else:
                    self._lead(future, interrupts)
        except BaseException as error:  # noqa: BLE001 - handed on to the coroutine
            return error
        return None

    def _lead(self, future: asyncio.Future[Any], interrupts: InterruptsDeferred | None) -> None:
        self._is_led = True
        self._leads_for = future
        try:
            while True:
                if self.loop.ready:
                    self._call_back()
                if future.done() or self._is_closed:
                    return
                if interrupts is not None and interrupts.arrived:
                    return
                self._flush()
                if self.loop.ready:
                    continue
                self._poll()
        finally:
            self._is_led = False
            self._leads_for = None
            if self._followers:
                next(iter(self._followers)).wake()

    def _follow(self, future: asyncio.Future[Any]) -> None:
        self._work_off()
        if future.done():
            return
        follower = _Follower()
        future.add_done_callback(follower.wake)
        self._followers[follower] = None
        is_main = in_main_thread()
        if is_main:
            self._main = follower
        self._owner = 0
        self._lock.release()
        try:
            follower.sleep()
        finally:
            self._lock.acquire()
            self._owner = get_ident()
            if is_main:
                self._main = None
            self._followers.pop(follower, None)
            future.remove_done_callback(follower.wake)

    def _work_off(self) -> None:
        """Do what is due before this thread lets go, and tell the leader if it was for him."""
        self._call_back()
        self._flush()
        leads_for = self._leads_for
        if self._polls_until_ns is not None and leads_for is not None and leads_for.done():
            self._wake()

    def _interrupted(self) -> None:
        """In the handler of a signal: wake the main thread, wherever it sleeps."""
        self._wake()
        follower = self._main
        if follower is not None:
            follower.wake()

    # ----------------------------------------------------------------- pumping

    def _call_back(self) -> None:
        """Call everything whose time has come."""
        ready = self.loop.ready
        timers = self._timers
        while True:
            while ready:
                callback, args = ready.popleft()
                self._call(callback, args)
            if not timers or timers[0][0] > self._clock.boot_ns():
                return
            timer = heapq.heappop(timers)[2]
            timed, timer.callback = timer.callback, None
            if timed is not None:
                self._call(timed, timer.args)

    def _call(self, callback: Callable[..., object], args: tuple[object, ...]) -> None:
        try:
            callback(*args)
        except Exception as error:  # noqa: BLE001 - it is nobody's who happens to pump
            self.loop.call_exception_handler({"message": "a callback failed", "exception": error})

    def _poll(self) -> None:
        """Wait, take what arrives, and call back whoever's time has come."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        timeout_ms, are_due = SLEEP_MS_MAX, False
        self._polls_until_ns = 1 << 63
        if timers:
            self._polls_until_ns = due_ns = timers[0][0]
            left_ns = due_ns - self._clock.boot_ns()
            timeout_ms = min(-(-left_ns // NANOSECONDS_PER_MILLISECOND), SLEEP_MS_MAX)
            if left_ns <= 0:
                timeout_ms, are_due = 0, True
        poll = self._poller.poll
        owner, self._owner = self._owner, 0
        self._lock.release()
        try:
            events = poll(timeout_ms)
        finally:
            self._lock.acquire()
            self._owner = owner
            self._polls_until_ns = None
        for number, mask in events:
            line = self._lines.get(number)
            if line is not None:
                line.handle(mask)
            elif number == self._wake_read:
                with suppress(BlockingIOError):
                    os.read(number, WAKE_BYTES)
        if are_due or not events:
            # After anything else the clock need not be asked: the next turn sees what is due.
            self._call_back()

    def _wake(self) -> None:
        # A full pipe wakes as well as one byte more; a closed one has nobody to wake.
        with suppress(OSError):
            os.write(self._wake_write, b"\0")

    # ---------------------------------------------------- what is waited for

    def call_later(
        self, milliseconds: float, callback: Callable[..., object], args: tuple[object, ...]
    ) -> PumpTimer:
        """Call back after this much time, when somebody pumps."""
        timer = PumpTimer(callback, args)
        due_ns = self._clock.boot_ns() + int(milliseconds * NANOSECONDS_PER_MILLISECOND)
        heapq.heappush(self._timers, (due_ns, next(self._numbers), timer))
        if self._polls_until_ns is not None and due_ns < self._polls_until_ns:
            self._wake()
        return timer

    def watch(self, number: int, line: Pollable, events: int) -> None:
        """Wait at a file descriptor for these events (of `select.poll`) from now on."""
        self._lines[number] = line
        self._poller.register(number, events)
        if self._polls_until_ns is not None:
            self._wake()

    def unwatch(self, number: int) -> None:
        """Wait there no more. To be called before it is closed."""
        if self._lines.pop(number, None) is not None:
            self._poller.unregister(number)

    # ------------------------------------------------------------------ ending

    def close(self, release: Callable[[], object]) -> None:
        """Raise `DatabaseClosed` wherever a coroutine waits, and call `release`. Idempotent."""
        if self._is_closed:
            return

        def end() -> None:
            release()
            self._is_closed = True
            self._wake()
            for follower in list(self._followers):
                follower.wake()

        self.exclusively(end)

    def _close_pipe(self) -> None:
        """The last one out does: a leader may still sleep at it when the pump is closed."""
        numbers = (self._wake_read, self._wake_write)
        self._wake_read = self._wake_write = -1
        for number in numbers:
            with suppress(OSError):
                os.close(number)

    def disown(self, release: Callable[[], object]) -> None:
        """In a forked child: forget the parent's, without a word to anybody."""
        self._is_closed = True
        release()
        self._close_pipe()
        self._timers.clear()
        self.loop.ready.clear()
        self._lock = Lock()
        self._owner = 0
        self._followers.clear()


class PumpTask(asyncio.Future[T]):
    """A coroutine that runs whenever somebody pumps."""

    def __init__(self, pump: Pump, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        super().__init__(loop=cast("asyncio.AbstractEventLoop", pump.loop))
        self._coroutine = coroutine
        self._name = name
        self._awaits: asyncio.Future[Any] | None = None
        self._must_cancel = False
        self._loop_of = pump.loop
        pump.loop.call_soon(self._step)

    def get_name(self) -> str:
        """What it was spawned as."""
        return self._name

    def cancel(self) -> bool:  # type: ignore[override]  # no message
        """Raise `CancelledError` where it waits; `False` where it has ended."""
        if self.done():
            return False
        if self._awaits is None or not self._awaits.cancel():
            self._must_cancel = True
        return True

    def _step(self, _awaited: object = None) -> None:
        self._awaits = None
        try:
            if self._must_cancel:
                self._must_cancel = False
                future = self._coroutine.throw(asyncio.CancelledError())
            else:
                future = self._coroutine.send(None)
        except StopIteration as stop:
            self.set_result(stop.value)
        except asyncio.CancelledError:
            super().cancel()
        except Exception as error:  # noqa: BLE001 - it is the result
            self.set_exception(error)
        else:
            if future is None:
                self._loop_of.call_soon(self._step)
                return
            future._asyncio_future_blocking = False  # noqa: SLF001 - the protocol of futures
            self._awaits = future
            future.add_done_callback(self._step)
