"""A server's part of traces: a span for each request of a client that traces, sent to a collector.

A request without a trace makes no span: whoever asks decides what is traced, by its own sampling.
Where spans go is said by the standard variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_ENDPOINT`,
`OTEL_SERVICE_NAME`, ...). Needs the extra `otel`; nothing else of a server imports this.
"""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Tracer,
    set_span_in_context,
)

from fastness.encoding.intervals import KeyInterval
from fastness.errors import FastnessError
from fastness.node import Gate
from fastness.node.gate import Work
from fastness.ranges.requests import RangeRequest
from fastness.runtime.process import Address
from fastness.server.latencies import name_of
from fastness.server.reach import operations_in
from fastness.tracing.context import unpacked
from fastness.tracing.spans import SYSTEM, Attributes, fastness_tracer, record_error
from fastness.wire.figures import TokenUse
from fastness.wire.messages import Frame

SERVICE = "fastness"
"""What the server is called where `OTEL_SERVICE_NAME` does not say."""


class TracedWork:
    """A request that is being worked on, and its span."""

    __slots__ = ("_span", "_work")

    def __init__(self, work: Work, span: Span) -> None:
        self._work = work
        self._span = span

    def ended(self, error: FastnessError | None) -> None:
        """It is being answered."""
        self._work.ended(error)
        if error is not None:
            record_error(self._span, error)
        self._span.end()


class TracingGate:
    """A `node.Gate` before another, which makes spans of what passes with a trace."""

    __slots__ = ("_gate", "_parent", "_tracer")

    def __init__(self, gate: Gate, tracer: Tracer) -> None:
        self._gate = gate
        self._tracer = tracer
        self._parent: SpanContext | None = None
        """Of the frame let in last: a range begins to work on it at once, or nobody does."""

    def refusal(self, sender: Address, frame: Frame, size: int) -> FastnessError | None:
        """As the other gate; what it refuses is a span of its own."""
        parent = self._parent = unpacked(frame.trace) if frame.trace else None
        error = self._gate.refusal(sender, frame, size)
        if error is not None and parent is not None:
            span = self._begun(parent, type(frame.body).__name__.lower(), {})
            record_error(span, error)
            span.end()
        return error

    def believes(self, sender: Address) -> bool:
        """As the other gate."""
        return self._gate.believes(sender)

    def began(self, sender: Address, request: RangeRequest) -> Work:
        """A range begins to work on a request."""
        work = self._gate.began(sender, request)
        parent, self._parent = self._parent, None
        if parent is None:
            return work
        attributes: Attributes = {"fastness.range_id": request.range_id}
        operations = operations_in(request)
        if operations > 1:
            attributes["db.operation.batch.size"] = operations
        return TracedWork(work, self._begun(parent, name_of(request), attributes))

    def sent(self, to: Address, size: int) -> None:
        """As the other gate."""
        self._gate.sent(to, size)

    def use(self, sender: Address) -> TokenUse | None:
        """As the other gate."""
        return self._gate.use(sender)

    def sees_store(self, sender: Address) -> bool:
        """As the other gate."""
        return self._gate.sees_store(sender)

    def space_of(self, sender: Address) -> KeyInterval | None:
        """As the other gate."""
        return self._gate.space_of(sender)

    def _begun(self, parent: SpanContext, name: str, attributes: Attributes) -> Span:
        told = {"db.system.name": SYSTEM, "db.operation.name": name, **attributes}
        return self._tracer.start_span(
            f"{SYSTEM} {name}",
            context=set_span_in_context(NonRecordingSpan(parent)),
            kind=SpanKind.SERVER,
            attributes=told,
        )


class Exporting:
    """Sends the spans of a server to its collector, from a thread of its own."""

    def __init__(self) -> None:
        """As the variables of the environment say."""
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": SERVICE}
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer = fastness_tracer(self._provider)

    def stop(self) -> None:
        """Send what is left, and stop. Blocks while it does; what cannot be sent is dropped."""
        self._provider.shutdown()


__all__ = ["Exporting", "TracingGate"]
