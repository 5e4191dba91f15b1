"""Background upkeep, in small steps: pruning, building indexes.

One daemon thread per database. It sleeps `IDLE_S` while there is nothing to do, and between
steps for as long as the last one took, `limits.prune_pause_ms` at most: it never stalls anybody,
and uses half a core at most.
"""

from __future__ import annotations

import logging
from threading import Event, Thread

from fastness.client.attempts import Place, run_attempts
from fastness.client.running import ELDEST
from fastness.errors import (
    DatabaseClosed,
    DeadlineExceeded,
    FastnessError,
    Retryable,
    StoreError,
)
from fastness.model.operations import build_step

IDLE_S = 1.0

_log = logging.getLogger("fastness.upkeep")


class Upkeep:
    """The upkeep of one database; `step` does a little, the thread calls it again and again."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._engine = place.engine
        self._awake = Event()
        self._stopping = False
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name="fastness-upkeep", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its step to end."""
        self._stopping = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def kick(self) -> None:
        """Look for work now: something was registered."""
        self._awake.set()

    def _run(self) -> None:
        pause_s = IDLE_S
        while True:
            self._awake.wait(pause_s)
            self._awake.clear()
            if self._stopping:
                return
            began_ns = self._engine.clock.boot_ns()
            try:
                more = self.step()
            except (Retryable, DeadlineExceeded):
                more = True
            except (StoreError, DatabaseClosed) as error:
                _log.error("background upkeep ended with its store: %s", error)
                return
            except FastnessError as error:
                _log.error("a step of background upkeep failed, others go on: %s", error)
                more = False
            took_s = (self._engine.clock.boot_ns() - began_ns) / 1e9
            pause_s = min(took_s, self._engine.limits.prune_pause_ms / 1_000) if more else IDLE_S

    def step(self) -> bool:
        """Build and prune a little; whether there may be more."""
        self._engine.sync_relaxed()
        self._engine.expire_reservations()
        pruned = self._engine.prune_step()
        return self._build() or pruned > 0

    def _build(self) -> bool:
        """One step of building indexes and totals, or of clearing dropped ones."""
        schema = self._place.schema
        if not schema.catalog.clearing and not schema.pending():
            return False
        skip = frozenset(self._place.problems)
        step = run_attempts(self._place, None, build_step, (skip,), priority=ELDEST)
        if step is None:
            return False
        if step.problem:
            self._place.cannot_build(step.name, step.problem)
            _log.error("%s", step.problem)
        if step.finished:
            self._place.refresh_schema()
        return True
