"""What a web service answers for each error of Fastness: one table, for both web examples.

============================ ====== ========================================================
error                        status what the caller of the service should do
============================ ====== ========================================================
RecordNotFound               404    nothing is there
RecordExists, UniqueViolation 409   choose another name
VersionMismatch              412    read it again, and decide anew
InvalidContinuation, -Value  400    correct the request
Retryable, DeadlineExceeded  503    come back after `Retry-After`: nothing was done
MaybeCommitted               504    look before trying again: it may have been done
other                        500    report it
============================ ====== ========================================================

The library has retried whatever may be retried before any of these is seen.
"""

from __future__ import annotations

from http import HTTPStatus

from fastness.errors import (
    DeadlineExceeded,
    FastnessError,
    InvalidContinuation,
    InvalidValue,
    MaybeCommitted,
    Overloaded,
    RecordError,
    RecordNotFound,
    Retryable,
    VersionMismatch,
)

PAUSE_SECONDS = 1
"""When to come back where the database does not say."""

_STATUSES: tuple[tuple[type[FastnessError], HTTPStatus], ...] = (
    (RecordNotFound, HTTPStatus.NOT_FOUND),
    (VersionMismatch, HTTPStatus.PRECONDITION_FAILED),
    (RecordError, HTTPStatus.CONFLICT),
    (InvalidContinuation, HTTPStatus.BAD_REQUEST),
    (InvalidValue, HTTPStatus.BAD_REQUEST),
    (Retryable, HTTPStatus.SERVICE_UNAVAILABLE),
    (DeadlineExceeded, HTTPStatus.SERVICE_UNAVAILABLE),
    (MaybeCommitted, HTTPStatus.GATEWAY_TIMEOUT),
)


def status_of(error: FastnessError) -> HTTPStatus:
    """The status to answer with."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def headers_of(error: FastnessError) -> dict[str, str]:
    """`Retry-After`, in whole seconds, where the same request may succeed later."""
    if status_of(error) is not HTTPStatus.SERVICE_UNAVAILABLE:
        return {}
    # What was retried until its time was up says by its cause why.
    last = error.__cause__ if isinstance(error, DeadlineExceeded) else error
    told_ms = last.retry_after_ms if isinstance(last, Overloaded) else 0
    return {"Retry-After": str(-(-told_ms // 1_000) or PAUSE_SECONDS)}


def document_of(error: FastnessError) -> dict[str, str]:
    """What the caller is told; of a fault of ours only that there was one."""
    if status_of(error) is HTTPStatus.INTERNAL_SERVER_ERROR:
        return {"error": "internal", "message": "the service failed; it has been logged"}
    return {"error": error.code, "message": str(error)}
