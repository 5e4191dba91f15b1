"""Assertions that stay on: a programmer's mistake crashes loudly, in production too.

`check` costs one branch. `expensive` guards checks whose cost grows with the data; tests
and simulations switch them on with `FASTNESS_EXPENSIVE_CHECKS=1`, read once at import.
An operating error (a full disk, a lost connection) is never an invariant: it has its own
class in `fastness.errors`.
"""

from __future__ import annotations

import os

EXPENSIVE: bool = os.environ.get("FASTNESS_EXPENSIVE_CHECKS", "") == "1"


class InvariantViolation(AssertionError):
    """The program is wrong: what must always hold does not. Not a `FastnessError`."""


def check(condition: bool, what: str) -> None:  # noqa: FBT001 - the condition is the subject
    """Raise `InvariantViolation(what)` unless `condition` holds."""
    if not condition:
        raise InvariantViolation(what)
