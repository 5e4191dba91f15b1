"""The agenda of a simulated world: what happens next, to whom, and whether it may.

::

    Agenda   a queue of what runs now and a heap of what runs later, in virtual nanoseconds
    Actor    somebody things happen to: a process, the coordinator, a store, the world itself

Every event belongs to an actor, and the actor decides whether it runs: a dead actor's events
vanish, a paused one's wait and then run in their order. Which actor an event belongs to travels
in the `contextvars` context that asyncio hands along anyway, so that a task goes on as the
process that started it whoever completes what it waits for.

**Strikes.** An actor counts down a budget at every event and at every interaction with its
surroundings (a clock reading, a frame sent). When it is used up, the fault injector strikes:
right there, between any two of them. A pause that strikes in the middle of a callback cannot
stop Python code, but it stops its effects: `Actor.now` stands at the end of the pause from there
on, for clock readings and everything sent, and a crash makes all that follows vanish.

This is the innermost loop of every seed: entries are plain tuples, and a test costs one
comparison.
"""

from __future__ import annotations

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from typing import Any, Final, TypeVar

from fastness.testing.simulation.failures import Deadlock, OutOfTime
from fastness.testing.simulation.trace import Trace

T = TypeVar("T")

STEPS_BETWEEN_CHECKS: Final = 8_192
BUDGET_ENDLESS: Final = 1 << 62
NANOSECONDS_PER_MILLISECOND: Final = 1_000_000
FOREVER_NS: Final = 1 << 60

OWNER: ContextVar[Actor] = ContextVar("OWNER")
"""The actor whose code runs in this context."""

Callback = Callable[..., object]


class ScheduledCall(asyncio.TimerHandle):
    """A callback to come that can be cancelled; what asyncio calls a handle."""

    __slots__ = ("args", "callback", "context", "when_seconds")

    callback: Callback | None
    when_seconds: float

    def __init__(self, callback: Callback, args: tuple[object, ...], context: Context) -> None:
        # Not `super().__init__`: it would fill seven more fields, once per event.
        self.callback = callback
        self.args = args
        self.context = context

    def __repr__(self) -> str:
        return f"<ScheduledCall {self.callback!r}>"

    def cancel(self) -> None:
        """Let it not come."""
        self.callback = None
        self.args = ()

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.callback is None

    def when(self) -> float:
        """The loop time, in seconds, it was scheduled for."""
        return self.when_seconds


Entry = tuple[int, int, "Actor", Any, tuple[Any, ...] | None]
"""When, a sequence number that settles ties, to whom, and what: a bare callback with its
arguments, or a `ScheduledCall` and `None`."""


class Actor:
    """Somebody things happen to. `name` appears in the trace."""

    __slots__ = (
        "_held",
        "_on_strike",
        "_strike_budget",
        "agenda",
        "alive",
        "budget",
        "busy_until",
        "context",
        "name",
        "number",
        "paused",
        "paused_until",
    )

    def __init__(self, agenda: Agenda, name: str) -> None:
        self.agenda = agenda
        self.name = name
        self.number = agenda.number_next()
        self.alive = True
        self.budget = BUDGET_ENDLESS
        """Events and interactions until somebody must look; below 0 while paused or dead."""
        self.paused = False
        """Whether it is stopped: its events wait."""
        self.paused_until = 0
        self.busy_until = 0
        """The end of a pause that struck in the middle of a callback."""
        self._held: list[Entry] = []
        self._strike_budget = BUDGET_ENDLESS
        self._on_strike: Callable[[], None] | None = None
        self.context = Context()
        self.context.run(OWNER.set, self)

    @property
    def now(self) -> int:
        """The virtual time, in nanoseconds, at which what this actor does takes effect."""
        now = self.agenda.now
        return max(now, self.busy_until)

    def boot_ns(self) -> int:
        """Its boot clock; the world's own runs exactly with virtual time."""
        return self.now

    def virtual_time(self, boot_seconds: float) -> int:
        """The virtual time (nanoseconds) at which its boot clock will have reached this."""
        return int(boot_seconds * 1e9) + 1

    def after(self, nanoseconds: int, callback: Callback, *args: object) -> None:
        """Have a callback happen to this actor so much later. It cannot be cancelled."""
        self.agenda.at(self.now + nanoseconds, self, callback, *args)

    def enter(self, callback: Callable[..., T], *args: object) -> T:
        """Run code as this actor, now: its timers, tasks and frames are the actor's."""
        agenda = self.agenda
        before = agenda.actor
        if before is self:
            return callback(*args)
        agenda.actor = self
        try:
            return self.context.run(callback, *args)
        finally:
            agenda.actor = before

    # Being stopped.

    def pause(self, milliseconds: float | None = None) -> None:
        """Stop: nothing happens to it until `resume`, or for this long. As SIGSTOP does."""
        if not self.alive:
            return
        until = FOREVER_NS
        if milliseconds is not None:
            until = self.agenda.now + int(milliseconds * NANOSECONDS_PER_MILLISECOND)
        if self.paused and until <= self.paused_until:
            return
        if not self.paused:
            self._strike_budget = self.budget
        self.paused = True
        self.paused_until = until
        self.budget = -1
        if until < FOREVER_NS:
            self.agenda.at(until, self.agenda.root, self._end_of_pause)

    def resume(self) -> None:
        """Go on: what came meanwhile happens now, in order.

        A pause in the middle of a step cannot be cut short: its end was seen on the clock.
        """
        if not self.paused:
            return
        if self.busy_until > self.agenda.now:
            self.paused_until = self.busy_until
            self.agenda.at(self.busy_until, self.agenda.root, self._end_of_pause)
            return
        self.paused = False
        self.paused_until = self.agenda.now
        self.budget = self._strike_budget
        held, self._held = self._held, []
        self.agenda.ready.extend(held)

    def stall(self, milliseconds: float) -> None:
        """Stop in the middle of what it is doing: the effects of the rest come afterwards."""
        if self.alive:
            until = self.agenda.now + int(milliseconds * NANOSECONDS_PER_MILLISECOND)
            self.busy_until = max(self.busy_until, until)
            self.pause(milliseconds)

    def end(self) -> None:
        """Die: nothing ever happens to it again."""
        self.alive = False
        self.paused = False
        self.budget = -1
        self._held.clear()

    def strike_after(self, steps: int, strike: Callable[[], None]) -> None:
        """Call `strike` once this many more events and interactions have passed."""
        self._on_strike = strike
        if self.paused:
            self._strike_budget = steps
        elif self.alive:
            self.budget = steps

    def strike_never(self) -> None:
        """Forget a strike that is still to come."""
        self.strike_after(BUDGET_ENDLESS, lambda: None)

    def takes_step(self) -> bool:
        """An interaction with its surroundings, where it may be struck; whether it has effect."""
        self.budget -= 1
        if self.budget < 0:
            self.interrupted()
        return self.alive

    def admits(self, entry: Entry) -> bool:
        """Whether an event may run, asked when the budget is used up; one that waits is kept."""
        if self.interrupted():
            return True
        if self.alive:
            self._held.append(entry)
        return False

    def interrupted(self) -> bool:
        """Whether it goes on at once, asked when the budget is used up; may strike."""
        if self.alive and not self.paused:
            strike, self._on_strike = self._on_strike, None
            self.budget = BUDGET_ENDLESS
            if strike is not None:
                strike()
        return self.alive and not self.paused

    def _end_of_pause(self) -> None:
        if self.paused_until <= self.agenda.now:
            self.resume()


