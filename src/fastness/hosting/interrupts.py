"""Ctrl-C while a batch is being led: deferred until others no longer depend on this thread.

Python delivers signals to the main thread between any two instructions. A leader that is torn
away half-way would leave everybody else waiting, and worse, unsure what was written. So
while the main thread hands a commit over or leads a batch (about the time of one fsync),
SIGINT is noted and delivered right after. In other threads there is nothing to do.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_main = threading.main_thread()


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Deliver a SIGINT that arrives meanwhile on leaving."""
    if threading.current_thread() is not _main:
        yield
        return
    arrived: list[FrameType | None] = []

    def note(_number: int, frame: FrameType | None) -> None:
        arrived.append(frame)

    handler = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler if handler is not None else signal.SIG_DFL)
        if arrived and callable(handler):
            handler(signal.SIGINT, arrived[-1])
