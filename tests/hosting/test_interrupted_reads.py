"""Ctrl-C in a read that has to write: a reader raises the oracle's ceiling now and then."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from fastness.runtime import ManualClock
from fastness.storage.faults import Step
from tests.transactions.databases import ENGINES, driven, store_with_faults


class CtrlC:
    """Interrupts this thread once, at a step of the store."""

    def __init__(self) -> None:
        self.step: Step | None = None

    def __call__(self, step: Step) -> None:
        """The store's hook."""
        if step is self.step:
            self.step = None
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "step", [Step.RECORD_BEGIN, Step.RECORD_WRITTEN, Step.SYNC_BEGIN, Step.SYNC_END]
)
def test_an_interrupted_read_leaves_a_usable_database(
    engine: str, step: Step, tmp_path: Path
) -> None:
    """The interrupt comes after the ceiling is durable, and closes nothing."""
    clock, interrupt = ManualClock(), CtrlC()
    with driven(store_with_faults(engine, tmp_path, interrupt), clock) as database:
        database.set(b"k", b"1")
        clock.advance(milliseconds=60_000)
        interrupt.step = step
        with pytest.raises(KeyboardInterrupt):
            database.get(b"k")
        database.set(b"k", b"2")
        assert database.get(b"k") == b"2"
