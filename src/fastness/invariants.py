"""Assertions that stay on: a programmer's mistake crashes loudly, in production too.

`check` costs one branch. `expensive` guards checks whose cost grows with the data; tests
and simulations switch them on with `FASTNESS_EXPENSIVE_CHECKS=1`, read once at import.
An operating error (a full disk, a lost connection) is never an invariant: it has its own
class in `fastness.errors`.
"""

from __future__ import annotations

import os
from typing import TypeVar

EXPENSIVE: bool = os.environ.get("FASTNESS_EXPENSIVE_CHECKS", "") == "1"


T = TypeVar("T")


class InvariantViolation(AssertionError):
    """The program is wrong: what must always hold does not. Not a `FastnessError`."""


def check(condition: bool, what: str) -> None:
    """Raise `InvariantViolation(what)` unless `condition` holds."""
    if not condition:
        raise InvariantViolation(what)


def present(value: T | None, what: str) -> T:
    """`value`, which must not be `None`."""
    if value is None:
        raise InvariantViolation(what)
    return value
