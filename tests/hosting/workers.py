"""Threads for tests: they hand on what they return or raise, and can be stopped at a place.

`Worker` runs a function and gives its result to whoever joins it. `Breakpoint` stops the thread
that is to meet it when it returns from a named function of the host or the range, so that
an interleaving that real scheduling shows once in a million runs is shown every time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Generic, TypeVar

PATIENCE_SECONDS = 30.0
"""How long a test waits for what must happen before it gives up."""

T = TypeVar("T")
Tracer = Callable[[FrameType, str, Any], Any]


class Worker(Generic[T]):
    """A thread that has started; its result or error comes with `result`."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._error = error

    def ended_within(self, seconds: float) -> bool:
        """Whether the thread ends in this time; a way to look without insisting."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What the function returned; raises what it raised. Fails when it never ends."""
        if not self.ended_within(PATIENCE_SECONDS):
            raise TimeoutError("a thread is still waiting: it was forgotten")
        if self._error is not None:
            raise self._error
        return self._results[0]


class Breakpoint:
    """A place where one thread reports itself, and stops unless it is let go on.

    `function` is a qualified name such as "Range.applied", met when the thread that runs under
    `stopping_at` returns from it for the first time.
    """

    def __init__(self, function: str, *, stops: bool = True) -> None:
        self.function = function
        self._reached = threading.Event()
        self._released = threading.Event()
        if not stops:
            self._released.set()

    def wait_until_reached(self) -> None:
        """Return once the thread is there."""
        if not self._reached.wait(PATIENCE_SECONDS):
            raise TimeoutError(f"nobody came to {self.function}")

    def release(self) -> None:
        """Let the thread go on."""
        self._released.set()

    def meet(self) -> None:
        """The thread is there."""
        if not self._reached.is_set():
            self._reached.set()
            self._released.wait(PATIENCE_SECONDS)


@contextmanager
def stopping_at(*breakpoints: Breakpoint) -> Iterator[None]:
    """Let the thread that enters meet these breakpoints."""
    by_function = {place.function: place for place in breakpoints}

    def on_call(frame: FrameType, _event: str, _argument: object) -> Tracer | None:
        met = by_function.get(frame.f_code.co_qualname)
        if met is None:
            return None

        def in_function(_frame: FrameType, event: str, _argument: object) -> Tracer:
            if event == "return":
                met.meet()
            return in_function

        return in_function

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(before)