class Agenda:
    """What is to happen, and the virtual time. `root` is the world itself: never stopped."""

    def __init__(self, trace: Trace) -> None:
        self.now = 0
        """Virtual nanoseconds since the world began."""
        self.sequence = 0
        self.steps = 0
        self.heap: list[Entry] = []
        self.ready: deque[Entry] = deque()
        self.trace = trace
        self._actors = 0
        self.root = Actor(self, "world")
        self.actor = self.root
        """Whose code runs now."""
        self.limit_ns = FOREVER_NS
        self.limit_steps = BUDGET_ENDLESS

    def number_next(self) -> int:
        """A number for another actor."""
        self._actors += 1
        return self._actors - 1

    def at(self, when: int, actor: Actor, callback: Callback, *args: object) -> None:
        """Have a callback happen to an actor at a virtual time (nanoseconds)."""
        self.sequence += 1
        heappush(self.heap, (when, self.sequence, actor, callback, args))

    def call_at(self, when: int, actor: Actor, call: ScheduledCall) -> None:
        """The same with a call that can be cancelled."""
        self.sequence += 1
        heappush(self.heap, (when, self.sequence, actor, call, None))

    def call_soon(
        self, callback: Callback, args: tuple[object, ...], context: Context | None
    ) -> ScheduledCall:
        """Run a callback at this very time, after what is to run already, as its context's."""
        if context is None:
            context = copy_context()
        call = ScheduledCall(callback, args, context)
        self.ready.append((0, 0, context.get(OWNER, self.root), call, None))
        return call

    def drive(self) -> None:
        """Let everything happen, until something raises."""
        ready, heap = self.ready, self.heap
        record = self.trace.events.append
        while True:
            for _ in range(STEPS_BETWEEN_CHECKS):
                if ready:
                    entry = ready.popleft()
                elif heap:
                    entry = heappop(heap)
                    self.now = entry[0]
                else:
                    raise Deadlock("nothing is left to run, and the main coroutine has not ended")
                _when, _sequence, actor, callback, args = entry
                if args is None and callback.callback is None:
                    continue
                actor.budget -= 1
                if actor.budget < 0 and not actor.admits(entry):
                    continue
                record(self.now << 10 | actor.number & 1023)
                self.actor = actor
                if args is not None:
                    actor.context.run(callback, *args)
                else:
                    callback.context.run(callback.callback, *callback.args)
            self._look_around()

    def _look_around(self) -> None:
        """Between many steps: the bounds, the trace's buffers, and garbage.

        The garbage collector runs here alone: what it finalizes, it finalizes at the same step
        in every run.
        """
        self.steps += STEPS_BETWEEN_CHECKS
        self.trace.flush()
        checks = self.steps // STEPS_BETWEEN_CHECKS
        gc.collect(2 if checks % 256 == 0 else 1 if checks % 16 == 0 else 0)
        if self.steps > self.limit_steps:
            raise OutOfTime(f"more than {self.limit_steps} steps at {self.now / 1e6:.3f} ms")
        if self.now > self.limit_ns:
            raise OutOfTime(f"more than {self.limit_ns / 1e6:.0f} ms of virtual time passed")
