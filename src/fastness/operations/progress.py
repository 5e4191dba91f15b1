"""How far a long operation has come: what every operation here tells its caller.

A callback is called often (about every few thousand rows or megabyte), in the thread that runs
the operation, and must return soon. What it raises ends the operation, which then cleans up
as after any error: that is how a caller cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Unit: TypeAlias = Literal["bytes", "entries", "rows", "steps"]


@dataclass(frozen=True, slots=True)
class Progress:
    """One notice: so much of a stage is done."""

    stage: str
    """What is being done, such as 'copying'."""
    done: int
    total: int | None
    """How much there is in all, an estimate where the unit is rows; `None`: not known."""
    unit: Unit


OnProgress: TypeAlias = Callable[[Progress], object]


def unwatched(_progress: Progress) -> None:
    """Nobody looks."""
