"""What an operator and a collector ask a server over HTTP.

=========== ============ ==================================================================
path        who          answer
=========== ============ ==================================================================
/healthz    everybody    200 while the process runs and its loop turns
/readyz     everybody    200 while every range is served; 503 while starting or draining
/metrics    everybody    figures in Prometheus' text format
/status     local, admin what serves where, sizes, tokens' use, connections, as JSON
=========== ============ ==================================================================

`/status` names tokens, addresses and keys, so from other machines it takes an admin's token
(`Authorization: Bearer ...`) where tokens exist, and is refused where none do.
"""

from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from http import HTTPStatus
from importlib import metadata
from typing import Any

from msgspec import structs

from fastness.errors import PermissionDenied
from fastness.server.authentication import Authenticator
from fastness.server.exposition import CONTENT_TYPE, exposed
from fastness.server.figures import Figures, families, shown
from fastness.server.http import Request, Response, json_response
from fastness.server.http_errors import error_document
from fastness.transport.grants import Session
from fastness.wire.handshake import Role
from fastness.wire.reports import NodeReport

SESSIONS_SHOWN = 1_000

Handler = Callable[[Request], Response]


class Admin:
    """Answers what the module's page lists."""

    def __init__(
        self,
        figures: Figures,
        authenticator: Authenticator,
        *,
        about: dict[str, object],
        is_draining: Callable[[], bool],
        sessions: Callable[[], list[Session]],
    ) -> None:
        """`about` is what a status says of the server that never changes."""
        self._figures = figures
        self._authenticator = authenticator
        self._about = about
        self._is_draining = is_draining
        self._sessions = sessions
        self._handlers: dict[str, Handler] = {
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/metrics": self._metrics,
            "/status": self._status,
        }

    def __call__(self, request: Request) -> Awaitable[Response]:
        """Answer a request (`http.Answer`)."""
        return self._answer(request)

    async def _answer(self, request: Request) -> Response:
        handler = self._handlers.get(request.path.rstrip("/"))
        if handler is None:
            paths = ", ".join(self._handlers)
            return _refused(HTTPStatus.NOT_FOUND, f"nothing is at {request.path!r}: ask {paths}")
        if request.method not in {"GET", "HEAD"}:
            refusal = _refused(
                HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} of {request.path}: use GET"
            )
            refusal.headers.append(("allow", "GET, HEAD"))
            return refusal
        return handler(request)

    def _health(self, _request: Request) -> Response:
        return json_response({"status": "ok"})

    def _readiness(self, _request: Request) -> Response:
        state = self._state()
        ready = state == "ready"
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        document: dict[str, object] = {"status": state}
        refusal = self._figures.server.write_refusal
        if refusal is not None:
            # Reads go on: taking it out of service would lose those too.
            document["writes_refused"] = error_document(refusal)
        return json_response(document, status)

    def _state(self) -> str:
        if self._is_draining():
            return "draining"
        return "ready" if self._figures.server.is_ready else "starting"

    def _metrics(self, _request: Request) -> Response:
        text = exposed(families(self._figures))
        return Response(HTTPStatus.OK, text.encode(), CONTENT_TYPE)

    def _status(self, request: Request) -> Response:
        self._require_admin(request)
        return json_response(self._status_document())

    def _require_admin(self, request: Request) -> None:
        if request.peer.is_local and not request.bearer:
            return
        access = self._authenticator.recognize(request.bearer, request.peer)
        if access.role is not Role.ADMIN:
            raise PermissionDenied(
                f"/status of token {access.name!r}, whose role is {access.role.value}: use an "
                "admin's"
            )

    def _status_document(self) -> dict[str, Any]:
        figures = self._figures
        refusal = figures.server.write_refusal
        sessions = self._sessions()
        store = figures.server.store_figures()
        report = figures.server.node.report()
        return {
            "status": self._state(),
            "version": metadata.version("fastness"),
            "python": platform.python_version(),
            **self._about,
            "uptime_seconds": round((figures.clock.boot_ns() - figures.started_ns) / 1e9, 3),
            "writes_refused": None if refusal is None else error_document(refusal),
            "session": report.state,
            "oracle": report.is_oracle,
            "ranges": self._ranges(report),
            "store": None if store is None else structs.asdict(store),
            "stores": [structs.asdict(one) for one in report.stores],
            "tokens": [{"name": name, **asdict(usage)} for name, usage in self._usage()],
            "connections": len(sessions),
            "sessions": [_session_document(one) for one in sessions[:SESSIONS_SHOWN]],
            "counts": asdict(figures.server.counts),
            "transport": asdict(figures.transport),
        }

    def _usage(self) -> list[Any]:
        return list(shown(self._figures.accesses()))

    def _ranges(self, report: NodeReport) -> list[dict[str, object]]:
        holders = self._figures.server.node.leaseholders
        told = [(one, holders[one.range_id].shape) for one in report.ranges]
        return [
            {
                "range": one.range_id,
                "generation": one.generation,
                "begin": repr(shape.begin),
                "end": repr(shape.end),
                "epoch": one.epoch,
                "lease_ms": one.lease_ms,
                "may_commit": one.may_commit,
                "doing": one.doing,
                "undecided": one.undecided,
                "requests_per_second": round(one.requests_s, 1),
            }
            for one, shape in sorted(told, key=lambda pair: pair[0].range_id)
        ]


def _session_document(session: Session) -> dict[str, object]:
    return {
        "address": session.address,
        "peer": str(session.peer),
        "token": session.grant.token,
        "role": session.grant.role.value,
        "agent": session.agent,
        "bytes_in": session.bytes_in,
        "bytes_out": session.bytes_out,
    }


def _refused(status: HTTPStatus, message: str) -> Response:
    return json_response(
        {"error": status.phrase.lower().replace(" ", "_"), "message": message}, status
    )
