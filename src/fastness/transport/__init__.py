"""The real network: processes over TCP and Unix sockets, with or without TLS.

::

    runtime.Process --- NetworkProcess (asyncio or uvloop)      BlockingProcess (no event loop)
                             |        |                              |
    accepting, listening ----'        `-- connections                `-- lines, pump
                                               |                    |
                                                links: the handshake, without I/O
                                                framing, wire.handshake

A server binds, takes an address that names this one run of it, and serves::

    listener = bind("127.0.0.1:3278")
    process = NetworkProcess(node_address(listener.place))
    process.serve(listener, authenticate=lambda credential, peer: Grant(Role.READ_WRITE))

A client dials whatever it sends to; `reach` opens a connection and says why it cannot::

    process = NetworkProcess(credential=token)
    node = await process.reach("127.0.0.1:3278")        # "127.0.0.1:3278#6f1c..."

A program without an event loop drives the same asynchronous code in its threads::

    process = BlockingProcess(credential=token)
    node = process.drive(process.reach("127.0.0.1:3278"))

What a process promises is `runtime.Process`; what goes over the line is docs/PROTOCOL.md.
"""

from fastness.transport.addresses import (
    Place,
    TcpPlace,
    UnixPlace,
    client_address,
    is_client,
    is_seed,
    node_address,
    place_of,
    seed_of,
)
from fastness.transport.blocking import BlockingProcess
from fastness.transport.counts import TransportCounts
from fastness.transport.grants import NODE_GRANT, Authenticate, Grant, Peer, Session
from fastness.transport.listening import Listener, bind
from fastness.transport.network import NetworkProcess
from fastness.wire.handshake import Role, Welcome

__all__ = [
    "NODE_GRANT",
    "Authenticate",
    "BlockingProcess",
    "Grant",
    "Listener",
    "NetworkProcess",
    "Peer",
    "Place",
    "Role",
    "Session",
    "TcpPlace",
    "TransportCounts",
    "UnixPlace",
    "Welcome",
    "bind",
    "client_address",
    "is_client",
    "is_seed",
    "node_address",
    "place_of",
    "seed_of",
]
