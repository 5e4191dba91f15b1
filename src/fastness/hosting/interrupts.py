"""Ctrl-C while a batch is being led: deferred until others no longer depend on this thread.

Python delivers signals to the main thread between any two instructions. A leader that is torn
away half-way would leave everybody else waiting, and worse, unsure what was written. So
while the main thread hands a commit over or leads a batch (about the time of one fsync),
SIGINT is noted and delivered right after. In other threads there is nothing to do.
"""

from __future__ import annotations

import importlib
import signal
from collections.abc import Callable
from importlib.util import find_spec
from threading import get_ident, main_thread
from types import FrameType, TracebackType
from typing import Any

# CPython's builtin below `signal.signal`, which turns numbers into enums and back: that costs
# more than everything else the host does for a small commit. Without it the public one serves.
_builtin = importlib.import_module("_signal" if find_spec("_signal") else "signal")
_set_handler: Callable[[int, Any], Any] = _builtin.signal
_get_handler: Callable[[int], Any] = _builtin.getsignal
_SIGINT = int(signal.SIGINT)


class InterruptsDeferred:
    """A context in which a SIGINT is noted; it is delivered on leaving."""

    __slots__ = ("_arrived", "_handler")

    def __enter__(self) -> None:
        self._arrived = False
        self._handler = None
        # A handler that was not set from Python could not be put back: it is left alone.
        if get_ident() == main_thread().ident and _get_handler(_SIGINT) is not None:
            self._handler = _set_handler(_SIGINT, self._note)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._arrived = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        handler = self._handler
        if handler is not None:
            _set_handler(_SIGINT, handler)
            if self._arrived and callable(handler):
                handler(_SIGINT, None)
