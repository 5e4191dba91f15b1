"""The gateway put together: its HTTP server, and the private door its clients come in by.

The door is a Unix socket in a folder that only this process's user may enter. Whoever comes in by
it shows a token as everywhere; without tokens it is the gateway alone that comes, for peers it
has judged by where they are.
"""

from __future__ import annotations

import shutil
import ssl
import tempfile
from pathlib import Path

from fastness.limits import Limits
from fastness.runtime.clock import Clock
from fastness.server.authentication import Authenticator
from fastness.server.gateway.clients import TokenClients, opener
from fastness.server.gateway.counts import GatewayCounts
from fastness.server.gateway.gateway import Gateway
from fastness.server.http import HttpServer, listen_http
from fastness.transport.addresses import UnixPlace
from fastness.transport.listening import Listener, bind
from fastness.transport.network import NetworkProcess


class GatewayServer:
    """A gateway that listens, until it is closed. Made by `serve_gateway`."""

    def __init__(
        self,
        gateway: Gateway,
        clients: TokenClients,
        http: HttpServer,
        process: NetworkProcess,
        door: Listener,
    ) -> None:
        self._gateway = gateway
        self._clients = clients
        self._http = http
        self._process = process
        self._door = door
        self._is_closed = False

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'http' if self._http.tls is None else 'https'}://{self._http.place}"

    def counts(self) -> GatewayCounts:
        """What it has done so far, and has in hand."""
        counts = self._gateway.counts
        counts.connections = len(self._http.connections)
        counts.held_bytes = self._http.held_bytes
        counts.clients = len(self._clients)
        return counts

    def renew(self, tls: ssl.SSLContext | None) -> bool:
        """Use another certificate for connections to come; whether that was possible.

        Whether TLS is spoken at all is settled when it starts to listen.
        """
        if (tls is None) == (self._http.tls is None):
            self._http.tls = tls
            return True
        return False

    async def close(self) -> None:
        """Answer what is under way, take nothing new, give everything back. Idempotent."""
        if self._is_closed:
            return
        self._gateway.drain()
        await self._http.close()
        await self._clients.close()
        self._is_closed = True
        self._leave()

    def _leave(self) -> None:
        self._process.stop_listening(self._door)
        _remove(self._door)


async def serve_gateway(
    where: str,
    *,
    process: NetworkProcess,
    authenticator: Authenticator,
    limits: Limits,
    clock: Clock,
    tls: ssl.SSLContext | None,
) -> GatewayServer:
    """Serve the node of a process over HTTP too; `AddressUnavailable` where that cannot be.

    `tls` must be its own.
    """
    place = UnixPlace(str(Path(tempfile.mkdtemp(prefix="fastness-")) / "node"))
    door = bind(place)
    clients = TokenClients(opener(place, process, limits), limits, clock)
    gateway = Gateway(authenticator, clients, limits, clock)
    try:
        http = await listen_http(where, gateway, limits=limits, tls=tls)
    except BaseException:
        door.close()
        _remove(door)
        raise
    process.serve(door, authenticate=authenticator.authenticate)
    return GatewayServer(gateway, clients, http, process, door)


def _remove(door: Listener) -> None:
    if isinstance(door.place, UnixPlace):
        shutil.rmtree(Path(door.place.path).parent, ignore_errors=True)
