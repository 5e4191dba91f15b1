"""One connection to one member: HTTP/1.1 as h11 has it, over the loop's own streams.

A connection carries one request at a time. What matters to whoever asked is whether a request
that failed may have been carried out: `NotSent` says no, `Lost` says perhaps.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple

import h11

from fastness.transport import TcpPlace

BODY_BYTES_MAX = 256 * 1024 * 1024
"""Far above what etcd, whose whole database has a few GiB at most, answers here."""

LINE_BYTES_MAX = 64 * 1024 * 1024
READ_BYTES = 64 * 1024


class NotSent(Exception):
    """Nobody was reached: the request was not sent."""


class Lost(Exception):
    """The connection ended, or said nonsense, before the answer was complete."""


class Answer(NamedTuple):
    """The HTTP status and the body."""

    status: int
    body: bytes


class Connection:
    """See the module's page."""

    __slots__ = ("_machine", "_place", "_reader", "_writer")

    def __init__(
        self, place: TcpPlace, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Made by `open`."""
        self._place = place
        self._reader = reader
        self._writer = writer
        self._machine = h11.Connection(our_role=h11.CLIENT)

    @classmethod
    async def open(cls, place: TcpPlace, tls: ssl.SSLContext | None) -> Connection:
        """Dial a member; `NotSent` says why it was not reached."""
        try:
            reader, writer = await asyncio.open_connection(place.host, place.port, ssl=tls)
        except ssl.SSLCertVerificationError as error:
            raise NotSent(
                f"{place}: its certificate is not trusted ({error.verify_message}): name the CA "
                "that signed it (ca=FILE), and the host it is made for"
            ) from error
        except (OSError, ssl.SSLError) as error:
            reason = os.strerror(error.errno) if error.errno else error.strerror or error
            raise NotSent(f"{place}: {reason}") from error
        return cls(place, reader, writer)

    @property
    def is_idle(self) -> bool:
        """Whether another request may be sent, as far as is known."""
        return self._machine.our_state is h11.IDLE and not self._reader.at_eof()

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Send a request and read the whole answer; `Lost` where that did not come."""
        try:
            status = await self._begin(method, path, headers, body)
            parts: list[bytes] = []
            size = 0
            async for part in self._body():
                parts.append(part)
                size += len(part)
                if size > BODY_BYTES_MAX:
                    raise Lost(f"{self._place}: an answer of more than {BODY_BYTES_MAX} bytes")
        except (OSError, h11.ProtocolError) as error:
            raise Lost(f"{self._place}: {error}") from error
        if self._machine.our_state is h11.DONE and self._machine.their_state is h11.DONE:
            self._machine.start_next_cycle()
        return Answer(status, b"".join(parts))

    async def lines(self, path: str, headers: dict[str, str], body: bytes) -> AsyncIterator[Answer]:
        """Send a request and give each line of the answer as it arrives; ends with the answer."""
        try:
            status = await self._begin("POST", path, headers, body)
            rest = b""
            async for part in self._body():
                *whole, rest = (rest + part).split(b"\n")
                for line in whole:
                    if line:
                        yield Answer(status, line)
                if len(rest) > LINE_BYTES_MAX:
                    raise Lost(f"{self._place}: a line of more than {LINE_BYTES_MAX} bytes")
        except (OSError, h11.ProtocolError) as error:
            raise Lost(f"{self._place}: {error}") from error
        if rest:
            yield Answer(status, rest)

    async def _begin(self, method: str, path: str, headers: dict[str, str], body: bytes) -> int:
        """Send everything and read the head of the answer; its status."""
        fields = {
            "Host": str(self._place),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **headers,
        }
        request = h11.Request(method=method, target=path, headers=list(fields.items()))
        events = (request, h11.Data(body), h11.EndOfMessage())
        self._writer.write(b"".join(self._machine.send(event) or b"" for event in events))
        await self._writer.drain()
        while True:
            head = await self._next()
            if isinstance(head, h11.Response):
                return head.status_code
            if not isinstance(head, h11.InformationalResponse):
                raise Lost(f"{self._place} hung up")

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise Lost(f"{self._place} hung up")

    async def _next(self) -> object:
        while True:
            event = self._machine.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._machine.receive_data(await self._reader.read(READ_BYTES))

    def abort(self) -> None:
        """End it at once, whatever is under way; whoever reads of it finds it lost."""
        with suppress(RuntimeError):  # The loop is closed, and the socket with it.
            self._writer.transport.abort()
