"""What a simulated world raises: findings about the program, and the end of a process.

The first four are invariants: the program under test (or the test) is wrong, and the run ends
at once. `ProcessCrashed` is news: whoever outside awaited a task of a process that died cannot
know how far it came.
"""

from __future__ import annotations

from typing import ClassVar

from fastness.invariants import InvariantViolation


class Deadlock(InvariantViolation):
    """Nothing is left to run, and the main coroutine has not ended."""


class OutOfTime(InvariantViolation):
    """The main coroutine has not ended within the bound of virtual time or of steps."""


class RefusedInSimulation(InvariantViolation):
    """The program reached for the real world: a thread, a socket, a process, a signal."""


class UnretrievedError(InvariantViolation):
    """A task failed, and nobody ever looked at its error."""


class ProcessCrashed(Exception):
    """The process whose task was awaited died; what the task did may have taken effect."""

    maybe_committed: ClassVar[bool] = True
