"""Pauses after a refusal that says when to come back."""

from __future__ import annotations

from random import Random

from fastness.errors import Overloaded, RateLimited
from fastness.limits import Limits
from fastness.transactions import Retries


def _pause_ms(error: Overloaded, timeout: float | None = None) -> float:
    retries = Retries(Limits(), Random(1), timeout=timeout, boot_ns=0)
    return retries.pause_s(error, 0) * 1_000


def test_not_before_its_time() -> None:
    """Whoever was told when to come back does not come earlier."""
    assert _pause_ms(RateLimited("too fast", retry_after_ms=700)) >= 700


def test_no_time_told() -> None:
    """Without a time the pause is that of any overload."""
    assert _pause_ms(RateLimited("too fast")) == _pause_ms(Overloaded("full"))


def test_never_longer_than_there_is_time() -> None:
    """The last pause ends with the time that was given."""
    assert _pause_ms(RateLimited("too fast", retry_after_ms=60_000), timeout=1.0) == 1_000
