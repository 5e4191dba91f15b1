"""What a process of a cluster is given: messages, timers, clocks, randomness, tasks.

The protocol code above (`hosting`, `node`, `cache`, the cluster client) is written against
`Process` alone and never looks further, so the same code runs under the real event loop and in
the simulated world. Everything happens on one thread: callbacks are never run inside the call
that asked for them.

Messages are datagrams in what they promise: a frame is delivered whole or not at all, later
than another one sent before it, or twice. A transport that promises more (TCP) is welcome to;
nothing above relies on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol, TypeVar

from fastness.runtime.clock import Clock

T = TypeVar("T")

Address = str
"""Names one process while it lives: a restarted process has a new one."""


class Timer(Protocol):
    """A callback that is still to come."""

    def cancel(self) -> None:
        """Let it not come. Harmless once it has."""
        ...


class Process(Protocol):
    """The surroundings of one running process."""

    address: Address
    random: Random

    @property
    def clock(self) -> Clock:
        """Its two clocks."""
        ...

    def listen(self, receive: Callable[[Address, bytes], None]) -> None:
        """Hand every frame that arrives to `receive(sender, frame)`, from now on."""
        ...

    def send(self, to: Address, frame: bytes) -> None:
        """Send a frame, best effort: lost, late, twice or out of order; never raises."""
        ...

    def call_later(self, milliseconds: float, callback: Callable[..., None], *args: Any) -> Timer:  # noqa: ANN401 - handed through
        """Call back after this much time of this process's own (boot) clock."""
        ...

    def future(self) -> asyncio.Future[Any]:
        """A future of the loop this process runs on."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run a coroutine as a task that ends, cancelled, with the process at the latest."""
        ...

    def note(self, event: str) -> None:
        """A line of the process's story, for whoever traces it. Cheap when nobody does."""
        ...
