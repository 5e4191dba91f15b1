"""Running the coroutines of a client in the calling thread."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Drive(Protocol):
    """Runs a coroutine of a blocking client to its end in the calling thread.

    Everything of one client happens under one lock: a coroutine runs alone between two waits.
    Safe for any thread; `DatabaseClosed` once the client is closed, and in a forked child.
    """

    def __call__(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """What it comes to; its error is raised."""
        ...
