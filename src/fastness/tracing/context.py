"""A span as it travels with a message: the ids and flags of W3C Trace Context, in 25 bytes.

::

    trace id (16 bytes)   span id (8 bytes)   flags (1 byte)
"""

from __future__ import annotations

from opentelemetry.trace import SpanContext, TraceFlags, get_current_span

_TRACE_BYTES = 16
_SPAN_BYTES = 8
TRAVELLING_BYTES = _TRACE_BYTES + _SPAN_BYTES + 1


def packed(context: SpanContext) -> bytes:
    """A span, as it travels."""
    return (
        context.trace_id.to_bytes(_TRACE_BYTES, "big")
        + context.span_id.to_bytes(_SPAN_BYTES, "big")
        + bytes([context.trace_flags])
    )


def unpacked(data: bytes) -> SpanContext | None:
    """The span that arrived; `None` for bytes that are none, which is no error."""
    if len(data) != TRAVELLING_BYTES:
        return None
    context = SpanContext(
        trace_id=int.from_bytes(data[:_TRACE_BYTES], "big"),
        span_id=int.from_bytes(data[_TRACE_BYTES:-1], "big"),
        is_remote=True,
        trace_flags=TraceFlags(data[-1]),
    )
    return context if context.is_valid else None


def here() -> bytes:
    """The span under way in this task or thread, empty where there is none that is recorded.

    One that has ended is not under way: what runs in a callback may have inherited it.
    """
    span = get_current_span()
    return packed(span.get_span_context()) if span.is_recording() else b""
