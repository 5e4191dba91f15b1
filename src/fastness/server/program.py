"""The server program: everything put together, started, reloaded, drained and stopped.

::

    bind -> tokens, certificate -> store, or coordinator -> node -> admin HTTP -> ready
    SIGHUP          configuration, certificate and tokens again; a mistake leaves the old in force
    SIGTERM, ^C     no new connections -> requests under way -> leases given back -> store closed
                    (of a cluster: leases handed over, requests served until each one is)
    again           stop now: what is under way ends as after a crash, durable or not at all

Whatever goes wrong before `ready` is raised as an error of the taxonomy, and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from fastness.errors import Draining, FastnessError
from fastness.node import ClusterNode, Gate
from fastness.runtime.clock import SystemClock
from fastness.server.access import Access, AccessGrant
from fastness.server.admin import Admin
from fastness.server.announcing import Announcement, log_ready
from fastness.server.authentication import Authenticator
from fastness.server.certificates import server_context
from fastness.server.doors import Doors, bind_doors
from fastness.server.exporting import traced_gate
from fastness.server.figures import Figures
from fastness.server.gate import ServerGate
from fastness.server.gateway import GatewayServer, serve_gateway
from fastness.server.http import HttpServer, listen_http
from fastness.server.latencies import Latencies
from fastness.server.logs import event, set_level
from fastness.server.nodes import MEMORY, ServedNode, cluster_node, single_node
from fastness.server.pulse import Pulse
from fastness.server.rules import is_local
from fastness.server.settings import SETTINGS, Settings
from fastness.server.sources import Configuration
from fastness.server.store_watch import StoreTimes
from fastness.server.systemd import Systemd
from fastness.server.token_watch import TokenWatch
from fastness.transport.addresses import place_of
from fastness.transport.grants import Grant, Peer
from fastness.transport.network import NetworkProcess

COME_BACK_MS = 1_000
"""When clients of a server that goes down should ask again."""
LINGER_MS = 250
"""How long it stays to tell them: longer than the pauses of a client that looks for its range."""

_log = logging.getLogger("fastness.server")
_node_log = logging.getLogger("fastness.node")


class Program:
    """One run of a server. `reload` reads the configuration again, from the same sources."""

    def __init__(self, configuration: Configuration, reload: Callable[[], Configuration]) -> None:
        self._configuration = configuration
        self._reload = reload
        self._clock = SystemClock()
        self._systemd = Systemd()
        self._stack = AsyncExitStack()
        self._signals = 0
        self._has_news = False
        self._asked_to_stop = asyncio.Event()
        self._told_to_hurry = asyncio.Event()
        self._watchdog: asyncio.TimerHandle | None = None
        self._admin: HttpServer | None = None
        self._gateway: GatewayServer | None = None
        # Made by `_start`.
        self._doors: Doors
        self._process: NetworkProcess
        self._gate: ServerGate
        self._node: ServedNode
        self._authenticator: Authenticator
        self._tokens: TokenWatch
        self._latencies: Latencies

    @property
    def settings(self) -> Settings:
        """What is in force."""
        return self._configuration.settings

    async def run(self, announce: Callable[[Announcement], None]) -> bool:
        """Serve until told to stop; whether it was drained, rather than stopped at once."""
        self._listen_to_signals()
        try:
            async with self._stack:
                started = await self._unless_stopped(self._start(announce))
                drained = await self._drain() if started else True
            event(_log, logging.INFO, "stopped", drained=drained)
            return drained
        finally:
            self._forget_signals()

    async def _unless_stopped(self, starting: Coroutine[Any, Any, None]) -> bool:
        """Start, then run until a signal; one that comes first ends the start: then `False`."""
        stopping = asyncio.create_task(self._asked_to_stop.wait())
        start = asyncio.create_task(starting)
        try:
            await asyncio.wait({start, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not start.done():
                return False
            start.result()
            await stopping
            return True
        finally:
            await _ended(start)
            await _ended(stopping)

    # ---------------------------------------------------------------- starting

    async def _start(self, announce: Callable[[Announcement], None]) -> None:
        settings = self.settings
        for line in self._configuration.unused:
            event(_log, logging.WARNING, "environment", problem=line)
        tls = server_context(settings.tls)
        self._tokens = TokenWatch(settings.tokens)
        self._doors = bind_doors(settings)
        self._stack.callback(self._doors.close)
        self._process = NetworkProcess(
            self._doors.address, limits=settings.limits, clock=self._clock, note=_note
        )
        self._stack.push_async_callback(self._process.close)
        self._authenticator = Authenticator(
            self._tokens.read(),
            self._clock,
            open_to_anyone=settings.open_to_anyone,
            grants=self._grants,
        )
        self._latencies = Latencies(self._clock, slow_ms=settings.log.slow_ms)
        self._gate = ServerGate(
            self._process.address,
            self._process.grant_of,
            self._latencies,
            self._authenticator.count_connections,
        )
        store_times = StoreTimes()
        self._node = await self._make_node(store_times)
        self._stack.push_async_callback(self._node.stop)
        pulse = Pulse(self._each_second)
        pulse.start()
        self._stack.callback(pulse.stop)
        admin = await self._start_admin(pulse, store_times)
        await self._start_gateway()
        self._doors.open(self._process, self._authenticator.authenticate, tls)
        event(
            _log,
            logging.INFO,
            "listening",
            urls=",".join(self._doors.urls()),
            admin="" if admin is None else self._admin_url(admin),
            gateway=self._gateway_url(),
        )
        await self._node.start()
        self._keep_watchdog_calm()
        self._announce(announce, admin)

    async def _make_node(self, store_times: StoreTimes) -> ServedNode:
        settings, process = self.settings, self._process
        gate: Gate = self._gate
        if settings.tracing.export:
            gate = traced_gate(gate, self._stack)
        if settings.coordinator:
            return await cluster_node(settings, process, gate, self._authenticator, self._stack)
        return await single_node(settings, process, gate, store_times)

    async def _start_admin(self, pulse: Pulse, store_times: StoreTimes) -> HttpServer | None:
        settings = self.settings
        if not settings.admin:
            return None
        figures = Figures(
            server=self._node,
            transport=self._process.counts,
            latencies=self._latencies,
            store_times=store_times,
            loop_lag=pulse.lag,
            accesses=self._counted_accesses,
            gateway=lambda: None if self._gateway is None else self._gateway.counts(),
            clock=self._clock,
            started_ns=self._clock.boot_ns(),
        )
        admin = Admin(
            figures,
            self._authenticator,
            about=self._about(),
            is_draining=self._is_draining,
            sessions=self._process.sessions,
        )
        # Tokens must not travel in the clear beyond this machine.
        remote = not is_local(place_of(settings.admin))
        tls = server_context(settings.tls) if remote else None
        server = await listen_http(settings.admin, admin, limits=settings.limits, tls=tls)
        self._stack.push_async_callback(server.close)
        self._admin = server
        return server

    async def _start_gateway(self) -> None:
        settings = self.settings
        if not settings.gateway:
            return
        self._gateway = await serve_gateway(
            settings.gateway,
            process=self._process,
            authenticator=self._authenticator,
            limits=settings.limits,
            clock=self._clock,
            tls=server_context(settings.tls),
        )
        self._stack.push_async_callback(self._gateway.close)

    def _gateway_url(self) -> str:
        return "" if self._gateway is None else self._gateway.url

    def _is_draining(self) -> bool:
        """Whether it was told to stop, or, as a node of a cluster, to hand everything over."""
        node = self._node
        asked = isinstance(node, ClusterNode) and node.node.is_draining
        return asked or self._asked_to_stop.is_set()

    def _admin_url(self, admin: HttpServer) -> str:
        encrypted = bool(self.settings.tls.certificate) and not is_local(admin.place)
        return f"{'https' if encrypted else 'http'}://{admin.place}"

    def _about(self) -> dict[str, object]:
        urls = self._doors.urls()
        node = self._node
        if isinstance(node, ClusterNode):
            return {"cluster": node.cluster.id, "node": node.name, "urls": urls}
        directory = self.settings.directory.removeprefix("file:")
        if directory != MEMORY:
            directory = str(Path(directory).resolve())
        return {"directory": directory, "urls": urls}

    def _announce(self, announce: Callable[[Announcement], None], admin: HttpServer | None) -> None:
        settings, node = self.settings, self._node
        cluster = node.cluster.id if isinstance(node, ClusterNode) else ""
        announcement = Announcement(
            directory="" if cluster else settings.directory,
            cluster=cluster,
            node=settings.name,
            urls=self._doors.urls(),
            admin="" if admin is None else self._admin_url(admin),
            gateway=self._gateway_url(),
            tls=bool(settings.tls.certificate),
            needs_token=self._authenticator.needs_tokens,
            pid=os.getpid(),
        )
        log_ready(
            announcement,
            tokens=settings.tokens,
            open_to_anyone=settings.open_to_anyone,
            is_local=is_local(self._doors.place),
        )
        self._systemd.ready(f"serving {announcement.served} at {announcement.urls[0]}")
        announce(announcement)

    # ----------------------------------------------------------- while it runs

    def _grants(self) -> Iterator[Grant]:
        return (session.grant for session in self._process.sessions())

    def _counted_accesses(self) -> list[Access]:
        self._authenticator.count_connections()
        return self._authenticator.accesses

    def _each_second(self) -> None:
        self._authenticator.look_at_the_clock()
        if self._tokens.has_changed():
            self._take_up_tokens()
        if self._has_news:
            # A second after: what was under way has been answered, and what came since refused.
            ended = self._process.review(_judge)
            event(_log, logging.INFO, "access ended", connections=ended)
        self._has_news = self._authenticator.take_news()

    def _take_up_tokens(self) -> None:
        try:
            tokens = self._tokens.read()
        except FastnessError as error:
            event(_log, logging.ERROR, "tokens not reloaded", problem=str(error))
            return
        self._authenticator.replace(tokens)
        event(_log, logging.INFO, "tokens reloaded", tokens=len(tokens or ()))

    def _keep_watchdog_calm(self) -> None:
        seconds = self._systemd.watchdog_seconds
        if seconds:
            self._systemd.alive()
            loop = asyncio.get_running_loop()
            self._watchdog = loop.call_later(seconds, self._keep_watchdog_calm)

    # --------------------------------------------------------------- reloading

    def _hang_up(self) -> None:
        """SIGHUP: take up what has changed; whatever is wrong with it is logged, and not taken."""
        self._systemd.reloading()
        try:
            self._take_up(self._reload())
        except FastnessError as error:
            event(_log, logging.ERROR, "not reloaded", problem=str(error))
        self._systemd.ready("reloaded")

    def _take_up(self, found: Configuration) -> None:
        tls = server_context(found.settings.tls)
        tokens = TokenWatch(found.settings.tokens)
        read = tokens.read()
        # Nothing can fail from here on.
        needs_restart = [
            name
            for name, setting in SETTINGS.items()
            if not setting.is_reloaded
            and found.sourced[name].value != self._configuration.sourced[name].value
        ]
        self._configuration = found
        self._doors.renew(tls)
        if self._admin is not None and self._admin.tls is not None and tls is not None:
            self._admin.tls = tls
        if self._gateway is not None and not self._gateway.renew(tls):
            event(_log, logging.WARNING, "gateway", problem="whether it speaks TLS: restart")
        self._tokens = tokens
        self._authenticator.replace(read)
        self._latencies.log_from(found.settings.log.slow_ms)
        set_level(found.settings.log.level)
        event(_log, logging.INFO, "reloaded", needs_restart=",".join(needs_restart))

    # ---------------------------------------------------------------- stopping

    async def _drain(self) -> bool:
        milliseconds = self.settings.drain_ms
        event(_log, logging.INFO, "draining", milliseconds=milliseconds)
        self._systemd.stopping()
        self._doors.shut(self._process)
        await self._close_gateway(milliseconds)
        if not isinstance(self._node, ClusterNode):
            # There is nobody to hand over to.
            self._close_gate()
        draining = asyncio.create_task(self._give_up_leases())
        hurrying = asyncio.create_task(self._told_to_hurry.wait())
        try:
            await asyncio.wait(
                {draining, hurrying},
                timeout=milliseconds / 1_000,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not draining.done():
                event(_log, logging.WARNING, "stopping before everything was answered")
                return not self._told_to_hurry.is_set()
            draining.result()
            return True
        finally:
            await _ended(draining)
            await _ended(hurrying)
            if self._watchdog is not None:
                self._watchdog.cancel()

    def _close_gate(self) -> None:
        self._gate.closing = Draining(
            "this server is going down: come back to it, or to its successor",
            retry_after_ms=COME_BACK_MS,
        )

    async def _close_gateway(self, milliseconds: int) -> None:
        """End what is under way over HTTP: its requests are clients of the gate, which closes."""
        if self._gateway is None:
            return
        closing = asyncio.create_task(self._gateway.close())
        hurrying = asyncio.create_task(self._told_to_hurry.wait())
        await asyncio.wait(
            {closing, hurrying},
            timeout=milliseconds / 1_000,
            return_when=asyncio.FIRST_COMPLETED,
        )
        await _ended(closing)
        await _ended(hurrying)

    async def _give_up_leases(self) -> None:
        """End what is under way, then stay until everybody was told where to go, or to come back.

        A request that arrives at a closed connection leaves its client in doubt whether it was
        done. Those that are told keep away for longer than this waits.
        """
        await self._node.drain()
        await asyncio.sleep(LINGER_MS / 1_000)

    # ----------------------------------------------------------------- signals

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _forget_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _stop(self, number: signal.Signals) -> None:
        self._signals += 1
        event(_log, logging.INFO, "signal", number=signal.Signals(number).name)
        self._asked_to_stop.set()
        if self._signals > 1:
            self._told_to_hurry.set()


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task that still runs, and wait for its end; its error was looked at, or is moot."""
    task.cancel()
    with suppress(asyncio.CancelledError, FastnessError):
        await task


def _judge(grant: Grant, _peer: Peer) -> FastnessError | None:
    """Why a connection is ended while it is open."""
    access = grant.access if isinstance(grant, AccessGrant) else None
    return access.over() if access is not None and access.ended else None


def _note(_address: str, line: str) -> None:
    """The story of the process: of interest when something is looked for, but for alarms."""
    grave = "ALARM" in line
    event(_node_log, logging.ERROR if grave else logging.DEBUG, line)
