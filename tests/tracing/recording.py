"""What traces are recorded in: one provider for a client and its server, looked at afterwards."""

from __future__ import annotations

from collections import Counter

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from fastness.node.gate import OpenGate
from fastness.server.tracing import TracingGate
from fastness.tracing.spans import fastness_tracer
from tests.client.servers import RunningServer


class Recording:
    """A provider that keeps its spans in memory."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def server(self) -> RunningServer:
        """A server whose spans are recorded too."""
        gate = TracingGate(OpenGate(), fastness_tracer(self.provider))
        return RunningServer(gate=gate)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Those that have ended, in that order."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Of them, those of a name; `server/NAME` for a server's."""
        return [span for span in self.spans if shown(span) == name]

    def one(self, name: str) -> ReadableSpan:
        """The only one of a name."""
        (span,) = self.named(name)
        return span

    def tree(self) -> Counter[tuple[str, str]]:
        """How often a span of one name is a child of a span of another."""
        by_id = {identity(span): shown(span) for span in self.spans}
        return Counter((by_id.get(parent(span), "-"), shown(span)) for span in self.spans)

    def forget(self) -> None:
        """Begin anew."""
        self._exporter.clear()


def shown(span: ReadableSpan) -> str:
    """The name of a span in tests."""
    name = span.name.removeprefix("fastness ")
    return f"server/{name}" if span.kind.name == "SERVER" else name


def identity(span: ReadableSpan) -> int:
    """The id of a span."""
    assert span.context is not None
    return int(span.context.span_id)


def trace(span: ReadableSpan) -> int:
    """The id of the trace it belongs to."""
    assert span.context is not None
    return int(span.context.trace_id)


def parent(span: ReadableSpan) -> int:
    """The id of its parent, 0 where it has none."""
    return 0 if span.parent is None else span.parent.span_id


def told(span: ReadableSpan) -> dict[str, object]:
    """Its attributes."""
    return dict(span.attributes or {})
