"""The spans of one database: their names, their attributes, and how errors are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Token
from importlib import metadata

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    TracerProvider,
    get_tracer,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from fastness.client.urls import is_remote, parse_url
from fastness.errors import Conflict, FastnessError

SYSTEM = "fastness"
KEY_SHOWN_BYTES = 80

Attributes = dict[str, AttributeValue]


def fastness_tracer(provider: TracerProvider | None) -> Tracer:
    """The tracer of this package."""
    return get_tracer("fastness", metadata.version("fastness"), provider)


def attributes_of(error: BaseException) -> Attributes:
    """What a span, or an event, tells of an error."""
    if not isinstance(error, FastnessError):
        return {"error.type": type(error).__qualname__}
    attributes: Attributes = {"error.type": error.code, "db.response.status_code": error.code}
    if isinstance(error, Conflict):
        attributes["fastness.conflict.key"] = repr(error.key[:KEY_SHOWN_BYTES])
        attributes["fastness.conflict.winner"] = error.winner
    return attributes


def record_error(span: Span, error: BaseException) -> None:
    """Say how what the span is about failed."""
    span.set_attributes(attributes_of(error))
    span.set_status(StatusCode.ERROR, str(error))
    span.record_exception(error)


class Open:
    """A span under way in this task or thread, from here to `end`."""

    __slots__ = ("_token", "span")

    def __init__(self, span: Span) -> None:
        self.span = span
        self._token: Token[Context] = attach(set_span_in_context(span))

    def end(self, error: BaseException | None = None) -> None:
        """End it; with what it failed of, if it did."""
        if error is not None:
            record_error(self.span, error)
        detach(self._token)
        self.span.end()


class Spans:
    """Makes them. `database` are the attributes that every one has."""

    def __init__(self, tracer: Tracer, database: Attributes) -> None:
        self._tracer = tracer
        self._database = database

    def open(
        self, operation: str, attributes: Attributes, *, kind: SpanKind = SpanKind.INTERNAL
    ) -> Open:
        """Begin one, a child of what is under way."""
        told = {**self._database, "db.operation.name": operation, **attributes}
        return Open(self._tracer.start_span(f"{SYSTEM} {operation}", kind=kind, attributes=told))

    @contextmanager
    def call(self, operation: str, keys: int = 0) -> Iterator[Span]:
        """Around one call of the database; errors are recorded and raised."""
        # By the conventions a batch of one is none.
        attributes: Attributes = {"db.operation.batch.size": keys} if keys > 1 else {}
        opened = self.open(operation, attributes, kind=SpanKind.CLIENT)
        try:
            yield opened.span
        except BaseException as error:
            opened.end(error)
            raise
        else:
            opened.end()


def spans_for(url: str, provider: TracerProvider | None) -> Spans:
    """The spans of the database at a URL, as it may be shown."""
    attributes: Attributes = {"db.system.name": SYSTEM}
    if is_remote(url):
        places = [str(place) for place in parse_url(url).places]
        attributes["server.address"] = ",".join(places)
    return Spans(fastness_tracer(provider), attributes)
