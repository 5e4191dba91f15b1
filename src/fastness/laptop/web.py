"""One request over HTTP to a server of this machine, without proxies."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from typing import NamedTuple

from fastness.laptop.ports import HOST

TIMEOUT_S = 2.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


def ask(
    port: int,
    path: str,
    *,
    host: str = HOST,
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer | None:
    """A GET, or a POST of `body` (JSON); `None` where nobody answers in time."""
    connection = HTTPConnection(host, port, timeout=timeout_s)
    try:
        method = "GET" if body is None else "POST"
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
