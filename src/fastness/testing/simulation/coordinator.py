"""A simulated coordinator: linearizable as etcd is, and as far away.

::

    process --request--> CoordinatorServer --answer--> process
             late, lost                     late, lost

The server's state changes at one instant, when a request arrives; everything else is the
network's. A caller that hears nothing in time gets `Unreachable`, and its request may have been
carried out, or be carried out later, after everybody has gone on: a request is never called back.

The server is an actor: to stall it (a lost quorum) is to pause it. Sessions end by its own clock
and never early. What it has acknowledged it never loses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from fastness.errors import Unreachable
from fastness.placement.bounds import require_writable
from fastness.placement.coordinator import Entry, Put
from fastness.placement.coordinator_state import CoordinatorState
from fastness.testing.simulation.events import (
    NANOSECONDS_PER_MILLISECOND,
    Actor,
    Agenda,
)
from fastness.testing.simulation.network import Link, Network
from fastness.testing.simulation.processes import SimulatedProcess

COORDINATOR: Final = "coordinator"
"""The name the coordinator has in traces and cuts."""
PATIENCE_MS: Final = 1_000
"""How long a caller waits for an answer unless told otherwise."""


class CoordinatorServer(Actor):
    """The coordinator's state, and what its operators may do to it. One per world."""

    __slots__ = ("_network", "_sessions", "_state", "_watchers")

    def __init__(self, agenda: Agenda, network: Network) -> None:
        super().__init__(agenda, COORDINATOR)
        self._network = network
        self._state = CoordinatorState()
        self._sessions: dict[int, _Session] = {}
        self._watchers: dict[int, _Watcher] = {}

    def snapshot(self) -> dict[str, bytes]:
        """Every key and value now, for tests to look at."""
        return self._state.snapshot()

    def restart(self) -> None:
        """Another leader takes over: every session gets its whole time again, as etcd's do."""
        for session in self._sessions.values():
            session.ends = self.now + session.ttl_ns
            self._expect_end(session)
        self.resume()

    # The requests, each carried out in one instant.

    def open_session(self, ttl_ms: int) -> int:
        """A new session."""
        session = _Session(self._state.open_session(), ttl_ms * NANOSECONDS_PER_MILLISECOND)
        self._sessions[session.number] = session
        self.keep_alive(session.number)
        return session.number

    def keep_alive(self, number: int) -> bool:
        """Whether the session lives; if so, for its whole time from now."""
        session = self._sessions.get(number)
        if session is None:
            return False
        session.ends = self.now + session.ttl_ns
        self._expect_end(session)
        return True

    def end_session(self, number: int) -> None:
        """End a session and remove its keys."""
        self._sessions.pop(number, None)
        self._tell_watchers(self._state.end(number))

    def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The revision, and the entries under a prefix in order of their keys."""
        return self._state.read(prefix)

    def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...]
    ) -> int | None:
        """Compare and write; `None` too where a put names a session that has ended."""
        if not self._state.admits(compare, puts, deletes):
            return None
        if not puts and not deletes:
            return self._state.revision
        revision = self._state.write(puts, deletes)
        self._tell_watchers([*(put.key for put in puts), *deletes])
        return revision

    # Sessions and watches.

    def _expect_end(self, session: _Session) -> None:
        if not session.expected:
            session.expected = True
            self.after(session.ends - self.now, self._maybe_end, session)

    def _maybe_end(self, session: _Session) -> None:
        session.expected = False
        if session.number not in self._sessions:
            return
        if session.ends <= self.now:
            self._network.counts["session expired"] += 1
            self.agenda.trace.note(self.now, self.name, f"session {session.number} expired")
            self.end_session(session.number)
        else:
            self._expect_end(session)

    def add_watcher(self, watcher: _Watcher) -> int:
        """Tell somebody of changes from now on; a number to remove it by."""
        number = self.agenda.sequence = self.agenda.sequence + 1
        self._watchers[number] = watcher
        return number

    def remove_watcher(self, number: int) -> None:
        """Tell it no more."""
        self._watchers.pop(number, None)

    def _tell_watchers(self, keys: list[str]) -> None:
        for number, watcher in list(self._watchers.items()):
            if not watcher.alive:
                del self._watchers[number]
            elif any(key.startswith(watcher.prefix) for key in keys):
                watcher.tell()


class _Session:
    __slots__ = ("ends", "expected", "number", "ttl_ns")

    def __init__(self, number: int, ttl_ns: int) -> None:
        self.number = number
        self.ttl_ns = ttl_ns
        self.ends = 0
        self.expected = False


class _Watcher:
    """Somebody who wants to know that something under a prefix changed; told once at a time."""

    __slots__ = ("_changed", "_link", "_told", "prefix")

    def __init__(self, prefix: str, link: Link, changed: Callable[[], None]) -> None:
        self.prefix = prefix
        self._link = link
        self._changed = changed
        self._told = False

    @property
    def alive(self) -> bool:
        """Whether whoever watches still lives."""
        return self._link.target.alive

    def tell(self) -> None:
        # A notice that is lost on its way must not silence those after it.
        self._told = True
        self._link.call(self._arrive)

    def _arrive(self) -> None:
        if self._told:
            self._told = False
            self._changed()


class _Watch:
    """What `watch` answers: cancel it to be told no more."""

    def __init__(self, server: CoordinatorServer, number: int) -> None:
        self._server = server
        self._number = number

    def cancel(self) -> None:
        self._server.remove_watcher(self._number)


class SimulatedCoordinator:
    """The coordinator as one process reaches it; a `placement.coordinator.Coordinator`."""

    def __init__(
        self,
        server: CoordinatorServer,
        process: SimulatedProcess,
        network: Network,
        *,
        patience_ms: float = PATIENCE_MS,
    ) -> None:
        """Made by `World.coordinator_for`."""
        self._server = server
        self._process = process
        self._patience_ms = patience_ms
        self._there = network.connect(process, server)
        self._back = network.connect(server, process)

    async def open_session(self, ttl_ms: int) -> int:
        """A new session that ends unless kept alive within `ttl_ms`; its id, never 0."""
        number: int = await self._ask(self._server.open_session, ttl_ms)
        return number

    async def keep_alive(self, session: int) -> bool:
        """Let the session live for its whole time from when this arrives; `False`: it ended."""
        alive: bool = await self._ask(self._server.keep_alive, session)
        return alive

    async def end_session(self, session: int) -> None:
        """End it now, and remove the keys bound to it."""
        await self._ask(self._server.end_session, session)

    async def read(self, prefix: str) -> tuple[int, dict[str, Entry]]:
        """The current revision and every entry whose key begins with `prefix`."""
        found: tuple[int, dict[str, Entry]] = await self._ask(self._server.read, prefix)
        return found

    async def write(
        self, compare: Mapping[str, int], puts: list[Put], deletes: tuple[str, ...] = ()
    ) -> int | None:
        """Write atomically if each key of `compare` is at that revision; the new one, or `None`."""
        require_writable(compare, puts, deletes)
        written: int | None = await self._ask(
            self._server.write, dict(compare), list(puts), tuple(deletes)
        )
        return written

    def watch(self, prefix: str, changed: Callable[[], None]) -> _Watch:
        """Call `changed` some time after anything under the prefix did; best effort."""
        watcher = _Watcher(prefix, self._back, changed)
        return _Watch(self._server, self._server.add_watcher(watcher))

    async def _ask(self, request: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 - handed through
        process = self._process
        answered: asyncio.Future[Any] = process.future()
        patience = process.call_later(self._patience_ms, self._give_up, answered, request.__name__)
        if process.takes_step():
            self._there.call(self._carry_out, answered, request, args)
        try:
            return await answered
        finally:
            patience.cancel()

    def _carry_out(
        self, answered: asyncio.Future[Any], request: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        """At the server: carry a request out and send the answer off."""
        self._back.call(_arrive, answered, request(*args))

    def _give_up(self, answered: asyncio.Future[Any], what: str) -> None:
        if not answered.done():
            answered.set_exception(
                Unreachable(
                    f"the coordinator has not answered {what} within {self._patience_ms} ms: it "
                    "may have been carried out, read again"
                )
            )


def _arrive(answered: asyncio.Future[Any], result: object) -> None:
    """At the process: the answer, unless it has given up."""
    if not answered.done():
        answered.set_result(result)
