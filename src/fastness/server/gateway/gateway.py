"""The gateway itself: from a request over HTTP to the client that does it, and back.

::

    request -> path -> token known? rate left? -> decoded -> client of that token -> node
                                                             (one of `clients.TokenClients`)

Permissions are the node's: the gateway only refuses early whom nobody would serve. Whoever
reaches a server without tokens has full access, so a browser must not be made to: bodies must be
announced as JSON, which other sites' pages may not send unasked, and the name it was reached by
must be this machine's.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from fastness.errors import Draining, FastnessError, InvalidOption, PermissionDenied
from fastness.limits import Limits
from fastness.runtime.clock import Clock
from fastness.server.access import Access
from fastness.server.authentication import Authenticator
from fastness.server.gateway.calls import Call
from fastness.server.gateway.clients import TokenClients
from fastness.server.gateway.counts import GatewayCounts
from fastness.server.gateway.openapi import description
from fastness.server.gateway.routes import PAGE, ROOT, Route, found_at
from fastness.server.gateway.strict_json import converted, document_of, texts_converted
from fastness.server.http import Request, Response, error_response, json_response

COME_BACK_MS = 1_000
AT_ONCE_BYTES = 64 * 1024
"""Longer bodies are decoded on a thread: the loop, and with it the whole node, goes on."""


class Gateway:
    """See the module's page. An `http.Answer`."""

    def __init__(
        self,
        authenticator: Authenticator,
        clients: TokenClients,
        limits: Limits,
        clock: Clock,
    ) -> None:
        self._authenticator = authenticator
        self._clients = clients
        self._limits = limits
        self._clock = clock
        self.counts = GatewayCounts()
        """Answers, and how long they took."""
        self._ending = asyncio.Event()

    def drain(self) -> None:
        """Take nothing new, and let nobody wait any longer for a change."""
        self._ending.set()

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        try:
            response = await self._answer(request)
        except FastnessError as error:
            response = error_response(error)
        self.counts.answered(response.status)
        return response

    async def _answer(self, request: Request) -> Response:
        if request.raw_path == PAGE and request.method in {"GET", "HEAD"}:
            return Response(HTTPStatus.OK, description())
        found = found_at(request.raw_path)
        if found is None:
            return _refused(
                HTTPStatus.NOT_FOUND, f"nothing is at {request.path!r:.200}: {PAGE} lists all paths"
            )
        method = "GET" if request.method == "HEAD" else request.method
        route = found.by_method.get(method)
        if route is None:
            allowed = ", ".join(found.by_method)
            refusal = _refused(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"{request.method:.20} of {request.path:.200}: use {allowed}",
            )
            refusal.headers.append(("allow", allowed))
            return refusal
        if route.body is not None and not _is_json(request):
            return _refused(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "a body is taken as application/json alone: send that as its content-type (curl: "
                "--json)",
            )
        began_ns = self._clock.boot_ns()
        try:
            return await self._done(request, route, found.parameters)
        finally:
            self.counts.took(route.name, self._clock.boot_ns() - began_ns)

    async def _done(self, request: Request, route: Route, parameters: list[bytes]) -> Response:
        access = self._admitted(request)
        query = _query(request, route)
        headers = _headers(request, route)
        body = await _body(request, route)
        async with self._clients.lent(request.bearer, access) as (client, held):
            answer = await route.handler(
                Call(
                    client=client,
                    schemas=held.schemas,
                    limits=self._limits,
                    clock=self._clock,
                    path=parameters,
                    query=query,
                    headers=headers,
                    body=body,
                    let_go=partial(self._let_go, request),
                )
            )
        return answer if isinstance(answer, Response) else json_response(answer, route.status)

    def _admitted(self, request: Request) -> Access:
        """The account of whoever asks; raises where nobody would serve it now."""
        if self._ending.is_set():
            raise Draining(
                "this server is going down: come back to it, or to its successor",
                retry_after_ms=COME_BACK_MS,
            )
        access = self._authenticator.recognize(request.bearer, request.peer)
        if not self._authenticator.needs_tokens:
            _require_own_name(request)
        hurried = access.too_fast(self._clock.boot_ns())
        if hurried is not None:
            raise hurried
        return access

    async def _let_go(self, request: Request, seconds: float) -> None:
        """See `calls.Call.let_go`."""
        ends = [asyncio.create_task(event.wait()) for event in (self._ending, request.hung_up)]
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ends:
                one.cancel()
            await asyncio.wait(ends)


def _is_json(request: Request) -> bool:
    kind, _, _parameters = request.headers.get("content-type", "").partition(";")
    return kind.strip().lower() == "application/json"


def _require_own_name(request: Request) -> None:
    """Refuse a name that somebody else may have given to this machine's address."""
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name.lower() == "localhost" or _is_address(name):
        return
    raise PermissionDenied(
        f"this server lets in whoever is on its machine, which {host!r:.100} may not be: name it "
        "localhost or by its address, or have it given tokens (--tokens)"
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _query(request: Request, route: Route) -> Any:  # noqa: ANN401 - as the route says
    if route.query is None:
        if request.query:
            raise InvalidOption(
                f"{ROOT}{route.path} takes no query: leave out {list(request.query)}"
            )
        return None
    return texts_converted(request.query, route.query, "the query")


def _headers(request: Request, route: Route) -> Any:  # noqa: ANN401 - as the route says
    if route.headers is None:
        return None
    names: Callable[[str], str] = str.lower
    wanted = {names(one): one for one in route.headers.__struct_encode_fields__}  # type: ignore[attr-defined]  # a Struct's
    given = {wanted[name]: text for name, text in request.headers.items() if name in wanted}
    return texts_converted(given, route.headers, "the headers")


async def _body(request: Request, route: Route) -> Any:  # noqa: ANN401 - as the route says
    if route.body is not None:
        if len(request.body) > AT_ONCE_BYTES:
            return await asyncio.to_thread(_decoded, request.body, route)
        return _decoded(request.body, route)
    if request.body:
        raise InvalidOption(f"{route.method} of {ROOT}{route.path} takes no body: leave it out")
    return None


def _decoded(body: bytes, route: Route) -> Any:  # noqa: ANN401 - as the route says
    return converted(document_of(body), route.body, "the body")


def _refused(status: HTTPStatus, message: str) -> Response:
    return json_response(
        {
            "error": status.phrase.lower().replace(" ", "_"),
            "message": message,
            "retryable": False,
            "maybe_committed": False,
        },
        status,
    )


__all__ = ["FastnessError", "Gateway"]
