"""The gateway's clients of its own node: one for each token, so that the node alone judges them.

A request is done by an ordinary client, over the wire, with the token the request showed: its
role, key space and rates are looked at where those of every other client are, and nowhere else.
Clients are kept for the requests to come; the one unused for longest makes room for another.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from fastness.client.cluster import ClusterClient
from fastness.client.cluster.access import Access as ClientAccess
from fastness.client.remote import dialed
from fastness.errors import FastnessError, Overloaded
from fastness.limits import Limits
from fastness.model.by_name import RebuiltSchemas
from fastness.runtime.clock import NANOSECONDS_PER_MILLISECOND, Clock
from fastness.server.access import Access
from fastness.transport.addresses import Place
from fastness.transport.network import NetworkProcess
from fastness.wire.handshake import Welcome

AGENT = "fastness-gateway"
IDLE_MS = 60_000
"""How long a client is kept that nobody uses."""
SWEEP_S = 10.0

OpenClient = Callable[[str], Awaitable[ClusterClient]]
"""Makes a client that shows this token."""


@dataclass(eq=False, slots=True)
class Held:
    """One token's client. `opening` ends with it, or with why there is none."""

    access: Access
    opening: asyncio.Task[ClusterClient]
    users: int = 0
    used_ns: int = 0
    schemas: RebuiltSchemas = field(default_factory=RebuiltSchemas)
    """The classes of the schema its key space holds."""


class TokenClients:
    """See the module's page. Close it in the end."""

    def __init__(self, open_client: OpenClient, limits: Limits, clock: Clock) -> None:
        self._open = open_client
        self._limits = limits
        self._clock = clock
        self._held: OrderedDict[str, Held] = OrderedDict()
        """By token, the one unused for longest first."""
        self._ending: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._held)

    @asynccontextmanager
    async def lent(
        self, credential: str, access: Access
    ) -> AsyncIterator[tuple[ClusterClient, Held]]:
        """The client of a token, and what is kept with it, for one request.

        `access` is the account of the token now: with another one than the client was opened
        for, its role or key space has changed, and it is opened again.
        """
        held = self._find(credential, access)
        held.users += 1
        try:
            # Another request may wait for the same client: this one's end is not that one's.
            client = await asyncio.shield(held.opening)
            yield client, held
        except FastnessError:
            if held.opening.done() and held.opening.exception() is not None:
                self._forget(credential, held)
            raise
        finally:
            held.users -= 1
            held.used_ns = self._clock.boot_ns()

    def _find(self, credential: str, access: Access) -> Held:
        held = self._held.get(credential)
        if held is not None and held.access is not access:
            self._forget(credential, held)
            held = None
        if held is None:
            self._make_room()
            opening = asyncio.ensure_future(self._open(credential))
            held = self._held[credential] = Held(access, opening)
            self._sweep_later()
        self._held.move_to_end(credential)
        return held

    def _make_room(self) -> None:
        if len(self._held) < self._limits.http_clients:
            return
        for credential, held in self._held.items():
            if not held.users:
                self._forget(credential, held)
                return
        raise Overloaded(
            f"requests of {len(self._held)} tokens are being worked on at once (http_clients): "
            "come back in a second",
            retry_after_ms=1_000,
        )

    def _forget(self, credential: str, held: Held) -> None:
        """Lend it no more, and close it once nobody has it."""
        if self._held.get(credential) is held:
            del self._held[credential]
            task = asyncio.create_task(_closed(held))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    def _sweep_later(self) -> None:
        if self._sweeping is None and self._held:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        before_ns = self._clock.boot_ns() - IDLE_MS * NANOSECONDS_PER_MILLISECOND
        for credential, held in list(self._held.items()):
            if not held.users and held.used_ns < before_ns:
                self._forget(credential, held)
        self._sweep_later()

    async def close(self) -> None:
        """Close all of them. No request may be under way any more."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        for credential, held in list(self._held.items()):
            self._forget(credential, held)
        while self._ending:
            await asyncio.wait(self._ending)


async def _closed(held: Held) -> None:
    try:
        client = await held.opening
    except FastnessError:
        return
    await client.close()


def opener(place: Place, node: NetworkProcess, limits: Limits) -> OpenClient:
    """Makes clients of the node behind a place, and with it of the cluster it belongs to.

    They dial the other nodes by TLS where this one does.
    """

    def access(welcome: Welcome) -> ClientAccess:
        # Whether it may write is for the node to say, in the words it says it to everybody.
        return ClientAccess(url="gateway", space=welcome.prefix)

    async def opened(credential: str) -> ClusterClient:
        process = NetworkProcess(limits=limits, credential=credential, tls=node.tls, agent=AGENT)
        return await dialed(process, (place,), limits, access)

    return opened


__all__ = ["Held", "OpenClient", "TokenClients", "opener"]
