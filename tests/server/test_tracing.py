"""A real server that exports its part of traces to a collector of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Condition, Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

import fastness
from fastness.testing.kit.serving import environment
from fastness.tracing import traced
from tests.server.processes import PATIENCE_SECONDS, failing, serving
from tests.tracing.recording import Recording, identity, told, trace

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


class Collector(ThreadingHTTPServer):
    """Takes what is exported to it, over OTLP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Receiver)
        self.taken: list[ResourceSpans] = []
        self.changed = Condition()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def await_spans(self, names: set[str]) -> list[ResourceSpans]:
        """What arrived, once spans of all these names did."""
        with self.changed:
            assert self.changed.wait_for(lambda: names <= self._names(), PATIENCE_SECONDS)
            return list(self.taken)

    def _names(self) -> set[str]:
        return {
            span.name
            for resource in self.taken
            for scope in resource.scope_spans
            for span in scope.spans
        }


class Receiver(BaseHTTPRequestHandler):
    """One export."""

    server: Collector

    def do_POST(self) -> None:
        """Take it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        request = ExportTraceServiceRequest.FromString(body)
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        with self.server.changed:
            self.server.taken.extend(request.resource_spans)
            self.server.changed.notify_all()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        """Nothing is said."""


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs."""
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever, name="collector")
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def test_a_server_sends_its_part_to_a_collector(tmp_path: Path) -> None:
    """By the standard variables; its spans are children of the client's, by their ids."""
    recording = Recording()
    with collecting() as collector:
        extra = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with (
            serving(tmp_path / "data", "--set", "tracing.export=true", extra=extra) as server,
            traced(fastness.open(server.told["urls"][0]), recording.provider) as db,
        ):
            db.set(b"a", b"1")
            assert db.get(b"a") == b"1"
            taken = collector.await_spans({"fastness read", "fastness commit"})
            assert server.end() == 0
    (service,) = {
        attribute.value.string_value
        for resource in taken
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert service == "fastness"
    spans = [span for one in taken for scope in one.scope_spans for span in scope.spans]
    parents = {span.name: int.from_bytes(span.parent_span_id, "big") for span in spans}
    assert parents["fastness commit"] == identity(recording.one("commit"))
    assert parents["fastness read"] == identity(recording.one("get"))
    traces = {int.from_bytes(span.trace_id, "big") for span in spans}
    assert traces == {trace(recording.one("commit")), trace(recording.one("get"))}
    assert told(recording.one("transaction"))["fastness.attempts"] == 1


def test_without_the_extra(tmp_path: Path) -> None:
    """The server does not start, and says what to install."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "opentelemetry.py").write_text("")
    path = f"{hidden}:{environment()['PYTHONPATH']}"
    _code, failure = failing(
        tmp_path / "data", "--set", "tracing.export=true", extra={"PYTHONPATH": path}
    )
    assert failure["error"] == "invalid_option"
    assert "fastness[otel]" in failure["message"]
