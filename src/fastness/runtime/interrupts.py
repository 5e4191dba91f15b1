"""Ctrl-C while others depend on this thread: noted at once, delivered when it does no harm.

Python delivers signals to the main thread between any two instructions. A leader of commits, or
of a shared connection, that is torn away half-way would leave everybody else waiting, and what
they share in a state that nobody meant. So SIGINT is noted meanwhile. In other threads there is
nothing to do.
"""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Callable
from importlib.util import find_spec
from threading import get_ident, main_thread
from types import FrameType, TracebackType
from typing import Any, Self

# CPython's builtin below `signal.signal`, which turns numbers into enums and back: that costs
# more than everything else the host does for a small commit. Without it the public one serves.
_builtin = importlib.import_module("_signal" if find_spec("_signal") else "signal")
_set_handler: Callable[[int, Any], Any] = _builtin.signal
_get_handler: Callable[[int], Any] = _builtin.getsignal
_SIGINT = int(signal.SIGINT)
_main = main_thread().ident


def _forked() -> None:
    """The thread that forked is the main one of the child."""
    global _main  # noqa: PLW0603 - asking `threading` each time costs as much as a handler
    _main = get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def in_main_thread() -> bool:
    """Whether this thread is the one that signals are delivered in."""
    return get_ident() == _main


class InterruptsDeferred:
    """A context in which a SIGINT is noted; it is delivered on leaving, or by `deliver`.

    `noted` is called in the handler: between any two instructions of the main thread, so it may
    do no more than wake it.
    """

    __slots__ = ("_handler", "_noted", "arrived", "defers")

    def __init__(self, noted: Callable[[], object] | None = None) -> None:
        self.arrived = False
        """Whether one waits to be delivered."""
        self.defers = False
        """Whether this is the thread that signals are delivered in, and there is a handler."""
        self._noted = noted
        self._handler: Any = None

    def __enter__(self) -> Self:
        self.arrived = False
        self._handler = None
        # A handler that was not set from Python could not be put back: it is left alone.
        if get_ident() == _main and _get_handler(_SIGINT) is not None:
            self._handler = _set_handler(_SIGINT, self._note)
            self.defers = True
        return self

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.arrived = True
        if self._noted is not None:
            self._noted()

    def deliver(self) -> None:
        """Do with what arrived as the program would: usually raise `KeyboardInterrupt`."""
        self.arrived = False
        if callable(self._handler):
            self._handler(_SIGINT, None)
        elif self._handler == signal.SIG_DFL:
            # The system ends the program.
            _set_handler(_SIGINT, self._handler)
            signal.raise_signal(_SIGINT)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handler is not None:
            _set_handler(_SIGINT, self._handler)
            if self.arrived:
                self.deliver()
