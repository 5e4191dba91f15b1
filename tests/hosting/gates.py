"""A gate in a store: stops a leader between writing a batch and making it durable."""

from __future__ import annotations

import threading

from fastness.storage.faults import Step

PATIENCE_SECONDS = 60.0
"""How long a batch may stand at the gate before the test is given up."""


class Gate:
    """Stops the leader of a batch between writing it and making it durable, when told to."""

    def __init__(self) -> None:
        self._closed = False
        self._reached = threading.Event()
        self._opened = threading.Event()

    def __call__(self, step: Step) -> None:
        """The store's hook for faults."""
        if self._closed and step is Step.SYNC_BEGIN:
            self._closed = False
            self._reached.set()
            if not self._opened.wait(PATIENCE_SECONDS):
                raise TimeoutError("nobody let the batch go on")

    @property
    def stops_next(self) -> bool:
        """Whether the batch that comes next will be stopped."""
        return self._closed

    def stop_next(self) -> None:
        """Stop the batch that comes next."""
        self._reached.clear()
        self._opened.clear()
        self._closed = True

    def wait_until_reached(self) -> None:
        """Return once a batch is written and stopped."""
        if not self._reached.wait(PATIENCE_SECONDS):
            raise TimeoutError("no batch was written")

    def open(self) -> None:
        """Let the stopped batch go on."""
        self._opened.set()
