"""Named steps of a store where tests and simulations stop it, fail it or kill the process.

A store calls its `Faults` at every step of a write, just before (`*_BEGIN`) or just after what
the name says. A hook that returns changes nothing. One that raises is what a failing disk
looks like: the store closes itself as after a real error. One that never returns (kills the
process) is a crash at that step. Production runs with `no_faults`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Where a store may be stopped: while it is created, then in the order a batch passes."""

    CREATE_BEGIN = "create begin"
    """The directory is named as a store, and as incomplete."""
    CREATE_TABLES = "create tables"
    """The tables stand; the store is not yet declared complete."""
    APPLY_BEGIN = "apply begin"
    """The batch is checked and planned; nothing is written."""
    APPLY_END = "apply end"
    """The batch is written and visible to the store; not yet durable."""
    SYNC_BEGIN = "sync begin"
    SYNC_END = "sync end"
    RECORD_BEGIN = "record begin"
    """Marks, an epoch, a horizon or a batch given up are about to be written."""
    RECORD_WRITTEN = "record written"
    """They are written, not yet durable."""
    PRUNE_BEGIN = "prune begin"
    """The horizon is durable; the rows of this step are still there."""
    PRUNE_END = "prune end"
    CHECKPOINT_BEGIN = "checkpoint begin"
    CHECKPOINT_COPIED = "checkpoint copied"
    """The tables are copied; the copy has no identity file yet."""


Faults = Callable[[Step], None]


def no_faults(_step: Step) -> None:
    """Nothing goes wrong."""
