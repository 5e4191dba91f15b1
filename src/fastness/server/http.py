"""A small HTTP/1.1 server on the node's own loop: h11 speaks the protocol, this moves the bytes.

::

    HttpServer        listens, counts connections, closes
      HttpConnection  bytes <-> h11 <-> one request at a time -> answer(request) -> response

`h11` decides what is a request and refuses everything else, so there is no parser of ours to be
fooled; limits on heads, bodies, connections and idle time are kept here. Requests of one
connection are answered in order; while one is being answered little more is read, just enough
to notice that nobody waits for the answer any more. Bodies under way,
and answers that nobody reads, count against one budget of the whole server
(`limits.http_bodies_bytes`), so that many connections cannot take more memory than that.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

import h11
import msgspec

from fastness.errors import FastnessError, LimitExceeded, Overloaded
from fastness.invariants import present
from fastness.limits import Limits
from fastness.server.http_errors import error_document, retry_after, status_of
from fastness.transport.addresses import Place
from fastness.transport.connections import peer_of
from fastness.transport.grants import Peer
from fastness.transport.listening import Listener, bind

HEAD_BYTES_MAX = 16 * 1024
AHEAD_BYTES_MAX = 64 * 1024
"""What is read of further requests while one is being answered."""
CLOSING_SECONDS = 5.0
"""How long an end waits for answers under way, and for whoever still sends what was refused."""

_log = logging.getLogger("fastness.server.http")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    peer: Peer
    """Who asked, as the operating system tells it: perhaps a proxy."""
    body: bytes = b""
    raw_path: str = ""
    """The path as it was sent: what is escaped in it may be no text."""
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once nothing more will come: whoever asked may have gone away, and cannot be told from
    one that only has no more to ask. Who answers late should do so now."""

    @property
    def bearer(self) -> str:
        """The token it shows, empty for none."""
        scheme, _, credential = self.headers.get("authorization", "").partition(" ")
        return credential.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    content_type: str = "application/json"
    headers: list[tuple[str, str]] = field(default_factory=list)


Answer = Callable[[Request], Awaitable[Response]]
"""Answers a request. A `FastnessError` it raises is answered by its code."""


def json_response(document: object, status: int = HTTPStatus.OK) -> Response:
    """A document as JSON."""
    return Response(status, msgspec.json.encode(document) + b"\n")


def error_response(error: FastnessError) -> Response:
    """An error of the taxonomy, with its HTTP status."""
    response = json_response(error_document(error), status_of(error))
    seconds = retry_after(error)
    if seconds:
        response.headers.append(("retry-after", str(seconds)))
    if response.status == HTTPStatus.UNAUTHORIZED:
        response.headers.append(("www-authenticate", 'Bearer realm="fastness"'))
    return response


class HttpServer:
    """Listens at one place until it is closed; see the module's page."""

    def __init__(
        self, answer: Answer, limits: Limits, listener: Listener, server: asyncio.Server
    ) -> None:
        """Made by `listen_http`."""
        self.place: Place = listener.place
        self.answer = answer
        self.limits = limits
        self.connections: dict[HttpConnection, None] = {}
        self.requests = 0
        self.held_bytes = 0
        """Of bodies and answers that are in memory now."""
        self.tls: ssl.SSLContext | None = None
        """What connections to come are taken with: it may be replaced, not added or removed."""
        self._listener = listener
        self._server = server
        self._emptied: asyncio.Future[None] | None = None

    async def close(self) -> None:
        """Take no more connections, end those there are after the answers under way.

        A peer that does not take its answer is waited for no longer than `CLOSING_SECONDS`.
        """
        self._server.close()
        for connection in list(self.connections):
            connection.close()
        await self._emptiness()
        for connection in list(self.connections):
            connection.abort()
        await self._emptiness()
        await self._server.wait_closed()
        self._listener.close()

    def overloaded(self) -> Overloaded | None:
        """The refusal of a request while too much is held in memory."""
        most = self.limits.http_bodies_bytes
        if self.held_bytes <= most:
            return None
        return Overloaded(
            f"{self.held_bytes} bytes of requests and answers are under way, more than "
            f"http_bodies_bytes={most}: come back in a second",
            retry_after_ms=1_000,
        )

    async def _emptiness(self) -> None:
        """Until no connection is left, or time is over."""
        if self.connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._emptied], timeout=CLOSING_SECONDS)

    def forget(self, connection: HttpConnection) -> None:
        """A connection has ended."""
        self.connections.pop(connection, None)
        if not self.connections and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)


