"""Errors as they travel in a refusal, and what the client makes of them."""

from __future__ import annotations

from fastness.errors import Conflict, RateLimited
from fastness.node.refusals import refusal_of
from fastness.wire.messages import ANSWER, Refusal, decode_frame, encode_frame
from fastness.wire.refusals import error_of


def _over_the_wire(refusal: Refusal) -> Refusal:
    body = decode_frame(encode_frame(ANSWER, 1, 0, refusal)).body
    assert isinstance(body, Refusal)
    return body


def test_when_to_come_back() -> None:
    """The time a rate limit names arrives as a number."""
    refusal = _over_the_wire(refusal_of(RateLimited("too fast", retry_after_ms=250)))
    error = error_of(refusal)
    assert isinstance(error, RateLimited)
    assert (error.retry_after_ms, error.retryable, str(error)) == (250, True, "too fast")


def test_what_a_conflict_names() -> None:
    """So do a conflict's key and winner."""
    error = error_of(_over_the_wire(refusal_of(Conflict("lost", key=b"k", winner=7))))
    assert isinstance(error, Conflict)
    assert (error.key, error.winner) == (b"k", 7)
