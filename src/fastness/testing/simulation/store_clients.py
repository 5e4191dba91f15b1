"""A simulated store as one process reaches it: requests, patience and connections.

A client has connections to one primary. It drops them, and connects to the real one, when it
opens or settles a range and when one of its writes stays unanswered; a write that succeeds tells
it nothing about its other connections. Reads go over those, so they may go to an old primary that
still answers; the answer to a read never arrives over a connection that was dropped since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastness.encoding.timestamps import Timestamp
from fastness.errors import FastnessError, Unreachable
from fastness.hosting.remote import (
    StoreAnswer,
    StoreDrop,
    StorePortion,
    StorePrune,
    StoreRead,
    StoreSelection,
)
from fastness.storage.contract import Batch, Change, Load, RangeState
from fastness.testing.simulation.network import Link, Network
from fastness.testing.simulation.processes import SimulatedProcess
from fastness.testing.simulation.stores import DemotedPrimary, SimulatedStore

PATIENCE_MS: Final = 1_000
"""How long a client waits before it takes its connection for lost, unless told otherwise."""


class _Call:
    """One request on its way to a store and back."""

    __slots__ = ("_client", "_connection", "_done", "_drops", "_patience", "_server", "_what")

    def __init__(
        self,
        client: SimulatedStoreClient,
        server: SimulatedStore | DemotedPrimary,
        what: str,
        done: Callable[[Any], None],
        *,
        drops: bool,
    ) -> None:
        self._client = client
        self._connection = client.connection
        self._server = server
        self._what = what
        self._done: Callable[[Any], None] | None = done
        self._drops = drops
        """Whether not being answered means that the connection is lost."""
        self._patience = client.process.call_later(client.patience_ms, self._give_up)

    def carry_out(self, request: Callable[..., None], *args: object) -> None:
        """At the store, when the request has arrived."""
        try:
            request(self.answer, *args)
        except FastnessError as error:
            self.answer(error)

    def answer(self, result: object) -> None:
        """At the store: send the answer off."""
        back = self._client.links(self._server)[1]
        back.call_after(self._server.service_ns(), self._arrive, result)

    def _arrive(self, result: object) -> None:
        """At the client."""
        done, self._done = self._done, None
        if done is None:
            return
        self._patience.cancel()
        if not self._drops and self._connection != self._client.connection:
            result = self._unreachable("its connection was dropped")
        done(result)

    def _give_up(self) -> None:
        done, self._done = self._done, None
        if done is not None:
            if self._drops:
                self._client.drop_connections()
            done(self._unreachable("no answer"))

    def _unreachable(self, why: str) -> Unreachable:
        return Unreachable(
            f"{self._what} at {self._server.name}: {why}; a write may or may not have been applied"
        )


class SimulatedStoreClient:
    """A store as one process reaches it; a `hosting.remote.RemoteStore`."""

    def __init__(
        self,
        store: SimulatedStore,
        process: SimulatedProcess,
        network: Network,
        *,
        patience_ms: float = PATIENCE_MS,
    ) -> None:
        """Made by `World.store_for`."""
        self.process = process
        self.patience_ms = patience_ms
        self.refusal: FastnessError | None = None
        """Never known here: each write finds out."""
        self.connection = 0
        """Rises when the client gives its connections up; older reads are never answered."""
        self._store = store
        self._network = network
        self._links: dict[int, tuple[Link, Link]] = {}
        self._noticed = store.demoted_for(process)
        """The old primary whose connections were dropped. A new client has none to it."""

    def open_range(
        self, range_id: int, epoch: int, done: Callable[[RangeState | FastnessError], None]
    ) -> None:
        """Open a range at `epoch`, durably, and load its records."""
        self._notice()
        self._ask("open_range", self._store, self._store.open_range, (range_id, epoch), done)

    def apply(self, batch: Batch, done: Callable[[FastnessError | None], None]) -> None:
        """Write a batch atomically and durably. `Unreachable` means in doubt: ask `settle`."""
        self._ask("apply", self._store, self._store.apply, (batch,), done)

    def settle(
        self, range_id: int, epoch: int, number: int, done: Callable[[bool | FastnessError], None]
    ) -> None:
        """Whether that batch was applied; if not, it never will be."""
        self._notice()
        self._ask("settle", self._store, self._store.settle, (range_id, epoch, number), done)

    def prune(self, request: StorePrune, done: Callable[[int | FastnessError], None]) -> None:
        """Prune one step; how many rows went."""
        self._ask("prune", self._store, self._store.prune, (request,), done)

    def read_at_once(self, _request: StoreRead) -> None:
        """Never: it is far away."""

    def read(self, request: StoreRead, done: Callable[[StoreAnswer | FastnessError], None]) -> None:
        """Read as of `request.at`."""
        server = self._reading()
        self._ask("read", server, server.read, (request,), done, drops=False)

    def versions(
        self, request: StoreSelection, done: Callable[[StorePortion | FastnessError], None]
    ) -> None:
        """The versions of some keys, to be carried to another store."""
        server = self._reading()
        self._ask("versions", server, server.versions, (request,), done, drops=False)

    def load(self, load: Load, done: Callable[[FastnessError | None], None]) -> None:
        """Write versions to a range being built. `Unreachable` means in doubt: ask `settle`."""
        self._ask("load", self._store, self._store.load, (load,), done)

    def drop(self, request: StoreDrop, done: Callable[[int | FastnessError], None]) -> None:
        """Remove the next rows of an interval; how many went."""
        self._ask("drop", self._store, self._store.drop, (request,), done)

    def changes(
        self,
        after: Timestamp,
        up_to: Timestamp,
        limit: int,
        done: Callable[[list[Change] | FastnessError], None],
    ) -> None:
        """The first `limit` commits in (after, up_to], in commit order."""
        server = self._reading()
        self._ask("changes", server, server.changes, (after, up_to, limit), done, drops=False)

    def drop_connections(self) -> None:
        """Have done with an old primary, and with every answer to a read still to come."""
        self.connection += 1
        self._notice()

    def links(self, server: SimulatedStore | DemotedPrimary) -> tuple[Link, Link]:
        """The way to a primary, and back."""
        links = self._links.get(server.number)
        if links is None:
            connect = self._network.connect
            links = connect(self.process, server), connect(server, self.process)
            self._links[server.number] = links
        return links

    def _notice(self) -> None:
        self._noticed = self._store.demoted_for(self.process)

    def _reading(self) -> SimulatedStore | DemotedPrimary:
        """Who answers reads: the old primary until this client has noticed."""
        demoted = self._store.demoted_for(self.process)
        if demoted is None or demoted is self._noticed:
            return self._store
        self._network.counts["read at an old primary"] += 1
        return demoted

    def _ask(
        self,
        what: str,
        server: SimulatedStore | DemotedPrimary,
        request: Callable[..., None],
        args: tuple[object, ...],
        done: Callable[[Any], None],
        *,
        drops: bool = True,
    ) -> None:
        if not self.process.takes_step():
            return
        call = _Call(self, server, what, done, drops=drops)
        self.links(server)[0].call(call.carry_out, request, *args)
