"""Errors as they arrive over the wire: by their stable code, back into the one taxonomy."""

from __future__ import annotations

from collections.abc import Iterator

from fastness.errors import Conflict, FastnessError, MaybeCommitted, Overloaded
from fastness.wire.messages import Refusal


def _classes(root: type[FastnessError]) -> Iterator[type[FastnessError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _classes(kind)


_BY_CODE = {kind.code: kind for kind in _classes(FastnessError)}


def error_of(refusal: Refusal) -> FastnessError:
    """The error a refusal stands for; an unknown code becomes the root class."""
    kind = _BY_CODE.get(refusal.code, FastnessError)
    if kind is Conflict:
        return Conflict(refusal.message, key=refusal.key, winner=refusal.winner)
    if issubclass(kind, Overloaded):
        return kind(refusal.message, retry_after_ms=refusal.retry_after_ms)
    if kind is MaybeCommitted:
        return MaybeCommitted(refusal.message)
    return kind(refusal.message)
