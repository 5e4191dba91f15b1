"""An asyncio event loop in virtual time: ordinary asyncio code, deterministic to the byte.

Tasks, futures, timeouts, events, queues, `gather` and `TaskGroup` run on it unchanged. Nothing
waits for real: time jumps to the next event. Nothing leaves the loop: threads, sockets, files
and signals are refused (`RefusedInSimulation`).

asyncio keeps tasks and futures in sets here and there (`TaskGroup`, `wait`, `as_completed`), and
walks them in the order of their hashes, which are addresses. Ours hash by a number of their
world instead, so that the walk is the same in every run.

`time()` is the boot clock of the process whose code asks, and timeouts run by its rate.
"""

from __future__ import annotations

import asyncio
import gc
import threading
from asyncio import events
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar, TypeVarTuple

from fastness.testing.simulation.events import (
    OWNER,
    Actor,
    Agenda,
    ScheduledCall,
)
from fastness.testing.simulation.failures import Deadlock, UnretrievedError
from fastness.testing.simulation.refusals import RealWorldRefused, refuse

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
ExceptionHandler = Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object]

COMPLAINTS_MAX: Final = 100
ENDS_RESISTED_MAX: Final = 10
NAMES_SHOWN: Final = 10


class SimulatedFuture(asyncio.Future[T]):
    """A future whose place in a set depends on nothing but the seed."""

    number: int

    def __hash__(self) -> int:
        return self.number


class SimulatedTask(asyncio.Task[T]):
    """A task whose place in a set depends on nothing but the seed."""

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        loop: SimulatedLoop,
        name: str | None,
        context: Context | None = None,
    ) -> None:
        # First: asyncio puts the task into a set while it initializes it.
        self.number = loop.number_next()
        super().__init__(
            coroutine,
            loop=loop,
            name=name if name is not None else f"task {self.number}",
            context=context,
        )

    def __hash__(self) -> int:
        return self.number


class _Ended(BaseException):
    """Leaves `drive` when the main task is done."""


