"""Servers with a gateway, and somebody who asks them over HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.server.processes import ANY_PORT, PATIENCE_SECONDS, Answered, ServerProcess, serving


class Caller:
    """Asks over one connection that is kept, with one token or none."""

    def __init__(self, url: str, *, token: str = "", tls: ssl.SSLContext | None = None) -> None:
        place = urlsplit(url)
        assert place.hostname is not None
        self._line: http.client.HTTPConnection
        if place.scheme == "https":
            self._line = http.client.HTTPSConnection(
                place.hostname, place.port, timeout=PATIENCE_SECONDS, context=tls
            )
        else:
            self._line = http.client.HTTPConnection(
                place.hostname, place.port, timeout=PATIENCE_SECONDS
            )
        self._token = token

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Ask for a path below `/v1`; bytes are sent as they are, anything else as JSON."""
        sent = dict(headers or {})
        if body is not None:
            sent.setdefault("content-type", "application/json")
        if self._token:
            sent["authorization"] = f"Bearer {self._token}"
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self._line.request(method, f"/v1{path}", content, sent)
        answer = self._line.getresponse()
        return Answered(answer.status, answer.headers, answer.read().decode())

    def done(self, method: str, path: str, body: object = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
        """What is answered, which must not be a refusal."""
        answer = self.ask(method, path, body, headers=headers)
        assert answer.status in {200, 201}, answer
        return answer.document

    def refused(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, str]:
        """The status and the code of a refusal."""
        answer = self.ask(method, path, body, headers=headers)
        assert set(answer.document) >= {"error", "message", "retryable", "maybe_committed"}, answer
        return answer.status, answer.document["error"]

    def commit(self, *operations: dict[str, Any], **others: Any) -> Any:  # noqa: ANN401 - JSON
        """What a transaction of these operations is answered."""
        return self.done("POST", "/transaction", {"operations": list(operations), **others})

    def value(self, key: str) -> Any:  # noqa: ANN401 - JSON
        """The value of a key, `None` where it is absent."""
        entry = self.done("POST", "/read", {"keys": [key]})["entries"][0]
        return None if entry is None else entry["value"]


@contextmanager
def calling(
    server: ServerProcess, *, token: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[Caller]:
    """Somebody who asks a server's gateway."""
    caller = Caller(server.told["gateway"], token=token, tls=tls)
    try:
        yield caller
    finally:
        caller.close()


@contextmanager
def gateway(directory: Path, *words: object, served: str = "memory:") -> Iterator[ServerProcess]:
    """A server with a gateway at a free port, over memory unless told otherwise."""
    with serving(directory, "--gateway", ANY_PORT, *words, served=served) as server:
        yield server