async def listen_http(
    where: str | Place,
    answer: Answer,
    *,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
) -> HttpServer:
    """Serve HTTP at a place; `AddressUnavailable` where that cannot be.

    `tls` must be this server's own: it is told to use whatever `HttpServer.tls` is by then.
    """
    listener = bind(where)
    made: list[HttpServer] = []

    def accepted() -> HttpConnection:
        return HttpConnection(made[0])

    def use_newest(line: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        line.context = present(made[0].tls, "a server that spoke TLS goes on to do so")

    if tls is not None:
        tls.sni_callback = use_newest

    try:
        server = await asyncio.get_running_loop().create_server(
            accepted, sock=listener.socket, ssl=tls, start_serving=False
        )
    except BaseException:
        listener.close()
        raise
    made.append(HttpServer(answer, limits or Limits(), listener, server))
    made[0].tls = tls
    await server.start_serving()
    return made[0]


class HttpConnection(asyncio.Protocol):
    """One connection; see the module's page."""

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._answering: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._held_bytes = 0
        self._ahead_bytes = 0
        self._hung_up = asyncio.Event()
        self._is_paused = False
        self._is_slow = False
        self._is_refused = False
        """Whether what still comes is thrown away."""
        self._is_last = False
        """Whether nothing more is answered after what is being answered now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is there."""
        self._transport = cast("asyncio.Transport", transport)
        if len(self._server.connections) >= self._server.limits.http_connections:
            self._transport.abort()
            return
        self._server.connections[self] = None
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is there any more; what was being answered need not be."""
        del exc
        self._stop_waiting()
        if self._answering is not None:
            self._answering.cancel()
        self._let_go()
        self._server.forget(self)
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._is_refused:
            return
        self._http.receive_data(data)
        if self._answering is None:
            self._go_on()
            return
        self._ahead_bytes += len(data)
        if self._ahead_bytes > AHEAD_BYTES_MAX and self._transport is not None:
            # Whatever else is sent waits with its sender, not in memory here.
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """No more will come; what was asked is still answered."""
        if self._is_refused:
            return False
        self._hung_up.set()
        self._http.receive_data(b"")
        self._go_on()
        return self._answering is not None

    def pause_writing(self) -> None:
        """Answers are not read: nothing more is answered until they are."""
        self._is_slow = True

    def resume_writing(self) -> None:
        """They were read."""
        self._is_slow = False
        if self._answering is None:
            self._let_go()
        self._go_on()

    def close(self) -> None:
        """End it, after the answer under way."""
        self._is_last = True
        if self._answering is None:
            self._close()

    def abort(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    def _hold(self, size: int) -> None:
        self._held_bytes += size
        self._server.held_bytes += size

    def _let_go(self) -> None:
        self._server.held_bytes -= self._held_bytes
        self._held_bytes = 0

    def _wait(self, seconds: float | None = None) -> None:
        self._stop_waiting()
        seconds = self._server.limits.http_idle_ms / 1_000 if seconds is None else seconds
        self._idle = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _stop_waiting(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _go_on(self) -> None:
        """Take what has arrived, up to the end of one request."""
        try:
            while not (self._answering or self._is_slow or self._is_refused):
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                if isinstance(event, h11.ConnectionClosed):
                    self._close()
                    return
                self._take(event)
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint or HTTPStatus.BAD_REQUEST
            self._refuse(_malformed(f"this is no HTTP/1.1 request ({error}): correct it", status))

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._hold(len(event.data))
            self._body += event.data
            self._require_room(len(self._body))
        elif isinstance(event, h11.EndOfMessage) and self._head is not None:
            self._end(self._head)

    def _begin(self, head: h11.Request) -> None:
        self._head = head
        self._body.clear()
        if head.http_version not in {b"1.0", b"1.1"}:
            status = HTTPStatus.HTTP_VERSION_NOT_SUPPORTED
            self._refuse(_malformed("HTTP/1.1 is spoken here: use that", status))
            return
        announced = [value for name, value in head.headers if name == b"content-length"]
        if announced and any(name == b"transfer-encoding" for name, _ in head.headers):
            # A proxy may believe the other one, and take its end for another request.
            self._refuse(_malformed("it announces two lengths of its body: leave one out"))
            return
        # Told before anything of it is sent, to whoever asks first.
        is_taken = self._require_room(int(announced[0]) if announced else 0)
        if is_taken and self._http.they_are_waiting_for_100_continue:
            self._write(h11.InformationalResponse(status_code=100, headers=[]))

    def _require_room(self, size: int) -> bool:
        """Whether a body of so many bytes is taken; refused otherwise."""
        most = self._server.limits.http_body_bytes
        refusal: FastnessError | None = self._server.overloaded()
        if size > most:
            refusal = LimitExceeded(f"the body exceeds http_body_bytes={most}: split the request")
        if refusal is not None:
            self._refuse(error_response(refusal))
        return refusal is None

    def _end(self, head: h11.Request) -> None:
        self._stop_waiting()
        try:
            request = self._request(head)
        except ValueError as error:
            self._refuse(_malformed(f"its target is no path ({error}): correct it"))
            return
        self._server.requests += 1
        self._answering = asyncio.get_running_loop().create_task(self._answer(request))

    def _request(self, head: h11.Request) -> Request:
        target = urlsplit(head.target.decode("ascii", "replace"))
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        transport = self._transport
        peer = Peer(host="") if transport is None else peer_of(transport)
        return Request(
            head.method.decode(),
            unquote(target.path),
            dict(parse_qsl(target.query, keep_blank_values=True)),
            headers,
            peer,
            bytes(self._body),
            target.path,
            self._hung_up,
        )

    async def _answer(self, request: Request) -> None:
        try:
            response = await self._server.answer(request)
        except FastnessError as error:
            response = error_response(error)
        except Exception:  # noqa: BLE001 - one request must not end a server
            _log.exception("a request could not be answered")
            response = json_response(
                {"error": "internal", "message": "the server made a mistake: see its log"},
                HTTPStatus.INTERNAL_SERVER_ERROR,
            )
        self._answering = None
        self._respond(response, without_body=request.method == "HEAD")
        self._let_go()
        if self._transport is None:
            return
        # What the other side does not read stays in memory, until it is given up.
        self._hold(self._transport.get_write_buffer_size())
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if done and not self._is_last:
            self._http.start_next_cycle()
            self._wait()
            self._ahead_bytes = 0
            if self._is_paused and not self._transport.is_closing():
                self._is_paused = False
                self._transport.resume_reading()
            self._go_on()
        else:
            self._close()

    def _respond(self, response: Response, *, without_body: bool = False) -> None:
        if self._transport is None:
            return
        headers = [
            ("content-type", response.content_type),
            ("content-length", str(len(response.body))),
            ("cache-control", "no-store"),
            *response.headers,
        ]
        if self._is_last:
            headers.append(("connection", "close"))
        head = h11.Response(
            status_code=int(response.status),
            headers=headers,
            reason=HTTPStatus(response.status).phrase,
        )
        self._write(head)
        if response.body and not without_body:
            self._write(h11.Data(data=response.body))
        self._write(h11.EndOfMessage())

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data and self._transport is not None:
            self._transport.write(data)

    def _refuse(self, response: Response) -> None:
        """Answer what cannot be answered, and close: the rest of the stream means nothing.

        It is read all the same for a while: a connection that is closed with something unread
        is reset, and the other side would never see the answer.
        """
        self._is_last = self._is_refused = True
        self._body.clear()
        self._let_go()
        if self._http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            self._respond(response)
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()
            self._wait(CLOSING_SECONDS)
        else:
            self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _malformed(message: str, status: int = HTTPStatus.BAD_REQUEST) -> Response:
    return json_response({"error": "bad_request", "message": message}, status)