class SimulatedLoop(RealWorldRefused):
    """The loop of one world. Its tasks are kept alive until they end, whoever forgets them."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.complaints: list[str] = []
        """What asyncio would have logged, such as futures whose error nobody looked at."""
        self._tasks: dict[int, tuple[Actor, SimulatedTask[Any]]] = {}
        self._failed: list[tuple[int, Actor, SimulatedTask[Any]]] = []
        self._numbers = 0
        self._running = False
        self._closed = False
        self._thread = threading.get_ident()
        self._handler: ExceptionHandler | None = None

    def number_next(self) -> int:
        """A number no task or future of this loop has."""
        self._numbers += 1
        return self._numbers

    # Running.

    def run_until_complete(self, future: Any) -> Any:  # noqa: ANN401 - the base class's signature
        """Run a coroutine as the world itself until it ends; its result, or its error.

        An error no task of the world ever looked at is raised then too (`UnretrievedError`), and
        a broken invariant at once.
        """
        self._check_may_run()
        main = future
        if not asyncio.isfuture(future):
            context = self.agenda.root.context.copy()
            main = self.create_task(future, name="main", context=context)
        main.add_done_callback(self._stop, context=self.agenda.root.context)
        collecting = gc.isenabled()
        self._running = True
        events._set_running_loop(self)  # noqa: SLF001 - how loops announce themselves
        gc.disable()
        try:
            self.agenda.drive()
        except _Ended:
            pass
        except Deadlock as deadlock:
            waiting = ", ".join(self.pending()[:NAMES_SHOWN])
            raise Deadlock(f"{deadlock}; these tasks wait: {waiting}") from None
        finally:
            main.remove_done_callback(self._stop)
            self.agenda.actor = self.agenda.root
            events._set_running_loop(None)  # noqa: SLF001 - as above
            self._running = False
            if collecting:
                gc.enable()
        result = main.result()
        self.raise_unretrieved()
        return result

    def is_running(self) -> bool:
        """Whether `run_until_complete` is on its way."""
        return self._running

    def is_closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def close(self) -> None:
        """End every task still there, without leaving anything for the garbage collector."""
        for actor, task in list(self._tasks.values()):
            actor.end()
            self.abandon(actor, task, asyncio.CancelledError())
        self._tasks.clear()
        self._closed = True

    async def shutdown_asyncgens(self) -> None:
        """Nothing to do: generators end with the tasks that use them."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the base class's signature
        """Nothing to do: there is none."""

    # Callbacks and time.

    def call_soon(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> ScheduledCall:
        """Run a callback at this very time, after what is already to run."""
        return self.agenda.call_soon(callback, args, context)

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> ScheduledCall:
        """The same; refused from another thread."""
        if threading.get_ident() != self._thread:
            refuse("call_soon_threadsafe from another thread")
        return self.agenda.call_soon(callback, args, context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> ScheduledCall:
        """Run a callback after so many seconds of its process's boot clock."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> ScheduledCall:
        """Run a callback once `time()` of its process is `when`."""
        if context is None:
            context = copy_context()
        agenda = self.agenda
        actor = context.get(OWNER, agenda.root)
        call = ScheduledCall(callback, args, context)
        call.when_seconds = when
        agenda.call_at(actor.virtual_time(when), actor, call)
        return call

    def time(self) -> float:
        """The boot clock, in seconds, of the process whose code asks."""
        return self.agenda.actor.boot_ns() / 1e9

    # Tasks and futures.

    def create_future(self) -> SimulatedFuture[Any]:
        """A future of this loop."""
        future: SimulatedFuture[Any] = SimulatedFuture(loop=self)
        future.number = self._numbers = self._numbers + 1
        return future

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
        **_eager: Any,  # noqa: ANN401 - later versions of Python know further options
    ) -> SimulatedTask[T]:
        """Run a coroutine as a task of the actor whose context it is."""
        if context is None:
            context = copy_context()
        task = SimulatedTask(
            coro, loop=self, name=None if name is None else str(name), context=context
        )
        actor = context.get(OWNER, self.agenda.root)
        self._tasks[task.number] = (actor, task)
        task.add_done_callback(self._task_ended, context=self.agenda.root.context)
        return task

    def set_task_factory(self, factory: object) -> None:
        """Refused: tasks of a simulated world must be its own."""
        if factory is not None:
            refuse("set_task_factory")

    def get_task_factory(self) -> None:
        """Always none: see `set_task_factory`."""

    def end_tasks(self, actor: Actor, error: BaseException) -> None:
        """End an actor's tasks where they stand, oldest first; whoever awaits one gets `error`.

        The one that is running now, if it is one of them, at its next `await`.
        """
        current = asyncio.current_task(self) if self._running else None
        for owner, task in list(self._tasks.values()):
            if owner is not actor:
                continue
            if task is current:
                self.agenda.at(self.agenda.now, self.agenda.root, self.abandon, actor, task, error)
            else:
                self.abandon(actor, task, error)

    def abandon(self, actor: Actor, task: asyncio.Task[Any], error: BaseException) -> None:
        """End one task where it stands. Its clean-up runs now, when nothing has an effect."""
        if isinstance(task, SimulatedTask):
            self._tasks.pop(task.number, None)
        if task.done():
            return
        self._close_coroutine(actor, task)
        # A task refuses to be given a result; the future it is does not.
        asyncio.Future.set_exception(task, error)
        task._log_traceback = False  # noqa: SLF001 - nobody has to look at it

    def _close_coroutine(self, actor: Actor, task: asyncio.Task[Any]) -> None:
        coroutine = task.get_coro()
        for _ in range(ENDS_RESISTED_MAX):
            try:
                if coroutine is not None:
                    actor.enter(coroutine.close)
                return
            except Exception as complaint:  # noqa: BLE001 - the dead cannot fail a run
                # Clean-up that awaits (a task group's) is interrupted there and closed again.
                self._complain(f"{task.get_name()} resisted its end: {complaint!r}")

    def raise_unretrieved(self) -> None:
        """Raise the first error of a task that nobody looked at.

        The dead need not look at anything, and whoever was stopped, or is told only at this very
        instant, has not had the time.
        """
        now, later = self.agenda.now, []
        failed, self._failed = self._failed, []
        for failure in failed:
            when, actor, task = failure
            if not actor.alive or not task._log_traceback:  # noqa: SLF001 - asyncio's own memory
                continue
            if when >= now or actor.paused or actor.paused_until >= now:
                later.append(failure)
                continue
            error = task.exception()
            raise UnretrievedError(f"task {task.get_name()!r} failed: {error!r}") from error
        self._failed = later

    def pending(self) -> list[str]:
        """Names of the tasks that have not ended."""
        return [f"{actor.name}: {task.get_name()}" for actor, task in self._tasks.values()]

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        if not isinstance(task, SimulatedTask):
            return
        known = self._tasks.pop(task.number, None)
        if known is None or task.cancelled() or not task._log_traceback:  # noqa: SLF001 - as above
            return
        self._failed.append((self.agenda.now, known[0], task))
        error = task._exception  # noqa: SLF001 - `exception()` would count as looking at it
        if isinstance(error, AssertionError):
            raise error

    # Errors.

    def get_debug(self) -> bool:
        """Never: debugging measures real time."""
        return False

    def set_debug(self, enabled: bool) -> None:
        """Ignored: there is nothing to switch."""

    def set_exception_handler(self, handler: ExceptionHandler | None) -> None:
        """Have `handler(loop, context)` told what asyncio would log."""
        self._handler = handler

    def get_exception_handler(self) -> ExceptionHandler | None:
        """The handler set, if any."""
        return self._handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what asyncio would log in `complaints`."""
        self._complain(f"{context.get('message')}: {context.get('exception')!r}")

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What asyncio calls when there is nobody to raise to."""
        if self._handler is not None:
            self._handler(self, context)
        else:
            self.default_exception_handler(context)

    def _complain(self, complaint: str) -> None:
        if len(self.complaints) < COMPLAINTS_MAX:
            self.complaints.append(complaint)

    def _check_may_run(self) -> None:
        if self._closed:
            raise RuntimeError("the world was closed: make another")
        if events._get_running_loop() is not None:  # noqa: SLF001 - as above
            raise RuntimeError("a world cannot run while an event loop is running in this thread")

    def _stop(self, _main: object) -> None:
        raise _Ended
