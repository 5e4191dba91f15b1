"""The one table of errors, as HTTP says it: a status, and the same document everywhere."""

from __future__ import annotations

from http import HTTPStatus

from fastness.errors import (
    Conflict,
    DeadlineExceeded,
    DiskFull,
    FastnessError,
    LimitExceeded,
    MaybeCommitted,
    Overloaded,
    PermissionDenied,
    PreconditionFailed,
    RateLimited,
    RecordError,
    RecordNotFound,
    Retryable,
    StoreError,
    Unauthenticated,
    UsageError,
)

_BY_CLASS: tuple[tuple[type[FastnessError], HTTPStatus], ...] = (
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (PermissionDenied, HTTPStatus.FORBIDDEN),
    (LimitExceeded, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (RateLimited, HTTPStatus.TOO_MANY_REQUESTS),
    (Conflict, HTTPStatus.CONFLICT),
    (Retryable, HTTPStatus.SERVICE_UNAVAILABLE),
    (DeadlineExceeded, HTTPStatus.GATEWAY_TIMEOUT),
    (MaybeCommitted, HTTPStatus.GATEWAY_TIMEOUT),
    (RecordNotFound, HTTPStatus.NOT_FOUND),
    (PreconditionFailed, HTTPStatus.PRECONDITION_FAILED),
    (RecordError, HTTPStatus.CONFLICT),
    (DiskFull, HTTPStatus.INSUFFICIENT_STORAGE),
    (StoreError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def status_of(error: FastnessError) -> HTTPStatus:
    """The status of an error; what is in no row is the server's own mistake."""
    for kind, status in _BY_CLASS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def retry_after(error: FastnessError) -> int:
    """The whole seconds after which to come back, 0 where that is not known."""
    return -(-error.retry_after_ms // 1_000) if isinstance(error, Overloaded) else 0


def error_document(error: FastnessError) -> dict[str, object]:
    """What a client is told, whatever it asked."""
    document: dict[str, object] = {
        "error": error.code,
        "message": str(error),
        "retryable": error.retryable,
        "maybe_committed": error.maybe_committed,
    }
    if isinstance(error, Overloaded):
        document["retry_after_ms"] = error.retry_after_ms
    return document
